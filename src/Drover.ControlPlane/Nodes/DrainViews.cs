using Drover.Contracts.Api;
using Drover.Core;
using Drover.Core.Nodes;
using Drover.Core.State;

namespace Drover.ControlPlane.Nodes;

/// <summary>Drains and rebalancing as /api/v1 shows them. Pure.</summary>
public static class DrainViews
{
    /// <summary>The drain that was wished last; null: none ever was.</summary>
    public static DrainView? Of(ClusterState state, Node node, DateTimeOffset now)
    {
        if (node.Drain is not { } drain) return null;
        var plan = Draining.Plan(state, node.Id, now);
        var (total, left) = (Math.Max(drain.Apps, plan.Leaving.Count), plan.Leaving.Count);
        return new(node.Id.Value, drain.State.ToString(), drain.Limit, total, total - left, drain.StartedAt, drain.EndedAt, drain.WaitsFor, Apps(plan), [.. plan.Stays]);
    }

    /// <summary>What a drain would do now. Nothing changes.</summary>
    public static DrainView Plan(ClusterState state, Node node, int limit, DateTimeOffset now)
    {
        var plan = Draining.Plan(state.Apply(new ClusterChange.PutNode(node with { Cordoned = true })), node.Id, now);
        return new(node.Id.Value, "Planned", limit, plan.Leaving.Count, 0, null, null, null, Apps(plan), [.. plan.Stays]);
    }

    public static RebalanceView Of(RebalancePlan plan, bool applied) => new(applied, plan.Before, plan.After, plan.PeakBefore, plan.PeakAfter,
        [.. plan.Moves.Select(m => new RelocationView(m.Copy.App.Value, m.From.Value, m.To.Node.Value, m.Bytes.Bytes, m.Gain))]);

    private static DrainedAppView[] Apps(DrainPlan plan) => [.. plan.Leaving.Select(l => new DrainedAppView(
        l.Copy.App.Value, l.Replaced ? "replace" : "move", l.Bytes.Bytes, l.Move?.Target.Value ?? l.Target?.Node.Value, l.Move?.Id.Value, l.Move?.State.ToString(), l.Move?.WaitsFor ?? l.Why))];
}
