using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Tests.Apps;

/// <summary>Small clusters for tests, in words.</summary>
internal static class Given
{
    public static readonly DateTimeOffset Noon = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);

    public static Node Node(string id, double cpus = 4, double memory = 4096, string disk = "ssd", int firstPort = 7000, int lastPort = 7099, bool cordoned = false) =>
        new(new(id), $"{id}.lab", "10.0.0.1", 4525, [new("disk", disk)], new(cpus, memory, 10000, 0, [new(firstPort, lastPort)]), "fake", "1", cordoned, Noon, Noon);

    public static ClusterState Cluster(params Node[] nodes) => ClusterState.Empty.Apply(nodes.SelectMany(n => (ClusterChange[])[
        new ClusterChange.PutNode(n), new ClusterChange.PutPresence(new NodePresence(n.Id, true, Noon, ByteCount.GiB(10), ByteCount.GiB(5), default))]));

    public static AppSpec Spec(string id = "/web", int instances = 1, double cpus = 1) => new() { Id = new(id), Cpus = cpus, Instances = instances, Command = "run" };

    public static AppSpec WithVolume(this AppSpec spec, string volume) =>
        spec with { Container = (spec.Container ?? new() { Image = "db" }) with { Volumes = [new VolumeMount(new(volume), "/data", false, VolumeNaming.HostPath)] } };

    public static AppSpec Publishing(this AppSpec spec, params int?[] hostPorts) => spec with
    {
        Container = (spec.Container ?? new() { Image = "db" }) with { PortMappings = hostPorts.Select((p, i) => new PortMapping(80 + i, p, 0, "tcp", null, [])).ToEquatableList() },
    };

    public static AppSpec With(this AppSpec spec, string field, ConstraintOperator op, string? value = null) => spec with { Constraints = spec.Constraints.Add(new(field, op, value)) };

    public static App App(this AppSpec spec, DateTimeOffset? at = null) => new(spec, at ?? Noon, at ?? Noon, at ?? Noon);

    public static Instance Copy(this AppSpec spec, string id, string? node, InstanceState state = InstanceState.Running, params int[] ports) =>
        new(new(id), spec.Id, spec, Noon, 1, node is null ? null : new NodeId(node), [.. ports], InstanceGoal.Running, node is null ? InstanceState.Scheduled : state, Noon);

    public static ClusterState And(this ClusterState state, params ClusterChange[] changes) => state.Apply(changes);
    public static ClusterState And(this ClusterState state, App app) => state.Apply([new ClusterChange.PutApp(app)]);
    public static ClusterState And(this ClusterState state, params Instance[] copies) => state.Apply(copies.Select(c => new ClusterChange.PutInstance(c)));
    public static ClusterState And(this ClusterState state, Volume volume) => state.Apply([new ClusterChange.PutVolume(volume)]);

    public static ClusterState Disconnected(this ClusterState state, string node, DateTimeOffset? since = null) =>
        state.Apply([new ClusterChange.PutPresence(new NodePresence(new(node), false, since ?? Noon, default, default, default))]);

    public static Volume Volume(string name, string? primary, string? holder = null) =>
        new(new(name), primary is null ? null : new NodeId(primary), new(primary is null ? 0 : 1), primary is not null, null, holder is null ? null : new AppId(holder), Noon);

    public static InstanceObservation Seen(this Instance copy, InstanceCondition condition, string? message = null, int? exit = null, params HealthResult?[] health) =>
        new(copy.Id, copy.Task, copy.App, condition, "c1", message, exit, [.. health], false, null, null, null);

    public static readonly HealthResult Alive = new(true, 0, Noon, Noon, null, null);
    public static readonly HealthResult Dead = new(false, 3, null, null, Noon, "connection refused");
}

internal sealed class CountingChance : IChance
{
    private int _next;
    public Guid NewGuid() => new(++_next, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]);
    public double NextDouble() => 0.5;
}
