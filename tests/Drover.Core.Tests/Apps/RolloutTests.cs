using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

public sealed class RolloutTests
{
    private static readonly DateTimeOffset Changed = Given.Noon.AddMinutes(1);

    // wanted, min health, over capacity, old serving, old not serving, new serving, new not serving -> killed, started
    [Theory]
    [InlineData(4, 1, 1, 4, 0, 0, 0, 0, 4)]
    [InlineData(4, 1, 1, 4, 0, 1, 3, 1, 0)]
    [InlineData(4, 1, 1, 0, 0, 4, 0, 0, 0)]
    [InlineData(4, 0.5, 0, 4, 0, 0, 0, 2, 0)]
    [InlineData(4, 0.5, 0, 2, 0, 0, 0, 0, 2)]
    [InlineData(4, 0.5, 0, 2, 0, 1, 1, 1, 0)]
    [InlineData(4, 1, 0, 4, 0, 0, 0, 0, 1)]
    [InlineData(4, 1, 0, 4, 0, 0, 1, 0, 0)]
    [InlineData(4, 1, 0, 4, 0, 1, 0, 1, 0)]
    [InlineData(4, 0, 0, 4, 0, 0, 0, 4, 0)]
    [InlineData(1, 1, 1, 1, 0, 0, 0, 0, 1)]
    [InlineData(2, 1, 0, 5, 0, 0, 0, 3, 0)]
    [InlineData(2, 1, 0, 0, 2, 1, 0, 1, 0)]
    [InlineData(3, 0.34, 0.5, 3, 0, 0, 0, 1, 0)]
    [InlineData(3, 0.34, 0.5, 2, 0, 0, 0, 0, 2)]
    public void A_rolling_upgrade_takes_the_step_Marathon_takes(
        int wanted, double minHealth, double over, int oldServing, int oldIll, int newServing, int newIll, int killed, int started)
    {
        var spec = Given.Spec(instances: wanted) with { Upgrade = new(minHealth, over) };
        var app = spec.App(Changed);
        var state = Given.Cluster(Given.Node("node1", cpus: 100)).And(app);
        state = Add(state, spec, "old-well", oldServing, InstanceState.Running, Given.Noon);
        state = Add(state, spec, "old-ill", oldIll, InstanceState.Staging, Given.Noon);
        state = Add(state, spec, "new-well", newServing, InstanceState.Running, Changed);
        state = Add(state, spec, "new-ill", newIll, InstanceState.Staging, Changed);
        var step = Rollout.Upgrade(state, app, Changed, Given.Noon, new CountingChance());
        var puts = step.Changes.OfType<ClusterChange.PutInstance>().Select(p => p.Instance).ToList();
        Assert.Equal((killed, started), (puts.Count(i => i.Goal == InstanceGoal.Removed), puts.Count(i => i.State == InstanceState.Scheduled)));
        Assert.All(puts.Where(i => i.Goal == InstanceGoal.Removed), i => Assert.StartsWith("old", i.Id.Value, StringComparison.Ordinal));
        if (oldIll > 0 && killed > 0) Assert.Contains(puts, i => i.Id.Value.StartsWith("old-ill", StringComparison.Ordinal));
        Assert.Equal(oldServing + oldIll == 0 && newServing == wanted, step.Done);
        if (killed == 0 && started == 0 && !step.Done) Assert.NotNull(step.WaitsFor);
    }

    [Theory]
    [InlineData(KillSelection.YoungestFirst, "staging unreachable young")]
    [InlineData(KillSelection.OldestFirst, "old staging unreachable")]
    public void What_runs_least_goes_first_and_then_age_decides(KillSelection selection, string victims)
    {
        var spec = Given.Spec() with { KillSelection = selection };
        Instance[] copies =
        [
            spec.Copy("old", "node1") with { StartedAt = Given.Noon }, spec.Copy("young", "node1") with { StartedAt = Given.Noon.AddHours(1) },
            spec.Copy("staging", "node1", InstanceState.Staging), spec.Copy("unreachable", "node1", InstanceState.Unreachable),
        ];
        Assert.Equal(victims, string.Join(' ', KillOrder.Pick(Given.Cluster(Given.Node("node1")), spec, copies, 3).Select(i => i.Id.Value).Order(StringComparer.Ordinal)));
    }

    [Fact]
    public void Groups_stay_even_when_copies_go()
    {
        var spec = Given.Spec().With("hostname", ConstraintOperator.GroupBy);
        var state = Given.Cluster(Given.Node("a"), Given.Node("b"));
        Instance[] copies = [spec.Copy("a1", "a"), spec.Copy("a2", "a"), spec.Copy("a3", "a"), spec.Copy("b1", "b")];
        Assert.All(KillOrder.Pick(state, spec, copies, 2), i => Assert.Equal("a", i.Node!.Value.Value));
    }

    [Fact]
    public void A_database_whose_node_no_longer_fits_waits_where_it_is_when_no_other_does()
    {
        var old = Given.Spec("/db").WithVolume("data");
        var app = old.With("disk", ConstraintOperator.Is, "nvme").App(Changed);
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(app).And(Given.Volume("data", "node1", "/db")).And(old.Copy("db", "node1"));
        var step = Rollout.Upgrade(state, app, Changed, Given.Noon, new CountingChance());
        Assert.Empty(step.Changes);
        Assert.Contains("node2: [disk, IS, nvme] not met: disk is ssd", step.WaitsFor, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(MoveState.Starting, 1, true)]
    [InlineData(MoveState.Starting, 64, false)]
    [InlineData(MoveState.Seeding, 1, false)]
    public void What_repairs_an_app_that_cannot_serve_where_its_move_led_is_taken_there(MoveState at, double cpus, bool taken)
    {
        var broken = Given.Spec("/db").WithVolume("data");
        var app = (broken with { Command = "better", Cpus = cpus }).App(Changed);
        var there = at == MoveState.Starting ? "node2" : "node1";
        var move = new Move(new("m1"), MoveTrigger.Constraint, app.Id, new InstanceId("db"), [], new("node1"), new("node2"), broken, [], MovePolicy.Default, at, Given.Noon);
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(app).And(Given.Volume("data", there, "/db")).And(broken.Copy("db", there, InstanceState.Scheduled))
            .And(new ClusterChange.PutMove(move));
        var step = Rollout.Upgrade(state, app, Changed, Given.Noon, new CountingChance());
        var next = step.Changes.OfType<ClusterChange.PutInstance>().Select(p => p.Instance).SingleOrDefault();
        Assert.Equal(taken ? ("better", "node2", 2) : default, next is null ? default : (next.Spec.Command, next.Node?.Value, next.Incarnation));
        Assert.Equal(!taken, step.WaitsFor?.StartsWith($"move m1 to node2, which is {at}", StringComparison.Ordinal) == true);
    }

    [Fact]
    public void A_database_never_gets_a_second_copy_while_the_first_has_a_container()
    {
        var spec = Given.Spec("/db").WithVolume("data");
        var leaving = spec.Copy("old", "node1") with { Goal = InstanceGoal.Removed };
        var next = spec.Copy("new", null);
        var state = Given.Cluster(Given.Node("node1")).And(spec.App()).And(Given.Volume("data", "node1", "/db")).And(leaving, next);
        Assert.Equal("old._app.1 to be gone from node1", Launching.Block(state, next, Given.Noon));
        Assert.Null(Launching.Block(state.And(new ClusterChange.RemoveInstance(leaving.Id)), next, Given.Noon));
    }

    [Theory]
    [InlineData(InstanceGoal.Running, "RestartApplication")]
    [InlineData(InstanceGoal.Removed, "StartApplication ScaleApplication")]
    public void An_app_created_over_its_own_deletion_replaces_copies_that_still_run(InstanceGoal left, string steps)
    {
        var state = Given.Cluster(Given.Node("node1")).And(Given.Spec().Copy("old", "node1") with { Goal = left });
        var decision = AppChanges.Create(state, Given.Spec(cpus: 2), force: true, Changed, new("d2"));
        var deployment = decision.Changes.OfType<ClusterChange.PutDeployment>().Single().Deployment;
        Assert.Equal(steps, string.Join(' ', deployment.Steps.Select(s => s.Actions[0].Kind)));
    }

    public static readonly TheoryData<string?, string?, bool, string> Plans = new()
    {
        { null, "3", false, "StartApplication ScaleApplication" },
        { "3", "5", false, "ScaleApplication" },
        { "3", "3", false, "" },
        { "3", "3", true, "RestartApplication" },
        { "3", "3 changed", false, "RestartApplication" },
        { "3", "0 changed", false, "ScaleApplication" },
        { "3", null, false, "StopApplication" },
    };

    [Theory]
    [MemberData(nameof(Plans))]
    public void A_change_has_Marathons_steps(string? before, string? after, bool restart, string steps)
    {
        static AppSpec? Of(string? text) => text is null ? null : Given.Spec(instances: text[0] - '0', cpus: text.EndsWith("changed", StringComparison.Ordinal) ? 2 : 1);
        Assert.Equal(steps, string.Join(' ', DeploymentPlanner.Plan(ClusterState.Empty, ClusterState.Empty, [new(new("/web"), Of(before), Of(after), restart)]).Select(s => s.Actions[0].Kind)));
    }

    private static ClusterState Add(ClusterState state, AppSpec spec, string name, int count, InstanceState at, DateTimeOffset version) =>
        state.And([.. Enumerable.Range(0, count).Select(i => spec.Copy($"{name}{i}", "node1", at) with { AppVersion = version })]);
}
