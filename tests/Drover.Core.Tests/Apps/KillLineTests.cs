using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

public sealed class KillLineTests
{
    private static readonly AppSpec Web = Given.Spec(instances: 5000, cpus: 0.001);

    /// <summary>Marathon's leader went down over it, and killed while it scaled up.</summary>
    [Fact]
    public void Stopping_five_thousand_copies_never_has_more_than_a_hundred_under_way_and_ends()
    {
        var state = Crowd(5000);
        state = state.Apply(KillDecisions.App(state, Web.Id, null, false, false, Given.Noon, new("d")).Changes);
        Assert.Equal((KillLine.AtOnce, 4900), (Leaving(state).Count, InLine(state).Count));
        Assert.Equal(5000, state.InstancesOf(Web.Id).Count(i => i.Goal == InstanceGoal.Removed));
        Assert.All(InLine(state), i => Assert.Equal((true, "its turn to be stopped: at most 100 copies are stopped at once"), (i.Runs, i.WaitsFor)));
        var dice = new Dice(4797);
        var leaving = Leaving(state);
        for (var gone = 0; gone < 5000; gone++)
        {
            Assert.InRange(leaving.Count, 1, KillLine.AtOnce);
            var at = (int)(dice.NextDouble() * leaving.Count);
            var copy = leaving[at];
            leaving.RemoveAt(at);
            state = state.Apply(InstanceLifecycle.Observed(state, copy.Node!.Value, copy.Seen(InstanceCondition.Gone), Given.Noon).Changes);
            var next = KillLine.Next(state);
            state = state.Apply(next.Changes);
            leaving.AddRange(next.Changes.OfType<ClusterChange.PutInstance>().Select(p => p.Instance));
        }
        Assert.Empty(state.Instances);
    }

    [Fact]
    public void Scaling_to_nothing_says_how_many_are_left_and_how_many_stand_in_line()
    {
        var state = Crowd(250);
        var app = (Web with { Instances = 0 }).App();
        state = state.And(app).Apply(Rollout.Scale(state, app, Given.Noon, Given.Noon, new CountingChance()).Changes);
        var step = Rollout.Scale(state, app, Given.Noon, Given.Noon, new CountingChance());
        Assert.Empty(step.Changes);
        Assert.Equal("250 copies to be gone; 150 of them wait for its turn to be stopped: at most 100 copies are stopped at once", step.WaitsFor);
    }

    [Fact]
    public void A_second_kill_adds_to_the_line_and_does_not_pass_by_it()
    {
        var state = Crowd(150);
        var other = Given.Spec("/other", cpus: 0.001);
        state = state.And(other.App()).And(other.Copy("other", "node0"));
        state = state.Apply(KillDecisions.App(state, Web.Id, null, false, false, Given.Noon, new("d")).Changes);
        state = state.Apply(KillDecisions.App(state, other.Id, null, false, false, Given.Noon, new("d")).Changes);
        Assert.True(state.Instances[new("other")].InLine);
        Assert.Equal(KillLine.AtOnce, Leaving(state).Count);
    }

    [Fact]
    public void Copies_on_nodes_that_are_away_take_nobodys_turn_and_wait_for_none()
    {
        var state = Crowd(300, nodes: 2).Disconnected("node1");
        var (changes, _) = KillLine.Stop(state, [.. state.Instances.Values]);
        state = state.Apply(changes);
        Assert.Equal((100, 150), (Leaving(state).Count(i => i.Node == new NodeId("node0")), Leaving(state).Count(i => i.Node == new NodeId("node1"))));
        Assert.Equal(50, InLine(state).Count);
    }

    [Fact]
    public void A_copy_in_line_that_ends_by_itself_is_cleared_away_at_once_and_counts_as_no_failure()
    {
        var copy = Web.Copy("web", "node0") with { Goal = InstanceGoal.Removed, InLine = true };
        var state = Crowd(0).And(copy);
        Assert.Empty(InstanceLifecycle.Observed(state, new("node0"), copy.Seen(InstanceCondition.Running), Given.Noon).Changes);
        var after = state.Apply(InstanceLifecycle.Observed(state, new("node0"), copy.Seen(InstanceCondition.Stopped, exit: 1), Given.Noon).Changes);
        Assert.Equal((false, InstanceState.Killing), (after.Instances[copy.Id].InLine, after.Instances[copy.Id].State));
        Assert.Null(after.Apps[Web.Id].Delay);
    }

    [Fact]
    public void The_line_is_the_same_after_a_restart_of_the_control_plane()
    {
        var state = Crowd(250);
        state = state.Apply(KillDecisions.App(state, Web.Id, null, false, false, Given.Noon, new("d")).Changes);
        var again = ClusterState.Empty.Restore([.. state.Nodes.Values.Select(n => new ClusterChange.PutNode(n)), .. state.Apps.Values.Select(a => new ClusterChange.PutApp(a)), .. state.Instances.Values.Select(i => new ClusterChange.PutInstance(i))])
            .Seeing(state.Presence.Values, state.Revision);
        Assert.Equal(0, KillLine.Next(again).Outcome);
        var gone = new ClusterChange.RemoveInstance(Leaving(state)[0].Id);
        Assert.Equal(KillLine.Next(state.And(gone)).Changes, KillLine.Next(again.And(gone)).Changes);
        Assert.Equal(1, KillLine.Next(again.And(gone)).Outcome);
    }

    [Fact]
    public void A_kill_is_carried_out_though_a_deployment_holds_the_app()
    {
        var state = Crowd(2).And(new ClusterChange.PutDeployment(new(new("d1"), Given.Noon, [Web.Id], [], 0, Given.Noon)));
        Assert.IsType<KillOutcome.Killed>(KillDecisions.Tasks(state, ["web0000"], false, false, Given.Noon, new("d2")).Outcome);
        Assert.IsType<KillOutcome.Locked>(KillDecisions.Tasks(state, ["web0000"], true, false, Given.Noon, new("d2")).Outcome);
    }

    private static List<Instance> Leaving(ClusterState state) => [.. state.Instances.Values.Where(i => i is { Goal: InstanceGoal.Removed, InLine: false }).OrderBy(i => i.Id)];

    private static List<Instance> InLine(ClusterState state) => [.. state.Instances.Values.Where(i => i is { Goal: InstanceGoal.Removed, InLine: true })];

    private static ClusterState Crowd(int copies, int nodes = 10) =>
        Given.Cluster([.. Enumerable.Range(0, nodes).Select(n => Given.Node($"node{n}", cpus: 1000))]).And(Web.App())
            .And([.. Enumerable.Range(0, copies).Select(n => Web.Copy($"web{n:0000}", $"node{n % nodes}"))]);
}
