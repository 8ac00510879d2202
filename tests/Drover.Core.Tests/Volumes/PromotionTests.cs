using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Core.Tests.Apps;
using Drover.Core.Volumes;
using Xunit;

namespace Drover.Core.Tests.Volumes;

public sealed class PromotionTests
{
    private static readonly VolumeName Data = new("data");
    private static readonly NodeId Lost = new("node1"), Next = new("node2");
    private static readonly PromotionWish Wish = new(Data, Next, AcceptLoss: true);
    private static readonly AppSpec Spec = Given.Spec("/db").WithVolume("data");

    private static ClusterState State(Instance? copy = null) => Given.Cluster(Given.Node("node1"), Given.Node("node2"), Given.Node("node3")).And(Spec.App()).Disconnected("node1")
        .And(Given.Volume("data", "node1", "/db") with { Epoch = new(4), Standbys = [new Standby(Next, new("m1-f"), new(3), Given.Noon)] })
        .And(copy ?? Spec.Copy("db.1", "node1", InstanceState.Unreachable));

    private static Decision<PromotionAnswer> Decide(ClusterState state, PromotionWish? wish = null, double left = 0) =>
        Promotion.Decide(state, wish ?? Wish, Lost, TimeSpan.FromSeconds(left), Given.Noon.AddMinutes(1));

    [Fact]
    public void The_standby_becomes_primary_at_the_next_epoch_the_app_waits_for_a_place_there_and_what_is_lost_is_said()
    {
        var decision = Decide(State());
        var done = Assert.IsType<PromotionAnswer.Done>(decision.Outcome);
        Assert.Contains("since snapshot m1-f (on 'node2' since 2026-01-05 12:00:00 UTC)", done.Loss, StringComparison.Ordinal);
        Assert.Contains("fork-e4", done.Loss, StringComparison.Ordinal);
        var after = State().Apply(decision.Changes);
        var volume = after.Volumes[Data];
        Assert.Equal((Next, new Epoch(5), new SnapshotName("m1-f"), 0), (volume.Primary!.Value, volume.Epoch, volume.Base!.Value, volume.Standbys.Count));
        Assert.Equal(new Fork(Lost, new(4), new("fork-e4"), Given.Noon.AddMinutes(1), false), Assert.Single(volume.Forks));
        var copy = Assert.Single(after.InstancesOf(new("/db")));
        Assert.Equal((null, InstanceState.Scheduled), (copy.Node, copy.State));
        Assert.True(Placement.Judge(after, copy.Spec, Next, copy) is { Fits: true, HoldsVolume: true });
        Assert.Null(Launching.Block(after, copy, Given.Noon.AddHours(1)));
        Assert.Equal("volume.promoted", Assert.Single(decision.Events).Kind);
    }

    [Fact]
    public void A_copy_that_was_to_be_removed_is_gone_with_its_node()
    {
        var state = State(Spec.Copy("db.1", "node1") with { Goal = InstanceGoal.Removed });
        Assert.Empty(state.Apply(Decide(state).Changes).InstancesOf(new("/db")));
    }

    [Fact]
    public void Work_that_waits_for_the_lost_primary_ends_with_the_promotion_and_other_work_is_waited_for()
    {
        var restore = new VolumeOperation(new("o1"), VolumeVerb.Restore, Data, Lost, VolumeStage.Stopping, Given.Noon) { Snapshot = new("good"), Safety = new("before") };
        foreach (var open in (VolumeOperation[])[restore, restore with { Verb = VolumeVerb.Snapshot, Stage = VolumeStage.Taking }, restore with { Verb = VolumeVerb.Prune, Node = Next, Stage = VolumeStage.Checking }])
        {
            var state = State().Apply(new ClusterChange.PutOperation(open));
            var decision = Decide(state);
            Assert.IsType<PromotionAnswer.Done>(decision.Outcome);
            var after = state.Apply(decision.Changes);
            Assert.Equal((VolumeStage.Failed, Given.Noon.AddMinutes(1), Next), (after.Operations[open.Id].Stage, after.Operations[open.Id].EndedAt, after.Volumes[Data].Primary!.Value));
            Assert.Contains("'node1' is lost", after.Operations[open.Id].Failure, StringComparison.Ordinal);
        }
        foreach (var open in (VolumeOperation[])[restore with { Stage = VolumeStage.Making }, restore with { Verb = VolumeVerb.Prune, Node = Next, Stage = VolumeStage.Dropping }])
            Assert.Equal(PromotionFault.NotNow, Assert.IsType<PromotionAnswer.Refused>(Decide(State().Apply(new ClusterChange.PutOperation(open))).Outcome).Fault);
    }

    [Theory, InlineData("node1", VolumeStage.Failed), InlineData("node3", VolumeStage.Making)]
    public void A_clone_never_keeps_its_source_from_its_standby_and_goes_on_where_its_node_is_another(string on, VolumeStage then)
    {
        var clone = new VolumeOperation(new("o1"), VolumeVerb.Clone, Data, new(on), VolumeStage.Making, Given.Noon) { Snapshot = new("good"), Target = new("copy") };
        var state = State().And(Given.Volume("copy", on)).Apply(new ClusterChange.PutOperation(clone));
        var decision = Decide(state);
        Assert.IsType<PromotionAnswer.Done>(decision.Outcome);
        var after = state.Apply(decision.Changes);
        Assert.Equal((Next, then, then == VolumeStage.Failed), (after.Volumes[Data].Primary!.Value, after.Operations[clone.Id].Stage, after.Volumes[new("copy")].Missing is not null));
    }

    [Fact]
    public void As_long_as_the_lease_may_live_nothing_is_changed_and_for_how_long_is_said()
    {
        var decision = Decide(State(), left: 12.5);
        Assert.Equal((Lost, TimeSpan.FromSeconds(12.5)), decision.Outcome is PromotionAnswer.Waits waits ? (waits.For, waits.Left) : default);
        Assert.Empty(decision.Changes);
    }

    [Fact]
    public void Whatever_makes_it_wrong_is_refused_with_its_remedy_and_nothing_changes()
    {
        (ClusterState State, PromotionWish Wish, PromotionFault Fault, string Word)[] wrong =
        [
            (State(), Wish with { AcceptLoss = false }, PromotionFault.Impossible, "--accept-loss"),
            (State(), Wish with { Volume = new("other") }, PromotionFault.Unknown, "drover volumes"),
            (State(), Wish with { To = new("node9") }, PromotionFault.Unknown, "drover nodes"),
            (State(), Wish with { To = Lost }, PromotionFault.NotNow, "already"),
            (State(), Wish with { To = new("node3") }, PromotionFault.Impossible, "node2"),
            (Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(State().Volumes[Data]), Wish, PromotionFault.NotNow, "drover move /db --to node2"),
            (State().Disconnected("node2"), Wish, PromotionFault.NotNow, "not connected"),
            (State().And(State().Volumes[Data] with { Primary = new NodeId("node3") }), Wish, PromotionFault.NotNow, "has just changed"),
            (State().And(State().Volumes[Data] with { Standbys = [] }), Wish, PromotionFault.Impossible, "bring 'node1' back"),
        ];
        Assert.All(wrong, case_ =>
        {
            var decision = Decide(case_.State, case_.Wish);
            var refused = Assert.IsType<PromotionAnswer.Refused>(decision.Outcome);
            Assert.Equal(case_.Fault, refused.Fault);
            Assert.Contains(case_.Word, refused.Message + " " + refused.Remedy, StringComparison.Ordinal);
            Assert.True(decision.Changes.IsDefaultOrEmpty);
        });
    }

    [Fact]
    public void The_old_primary_becomes_a_standby_of_what_both_hold_never_of_its_fork_and_that_it_kept_it_is_told_once()
    {
        var state = State();
        state = state.Apply(Decide(state).Changes);
        ReplicaObservation seen = new(Data, false, Epoch.None, false, default, [new SnapshotView(new("m1-f"), "x", default), new SnapshotView(new("fork-e4"), "y", default)]);
        var decision = ReplicaLifecycle.Observed(state, Lost, seen, Given.Noon);
        Assert.Equal("volume.forked", Assert.Single(decision.Events).Kind);
        state = state.Apply(decision.Changes);
        Assert.Equal((Lost, new SnapshotName("m1-f")), (Assert.Single(state.Volumes[Data].Standbys).Node, state.Volumes[Data].Standbys[0].Snapshot));
        Assert.True(Assert.Single(state.Volumes[Data].Forks).Kept);
        Assert.Empty(ReplicaLifecycle.Observed(state, Lost, seen, Given.Noon).Changes);
        // Left with nothing but its fork, it is no base for anything.
        state = state.Apply(ReplicaLifecycle.Observed(state, Lost, seen with { Snapshots = [new SnapshotView(new("fork-e4"), "y", default)] }, Given.Noon).Changes);
        Assert.Empty(state.Volumes[Data].Standbys);
    }

    [Fact]
    public void No_move_takes_a_fork_away() =>
        Assert.Empty(MoveSnapshots.Leftovers(
            new Move(new("m1"), MoveTrigger.Move, new("/db"), null, [], Lost, Next, Spec, [], MovePolicy.Default, MoveState.Planned, Given.Noon), null,
            new ReplicaSeen(Data, default, [new SnapshotView(Promotion.ForkName(new(4)), "y", default)]), null));
}
