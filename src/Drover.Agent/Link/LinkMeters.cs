using System.Diagnostics.Metrics;
using Drover.Agent.Volumes;
using Drover.Contracts.Metrics;

namespace Drover.Agent.Link;

/// <summary>The stream to the control plane, and what goes with its heartbeats.</summary>
public sealed class LinkMeters
{
    private readonly UpDownCounter<long> _connected;
    private readonly Counter<long> _connections;
    private readonly Counter<long> _heartbeats;
    private PoolSpace? _pool;

    public LinkMeters(MetricBook book)
    {
        var slice = book.Slice("Drover.Agent.Link");
        _connected = slice.Level("drover_agent_connected", "1 while the control plane has welcomed this agent's stream, else 0.");
        _connections = slice.Counter("drover_agent_connections_total", "Streams that the control plane has welcomed.");
        _heartbeats = slice.Counter("drover_agent_heartbeats_total", "Heartbeats handed to the stream.");
        slice.Gauge("drover_agent_pool_bytes", "Size of the pool that volumes lie in, as of the last heartbeat.", () => _pool is { } pool ? [new(pool.Total.Bytes)] : []);
        slice.Gauge("drover_agent_pool_free_bytes", "Free room of that pool.", () => _pool is { } pool ? [new(pool.Free.Bytes)] : []);
    }

    /// <summary>Until what is returned is disposed.</summary>
    public IDisposable Connected()
    {
        _connections.Add(1);
        _connected.Add(1);
        return new Connection(_connected);
    }

    public void Beat(PoolSpace pool)
    {
        _heartbeats.Add(1);
        _pool = pool;
    }

    private sealed class Connection(UpDownCounter<long> connected) : IDisposable
    {
        public void Dispose() => connected.Add(-1);
    }
}
