using System.Collections.Concurrent;
using System.IO.Pipelines;
using Drover.Core;

namespace Drover.ControlPlane.Volumes;

/// <summary>Bodies of requests that wait for a node to fill or to read them. Nothing of them is kept: bytes pass from one connection to the other.</summary>
public sealed class VolumeStreams
{
    private readonly ConcurrentDictionary<string, OpenStream> _open = new(StringComparer.Ordinal);

    /// <param name="node">That alone may fill it.</param>
    public OpenStream Expect(string id, NodeId node, PipeWriter to) => Open(id, new(node, null, to, () => _open.TryRemove(id, out _)));

    /// <summary>To be read by the node that the operation of this id is on.</summary>
    public OpenStream Offer(string id, PipeReader from) => Open(id, new(null, from, null, () => _open.TryRemove(id, out _)));

    public bool Knows(string id) => _open.ContainsKey(id);

    public OpenStream? Find(string id) => _open.GetValueOrDefault(id);

    private OpenStream Open(string id, OpenStream stream) => _open.TryAdd(id, stream) ? stream : throw new InvalidOperationException($"stream '{id}' is open already");
}

/// <summary>One of them. Disposing ends whoever works on it, and waits for that: after it the request's body is nobody's.</summary>
public sealed class OpenStream(NodeId? node, PipeReader? from, PipeWriter? to, Action closed) : IAsyncDisposable
{
    private readonly CancellationTokenSource _over = new();
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<Exception?> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _taken, _disposed;

    public NodeId? Node => node;
    public PipeReader? From => from;
    public PipeWriter? To => to;
    public CancellationToken Over => _over.Token;
    public Task Begun => _begun.Task;
    /// <summary>What it ended by; null: it came to its end.</summary>
    public Task<Exception?> Ended => _ended.Task;

    /// <summary>False: another call has had it.</summary>
    public bool Take()
    {
        if (Interlocked.Exchange(ref _taken, 1) != 0) return false;
        _begun.TrySetResult();
        return true;
    }

    public void End(Exception? why) => _ended.TrySetResult(why);

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        closed();
        await _over.CancelAsync();
        // Whoever comes from now on comes too late; whoever has it already is waited for.
        if (!Take()) await Ended;
        _over.Dispose();
    }
}
