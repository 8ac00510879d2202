using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Tests.Apps;
using Xunit;

namespace Drover.Core.Tests.State;

/// <summary>Kept change by change, the indexes are what they would be if they were made anew.</summary>
public sealed class CopyIndexTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Indexes_kept_by_changes_are_those_made_anew(int seed)
    {
        var chance = new Random(seed);
        var (state, waited) = (ClusterState.Empty, 0);
        for (var round = 0; round < 1500; round++)
        {
            state = state.Apply([Some(chance, state)]);
            if (round % 10 == 0) Same(state);
            waited += state.Copies.Waiting.Count;
        }
        Assert.NotEmpty(state.Copies.Open);
        Assert.True(waited > 0);
        foreach (var id in state.Instances.Keys) state = state.Apply(new ClusterChange.RemoveInstance(id));
        Same(state);
        Assert.Empty(state.Copies.ByApp);
        Assert.Empty(state.Copies.ByNode);
        Assert.Empty(state.Copies.ByVolume);
        Assert.All(state.Copies.Open, free => Assert.Equal(1.0, free.Share));
    }

    private static void Same(ClusterState state)
    {
        var (kept, anew) = (state.Copies, CopyIndex.Of(state));
        Assert.Equal(anew.Open.Select(Shown), kept.Open.Select(Shown));
        Assert.All(kept.Open, free => Assert.Same(state.Nodes[free.Node.Id], free.Node));
        Assert.Equal(anew.Away.Order(), kept.Away.Order());
        Assert.Equal(anew.Halted.Order(), kept.Halted.Order());
        Assert.Equal(anew.Waiting.Order(), kept.Waiting.Order());
        Assert.Equal(anew.Draining.Order(), kept.Draining.Order());
        Assert.Equal(anew.ByApp.Keys.Order(), kept.ByApp.Keys.Order());
        foreach (var (app, copies) in anew.ByApp)
        {
            Assert.Equal(copies.All, kept.ByApp[app].All);
            Assert.Equal(copies.Waiting, kept.ByApp[app].Waiting);
            Assert.Equal(copies.Counts, kept.ByApp[app].Counts);
        }
        Assert.Equal(anew.ByVolume.Keys.Order(), kept.ByVolume.Keys.Order());
        foreach (var (volume, copies) in anew.ByVolume) Assert.Equal(copies.Order(), kept.ByVolume[volume].Order());
        Assert.Equal(anew.ByNode.Keys.Order(), kept.ByNode.Keys.Order());
        foreach (var (node, load) in anew.ByNode)
        {
            Assert.Equal(load.Copies.Order(), kept.ByNode[node].Copies.Order());
            Assert.Equal(load with { Copies = [] }, kept.ByNode[node] with { Copies = [] });
        }
    }

    private static (double, NodeId, long, long) Shown(FreeNode free) => (free.Share, free.Node.Id, free.Load.Cpus, free.Load.MemoryMiB);

    private static ClusterChange Some(Random chance, ClusterState state)
    {
        var node = new NodeId($"node{chance.Next(5)}");
        return chance.Next(12) switch
        {
            0 => new ClusterChange.PutNode(Given.Node(node.Value, cpus: chance.Next(4, 6), cordoned: chance.Next(4) == 0) with { Drain = chance.Next(4) == 0 ? new NodeDrain(DrainState.Draining, 4, 0, Given.Noon) : null }),
            1 => new ClusterChange.PutPresence(new NodePresence(node, chance.Next(4) != 0, Given.Noon, default, new(chance.Next(3)), default)),
            2 when chance.Next(5) == 0 => new ClusterChange.RemoveNode(node),
            3 => new ClusterChange.RemoveInstance(new($"c{chance.Next(30)}")),
            _ => new ClusterChange.PutInstance(Changed(chance, state, node)),
        };
    }

    private static Instance Changed(Random chance, ClusterState state, NodeId node)
    {
        var id = $"c{chance.Next(30)}";
        var app = $"/a{id.Length + id[1] % 3}";
        var spec = Given.Spec(app, cpus: chance.Next(1, 10) / 10.0) with { MemoryMiB = chance.Next(1, 300) * 1.1, Apart = chance.Next(3) == 0 ? [new(new("/x"), [], null)] : [] };
        if (chance.Next(3) == 0) spec = spec.WithVolume($"v{chance.Next(2)}");
        var known = state.Instances.GetValueOrDefault(new(id)) ?? spec.Copy(id, null);
        return chance.Next(6) switch
        {
            0 => known with { Node = null, State = InstanceState.Scheduled },
            1 => known with { Node = node, State = InstanceState.Scheduled },
            2 => known with { Goal = InstanceGoal.Removed },
            3 => known with { Spec = spec with { Id = known.App } },
            4 => known with { Node = node, State = InstanceState.Running, Healthy = chance.Next(2) == 0 },
            _ => known with { State = (InstanceState)chance.Next(7) },
        };
    }
}
