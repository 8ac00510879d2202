using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

/// <summary>An app with a volume may change what it takes; where its node has room it stays, otherwise it moves with its data. Marathon refuses both.</summary>
public sealed class ResidentChangeTests
{
    private static readonly DateTimeOffset Changed = Given.Noon.AddMinutes(1);
    private static readonly AppSpec Db = Given.Spec("/db").WithVolume("data");

    [Theory]
    [InlineData(4, 128)]
    [InlineData(0.5, 64)]
    [InlineData(1, 4096)]
    public void More_or_less_of_what_its_node_has_is_taken_in_place(double cpus, double memory)
    {
        var (state, app) = Change(Db with { Cpus = cpus, MemoryMiB = memory });
        var copy = Assert.Single(state.Apply(Rollout.Upgrade(state, app, Changed, Given.Noon, new CountingChance()).Changes).Instances.Values);
        Assert.Equal(("node1", 2, cpus, memory), (copy.Node?.Value, copy.Incarnation, copy.Spec.Cpus, copy.Spec.MemoryMiB));
    }

    [Theory]
    [InlineData(6, 128)]
    [InlineData(1, 9000)]
    public void More_than_its_node_has_moves_it_with_its_data(double cpus, double memory)
    {
        var (state, app) = Change(Db with { Cpus = cpus, MemoryMiB = memory });
        var step = Rollout.Upgrade(state, app, Changed, Given.Noon, new CountingChance());
        var move = Assert.IsType<ClusterChange.PutMove>(Assert.Single(step.Changes)).Move;
        Assert.Equal((MoveTrigger.Constraint, "node1", "node2", cpus), (move.Trigger, move.Source.Value, move.Target.Value, move.TargetSpec.Cpus));
        Assert.Contains("leaves node1: needs", Assert.Single(step.Events).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void More_than_any_node_has_leaves_the_old_copy_serving_and_says_why()
    {
        var (state, app) = Change(Db with { Cpus = 64 });
        var step = Rollout.Upgrade(state, app, Changed, Given.Noon, new CountingChance());
        Assert.Empty(step.Changes);
        Assert.Contains("node2: needs 64 cpus, 8 left", step.WaitsFor, StringComparison.Ordinal);
    }

    [Fact]
    public void A_neighbour_that_takes_the_room_makes_it_move_and_one_that_leaves_it_does_not()
    {
        var neighbour = Given.Spec("/web", cpus: 2);
        var (state, app) = Change(Db with { Cpus = 3 });
        Assert.IsType<ClusterChange.PutMove>(Assert.Single(Rollout.Upgrade(state.And(neighbour.Copy("web", "node1")), app, Changed, Given.Noon, new CountingChance()).Changes));
        Assert.IsType<ClusterChange.PutInstance>(Assert.Single(Rollout.Upgrade(state.And(neighbour.Copy("web", "node2")), app, Changed, Given.Noon, new CountingChance()).Changes));
    }

    private static (ClusterState, App) Change(AppSpec to)
    {
        var state = Given.Cluster(Given.Node("node1", cpus: 4), Given.Node("node2", cpus: 8, memory: 16384)).And(Db.App()).And(Given.Volume("data", "node1", "/db")).And(Db.Copy("db", "node1"));
        var decision = AppChanges.Update(state, to, false, Changed, new("d"));
        Assert.IsType<AppOutcome.Accepted>(decision.Outcome);
        var after = state.Apply(decision.Changes);
        return (after, after.Apps[Db.Id]);
    }
}
