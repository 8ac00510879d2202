using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

public sealed class LaunchBackoffTests
{
    private static readonly NodeId Node1 = new("node1");
    private static readonly AppSpec Web = Given.Spec() with { Backoff = new(TimeSpan.FromSeconds(1), 2, TimeSpan.FromSeconds(60)) };
    private static readonly Instance Copy = Web.Copy("web", "node1");

    // factor, max -> delays of failures that follow each other at once
    [Theory]
    [InlineData(1.15, 300, new[] { 1.0, 1.15, 1.3225, 1.520875 })]
    [InlineData(2, 60, new[] { 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0 })]
    [InlineData(1, 300, new[] { 1.0, 1.0, 1.0 })]
    [InlineData(10, 0.5, new[] { 0.5, 0.5 })]
    public void Each_failure_in_a_row_waits_longer_up_to_the_longest_and_stays_there(double factor, double max, double[] seconds)
    {
        var backoff = new Backoff(TimeSpan.FromSeconds(1), factor, TimeSpan.FromSeconds(max));
        LaunchDelay? delay = null;
        for (var i = 0; i < seconds.Length; i++)
        {
            delay = LaunchBackoff.AfterFailure(backoff, delay, "exit 1", delay?.Until ?? Given.Noon);
            Assert.Equal((seconds[i], i + 1), (Math.Round(delay.Current.TotalSeconds, 6), delay.Failures));
        }
    }

    [Theory]
    [InlineData(60, 2, 2.0)]
    [InlineData(60.001, 1, 1.0)]
    public void It_starts_over_when_the_app_went_on_longer_than_its_longest_delay(double secondsAfter, int failures, double seconds)
    {
        var before = new LaunchDelay(TimeSpan.FromSeconds(1), Given.Noon, "exit 1");
        var delay = LaunchBackoff.AfterFailure(Web.Backoff, before, "exit 2", Given.Noon.AddSeconds(secondsAfter));
        Assert.Equal((failures, seconds), (delay.Failures, delay.Current.TotalSeconds));
    }

    [Theory]
    [InlineData(InstanceCondition.Failed, 1, true)]
    [InlineData(InstanceCondition.Stopped, 0, true)]
    [InlineData(InstanceCondition.Stopped, 1, true)]
    [InlineData(InstanceCondition.Gone, null, true)]
    public void Failed_finished_and_lost_copies_count(InstanceCondition seen, int? exit, bool counts) =>
        Assert.Equal(counts, After(State(), Copy.Seen(seen, exit: exit)).Apps[Web.Id].Delay is not null);

    [Fact]
    public void A_killed_copy_does_not_count()
    {
        var state = State();
        var killed = state.Apply(KillDecisions.Tasks(state, ["web"], false, false, Given.Noon, new("d")).Changes);
        var gone = After(killed, Copy.Seen(InstanceCondition.Stopped, exit: 137));
        Assert.Null(After(gone, Copy.Seen(InstanceCondition.Gone)).Apps[Web.Id].Delay);
    }

    [Fact]
    public void A_copy_of_an_older_configuration_does_not_count_for_the_new_one()
    {
        var state = State().And(Web.App(Given.Noon.AddMinutes(1)));
        var after = After(state, Copy.Seen(InstanceCondition.Failed, "bad image")).Apps[Web.Id];
        Assert.Null(after.Delay);
        Assert.Equal("bad image", after.LastTaskFailure?.Message);
    }

    [Fact]
    public void Scaling_keeps_the_delay_and_a_new_configuration_or_a_restart_drops_it()
    {
        var app = Web.App() with { Delay = new(TimeSpan.FromSeconds(8), Given.Noon.AddSeconds(8), "exit 1", 4) };
        var state = Given.Cluster(Given.Node("node1")).And(app);
        LaunchDelay? Then(AppSpec spec, bool restart = false) =>
            AppChanges.Update(state, spec, false, Given.Noon, new("d"), restart).Changes.OfType<ClusterChange.PutApp>().Single().App.Delay;
        Assert.Equal(app.Delay, Then(Web with { Instances = 7 }));
        Assert.Null(Then(Web with { Command = "better" }));
        Assert.Null(Then(Web, restart: true));
    }

    [Fact]
    public void From_the_third_failure_on_it_is_said_aloud_how_often_why_until_when_and_what_to_do()
    {
        var state = State();
        for (var failure = 1; failure <= 4; failure++)
        {
            var copy = state.Instances[Copy.Id] with { Node = Node1, State = InstanceState.Staging };
            var decision = InstanceLifecycle.Observed(state.And(copy), Node1, copy.Seen(InstanceCondition.Failed, "there is no image 'web:2'"), Given.Noon.AddSeconds(failure));
            state = state.Apply(decision.Changes);
            var failing = decision.Events.SingleOrDefault(e => e.Kind == "instance.failing");
            Assert.Single(decision.Events, e => e.Kind == "instance.failed");
            var waits = Launching.Block(state, state.Instances[Copy.Id], Given.Noon.AddSeconds(failure));
            if (failure < LaunchBackoff.Loud)
            {
                Assert.Null(failing);
                Assert.Equal($"its backoff until 12:00:0{failure + (failure == 1 ? 1 : 2)} UTC: there is no image 'web:2'", waits);
                continue;
            }
            Assert.StartsWith($"/web failed {failure} times in a row, the last on node1: there is no image 'web:2'. Tried again in {(failure == 3 ? 4 : 8)} s, at 12:00:", failing!.Text, StringComparison.Ordinal);
            Assert.EndsWith("DELETE /v2/queue/web/delay", failing.Text, StringComparison.Ordinal);
            Assert.Contains($"it failed {failure} times in a row, the last: there is no image 'web:2'. Correct the app", waits, StringComparison.Ordinal);
            var step = Rollout.Scale(state.And(state.Instances[Copy.Id] with { WaitsFor = waits }), state.Apps[Web.Id], Given.Noon, Given.Noon, new CountingChance());
            Assert.Contains($"failed {failure} times in a row", step.WaitsFor, StringComparison.Ordinal);
        }
    }

    private static ClusterState State() => Given.Cluster(Given.Node("node1")).And(Web.App()).And(Copy);

    private static ClusterState After(ClusterState state, InstanceObservation seen) => state.Apply(InstanceLifecycle.Observed(state, Node1, seen, Given.Noon).Changes);
}
