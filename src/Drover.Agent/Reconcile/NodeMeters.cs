using Drover.Contracts.Metrics;

namespace Drover.Agent.Reconcile;

/// <summary>What is on the node, counted when it is asked for.</summary>
public sealed class NodeMeters
{
    private Reconciler? _reconciler;

    public NodeMeters(MetricBook book) => book.Slice("Drover.Agent.Node").Gauge("drover_agent_instances", "Copies of apps on this node, by what their containers do.",
        () => _reconciler is not { } reconciler ? [] : reconciler.Observed().GroupBy(o => o.Condition).Select(g => MetricSlice.Of(g.Count(), "condition", g.Key.ToString().ToLowerInvariant())), "condition");

    public void Watch(Reconciler reconciler) => _reconciler = reconciler;
}
