using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

public sealed class InstanceLifecycleTests
{
    private static readonly NodeId Node1 = new("node1");
    private static readonly AppSpec Spec = Given.Spec();
    private static readonly Instance Copy = Spec.Copy("web", "node1", InstanceState.Staging);

    [Theory]
    [InlineData(InstanceCondition.Pulling, InstanceState.Staging)]
    [InlineData(InstanceCondition.Creating, InstanceState.Staging)]
    [InlineData(InstanceCondition.Starting, InstanceState.Starting)]
    [InlineData(InstanceCondition.Running, InstanceState.Running)]
    [InlineData(InstanceCondition.Stopping, InstanceState.Killing)]
    public void What_the_agent_sees_becomes_the_copys_state(InstanceCondition seen, InstanceState state)
    {
        var after = Fold(State(Copy), Copy.Seen(seen));
        Assert.Equal(state, after.Instances[Copy.Id].State);
        Assert.Equal(state == InstanceState.Running, after.Instances[Copy.Id].WaitsFor is null);
    }

    [Fact]
    public void A_stranger_another_node_and_an_older_task_change_nothing()
    {
        var state = State(Copy);
        var seen = Copy.Seen(InstanceCondition.Running);
        Assert.Equal((false, 0), Told(InstanceLifecycle.Observed(state, Node1, seen with { Instance = new("other") }, Given.Noon)));
        Assert.Equal((false, 0), Told(InstanceLifecycle.Observed(state, new("node2"), seen, Given.Noon)));
        Assert.Equal((false, 0), Told(InstanceLifecycle.Observed(state, Node1, seen with { Task = Copy.Id.Task(0) }, Given.Noon)));
    }

    [Fact]
    public void A_container_that_ends_sends_its_copy_back_to_those_that_wait_with_a_delay()
    {
        var after = Fold(State(Copy), Copy.Seen(InstanceCondition.Stopped, exit: 3));
        var copy = after.Instances[Copy.Id];
        Assert.Equal((null, InstanceState.Scheduled), (copy.Node, copy.State));
        Assert.Contains("exit code 3", copy.WaitsFor, StringComparison.Ordinal);
        var app = after.Apps[Spec.Id];
        Assert.Equal("TASK_FAILED", app.LastTaskFailure?.State);
        Assert.Equal(Given.Noon.AddSeconds(1), app.Delay?.Until);
    }

    [Theory]
    [InlineData(InstanceCondition.Stopped, 0, "TASK_FINISHED")]
    [InlineData(InstanceCondition.Stopped, 1, "TASK_FAILED")]
    [InlineData(InstanceCondition.Failed, null, "TASK_FAILED")]
    [InlineData(InstanceCondition.Gone, null, "TASK_FAILED")]
    public void The_end_is_told_with_the_state_Mesos_has_for_it(InstanceCondition seen, int? exit, string state)
    {
        var decision = InstanceLifecycle.Observed(State(Copy), Node1, Copy.Seen(seen, exit: exit), Given.Noon);
        Assert.Equal(("instance.failed", state), (decision.Events[0].Kind, decision.Events[0].State));
    }

    [Fact]
    public void A_killed_copy_is_forgotten_when_its_container_is_gone_and_delays_nothing()
    {
        var killed = Copy with { Goal = InstanceGoal.Removed };
        var stopping = Fold(State(killed), killed.Seen(InstanceCondition.Stopped, exit: 137));
        Assert.Equal(InstanceState.Killing, stopping.Instances[Copy.Id].State);
        var after = Fold(stopping, killed.Seen(InstanceCondition.Gone));
        Assert.Empty(after.Instances);
        Assert.Null(after.Apps[Spec.Id].Delay);
        Assert.Null(after.Apps[Spec.Id].LastTaskFailure);
    }

    [Fact]
    public void A_copy_of_an_older_configuration_does_not_delay_the_new_one()
    {
        var state = State(Copy).And(Spec.App(Given.Noon.AddMinutes(1)));
        Assert.Null(Fold(state, Copy.Seen(InstanceCondition.Failed)).Apps[Spec.Id].Delay);
    }

    [Fact]
    public void In_a_cutover_the_end_of_the_container_is_no_failure()
    {
        var move = new Move(new("m1"), MoveTrigger.Move, Spec.Id, Copy.Id, [], Node1, new("node2"), Spec, [], MovePolicy.Default, MoveState.Quiescing, Given.Noon);
        var after = Fold(State(Copy).And(new ClusterChange.PutMove(move)), Copy.Seen(InstanceCondition.Stopped, exit: 0));
        Assert.Equal((Node1, InstanceState.Scheduled), (after.Instances[Copy.Id].Node!.Value, after.Instances[Copy.Id].State));
        Assert.Null(after.Apps[Spec.Id].LastTaskFailure);
        Assert.Equal(0, InstanceLifecycle.Resume(after, Given.Noon).Outcome);
    }

    [Theory]
    [InlineData(MoveState.Unwinding)]
    [InlineData(MoveState.Undone)]
    public void A_copy_stopped_for_a_move_starts_again_where_it_was_when_the_move_is_undone(MoveState state)
    {
        var move = new Move(new("m1"), MoveTrigger.Move, Spec.Id, Copy.Id, [], Node1, new("node2"), Spec, [], MovePolicy.Default, MoveState.FinalDelta, Given.Noon);
        var stopped = Fold(State(Copy).And(new ClusterChange.PutMove(move)), Copy.Seen(InstanceCondition.Stopped, exit: 0));
        var undone = stopped.And(new ClusterChange.PutMove(move with { State = state }));
        var after = undone.Apply(InstanceLifecycle.Resume(undone, Given.Noon).Changes).Instances[Copy.Id];
        Assert.Equal((Node1, Copy.Incarnation + 1, InstanceState.Staging), (after.Node!.Value, after.Incarnation, after.State));
    }

    [Fact]
    public void While_a_move_seeds_a_crash_is_told_and_the_copy_stays_where_it_is()
    {
        var running = Copy with { State = InstanceState.Running };
        var move = new Move(new("m1"), MoveTrigger.Move, Spec.Id, Copy.Id, [], Node1, new("node2"), Spec, [], MovePolicy.Default, MoveState.Seeding, Given.Noon);
        var after = Fold(State(running).And(new ClusterChange.PutMove(move)), running.Seen(InstanceCondition.Failed, "out of memory"));
        Assert.Equal(Node1, after.Instances[Copy.Id].Node);
        Assert.Equal("out of memory", after.Apps[Spec.Id].LastTaskFailure?.Message);
        Assert.Equal(0, InstanceLifecycle.Resume(after, Given.Noon).Outcome);
        Assert.Equal(1, InstanceLifecycle.Resume(after, Given.Noon.AddSeconds(1)).Outcome);
    }

    [Fact]
    public void A_copy_serves_when_all_its_checks_answer()
    {
        var checks = Spec with { HealthChecks = [Check, Check] };
        var copy = Copy with { Spec = checks };
        var half = Fold(State(copy), copy.Seen(InstanceCondition.Running, health: [Given.Alive, null]));
        Assert.Equal((null, false), (half.Instances[copy.Id].Healthy, half.Instances[copy.Id].Serves));
        var well = Fold(half, copy.Seen(InstanceCondition.Running, health: [Given.Alive, Given.Alive]));
        Assert.True(well.Instances[copy.Id].Serves);
        var ill = Fold(well, copy.Seen(InstanceCondition.Running, health: [Given.Alive, Given.Dead]));
        Assert.Contains("connection refused", ill.Instances[copy.Id].WaitsFor, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_ready_once_stays_ready_until_its_container_is_made_anew()
    {
        var spec = Spec with { ReadinessChecks = [new("warm", HealthProtocol.Http, "/", "http", TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1), [200], true)] };
        var copy = Copy with { Spec = spec };
        InstanceObservation Answers(bool ready) => copy.Seen(InstanceCondition.Running) with { Readiness = [new("warm", ready, new(ready ? 200 : 503, "text/plain", ""))] };
        var waiting = Fold(State(copy), Answers(false));
        Assert.Equal((true, false), (waiting.Instances[copy.Id].Serves, waiting.Instances[copy.Id].TakesOver));
        var ready = Fold(waiting, Answers(true));
        Assert.True(ready.Instances[copy.Id].TakesOver);
        // An agent that starts anew asks from the beginning.
        Assert.True(Fold(ready, Answers(false)).Instances[copy.Id].TakesOver);
        Assert.True(Fold(ready, copy.Seen(InstanceCondition.Running)).Instances[copy.Id].TakesOver);
        Assert.Empty(Fold(ready, copy.Seen(InstanceCondition.Failed)).Instances[copy.Id].Readiness);
    }

    [Fact]
    public void Readiness_is_shown_for_the_length_of_a_deployment_for_copies_of_the_newest_configuration()
    {
        var spec = Spec with { ReadinessChecks = [new("warm", HealthProtocol.Http, "/", "http", TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1), [200], true)] };
        var app = spec.App(Given.Noon.AddMinutes(1));
        var state = Given.Cluster(Given.Node("node1")).And(app).And(spec.Copy("old", "node1"), spec.Copy("new", "node1") with { AppVersion = app.Version });
        Assert.Empty(Readiness.ResultsOf(state, app));
        state = state.And(new ClusterChange.PutDeployment(new(new("d1"), app.Version, [app.Id], [], 0, Given.Noon)));
        Assert.Equal([(new TaskId("new._app.1"), new ReadinessResult("warm", false, null))], Readiness.ResultsOf(state, app));
    }

    [Fact]
    public void The_same_words_twice_change_nothing_the_second_time()
    {
        var once = Fold(State(Copy), Copy.Seen(InstanceCondition.Running));
        Assert.Equal((true, 0), Told(InstanceLifecycle.Observed(once, Node1, Copy.Seen(InstanceCondition.Running), Given.Noon.AddSeconds(9))));
    }

    [Fact]
    public void An_agent_that_comes_back_without_a_container_makes_it_again_or_has_removed_it()
    {
        var removed = Spec.Copy("old", "node1") with { Goal = InstanceGoal.Removed };
        var running = Spec.Copy("web", "node1");
        var state = State(running).And(removed);
        var after = state.Apply(InstanceLifecycle.Missing(state, Node1, new HashSet<InstanceId>(), Given.Noon).Changes);
        Assert.Equal(InstanceState.Staging, Assert.Single(after.Instances.Values).State);
    }

    [Fact]
    public void A_node_that_is_away_for_long_gives_up_copies_without_data_and_keeps_those_with()
    {
        var db = Given.Spec("/db").WithVolume("data");
        var state = State(Spec.Copy("web", "node1")).And(db.Copy("db", "node1")).Disconnected("node1");
        Assert.Equal(0, Absence.Fold(state, Given.Noon + Absence.Patience - TimeSpan.FromTicks(1), Given.Noon).Outcome);
        var after = state.Apply(Absence.Fold(state, Given.Noon + Absence.Patience, Given.Noon).Changes);
        var left = Assert.Single(after.Instances.Values);
        Assert.Equal(("/db", InstanceState.Unreachable, "node1 to come back: its data is there"), (left.App.Value, left.State, left.WaitsFor));
    }

    private static readonly HealthCheck Check =
        new(HealthProtocol.Tcp, null, 0, null, null, TimeSpan.Zero, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 3, TimeSpan.Zero, false);

    private static ClusterState State(Instance copy) => Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(copy.Spec.App()).And(copy);

    private static ClusterState Fold(ClusterState state, InstanceObservation seen)
    {
        var decision = InstanceLifecycle.Observed(state, Node1, seen, Given.Noon);
        Assert.True(decision.Outcome);
        return state.Apply(decision.Changes);
    }

    private static (bool, int) Told(Decision<bool> decision) => (decision.Outcome, decision.Changes.Length);
}
