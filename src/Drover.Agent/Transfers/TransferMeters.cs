using System.Diagnostics.Metrics;
using Drover.Contracts.Metrics;

namespace Drover.Agent.Transfers;

/// <summary>What comes in from other nodes.</summary>
public sealed class TransferMeters
{
    private readonly Counter<long> _received, _transfers, _refused;

    public TransferMeters(MetricBook book)
    {
        var slice = book.Slice("Drover.Agent.Transfers");
        _transfers = slice.Counter("drover_agent_received_transfers_total", "Snapshots that came from other nodes whole and were written to disk.");
        _received = slice.Counter("drover_agent_received_bytes_total", "Bytes of volumes' streams that came from other nodes whole.");
        _refused = slice.Counter("drover_agent_refused_transfers_total", "Transfers that were refused: without a good ticket, of an epoch that is past, or in no format in common.");
    }

    public void Received(long bytes)
    {
        _transfers.Add(1);
        _received.Add(bytes);
    }

    public void Refused() => _refused.Add(1);
}
