using CsCheck;
using Drover.Core.Moves;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Moves;

public sealed class MoveQueueTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);

    private static Move Of(int number, MoveState state, string source = "a", string target = "b", bool idle = false, int width = 0) => MoveMachineTests.In(state, idle) with
    {
        Id = new($"m{number}"), App = new($"/app{number}"), Volumes = [], Source = new(source), Target = new(target), RequestedAt = Now.AddSeconds(number), Width = width,
    };

    private static ClusterState With(params Move[] moves) => ClusterState.Empty.Apply(moves.Select(m => new ClusterChange.PutMove(m)));

    [Fact]
    public void Two_go_out_of_a_node_at_once_and_the_next_says_its_place_and_for_what_it_waits()
    {
        Move[] moves = [Of(1, MoveState.Seeding), Of(2, MoveState.Preparing), Of(3, MoveState.Planned), Of(4, MoveState.Planned)];
        Assert.Equal("its turn, place 2 of 2: node 'a' sends /app1, /app2, as many as it may", MoveQueue.Wait(With(moves), moves[3]));
        Assert.Equal(new MoveEvent.Waits("its turn, place 1 of 2: node 'a' sends /app1, /app2, as many as it may"), Look(moves, moves[2]));
    }

    private static MoveEvent? Look(Move[] moves, Move move)
    {
        var spec = Apps.Given.Spec(move.App.Value);
        return MoveWatch.Look(With(moves).Apply([new ClusterChange.PutInstance(new(move.Instance!.Value, spec.Id, spec, Now, 1, move.Source, [], Drover.Core.Apps.InstanceGoal.Running, Drover.Core.Apps.InstanceState.Running, Now))]), move, Now, Now);
    }

    [Fact]
    public void One_whose_nodes_are_free_does_not_wait_behind_one_whose_nodes_are_not()
    {
        Move[] moves = [Of(1, MoveState.Seeding), Of(2, MoveState.Seeding), Of(3, MoveState.Planned), Of(4, MoveState.Planned, "c", "d")];
        Assert.NotNull(MoveQueue.Wait(With(moves), moves[2]));
        Assert.Null(MoveQueue.Wait(With(moves), moves[3]));
    }

    [Fact]
    public void A_move_past_its_commit_or_on_its_way_back_holds_up_nobody()
    {
        Move[] moves = [Of(1, MoveState.Starting), Of(2, MoveState.Unwinding), Of(3, MoveState.Retiring), Of(4, MoveState.Planned), Of(5, MoveState.Planned)];
        Assert.All(moves[3..], move => Assert.Null(MoveQueue.Wait(With(moves), move)));
    }

    [Fact]
    public void An_app_that_is_down_goes_first()
    {
        Move[] moves = [Of(1, MoveState.Seeding), Of(2, MoveState.Planned), Of(3, MoveState.Planned, idle: true)];
        Assert.Null(MoveQueue.Wait(With(moves), moves[2]));
        Assert.NotNull(MoveQueue.Wait(With(moves), moves[1]));
    }

    [Fact]
    public void A_wider_move_counts_all_that_are_there()
    {
        Move[] moves = [Of(1, MoveState.Seeding), Of(2, MoveState.Seeding), Of(3, MoveState.Planned, width: 4), Of(4, MoveState.Planned)];
        Assert.Null(MoveQueue.Wait(With(moves), moves[2]));
        Assert.NotNull(MoveQueue.Wait(With(moves), moves[3]));
    }

    [Fact]
    public void Two_that_look_at_the_same_state_do_not_both_take_the_last_place()
    {
        Move[] moves = [Of(1, MoveState.Seeding), Of(2, MoveState.Planned), Of(3, MoveState.Planned)];
        var state = With(moves);
        var first = MoveDecisions.Take(state, moves[1], new MoveEvent.Begun(), Now);
        Assert.Equal(MoveState.Preparing, first.Outcome!.State);
        var second = MoveDecisions.Take(state.Apply(first.Changes), moves[2], new MoveEvent.Begun(), Now);
        Assert.Equal(MoveState.Planned, second.Outcome!.State);
        Assert.Contains("its turn", second.Outcome.WaitsFor, StringComparison.Ordinal);
    }

    /// <summary>Whatever is planned: the limits hold at every moment, and everything has its turn.</summary>
    [Fact]
    public void However_many_are_planned_the_limits_hold_and_all_come_to_their_turn() =>
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 3], Gen.Bool, Gen.Int[0, 4]).Where((s, t, _, _) => s != t).List[1, 30].Sample(wishes =>
        {
            var moves = wishes.Select((w, i) => Of(i, MoveState.Planned, $"n{w.Item1}", $"n{w.Item2}", w.Item3, w.Item4)).ToArray();
            var state = With(moves);
            for (var turn = 0; turn <= moves.Length; turn++)
            {
                foreach (var move in state.OpenMoves.Where(m => m.State == MoveState.Planned).ToList())
                    if (MoveDecisions.Take(state, move, new MoveEvent.Begun(), Now) is { Changes.IsEmpty: false } begun) state = state.Apply(begun.Changes);
                var active = state.OpenMoves.Where(m => m.State == MoveState.Preparing).ToList();
                if (active.Count > MoveQueue.AtOnce) return false;
                foreach (var group in active.GroupBy(m => m.Source).Concat(active.GroupBy(m => m.Target)))
                    if (group.Count() > group.Max(m => Math.Max(m.Width, MoveQueue.PerNode))) return false;
                if (active.Count == 0) return !state.OpenMoves.Any();
                state = state.Apply(active.Select(m => new ClusterChange.RemoveMove(m.Id)));
            }
            return !state.OpenMoves.Any();
        }, iter: 500);
}
