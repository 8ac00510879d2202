using System.Diagnostics.Metrics;
using Drover.Contracts.Metrics;
using Drover.ControlPlane.Agents;

namespace Drover.ControlPlane.Observability;

/// <summary>What agents say, and their right to write.</summary>
public sealed class AgentMeter
{
    private readonly Counter<long> _messages, _grants;
    private LeaseBook? _leases;

    public AgentMeter(MetricBook book, ICluster cluster)
    {
        var slice = book.Slice("Drover.ControlPlane.Agents");
        _messages = slice.Counter("drover_agent_messages_total", "What came from agents, by kind as the protocol calls it: heartbeats, observations, answers to steps.", "kind");
        _grants = slice.Counter("drover_lease_grants_total", "Leases given to nodes; kind: `granted` where the node had none, `renewed`.", "kind");
        slice.Gauge("drover_leases", "Nodes, by whether they may write; state: `held`, `ended` where a node's lease ran out or it never had one.",
            () => ClusterMeter.Counted("state", _leases is null ? [] : cluster.Current.Nodes.Keys, node => _leases!.Left(node) > TimeSpan.Zero ? "held" : "ended", "held", "ended"), "state");
        slice.Gauge("drover_lease_shortest_remaining_seconds", "What the lease that ends first has left, of those that are held; 0: none is.",
            () => _leases is null ? 0 : cluster.Current.Nodes.Keys.Select(node => _leases.Left(node).TotalSeconds).Where(s => s > 0).DefaultIfEmpty().Min());
    }

    internal void Watch(LeaseBook leases) => _leases = leases;

    public void Said(Contracts.Agent.FromAgent.KindOneofCase kind) => _messages.Add(1, new KeyValuePair<string, object?>("kind", ClusterMeter.Word(kind)));

    public void Granted(bool anew) => _grants.Add(1, new KeyValuePair<string, object?>("kind", anew ? "granted" : "renewed"));
}
