using System.Collections.Immutable;
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
using Instance = Drover.Core.Apps.Instance;
using InstanceState = Drover.Core.Apps.InstanceState;

namespace Drover.ControlPlane.Tests.Agents;

/// <summary>The orders that follow from a commit's scope are those that would follow from looking at every node.</summary>
public sealed class OrderScopeTests
{
    private const int Nodes = 6;
    private static readonly string[] Volumes = ["v0", "v1", "v2"];

    private static NodeId Node(int number) => new($"node{number}");

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, true)]
    public void Whoever_is_not_in_the_scope_has_the_same_orders_as_before(int seed, bool network)
    {
        var chance = new Random(seed);
        var state = ClusterState.Empty.Apply(Enumerable.Range(0, Nodes).Select(i => new ClusterChange.PutNode(Samples.Node with { Id = Node(i), Hostname = $"h{i}" })));
        if (network) state = state.Apply([new ClusterChange.PutNetwork(new Network(new("weave"), 4096, "10.255.0.0/24", Samples.Moment))]);
        var changed = 0;
        for (var round = 0; round < 400; round++)
        {
            var changes = Enumerable.Range(0, 1 + chance.Next(3)).Select(_ => Some(chance, state, network)).ToImmutableArray();
            var after = state.Apply(changes);
            // A copy already where a move is still to bring it: there is no such state.
            if (after.OpenMoves.Any(m => m.Instance is { } copy && after.Instances.GetValueOrDefault(copy)?.Node == m.Target)) continue;
            var scope = OrderScope.Of(new Committed(state, after, changes, [], Samples.Moment, Missed: false));
            for (var i = 0; i < Nodes; i++) changed += Check(state, after, scope, Node(i)) ? 1 : 0;
            state = after;
        }
        Assert.True(changed > 120, $"only {changed} orders changed: this test looks at nothing");
    }

    private static bool Check(ClusterState before, ClusterState after, OrderScope scope, NodeId node)
    {
        var whole = DesiredState.Change(DesiredState.For(before, node), DesiredState.For(after, node));
        if (scope.Everyone || scope.Nodes.Contains(node)) return whole is not null;
        var copies = scope.Copies.Where(c => c.Node == node).SelectMany(c => c.Copies).ToList();
        Assert.Equal(whole, DesiredState.Change(before, after, node, copies));
        return whole is not null;
    }

    [Fact]
    public void What_an_agent_says_of_a_copy_concerns_nobody()
    {
        var copy = Copy(new Random(1), 0) with { Node = Node(1), State = InstanceState.Staging };
        var before = ClusterState.Empty.Apply([new ClusterChange.PutNode(Samples.Node with { Id = Node(1) }), new ClusterChange.PutInstance(copy)]);
        ImmutableArray<ClusterChange> seen = [new ClusterChange.PutInstance(copy with { State = InstanceState.Running, Healthy = true, ContainerId = "c", StartedAt = Samples.Moment, WaitsFor = null })];
        var scope = OrderScope.Of(new Committed(before, before.Apply(seen), seen, [], Samples.Moment, Missed: false));
        Assert.Empty(scope.Nodes);
        Assert.Empty(scope.Copies);
        Assert.False(scope.Everyone);
    }

    [Fact]
    public void Who_missed_commits_looks_at_everybody()
    {
        var scope = OrderScope.Of(new Committed(ClusterState.Empty, ClusterState.Empty, [], [], Samples.Moment, Missed: true));
        Assert.True(scope.Everyone);
    }

    private static ClusterChange Some(Random chance, ClusterState state, bool network) => chance.Next(16) switch
    {
        < 5 => new ClusterChange.PutInstance(Changed(chance, state)),
        5 => new ClusterChange.RemoveInstance(new($"c{chance.Next(20)}")),
        6 or 7 => new ClusterChange.PutVolume(SomeVolume(chance)),
        8 => new ClusterChange.RemoveVolume(new(Volumes[chance.Next(3)])),
        9 or 10 => new ClusterChange.PutMove(SomeMove(chance)),
        11 => new ClusterChange.RemoveMove(new($"m{chance.Next(3)}")),
        12 => new ClusterChange.PutOperation(new VolumeOperation(new($"o{chance.Next(3)}"), chance.Next(2) == 0 ? VolumeVerb.Restore : VolumeVerb.Snapshot, new(Volumes[chance.Next(3)]), Node(chance.Next(Nodes)),
            chance.Next(2) == 0 ? VolumeStage.Done : VolumeStage.Stopping, Samples.Moment)),
        13 => new ClusterChange.PutNode(Samples.Node with { Id = Node(chance.Next(Nodes)), Hostname = $"h{chance.Next(4)}", Address = $"10.0.0.{chance.Next(3)}", Cordoned = chance.Next(2) == 0 }),
        14 when network => new ClusterChange.PutNetwork(new Network(new("weave"), 4096, "10.255.0.0/24", Samples.Moment) { Addresses = [new("10.255.0.10", "02:00:00:00:00:01", new("/a0"), Node(chance.Next(Nodes)))] }),
        _ => new ClusterChange.PutApp(Samples.App with { Spec = Samples.App.Spec with { Id = new($"/a{chance.Next(4)}") }, Version = Samples.Moment.AddSeconds(chance.Next(100)) }),
    };

    private static Instance Changed(Random chance, ClusterState state)
    {
        var number = chance.Next(20);
        if (!state.Instances.TryGetValue(new($"c{number}"), out var known) || chance.Next(4) == 0) return Copy(chance, number);
        return chance.Next(5) switch
        {
            0 => known with { State = (InstanceState)chance.Next(6), Healthy = true, WaitsFor = "a word" },
            1 => known with { Goal = InstanceGoal.Removed },
            2 => known with { Incarnation = known.Incarnation + 1 },
            3 => known with { Ports = [31000 + chance.Next(10)] },
            _ => known with { Node = chance.Next(3) == 0 ? null : Node(chance.Next(Nodes)) },
        };
    }

    private static Instance Copy(Random chance, int number)
    {
        var app = number % 4;
        var container = new Core.Apps.ContainerSpec { Image = "i", Volumes = app < 3 ? [new VolumeMount(new(Volumes[app]), "/data", false, VolumeNaming.HostPath)] : [] };
        var spec = new AppSpec { Id = new($"/a{app}"), Container = container, Cpus = chance.Next(1, 3) };
        return new(new($"c{number}"), spec.Id, spec, Samples.Moment, 1, chance.Next(4) == 0 ? null : Node(chance.Next(Nodes)), [31000], InstanceGoal.Running, InstanceState.Staging, Samples.Moment);
    }

    private static Volume SomeVolume(Random chance)
    {
        var number = chance.Next(3);
        return new Volume(new(Volumes[number]), chance.Next(4) == 0 ? null : Node(chance.Next(Nodes)), new(chance.Next(1, 5)), chance.Next(2) == 0, null, chance.Next(3) == 0 ? null : new($"/a{number}"), Samples.Moment)
        {
            Standbys = chance.Next(2) == 0 ? [] : [new Standby(Node(chance.Next(Nodes)), new("s"), new(1), Samples.Moment)],
        };
    }

    private static Move SomeMove(Random chance)
    {
        var number = chance.Next(3);
        var states = Enum.GetValues<MoveState>();
        return Samples.Move with
        {
            Id = new($"m{number}"), App = new($"/a{number}"), Instance = new($"c{number + 4 * chance.Next(3)}"), Source = Node(chance.Next(Nodes)), Target = Node(chance.Next(Nodes)), State = states[chance.Next(states.Length)],
            Volumes = [Samples.Move.Volumes[0] with { Name = new(Volumes[number]) }],
        };
    }
}
