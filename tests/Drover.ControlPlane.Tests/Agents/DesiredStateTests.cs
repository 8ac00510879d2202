using System.Globalization;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Agents;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Networks;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Testing;
using Xunit;
using ContainerSpec = Drover.Core.Apps.ContainerSpec;
using HealthCheck = Drover.Core.Apps.HealthCheck;
using HealthProtocol = Drover.Core.Apps.HealthProtocol;
using Instance = Drover.Core.Apps.Instance;

namespace Drover.ControlPlane.Tests.Agents;

public sealed class DesiredStateTests
{
    private static readonly NodeId Source = new("node1"), Target = new("node2");
    private static readonly VolumeName Data = new("mongodata");
    private static readonly AppSpec Spec = new()
    {
        Id = new("/mongo"),
        Container = new ContainerSpec { Image = "mongo", PortMappings = [new(27017, 31001, 10001, "tcp", "db", [])], Volumes = [new VolumeMount(Data, "/data/db", false, VolumeNaming.HostPath)] },
    };
    private static readonly Instance Mongo = new(new("mongo.instance-1"), Spec.Id, Spec, Samples.Moment, 3, Source, [31001], InstanceGoal.Running, InstanceState.Running, Samples.Moment);
    private static readonly Volume Volume = new(Data, Source, new(5), true, new("old"), Spec.Id, Samples.Moment) { Standbys = [new(new("node3"), new("s3"), new(4), Samples.Moment)] };

    [Theory]
    [InlineData(MoveState.Planned, InstanceWish.Run, null, false)]
    [InlineData(MoveState.Preparing, InstanceWish.Run, InstanceWish.Hold, false)]
    [InlineData(MoveState.Seeding, InstanceWish.Run, InstanceWish.Hold, false)]
    [InlineData(MoveState.Quiescing, InstanceWish.Hold, InstanceWish.Hold, false)]
    [InlineData(MoveState.FinalDelta, InstanceWish.Hold, InstanceWish.Hold, true)]
    [InlineData(MoveState.Verified, InstanceWish.Hold, InstanceWish.Hold, true)]
    [InlineData(MoveState.Unwinding, InstanceWish.Run, null, false)]
    [InlineData(MoveState.Undone, InstanceWish.Run, null, false)]
    public void Before_the_commit_a_move_owns_both_ends(MoveState move, InstanceWish source, InstanceWish? target, bool isSealed)
    {
        var state = State(new ClusterChange.PutMove(Move(move)));
        Assert.Equal(source, Assert.Single(DesiredState.For(state, Source).Instances).Wish);
        Assert.Equal(isSealed, Assert.Single(DesiredState.For(state, Source).Volumes).Sealed);
        var prepared = DesiredState.For(state, Target);
        Assert.Empty(prepared.Volumes);
        Assert.Equal(target, prepared.Instances.SingleOrDefault()?.Wish);
    }

    [Fact]
    public void What_was_prepared_is_what_runs_after_the_commit()
    {
        var move = Move(MoveState.Verified);
        var before = State(new ClusterChange.PutMove(move));
        var prepared = Assert.Single(DesiredState.For(before, Target).Instances);
        Assert.Equal(("mongo.instance-1._app.4", 4, 6), (prepared.TaskId, prepared.Incarnation, prepared.Volumes.Single().Epoch));
        Assert.Null(MoveCommit.Refusal(before, move));
        var (committed, changes) = MoveCommit.Pass(before, move, Samples.Moment);
        var after = before.Apply([new ClusterChange.PutMove(committed), .. changes]);
        var runs = Assert.Single(DesiredState.For(after, Target).Instances);
        prepared.Wish = InstanceWish.Run;
        Assert.Equal(prepared, runs);
        Assert.Equal(new DesiredVolume { Name = Data.Value, Role = VolumeRole.Primary, Epoch = 6, Base = "last" }, Assert.Single(DesiredState.For(after, Target).Volumes));
        Assert.Empty(DesiredState.For(after, Source).Instances);
        Assert.Empty(DesiredState.For(after, Source).Volumes);
    }

    [Fact]
    public void An_instance_to_be_removed_is_removed_also_in_a_move_and_not_prepared_elsewhere()
    {
        var state = State(new ClusterChange.PutInstance(Mongo with { Goal = InstanceGoal.Removed }), new ClusterChange.PutMove(Move(MoveState.Seeding)));
        Assert.Equal(InstanceWish.Remove, Assert.Single(DesiredState.For(state, Source).Instances).Wish);
        Assert.Empty(DesiredState.For(state, Target).Instances);
    }

    [Fact]
    public void A_volume_is_primary_where_it_is_owned_standby_where_a_base_is_and_unmentioned_elsewhere()
    {
        var state = State();
        Assert.Equal(new DesiredVolume { Name = Data.Value, Role = VolumeRole.Primary, Epoch = 5, Base = "old" }, Assert.Single(DesiredState.For(state, Source).Volumes));
        Assert.Equal(VolumeRole.Standby, Assert.Single(DesiredState.For(state, new("node3")).Volumes).Role);
        Assert.Empty(DesiredState.For(state, Target).Volumes);
    }

    [Fact]
    public void Only_a_volume_that_never_was_may_be_made_empty()
    {
        Assert.False(DesiredState.For(State(), Source).Volumes.Single().CreateEmpty);
        Assert.True(DesiredState.For(State(new ClusterChange.PutVolume(Volume with { Initialized = false, Base = null })), Source).Volumes.Single().CreateEmpty);
    }

    [Fact]
    public void Every_node_knows_where_each_address_answers()
    {
        var state = State(new ClusterChange.PutNode(Samples.Node), new ClusterChange.PutNode(Samples.Node with { Id = Target, Address = "10.0.0.2" }),
            new ClusterChange.PutNetwork(new Network(new("weave"), 4096, "10.255.0.0/24", Samples.Moment)
            {
                Addresses = [new("10.255.0.10", "02:dd:0a:ff:00:0a", Spec.Id, Source), new("10.255.0.11", "02:dd:0a:ff:00:0b", new("/idle"), null)],
            }));
        var network = Assert.Single(DesiredState.For(state, Target).Networks);
        Assert.Equal(new OverlayPeer { Node = "node1", Address = Samples.Node.Address }, Assert.Single(network.Peers));
        Assert.Equal(new OverlayEntry { Address = "10.255.0.10", Mac = "02:dd:0a:ff:00:0a", Node = "node1", NodeAddress = Samples.Node.Address }, Assert.Single(network.Entries));
    }

    [Fact]
    public void A_change_says_only_what_differs()
    {
        var state = State();
        var before = DesiredState.For(state, Source);
        Assert.Null(DesiredState.Change(before, DesiredState.For(state, Source)));
        var other = Mongo with { Id = new("web.instance-2"), App = new("/web") };
        var more = DesiredState.Change(before, DesiredState.For(state.Apply(new ClusterChange.PutInstance(other)), Source))!;
        Assert.Equal("web.instance-2", Assert.Single(more.Instances).InstanceId);
        Assert.Empty(more.Volumes);
        var gone = DesiredState.Change(before, DesiredState.For(state.Apply([new ClusterChange.RemoveInstance(Mongo.Id), new ClusterChange.RemoveVolume(Data)]), Source))!;
        Assert.Equal((Mongo.Id.Value, Data.Value), (Assert.Single(gone.RemovedInstances), Assert.Single(gone.RemovedVolumes)));
        Assert.Empty(gone.Instances);
    }

    [Fact]
    public void The_environment_is_a_Marathon_tasks()
    {
        var spec = Spec with { Cpus = 0.5, Env = [new("PORT", "own"), new("A", "b")], Labels = [new("tier-1", "data")] };
        var env = TaskEnvironment.Of(Mongo with { Spec = spec }, 3, "node1.lab");
        (string, string)[] expected =
        [
            ("A", "b"), ("HOST", "node1.lab"), ("MARATHON_APP_DOCKER_IMAGE", "mongo"), ("MARATHON_APP_ID", "/mongo"), ("MARATHON_APP_LABELS", "TIER_1"), ("MARATHON_APP_LABEL_TIER_1", "data"),
            ("MARATHON_APP_RESOURCE_CPUS", "0.5"), ("MARATHON_APP_RESOURCE_DISK", "0.0"), ("MARATHON_APP_RESOURCE_GPUS", "0"), ("MARATHON_APP_RESOURCE_MEM", "128.0"),
            ("MARATHON_APP_VERSION", "2026-01-05T12:00:00.123Z"), ("MESOS_TASK_ID", "mongo.instance-1._app.3"), ("PORT", "own"), ("PORT0", "31001"), ("PORTS", "31001"), ("PORT_27017", "31001"), ("PORT_DB", "31001"),
        ];
        Assert.Equal(expected, env.Select(e => (e.Key, e.Value)));
    }

    [Theory]
    [InlineData(HealthProtocol.Tcp, ContainerNetwork.Bridge, null, 0, 31001, "31001 node")]
    [InlineData(HealthProtocol.Http, ContainerNetwork.Bridge, 9000, 0, 31001, "9000 node")]
    [InlineData(HealthProtocol.Http, ContainerNetwork.Bridge, null, 0, 0, "27017 container")]
    [InlineData(HealthProtocol.MesosHttp, ContainerNetwork.Bridge, null, 0, 31001, "27017 container")]
    [InlineData(HealthProtocol.MesosTcp, ContainerNetwork.Bridge, 9000, 0, 31001, "9000 container")]
    [InlineData(HealthProtocol.MesosTcp, ContainerNetwork.Host, null, 0, 31001, "31001 node")]
    [InlineData(HealthProtocol.Http, ContainerNetwork.Host, null, null, 31001, "31001 node")]
    [InlineData(HealthProtocol.Tcp, ContainerNetwork.None, null, 0, 0, "27017 container")]
    [InlineData(HealthProtocol.Command, ContainerNetwork.Bridge, null, 0, 31001, "0 node")]
    public void A_health_check_goes_where_its_port_is(HealthProtocol protocol, ContainerNetwork network, int? port, int? index, int hostPort, string expected)
    {
        var check = new HealthCheck(protocol, null, index, port, null, TimeSpan.Zero, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 3, TimeSpan.Zero, false);
        var spec = Spec with { Container = Spec.Container! with { Network = network }, HealthChecks = [check] };
        var desired = DesiredState.For(State(new ClusterChange.PutInstance(Mongo with { Spec = spec, Ports = [hostPort] })), Source);
        var asked = Assert.Single(Assert.Single(desired.Instances).HealthChecks);
        Assert.Equal(expected, string.Create(CultureInfo.InvariantCulture, $"{asked.Port} {(asked.ContainerPort ? "container" : "node")}"));
    }

    [Fact]
    public void Ports_are_published_for_each_protocol_and_not_where_none_was_given()
    {
        var container = Spec.Container! with { PortMappings = [new(53, 0, 0, "udp,tcp", null, []), new(80, null, 0, "tcp", null, [])] };
        var desired = DesiredState.For(State(new ClusterChange.PutInstance(Mongo with { Spec = Spec with { Container = container }, Ports = [31005, 0] })), Source);
        Assert.Equal(["31005:53/udp", "31005:53/tcp"], desired.Instances.Single().Container.Ports.Select(p => $"{p.HostPort}:{p.ContainerPort}/{p.Protocol}"));
    }

    private static ClusterState State(params ClusterChange[] more) =>
        ClusterState.Empty.Apply([new ClusterChange.PutInstance(Mongo), new ClusterChange.PutVolume(Volume), .. more]);

    private static Move Move(MoveState state) => new(
        new("m1"), MoveTrigger.Move, Spec.Id, Mongo.Id, [new(Data, new(5), null, new("last"))], Source, Target, Spec, [31009], MovePolicy.Default, state, Samples.Moment);
}
