using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Tests.Apps;
using Xunit;

namespace Drover.Core.Tests.Nodes;

public sealed class DrainingTests
{
    private static readonly NodeId A = new("a");

    /// <summary>Apps with a volume each on node a, of these sizes in MiB.</summary>
    private static ClusterState Apps(double memory = 100, params int[] mebibytes)
    {
        var state = Given.Cluster(Given.Node("a", cpus: 100), Given.Node("b", cpus: 100), Given.Node("c", cpus: 100, memory: 500));
        for (var i = 0; i < mebibytes.Length; i++)
        {
            var spec = Given.Spec($"/db{i}", cpus: 0.1).WithVolume($"data{i}") with { MemoryMiB = memory };
            state = state.And(spec.App()).And(spec.Copy($"db{i}.1", "a")).And(Given.Volume($"data{i}", "a", $"/db{i}") with { Used = ByteCount.MiB(mebibytes[i]) });
        }
        return state;
    }

    private static ClusterState Drained(ClusterState state, int limit = 4)
    {
        var begun = Draining.Start(state, A, limit, Given.Noon);
        Assert.IsType<DrainOutcome.Taken>(begun.Outcome);
        return state.Apply(begun.Changes);
    }

    private readonly CountingChance _chance = new();

    private ClusterState Step(ClusterState state) => state.Apply(Draining.Next(state, A, Given.Noon, _chance).Changes.IfDefault());

    [Fact]
    public void The_largest_go_first_as_many_at_once_as_asked_and_the_node_takes_nothing_new()
    {
        var state = Step(Drained(Apps(100, 10, 500, 40, 300, 20), limit: 2));
        Assert.True(state.Nodes[A].Cordoned);
        Assert.Equal(["/db1", "/db3"], state.OpenMoves.Select(m => m.App.Value).Order());
        Assert.All(state.OpenMoves, m => Assert.Equal((MoveTrigger.Drain, 2, A), (m.Trigger, m.Width, m.Source)));
        Assert.Equal(2, Step(state).OpenMoves.Count());
        Assert.Empty(MoveInvariants.Breaches(state));
    }

    [Fact]
    public void A_move_past_its_commit_makes_room_for_the_next()
    {
        var state = Step(Drained(Apps(100, 30, 20, 10), limit: 1));
        var first = state.OpenMoves.Single();
        var moved = state.Instances[first.Instance!.Value] with { Node = first.Target };
        state = Step(state.Apply([new ClusterChange.PutMove(first with { State = MoveState.Starting }), new ClusterChange.PutInstance(moved),
            new ClusterChange.PutVolume(state.Volumes[new("data0")] with { Primary = first.Target, Epoch = new(2) })]));
        Assert.Equal(["/db0", "/db1"], state.OpenMoves.Select(m => m.App.Value).Order());
    }

    [Fact]
    public void Where_one_app_fits_nowhere_nothing_begins_and_it_is_named_with_each_node_s_reason()
    {
        var state = Apps(100, 10, 20);
        var big = Given.Spec("/big", cpus: 0.1).WithVolume("bigdata") with { MemoryMiB = 3990 };
        state = state.And(big.App()).And(big.Copy("big.1", "a")).And(Given.Volume("bigdata", "a", "/big"));
        var refused = Assert.IsType<DrainOutcome.Refused>(Draining.Start(state.And(Given.Spec("/web", cpus: 0.1).Copy("web.1", "b")), A, 4, Given.Noon).Outcome);
        Assert.Contains("app '/big' has nowhere to go", refused.Message, StringComparison.Ordinal);
        Assert.Contains("b: needs 3990 MiB of memory", refused.Message, StringComparison.Ordinal);
        Assert.Contains("c: needs 3990 MiB of memory", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("/db0", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_plan_never_promises_the_same_room_twice()
    {
        // b has 4096, c 500: four of 1000 fit on b, the fifth nowhere.
        Assert.IsType<DrainOutcome.Taken>(Draining.Start(Apps(1000, 1, 2, 3, 4), A, 4, Given.Noon).Outcome);
        Assert.IsType<DrainOutcome.Refused>(Draining.Start(Apps(1000, 1, 2, 3, 4, 5), A, 4, Given.Noon).Outcome);
    }

    [Fact]
    public void Copies_of_one_app_are_replaced_one_after_the_other()
    {
        var spec = Given.Spec("/web", instances: 3, cpus: 0.1);
        var state = Drained(Apps(100).And(spec.App()).And(spec.Copy("web.1", "a"), spec.Copy("web.2", "a"), spec.Copy("web.3", "b")));
        state = Step(state);
        var leaving = Assert.Single(state.Instances.Values, i => i.Goal == InstanceGoal.Removed);
        Assert.Equal("web.1", leaving.Id.Value);
        Assert.Empty(state.OpenMoves);
        state = Step(state);
        Assert.Single(state.Instances.Values, i => i.Goal == InstanceGoal.Removed);
        Assert.Contains("/web", state.Nodes[A].Drain!.WaitsFor, StringComparison.Ordinal);
    }

    [Fact]
    public void It_is_done_when_the_node_is_empty_and_says_what_stays()
    {
        var state = Step(Drained(Apps(100).And(Given.Volume("old", "a"))));
        Assert.Equal((DrainState.Done, true), (state.Nodes[A].Drain!.State, state.Nodes[A].Cordoned));
        Assert.Equal("volume 'old', which no app uses", Assert.Single(Draining.Plan(state, A, Given.Noon).Stays));
        Assert.True(Draining.Next(state, A, Given.Noon, new CountingChance()).Changes.IsDefaultOrEmpty);
    }

    [Fact]
    public void One_that_has_nowhere_to_go_any_more_waits_and_says_so_while_the_others_go_on()
    {
        var state = Drained(Apps(400, 10, 20)).Disconnected("b");
        state = Step(state);
        // c has room for one of the two.
        Assert.Equal("/db1", Assert.Single(state.OpenMoves).App.Value);
        Assert.Contains("/db0: a node that takes it", state.Nodes[A].Drain!.WaitsFor, StringComparison.Ordinal);
        Assert.Contains("b: its agent is not connected", state.Nodes[A].Drain!.WaitsFor, StringComparison.Ordinal);
    }

    [Fact]
    public void After_an_undone_move_it_leaves_the_app_alone_for_a_while_and_names_the_moment()
    {
        var state = Step(Drained(Apps(100, 10)));
        var undone = state.OpenMoves.Single() with { State = MoveState.Undone, Failure = "the link is down", History = [new(MoveState.Undone, Given.Noon)] };
        state = state.Apply([new ClusterChange.PutMove(undone)]);
        var next = Draining.Next(state, A, Given.Noon, new CountingChance());
        Assert.DoesNotContain(next.Changes, c => c is ClusterChange.PutMove);
        Assert.Equal(Given.Noon.AddSeconds(5), next.Outcome.Until);
        Assert.Contains(Draining.Next(state, A, Given.Noon.AddSeconds(5), new CountingChance()).Changes, c => c is ClusterChange.PutMove);
    }

    [Fact]
    public void Stopped_it_takes_back_what_waits_and_lets_what_is_under_way_go_on()
    {
        var state = Step(Drained(Apps(100, 30, 20), limit: 2));
        var running = state.OpenMoves.First();
        state = state.Apply([new ClusterChange.PutMove(running with { State = MoveState.Seeding, History = running.History.Add(new(MoveState.Seeding, Given.Noon)) })]);
        state = state.Apply(Draining.Stop(state, A, Given.Noon).Changes);
        Assert.Equal((DrainState.Stopped, true), (state.Nodes[A].Drain!.State, state.Nodes[A].Cordoned));
        Assert.Equal([MoveState.Seeding, MoveState.Unwinding], state.OpenMoves.Select(m => m.State).Order());
        Assert.True(Draining.Next(state, A, Given.Noon, new CountingChance()).Changes.IsDefaultOrEmpty);
        Assert.IsType<DrainOutcome.Refused>(Draining.Stop(state, A, Given.Noon).Outcome);
    }

    [Fact]
    public void A_cordon_is_not_taken_away_under_a_drain()
    {
        var state = Drained(Apps(100, 10));
        Assert.Contains("--stop", Assert.IsType<DrainOutcome.Refused>(Draining.Cordon(state, A, false, Given.Noon).Outcome).Remedy, StringComparison.Ordinal);
        state = state.Apply(Draining.Stop(state, A, Given.Noon).Changes);
        state = state.Apply(Draining.Cordon(state, A, false, Given.Noon).Changes);
        Assert.False(state.Nodes[A].Cordoned);
        Assert.True(Draining.Cordon(state, A, false, Given.Noon).Changes.IsDefaultOrEmpty);
        Assert.IsType<DrainOutcome.Unknown>(Draining.Cordon(state, new("nowhere"), true, Given.Noon).Outcome);
    }
}

internal static class Changes
{
    /// <summary>A decision that changes nothing has none.</summary>
    public static System.Collections.Immutable.ImmutableArray<ClusterChange> IfDefault(this System.Collections.Immutable.ImmutableArray<ClusterChange> changes) => changes.IsDefault ? [] : changes;
}
