using CsCheck;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Tests.Apps;
using Xunit;

namespace Drover.Core.Tests.Nodes;

public sealed class RebalancingTests
{
    private sealed record AppOf(int Node, int Memory, int Data, bool Pinned, bool Publishes);

    private static ClusterState With(IReadOnlyList<(int Memory, bool Cordoned, bool Away, bool Ssd)> nodes, IReadOnlyList<AppOf> apps)
    {
        var state = Given.Cluster([.. nodes.Select((n, i) => Given.Node($"n{i}", cpus: 1000, memory: n.Memory, disk: n.Ssd ? "ssd" : "spinning", cordoned: n.Cordoned))]);
        for (var i = 0; i < nodes.Count; i++) if (nodes[i].Away) state = state.Disconnected($"n{i}");
        for (var i = 0; i < apps.Count; i++)
        {
            var (app, node) = (apps[i], $"n{apps[i].Node % nodes.Count}");
            var spec = Given.Spec($"/app{i}", cpus: 0.01) with { MemoryMiB = app.Memory };
            if (app.Data > 0) spec = spec.WithVolume($"v{i}");
            if (app.Publishes) spec = spec.Publishing(7001);
            if (app.Pinned) spec = spec.With("disk", ConstraintOperator.Cluster, nodes[apps[i].Node % nodes.Count].Ssd ? "ssd" : "spinning");
            state = state.And(spec.App()).And(spec.Copy($"app{i}.1", node, InstanceState.Running, app.Publishes ? [7001] : []));
            if (app.Data > 0) state = state.And(Given.Volume($"v{i}", node, $"/app{i}") with { Used = ByteCount.MiB(app.Data) });
        }
        return state;
    }

    private static readonly Gen<ClusterState> Clusters = Gen.Select(
        Gen.Select(Gen.Int[500, 4000], Gen.Int[0, 5].Select(n => n == 0), Gen.Int[0, 5].Select(n => n == 0), Gen.Bool).List[1, 5],
        Gen.Select(Gen.Int[0, 4], Gen.Int[1, 800], Gen.Int[0, 4000], Gen.Int[0, 3].Select(n => n == 0), Gen.Int[0, 4].Select(n => n == 0))
            .Select(t => new AppOf(t.Item1, t.Item2, t.Item3, t.Item4, t.Item5)).List[0, 12],
        (nodes, apps) => With(nodes, apps));

    [Fact]
    public void It_is_never_worse_and_every_move_of_it_is_a_gain() => Clusters.Sample(state =>
    {
        var plan = Rebalancing.Plan(state);
        var gained = plan.Moves.Items.Sum(m => m.Gain);
        return plan.After <= plan.Before && plan.PeakAfter <= plan.PeakBefore + 1e-9 && plan.Moves.All(m => m.Gain >= Rebalancing.LeastGain) && Math.Abs(plan.Before - plan.After - gained) < 1e-6;
    }, iter: 150);

    [Fact]
    public void It_never_moves_against_a_constraint_a_cordon_or_the_room_there_is() => Clusters.Sample(state =>
    {
        var reserved = state;
        foreach (var move in Rebalancing.Plan(state).Moves)
        {
            if (!Placement.Judge(reserved, move.Copy.Spec, move.To.Node, move.Copy).Fits || MovePlanner.Refusal(state, move.Copy.App, move.To.Node) is not null) return false;
            reserved = reserved.Apply(new ClusterChange.PutMove(MovePlanner.Plan(reserved, move.Copy.Spec, move.Copy, move.From, move.To.Node, move.To.Ports, MoveTrigger.Rebalance, MovePolicy.Default,
                new($"m-{move.Copy.Id}"), Given.Noon)));
        }
        return true;
    }, iter: 150);

    [Fact]
    public void It_ends_each_app_goes_once_and_carried_out_again_and_again_it_comes_to_rest() => Clusters.Sample(state =>
    {
        for (var times = 0; times < 50; times++)
        {
            var plan = Rebalancing.Plan(state);
            if (plan.Moves.Count > Rebalancing.MostMoves || plan.Moves.Select(m => m.Copy.App).Distinct().Count() != plan.Moves.Count) return false;
            if (plan.Moves.Count == 0) return true;
            state = plan.Moves.Items.Aggregate(state, Rebalancing.Arrived);
        }
        return false;
    }, iter: 80);

    [Fact]
    public void Of_two_that_gain_the_same_the_one_with_less_data_goes()
    {
        var plan = Rebalancing.Plan(With([(1000, false, false, true), (1000, false, false, true)], [new(0, 300, 3000, false, false), new(0, 300, 10, false, false)]));
        Assert.Equal(("/app1", "n1"), (Assert.Single(plan.Moves).Copy.App.Value, plan.Moves[0].To.Node.Value));
    }

    [Fact]
    public void Carried_out_its_moves_are_planned_in_one_decision_and_break_no_invariant()
    {
        var state = With([(1000, false, false, true), (1000, false, false, true)], [.. Enumerable.Range(0, 6).Select(_ => new AppOf(0, 150, 50, false, false))]);
        var decision = Rebalancing.Apply(state, Given.Noon, new CountingChance());
        var after = state.Apply(decision.Changes);
        Assert.Equal(3, after.OpenMoves.Count());
        Assert.All(after.OpenMoves, m => Assert.Equal((MoveTrigger.Rebalance, MoveState.Planned), (m.Trigger, m.State)));
        Assert.Empty(MoveInvariants.Breaches(after));
        // What is under way already is not planned again.
        Assert.Empty(Rebalancing.Plan(after).Moves.Items.Where(m => after.OpenMoveOf(m.Copy.App) is not null));
    }
}
