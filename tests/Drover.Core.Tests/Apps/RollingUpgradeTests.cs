using Drover.Core.Apps;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

/// <summary>minimumHealthCapacity and maximumOverCapacity, to the letter.</summary>
public sealed class RollingUpgradeTests
{
    private static readonly double[] Capacities = [0, 0.25, 0.5, 0.75, 1];

    public static TheoryData<double, double> Strategies()
    {
        var all = new TheoryData<double, double>();
        foreach (var min in Capacities) foreach (var over in Capacities) all.Add(min, over);
        return all;
    }

    [Theory]
    [MemberData(nameof(Strategies))]
    public void The_first_step_is_the_one_Marathon_takes(double min, double over)
    {
        for (var wanted = 1; wanted <= 12; wanted++)
        {
            for (var serving = 0; serving <= wanted; serving++)
            {
                var least = (int)Math.Ceiling(wanted * min);
                var most = (int)Math.Floor(wanted * (1 + over));
                if (least == most) most++;
                var stop = Math.Max(0, serving - least);
                var start = stop > 0 ? 0 : Math.Min(wanted, most - wanted);
                // Beyond Marathon, which stands still here: what does not serve makes room.
                if (stop == 0 && start == 0) stop = Math.Min(wanted - serving, most - least);
                Assert.Equal((stop, start), RollingPlay.Sum(new RollingPlay(wanted, wanted, serving, new(min, over), 1).Next()));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Strategies))]
    public void It_comes_to_its_end_and_keeps_its_bounds_in_every_state_between(double min, double over)
    {
        for (var wanted = 1; wanted <= 6; wanted++)
            for (var serving = 0; serving <= wanted; serving++)
                for (var seed = 0; seed < 4; seed++) new RollingPlay(wanted, wanted, serving, new(min, over), seed).ToTheEnd();
    }

    [Theory]
    [MemberData(nameof(Strategies))]
    public void With_fewer_or_more_copies_than_wanted_at_the_start_it_does_too(double min, double over)
    {
        foreach (var (wanted, old) in new[] { (4, 1), (4, 3), (3, 5), (2, 6), (1, 4), (5, 0) })
            for (var seed = 0; seed < 4; seed++) new RollingPlay(wanted, old, Math.Min(old, seed + 1), new(min, over), seed).ToTheEnd();
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(0.9, 0.1)]
    [InlineData(0.5, 1)]
    public void Two_hundred_copies_are_replaced_within_the_bounds(double min, double over) =>
        Assert.InRange(new RollingPlay(200, 200, 180, new(min, over), 7).ToTheEnd(), 1, 2000);

    [Fact]
    public void Copies_that_do_not_serve_go_first()
    {
        var play = new RollingPlay(4, 4, 2, new(0.25, 0), 1);
        Assert.Equal(["old002"], play.Next().Changes.OfType<ClusterChange.PutInstance>().Select(p => p.Instance.Id.Value));
    }

    [Fact]
    public void An_app_whose_copies_are_all_unwell_can_be_rolled_back()
    {
        foreach (var min in Capacities) foreach (var over in Capacities) new RollingPlay(3, 3, 0, new(min, over), 3).ToTheEnd();
    }

    [Fact]
    public void Copies_whose_health_is_not_known_yet_are_not_taken_for_unwell()
    {
        var play = new RollingPlay(4, 4, 0, new(0.5, 0), 1);
        var app = play.State.Apps.Values.Single();
        var unknown = play.State.And([.. play.State.InstancesOf(app.Id).Select(i => i with { Healthy = null })]);
        var step = Rollout.Upgrade(unknown, app, RollingPlay.Changed, Given.Noon, new CountingChance());
        Assert.Equal((true, "2 copies to serve before an old one may stop; 0 do"), (step.Changes.IsEmpty, step.WaitsFor));
        var one = unknown.And(unknown.Instances[new("old003")] with { Healthy = false });
        Assert.Equal(["old003"], Rollout.Upgrade(one, app, RollingPlay.Changed, Given.Noon, new CountingChance()).Changes.OfType<ClusterChange.PutInstance>().Select(p => p.Instance.Id.Value));
    }

    [Fact]
    public void A_new_copy_that_serves_and_is_not_ready_lets_no_old_one_go_and_says_so()
    {
        var play = new RollingPlay(1, 1, 1, new(1, 1), 1);
        var fresh = play.Next().Changes.OfType<ClusterChange.PutInstance>().Single().Instance with { Node = new("node1"), State = InstanceState.Running, Healthy = true };
        var state = play.State.And(fresh);
        var app = state.Apps.Values.Single();
        RolloutStep Step(params ReadinessResult[] results) => Rollout.Upgrade(state.And(fresh with { Readiness = [.. results] }), app, RollingPlay.Changed, Given.Noon, new CountingChance());
        Assert.Equal($"{fresh.Task}: its readiness check 'warm' to answer 200", Step().WaitsFor);
        Assert.Equal($"{fresh.Task}: its readiness check 'warm' to answer 200; it answered 503 last", Step(new ReadinessResult("warm", false, new(503, "text/plain", "not yet"))).WaitsFor);
        Assert.Equal((1, 0), RollingPlay.Sum(Step(new ReadinessResult("warm", true, null))));
    }

    [Fact]
    public void A_deployment_ends_when_the_last_copy_is_ready_not_when_it_serves()
    {
        var play = new RollingPlay(1, 0, 0, new(1, 1), 1);
        var app = play.State.Apps.Values.Single();
        var copy = app.Spec.Copy("web", "node1") with { Healthy = true, AppVersion = RollingPlay.Changed };
        var step = Rollout.Scale(play.State.And(copy), app, RollingPlay.Changed, Given.Noon, new CountingChance());
        Assert.Equal((false, "0 of 1 copies serve; web._app.1 waits for its readiness check 'warm' to answer 200"), (step.Done, step.WaitsFor));
        Assert.True(Rollout.Scale(play.State.And(copy with { Readiness = [new("warm", true, null)] }), app, RollingPlay.Changed, Given.Noon, new CountingChance()).Done);
    }

    /// <summary>Marathon's rule for resident apps: nothing over capacity, one below it. Ours have one copy, so it stops first and starts in place.</summary>
    [Theory]
    [InlineData(0.5, 0)]
    [InlineData(1, 0)]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    public void An_app_with_a_volume_runs_one_below_and_never_one_over_whatever_its_strategy(double min, double over)
    {
        var before = Given.Spec("/db").WithVolume("data") with { Upgrade = new(min, over) };
        var app = (before with { Command = "better" }).App(RollingPlay.Changed);
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(app).And(Given.Volume("data", "node1", "/db")).And(before.Copy("db", "node1"));
        var after = state.Apply(Rollout.Upgrade(state, app, RollingPlay.Changed, Given.Noon, new CountingChance()).Changes);
        var copy = Assert.Single(after.Instances.Values);
        Assert.Equal(("db._app.2", "node1", "better"), (copy.Task.Value, copy.Node?.Value, copy.Spec.Command));
    }

    [Fact]
    public void Copies_given_up_as_unreachable_neither_count_as_new_nor_hold_a_place()
    {
        var spec = Given.Spec(instances: 2) with { Unreachable = new(TimeSpan.FromSeconds(10), TimeSpan.FromHours(1)), Upgrade = new(1, 0) };
        var app = spec.App(RollingPlay.Changed);
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(app).Disconnected("node2")
            .And(spec.Copy("old", "node1"), spec.Copy("lost-old", "node2", InstanceState.Unreachable), spec.Copy("lost-new", "node2", InstanceState.Unreachable) with { AppVersion = RollingPlay.Changed });
        var now = Given.Noon + Absence.Patience + TimeSpan.FromSeconds(10);
        var step = Rollout.Upgrade(state, app, now, Given.Noon, new CountingChance());
        Assert.Equal("lost-old", Assert.IsType<ClusterChange.PutInstance>(Assert.Single(step.Changes)).Instance.Id.Value);
        var after = state.Apply(step.Changes).And(new ClusterChange.RemoveInstance(new("lost-old")));
        Assert.Equal((0, 1), RollingPlay.Sum(Rollout.Upgrade(after, app, now, Given.Noon, new CountingChance())));
    }
}
