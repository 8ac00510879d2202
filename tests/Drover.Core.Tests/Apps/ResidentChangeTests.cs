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

    [Theory]
    [InlineData(20.0)]
    [InlineData(5.0)]
    public void Another_size_of_its_volume_is_taken_in_place_with_the_restart_that_the_change_brings(double gib)
    {
        var (state, app) = Change(Sized(gib), Sized(10), 4L << 30);
        Assert.Equal(new ByteCount((long)(gib * (1L << 30))), state.Volumes[new("data")].Size);
        var copy = Assert.Single(state.Apply(Rollout.Upgrade(state, app, Changed, Given.Noon, new CountingChance()).Changes).Instances.Values);
        Assert.Equal(("node1", 2), (copy.Node?.Value, copy.Incarnation));
    }

    [Fact]
    public void Less_than_the_volume_holds_is_refused_and_nothing_changes()
    {
        var state = State(Sized(10), 4L << 30);
        var refused = Assert.IsType<AppOutcome.Invalid>(AppChanges.Update(state, Sized(3), false, Changed, new("d")).Outcome);
        Assert.Equal(new FieldError("/container/volumes(0)/external/size", "volume 'data' holds 4 GiB, more than 3 GiB: free space in it first, or give a greater size"), Assert.Single(refused.Errors) with { App = null });
    }

    [Fact]
    public void A_size_given_to_the_volume_since_stays_when_the_app_changes_something_else()
    {
        var state = State(Sized(10), 1);
        state = state.And(state.Volumes[new("data")] with { Size = ByteCount.GiB(50) });
        var after = state.Apply(AppChanges.Update(state, Sized(10) with { Cpus = 2 }, false, Changed, new("d")).Changes);
        Assert.Equal(ByteCount.GiB(50), after.Volumes[new("data")].Size);
    }

    private static AppSpec Sized(double gib) => Db with { Container = new() { Image = "db", Volumes = [new VolumeMount(new("data"), "/data", false, VolumeNaming.External, gib)] } };

    private static ClusterState State(AppSpec spec, long used) => Given.Cluster(Given.Node("node1", cpus: 4), Given.Node("node2", cpus: 8)).And(spec.App())
        .And(Given.Volume("data", "node1", "/db") with { Used = new ByteCount(used), Size = ByteCount.GiB(10) }).And(spec.Copy("db", "node1"));

    private static (ClusterState, App) Change(AppSpec to, AppSpec from, long used)
    {
        var state = State(from, used);
        var decision = AppChanges.Update(state, to, false, Changed, new("d"));
        Assert.IsType<AppOutcome.Accepted>(decision.Outcome);
        var after = state.Apply(decision.Changes);
        return (after, after.Apps[Db.Id]);
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
