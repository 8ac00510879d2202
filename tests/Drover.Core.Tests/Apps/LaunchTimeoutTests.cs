using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

public sealed class LaunchTimeoutTests
{
    private static readonly NodeId Node1 = new("node1");
    private static readonly AppSpec Web = Given.Spec();
    private static readonly Instance Staged = Web.Copy("web", "node1", InstanceState.Staging) with { StagedAt = Given.Noon, WaitsFor = "node1 to make its container" };

    [Fact]
    public void A_copy_that_stays_staged_is_stopped_exactly_at_the_limit_and_counted_a_failure()
    {
        var state = State(Staged);
        Assert.Equal(Given.Noon + LaunchTimeout.Limit, LaunchTimeout.Deadline(state, Given.Noon));
        Assert.Equal(0, LaunchTimeout.Fold(state, Given.Noon + LaunchTimeout.Limit - TimeSpan.FromTicks(1)).Outcome);
        var decision = LaunchTimeout.Fold(state, Given.Noon + LaunchTimeout.Limit);
        var after = state.Apply(decision.Changes);
        Assert.Equal((InstanceGoal.Removed, InstanceState.Killing), (after.Instances[Staged.Id].Goal, after.Instances[Staged.Id].State));
        var app = after.Apps[Web.Id];
        Assert.Equal(1, app.Delay?.Failures);
        Assert.Equal("it was not started 300 s after it was placed; it waited for node1 to make its container", app.LastTaskFailure?.Message);
        Assert.Equal(["instance.failed", "instance.killing"], decision.Events.Select(e => e.Kind));
        Assert.Null(LaunchTimeout.Deadline(after, Given.Noon));
    }

    [Fact]
    public void Two_thousand_that_hang_at_once_are_given_up_at_once_and_stopped_in_their_turn()
    {
        var spec = Given.Spec(instances: 2000, cpus: 0.001);
        var state = Given.Cluster(Given.Node("node1")).And(spec.App()).And([.. Enumerable.Range(0, 2000).Select(n => spec.Copy($"web{n:0000}", "node1", InstanceState.Staging) with { StagedAt = Given.Noon })]);
        var after = state.Apply(LaunchTimeout.Fold(state, Given.Noon + LaunchTimeout.Limit).Changes);
        Assert.All(after.Instances.Values, i => Assert.Equal(InstanceGoal.Removed, i.Goal));
        Assert.Equal((KillLine.AtOnce, 2000), (after.Instances.Values.Count(i => !i.InLine), after.Apps[spec.Id].Delay!.Failures));
    }

    [Fact]
    public void The_time_a_pull_takes_does_not_count()
    {
        var pulling = After(State(Staged), InstanceCondition.Pulling, Given.Noon.AddSeconds(1));
        Assert.Equal(0, LaunchTimeout.Fold(pulling, Given.Noon.AddHours(5)).Outcome);
        var pulled = After(pulling, InstanceCondition.Creating, Given.Noon.AddHours(5));
        Assert.Equal(Given.Noon.AddHours(5) + LaunchTimeout.Limit, LaunchTimeout.Deadline(pulled, Given.Noon.AddHours(5)));
        Assert.Equal(1, LaunchTimeout.Fold(pulled, Given.Noon.AddHours(5) + LaunchTimeout.Limit).Outcome);
    }

    [Theory]
    [InlineData(InstanceCondition.Starting)]
    [InlineData(InstanceCondition.Running)]
    public void What_has_begun_to_start_is_left_alone(InstanceCondition seen) =>
        Assert.Equal(0, LaunchTimeout.Fold(After(State(Staged), seen, Given.Noon), Given.Noon.AddDays(1)).Outcome);

    [Fact]
    public void A_node_that_is_away_is_waited_for_and_its_copies_are_timed_anew_when_it_is_back()
    {
        var away = State(Staged).Disconnected("node1");
        Assert.Equal(0, LaunchTimeout.Fold(away, Given.Noon.AddHours(1)).Outcome);
        var unreachable = away.And(Staged with { State = InstanceState.Unreachable }).And(new ClusterChange.PutPresence(new(Node1, true, Given.Noon, default, default, default)));
        Assert.Equal(Given.Noon.AddHours(1) + LaunchTimeout.Limit, LaunchTimeout.Deadline(After(unreachable, InstanceCondition.Creating, Given.Noon.AddHours(1)), Given.Noon.AddHours(1)));
        var remade = unreachable.Apply(InstanceLifecycle.Missing(unreachable, Node1, new HashSet<InstanceId>(), Given.Noon.AddHours(1)).Changes);
        Assert.Equal(Given.Noon.AddHours(1) + LaunchTimeout.Limit, LaunchTimeout.Deadline(remade, Given.Noon.AddHours(1)));
    }

    [Fact]
    public void A_copy_that_a_move_owns_takes_the_time_the_move_takes()
    {
        var move = new Move(new("m1"), MoveTrigger.Move, Web.Id, Staged.Id, [], Node1, new("node2"), Web, [], MovePolicy.Default, MoveState.Starting, Given.Noon);
        Assert.Equal(0, LaunchTimeout.Fold(State(Staged).And(new ClusterChange.PutMove(move)), Given.Noon.AddDays(1)).Outcome);
    }

    [Fact]
    public void A_database_given_up_is_not_started_again_before_its_container_is_gone()
    {
        var db = Given.Spec("/db").WithVolume("data");
        var copy = db.Copy("db", "node1", InstanceState.Staging) with { StagedAt = Given.Noon };
        var state = Given.Cluster(Given.Node("node1")).And(db.App()).And(Given.Volume("data", "node1", "/db")).And(copy);
        var now = Given.Noon + LaunchTimeout.Limit;
        state = state.Apply(LaunchTimeout.Fold(state, now).Changes);
        state = state.Apply(Rollout.Scale(state, state.Apps[db.Id], now, Given.Noon, new CountingChance()).Changes);
        var next = state.InstancesOf(db.Id).Single(i => i.Goal == InstanceGoal.Running);
        Assert.Equal("db._app.1 to be gone from node1", Launching.Block(state, next, now.AddMinutes(10)));
    }

    private static ClusterState State(Instance copy) => Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(copy.Spec.App()).And(copy);

    private static ClusterState After(ClusterState state, InstanceCondition seen, DateTimeOffset now) => state.Apply(InstanceLifecycle.Observed(state, Node1, Staged.Seen(seen), now).Changes);
}
