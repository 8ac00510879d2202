using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Drover.ControlPlane.Store;
using Drover.Core.State;

namespace Drover.ControlPlane;

/// <summary>The one place where state changes: decisions are taken one after the other on the current state, stored, then published.</summary>
public interface ICluster
{
    /// <summary>The state as of the last commit. Immutable; read it once per pass.</summary>
    ClusterState Current { get; }

    /// <summary>Runs <paramref name="decide"/> on the current state while nobody else decides, stores its durable changes in one commit, applies them, publishes state and events,
    /// and returns the outcome. The function must be pure and quick. An exception inside it, or a store that cannot write, changes nothing.</summary>
    Task<T> Decide<T>(Func<ClusterState, Decision<T>> decide, CancellationToken cancel);

    /// <summary>Commits from this call on, also those before the first read. Bounded: a reader that falls behind gets one <see cref="Committed.Missed"/> in place of what it did not read.
    /// Ends when the token is cancelled.</summary>
    IAsyncEnumerable<Committed> Watch(CancellationToken cancel);
}

/// <param name="Before">State before the commit.</param>
/// <param name="After">State after it.</param>
/// <param name="Changes">What was committed; empty when <paramref name="Missed"/>.</param>
/// <param name="At">Wall-clock moment of the commit.</param>
/// <param name="Missed">True: stands for several commits that were not read in time; compare <paramref name="Before"/> with <paramref name="After"/>.</param>
public sealed record Committed(ClusterState Before, ClusterState After, ImmutableArray<ClusterChange> Changes,
    ImmutableArray<ClusterEvent> Events, DateTimeOffset At, bool Missed);

/// <summary>State in memory over a durable store. Versions of all keys are held, so that a second writer on the same store is noticed at the first commit.</summary>
public sealed class Cluster : ICluster, IDisposable
{
    private readonly IStateStore _store;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Dictionary<string, long> _versions = new(StringComparer.Ordinal);
    private readonly CommitWatchers _watchers = new();
    private volatile ClusterState _current = ClusterState.Empty;
    // After a commit that failed it is not known whether it reached the disk: the next decision reads everything again first.
    private bool _doubtful;

    private Cluster(IStateStore store, TimeProvider time)
    {
        _store = store;
        _time = time;
    }

    public ClusterState Current => _current;

    /// <summary>Loads everything there is. Fails when an entry cannot be understood: better not to start than to decide on half the truth.</summary>
    public static async Task<Cluster> Open(IStateStore store, TimeProvider time, CancellationToken cancel)
    {
        var cluster = new Cluster(store, time);
        cluster._current = await cluster.Load(cancel);
        return cluster;
    }

    public async Task<T> Decide<T>(Func<ClusterState, Decision<T>> decide, CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try
        {
            if (_doubtful) await Reload(cancel);
            var before = _current;
            var decision = decide(before);
            var changes = decision.Changes.IsDefault ? [] : decision.Changes;
            var events = decision.Events.IsDefault ? [] : decision.Events;
            if (changes.IsEmpty && events.IsEmpty) return decision.Outcome;
            var after = before;
            if (!changes.IsEmpty)
            {
                changes = changes.AddRange(Retention.Due(before, changes));
                after = before.Apply(changes);
                await Store(changes);
                _current = after;
            }
            _watchers.Publish(new(before, after, changes, events, _time.GetUtcNow(), Missed: false));
            return decision.Outcome;
        }
        finally
        {
            _turn.Release();
        }
    }

    public IAsyncEnumerable<Committed> Watch(CancellationToken cancel) => _watchers.Add(cancel);

    public void Dispose() => _turn.Dispose();

    // Not cancellable: a caller that leaves must not make the outcome uncertain.
    private async Task Store(ImmutableArray<ClusterChange> changes)
    {
        var writes = Writes(changes);
        if (writes.Count == 0) return;
        _doubtful = true;
        var outcome = await _store.Commit(writes, CancellationToken.None);
        if (outcome.Conflict)
            throw new InvalidOperationException($"Another process changed '{outcome.Key}' in this store. Only one control plane may use a data folder: stop the other one; this one reads the state again.");
        foreach (var write in writes)
        {
            if (write.Value is null) _versions.Remove(write.Key);
            else _versions[write.Key] = write.ExpectedVersion!.Value + 1;
        }
        _doubtful = false;
    }

    /// <summary>One write a key, the last change of it: a commit sets each key once.</summary>
    private List<StateWrite> Writes(ImmutableArray<ClusterChange> changes)
    {
        var last = new Dictionary<string, ClusterChange>(StringComparer.Ordinal);
        foreach (var change in changes) if (change.Durable) last[ClusterSchema.KeyOf(change)] = change;
        var writes = new List<StateWrite>(last.Count);
        foreach (var (key, change) in last)
        {
            var version = _versions.GetValueOrDefault(key);
            var value = ClusterSchema.ValueOf(change);
            if (value is null && version == 0) continue;
            writes.Add(new(key, value, version));
        }
        return writes;
    }

    private async Task<ClusterState> Load(CancellationToken cancel)
    {
        _versions.Clear();
        var state = ClusterState.Empty;
        foreach (var prefix in ClusterSchema.Prefixes)
        {
            foreach (var entry in await _store.List(prefix, cancel))
            {
                state = state.Apply(ClusterSchema.Read(entry));
                _versions[entry.Key] = entry.Version;
            }
        }
        return state;
    }

    private async Task Reload(CancellationToken cancel)
    {
        var before = _current;
        var stored = await Load(cancel);
        var after = stored with { Presence = before.Presence, Revision = before.Revision + 1 };
        _current = after;
        _doubtful = false;
        _watchers.Publish(new(before, after, [], [], _time.GetUtcNow(), Missed: true));
    }
}

/// <summary>Readers of commits, each with a bounded queue. When one is full, what waits in it is folded into one entry that spans it all: no reader can hold memory or miss a state.</summary>
internal sealed class CommitWatchers
{
    private const int Capacity = 256;
    private readonly Lock _lock = new();
    private ImmutableList<Reader> _readers = [];

    public IAsyncEnumerable<Committed> Add(CancellationToken cancel)
    {
        var reader = new Reader();
        lock (_lock) _readers = _readers.Add(reader);
        var stop = cancel.Register(() => { lock (_lock) _readers = _readers.Remove(reader); });
        return Read(reader, stop, cancel, CancellationToken.None);
    }

    /// <summary>Called in the order of commits.</summary>
    public void Publish(Committed committed)
    {
        foreach (var reader in _readers) reader.Put(committed);
    }

    private async IAsyncEnumerable<Committed> Read(Reader reader, CancellationTokenRegistration stop, CancellationToken cancel, [EnumeratorCancellation] CancellationToken also)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, also);
        try
        {
            while (true) yield return await reader.Take(either.Token);
        }
        finally
        {
            lock (_lock) _readers = _readers.Remove(reader);
            await stop.DisposeAsync();
        }
    }

    private sealed class Reader
    {
        private readonly Queue<Committed> _waiting = new();
        private TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Put(Committed committed)
        {
            lock (_waiting)
            {
                if (_waiting.Count >= Capacity)
                {
                    var oldest = _waiting.Peek();
                    _waiting.Clear();
                    committed = committed with { Before = oldest.Before, Changes = [], Events = [], Missed = true };
                }
                _waiting.Enqueue(committed);
                _arrived.TrySetResult();
            }
        }

        public async Task<Committed> Take(CancellationToken cancel)
        {
            while (true)
            {
                Task arrived;
                lock (_waiting)
                {
                    if (_waiting.TryDequeue(out var committed)) return committed;
                    if (_arrived.Task.IsCompleted) _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
                    arrived = _arrived.Task;
                }
                await arrived.WaitAsync(cancel);
            }
        }
    }
}
