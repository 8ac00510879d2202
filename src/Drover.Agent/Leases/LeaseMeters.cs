using System.Diagnostics.Metrics;
using Drover.Contracts.Metrics;

namespace Drover.Agent.Leases;

/// <summary>The node's right to write, as the node has it.</summary>
public sealed class LeaseMeters
{
    private readonly Counter<long> _grants;
    private readonly Counter<long> _lost;
    private NodeLease? _lease;

    public LeaseMeters(MetricBook book)
    {
        var slice = book.Slice("Drover.Agent.Leases");
        _grants = slice.Counter("drover_agent_lease_grants_total", "Grants of the lease that came; kind: `granted` where there was none, `renewed` before it ended.", "kind");
        _lost = slice.Counter("drover_agent_leases_lost_total", "Times that the lease was not renewed in time and containers with volumes were stopped.");
        slice.Gauge("drover_agent_lease_remaining_seconds", "For how long this node may still write its volumes; 0: it may not.", () => _lease is { } lease ? [new(Remaining(lease))] : []);
    }

    public void Watch(NodeLease lease) => _lease = lease;

    public void Granted(bool anew) => _grants.Add(1, new KeyValuePair<string, object?>("kind", anew ? "granted" : "renewed"));

    public void Lost() => _lost.Add(1);

    private static double Remaining(NodeLease lease) => lease.Held.EndsAt is { } end && end > lease.Now ? (end - lease.Now).TotalSeconds : 0;
}
