using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Tests.Apps;
using Drover.Core.Volumes;
using Xunit;
using static Drover.Core.Nodes.RemovalOutcome;

namespace Drover.Core.Tests.Nodes;

public sealed class NodeRemovalTests
{
    private static readonly NodeId A = new("a"), B = new("b"), C = new("c");
    private static readonly ClusterState Away = Given.Cluster(Given.Node("a"), Given.Node("b"), Given.Node("c")).Disconnected("a");

    private static RemovalOutcome Outcome(ClusterState state, bool acceptLoss = false, double left = 0) => NodeRemoval.Decide(state, A, TimeSpan.FromSeconds(left), acceptLoss).Outcome;

    private static string Reasons(ClusterState state, bool acceptLoss = false, double left = 0) => string.Join("; ", Assert.IsType<Refused>(Outcome(state, acceptLoss, left)).Reasons);

    private static ClusterState Removed(ClusterState state, bool acceptLoss = false)
    {
        var decision = NodeRemoval.Decide(state, A, TimeSpan.Zero, acceptLoss);
        Assert.IsType<Removed>(decision.Outcome);
        return state.Apply(decision.Changes);
    }

    private static Volume On(string primary) => Given.Volume("data", primary);

    [Fact]
    public void One_that_is_connected_or_may_write_stays()
    {
        Assert.Contains("is connected", Reasons(Given.Cluster(Given.Node("a"))), StringComparison.Ordinal);
        Assert.Contains("may still write for 12 s", Reasons(Away, left: 11.2), StringComparison.Ordinal);
        Assert.IsType<Unknown>(NodeRemoval.Decide(Away, new("zz"), TimeSpan.Zero, false).Outcome);
    }

    [Fact]
    public void The_data_of_a_volume_keeps_it_whatever_is_said()
    {
        Assert.Equal("it has the data of volume 'data'", Reasons(Away.And(On("a")), acceptLoss: true));
        var deleted = On("a") with { DeletedAt = Given.Noon, PurgeAt = Given.Noon.AddDays(7), Standbys = [new(B, new("m-f"), new(1), Given.Noon)] };
        Assert.Contains("other nodes have copies", Reasons(Away.And(deleted), acceptLoss: true), StringComparison.Ordinal);
    }

    [Fact]
    public void A_standby_goes_unless_it_may_be_the_last_copy()
    {
        var volume = On("b") with { Standbys = [new(A, new("m-f"), new(1), Given.Noon)] };
        Assert.Empty(Removed(Away.And(volume)).Volumes[volume.Name].Standbys);
        Assert.Contains("only copy beside that of 'b', which is away", Reasons(Away.And(volume).Disconnected("b"), acceptLoss: true), StringComparison.Ordinal);
        var two = volume with { Standbys = volume.Standbys.Add(new(C, new("m-f"), new(1), Given.Noon)) };
        Assert.Equal(C, Assert.Single(Removed(Away.And(two).Disconnected("b")).Volumes[volume.Name].Standbys).Node);
    }

    [Fact]
    public void What_only_it_has_besides_goes_by_an_operator_s_word_alone()
    {
        var volume = On("b") with { Snapshots = [new(new("good"), A, new(1), Given.Noon, default, SnapshotOrigin.Asked)], Forks = [new(A, new(1), new("fork-e1"), Given.Noon, Kept: false)] };
        var deleted = Given.Volume("old", "a") with { DeletedAt = Given.Noon, PurgeAt = Given.Noon.AddDays(7) };
        var state = Away.And(volume).And(deleted);
        var refused = Assert.IsType<Refused>(Outcome(state));
        Assert.Equal(3, refused.Reasons.Count);
        Assert.Contains("--accept-loss", refused.Remedy, StringComparison.Ordinal);
        var after = Removed(state, acceptLoss: true);
        Assert.Equal((0, 0, false), (after.Volumes[volume.Name].Snapshots.Count, after.Volumes[volume.Name].Forks.Count, after.Volumes.ContainsKey(deleted.Name)));
        Assert.Equal([B, C], after.Nodes.Keys.Order());
        Assert.False(after.Presence.ContainsKey(A));
    }

    [Fact]
    public void Apps_that_ran_there_wait_for_another_place_and_those_that_were_to_go_are_gone()
    {
        var spec = Given.Spec("/web", 2);
        var state = Away.And(spec.App()).And(spec.Copy("web.1", "a", InstanceState.Unreachable), spec.Copy("web.2", "a") with { Goal = InstanceGoal.Removed }, spec.Copy("web.3", "b"));
        var after = Removed(state);
        Assert.Equal((null, InstanceState.Scheduled, "an offer"), (after.Instances[new("web.1")].Node, after.Instances[new("web.1")].State, after.Instances[new("web.1")].WaitsFor));
        Assert.False(after.Instances.ContainsKey(new("web.2")));
        Assert.Equal(B, after.Instances[new("web.3")].Node);
    }

    [Fact]
    public void Work_that_is_under_way_there_keeps_it()
    {
        var work = new VolumeOperation(new("o1"), VolumeVerb.Purge, new("data"), B, VolumeStage.Purging, Given.Noon) { Further = [A] };
        Assert.Contains("the purge of volume 'data' is under way there", Reasons(Away.And(new ClusterChange.PutOperation(work)), acceptLoss: true), StringComparison.Ordinal);
    }

    [Theory, InlineData(1023L), InlineData(-5L), InlineData(2_000_000_000_000L)]
    public void A_limit_that_is_none_is_refused(long rate) => Assert.IsType<DrainOutcome.Refused>(NodeWishes.Limit(Away, A, rate).Outcome);

    [Fact]
    public void A_limit_stays_with_the_node_and_the_same_one_changes_nothing()
    {
        var state = Away.Apply(NodeWishes.Limit(Away, A, 5000).Changes);
        Assert.Equal(5000, state.Nodes[A].TransferLimit);
        Assert.True(NodeWishes.Limit(state, A, 5000).Changes.IsDefaultOrEmpty);
        Assert.Null(state.Apply(NodeWishes.Limit(state, A, null).Changes).Nodes[A].TransferLimit);
    }
}
