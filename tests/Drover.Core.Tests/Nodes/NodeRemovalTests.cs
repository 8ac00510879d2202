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

    private static RemovalOutcome Outcome(ClusterState state, bool acceptLoss = false, double left = 0) => NodeRemoval.Decide(state, A, TimeSpan.FromSeconds(left), acceptLoss, Given.Noon).Outcome;

    private static string Reasons(ClusterState state, bool acceptLoss = false, double left = 0) => string.Join("; ", Assert.IsType<Refused>(Outcome(state, acceptLoss, left)).Reasons);

    private static ClusterState Removed(ClusterState state, bool acceptLoss = false)
    {
        var decision = NodeRemoval.Decide(state, A, TimeSpan.Zero, acceptLoss, Given.Noon);
        Assert.IsType<Removed>(decision.Outcome);
        return state.Apply(decision.Changes);
    }

    private static Volume On(string primary) => Given.Volume("data", primary);

    [Fact]
    public void One_that_is_connected_or_may_write_stays()
    {
        Assert.Contains("is connected", Reasons(Given.Cluster(Given.Node("a"))), StringComparison.Ordinal);
        Assert.Contains("may still write for 12 s", Reasons(Away, left: 11.2), StringComparison.Ordinal);
        Assert.IsType<Unknown>(NodeRemoval.Decide(Away, new("zz"), TimeSpan.Zero, false, Given.Noon).Outcome);
    }

    [Fact]
    public void The_data_of_a_volume_keeps_it_whatever_is_said()
    {
        Assert.Equal("it has the data of volume 'data'", Reasons(Away.And(On("a")), acceptLoss: true));
        var deleted = On("a") with { DeletedAt = Given.Noon, PurgeAt = Given.Noon.AddDays(7), Standbys = [new(B, new("m-f"), new(1), Given.Noon)] };
        Assert.Contains("other nodes have something of it", Reasons(Away.And(deleted), acceptLoss: true), StringComparison.Ordinal);
        Assert.Contains("other nodes have something of it", Reasons(Away.And(deleted with { Standbys = [], Forks = [new(B, new(1), new("fork-e1"), Given.Noon, Kept: true)] }), acceptLoss: true), StringComparison.Ordinal);
        Assert.Empty(Removed(Away.And(deleted with { Standbys = [] }), acceptLoss: true).Volumes);
    }

    [Fact]
    public void A_standby_goes_unless_it_may_be_the_last_copy()
    {
        var volume = On("b") with { Standbys = [new(A, new("m-f"), new(1), Given.Noon)] };
        // A primary that is connected may have lost its data all the same.
        Assert.Equal("the standby of volume 'data', beside which there is only what 'b' has", Reasons(Away.And(volume)));
        Assert.Empty(Removed(Away.And(volume), acceptLoss: true).Volumes[volume.Name].Standbys);
        Assert.Contains("the standby of volume 'data'", Reasons(Away.And(volume with { DeletedAt = Given.Noon, PurgeAt = Given.Noon.AddDays(7) })), StringComparison.Ordinal);
        Assert.Contains("only copy beside that of 'b', which is away", Reasons(Away.And(volume).Disconnected("b"), acceptLoss: true), StringComparison.Ordinal);
        var two = volume with { Standbys = volume.Standbys.Add(new(C, new("m-f"), new(1), Given.Noon)) };
        Assert.Equal(C, Assert.Single(Removed(Away.And(two).Disconnected("b")).Volumes[volume.Name].Standbys).Node);
        Assert.Contains("the standby of volume 'data'", Reasons(Away.And(two).Disconnected("c")), StringComparison.Ordinal);
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
    public void A_refusal_that_comes_when_its_identity_is_gone_already_says_so_and_how_it_gets_another()
    {
        var refused = Assert.IsType<Refused>(NodeRemoval.AfterRevoke(Outcome(Away.And(On("a"))), A));
        Assert.Equal(["it has the data of volume 'data'", "its identity is revoked"], refused.Reasons);
        Assert.EndsWith("drover node token --name a", refused.Remedy, StringComparison.Ordinal);
        Assert.IsType<Removed>(NodeRemoval.AfterRevoke(Outcome(Away), A));
    }

    private static VolumeOperation Work(VolumeVerb verb, VolumeStage stage) => new(new("o1"), verb, new("data"), A, stage, Given.Noon) { Snapshot = new("good") };

    private static ClusterState At(VolumeOperation work, Volume volume) => Away.And(volume).And(new ClusterChange.PutOperation(work));

    [Theory, InlineData(VolumeVerb.Restore, VolumeStage.Making), InlineData(VolumeVerb.Snapshot, VolumeStage.Taking), InlineData(VolumeVerb.Prune, VolumeStage.Dropping)]
    public void Work_that_is_under_way_there_keeps_it(VolumeVerb verb, VolumeStage stage) =>
        Assert.Contains($"the {verb.ToString().ToLowerInvariant()} of volume 'data' is under way there", Reasons(At(Work(verb, stage), On("b")), acceptLoss: true), StringComparison.Ordinal);

    [Fact]
    public void What_only_it_could_still_make_ends_with_it_once_its_lease_is_over()
    {
        var create = At(Work(VolumeVerb.Create, VolumeStage.Making), On("a") with { Initialized = false });
        Assert.Contains("may still write", Reasons(create, left: 5), StringComparison.Ordinal);
        var after = Removed(create);
        Assert.Equal((VolumeStage.Failed, "node 'a' is no node of the cluster any more", false), (after.Operations[new("o1")].Stage, after.Operations[new("o1")].Failure, after.Volumes.ContainsKey(new("data"))));
        after = Removed(At(Work(VolumeVerb.Import, VolumeStage.Clearing) with { Failure = "damaged" }, On("a") with { Initialized = false, Holder = new("/db") }));
        Assert.Equal((null, "its import failed: damaged; node 'a' is no node of the cluster any more"), (after.Volumes[new("data")].Primary, after.Volumes[new("data")].Missing));
        after = Removed(At(Work(VolumeVerb.Clone, VolumeStage.Making) with { Target = new("copy") }, On("b")).And(Given.Volume("copy", "a")));
        Assert.Equal((B, null), (after.Volumes[new("data")].Primary!.Value, after.Volumes[new("copy")].Primary));
        Assert.StartsWith("the clone of volume 'data' failed", after.Volumes[new("copy")].Missing, StringComparison.Ordinal);
        Assert.Empty(after.OpenOperations);
    }

    private static readonly Volume Deleted = On("a") with { Epoch = new(4), DeletedAt = Given.Noon, PurgeAt = Given.Noon, Standbys = [new(B, new("m-f"), new(3), Given.Noon)] };

    [Fact]
    public void A_purge_goes_on_without_it_when_that_is_accepted()
    {
        var purge = Work(VolumeVerb.Purge, VolumeStage.Purging);
        foreach (var open in (VolumeOperation[])[purge with { Further = [C, B] }, purge with { Node = C, Further = [A, B] }, purge with { Node = C, Further = [B, A] }])
        {
            var state = At(open, Deleted);
            Assert.Equal("what it has of volume 'data', which is being purged", Reasons(state));
            var after = Removed(state, acceptLoss: true);
            var left = Assert.Single(after.OpenOperations);
            Assert.Equal((C, [B], VolumeStage.Purging), (left.Node, left.Further, left.Stage));
            // The record stays for what is left to do, at its epoch.
            Assert.Equal((null, new Epoch(4)), (after.Volumes[new("data")].Primary, after.Volumes[new("data")].Epoch));
            while (after.OpenOperations.FirstOrDefault() is { } next)
            {
                Assert.Equal(new Epoch(4), Assert.IsType<VolumeStep.Drop>(VolumeMachine.Step(after, next)).Epoch);
                after = after.Apply(VolumeMachine.Take(after, next, new VolumeEvent.Done(default), Given.Noon).Changes);
            }
            Assert.Equal((false, VolumeStage.Done), (after.Volumes.ContainsKey(new("data")), after.Operations[new("o1")].Stage));
        }
        var last = Removed(At(purge, Deleted), acceptLoss: true);
        Assert.Equal((false, VolumeStage.Done), (last.Volumes.ContainsKey(new("data")), last.Operations[new("o1")].Stage));
    }

    [Fact]
    public void What_is_under_way_and_was_asked_of_a_node_that_is_gone_counts_no_more()
    {
        var purge = Work(VolumeVerb.Purge, VolumeStage.Purging) with { Further = [B] };
        var state = At(purge, Deleted);
        Assert.True(VolumeMachine.StandsWhere(state, purge));
        var after = Removed(state, acceptLoss: true);
        Assert.False(VolumeMachine.StandsWhere(after, purge));
        Assert.True(VolumeMachine.Take(after, purge, new VolumeEvent.Done(default), Given.Noon).Changes.IsDefaultOrEmpty);
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
