using System.Collections.Concurrent;
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
    ImmutableArray<ClusterEvent> Events, DateTimeOffset At, bool Missed)
{
    private readonly ImmutableArray<Committed> _parts;

    /// <summary>The decisions that had something to say, each with the states right before and after it: one commit may hold many.</summary>
    public ImmutableArray<Committed> Decisions { get => _parts.IsDefault ? [this] : _parts; init => _parts = value; }
}

/// <summary>State in memory over a durable store. Versions of all keys are held, so that a second writer on the same store is noticed at the first commit.</summary>
/// <remarks>Decisions that come while a commit is being written wait for it together and are then taken one after the other and written as one: under load the disk is waited for once for
/// all of them. Each sees the state that those before it made; nobody else sees it, and nobody has an answer, before it is on the disk.</remarks>
public sealed class Cluster : ICluster, IDisposable
{
    /// <summary>A commit takes no further decision once it has as many changes: those who wait are not kept waiting without end.</summary>
    internal const int MostChanges = 1_500;

    private readonly IStateStore _store;
    private readonly TimeProvider _time;
    private readonly ConcurrentQueue<Waiting> _waiting = new();
    private readonly StoredKeys _stored = new();
    private readonly CommitWatchers _watchers = new();
    private volatile ClusterState _current = ClusterState.Empty;
    private int _pumping;
    private volatile bool _closed;
    // After a commit that failed it is not known whether it reached the disk: the next decision reads everything again first.
    private bool _doubtful;

    private Cluster(IStateStore store, TimeProvider time)
    {
        _store = store;
        _time = time;
    }

    public ClusterState Current => _current;

    /// <summary>Hears each commit once, in order, before the next is decided.</summary>
    public Action<Committed>? Observed { get; set; }

    /// <summary>Loads everything there is. Fails when an entry cannot be understood: better not to start than to decide on half the truth.</summary>
    public static async Task<Cluster> Open(IStateStore store, TimeProvider time, CancellationToken cancel)
    {
        var cluster = new Cluster(store, time);
        cluster._current = await cluster._stored.Load(store, cancel);
        return cluster;
    }

    public Task<T> Decide<T>(Func<ClusterState, Decision<T>> decide, CancellationToken cancel)
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        var waiting = new Waiting<T>(Events.RequestOrigin.Stamping(decide), cancel);
        _waiting.Enqueue(waiting);
        if (Interlocked.CompareExchange(ref _pumping, 1, 0) == 0) _ = Task.Run(Pump, CancellationToken.None);
        return waiting.Task;
    }

    public IAsyncEnumerable<Committed> Watch(CancellationToken cancel) => _watchers.Add(cancel);

    public void Dispose() => _closed = true;

    private void Publish(Committed committed)
    {
        Observed?.Invoke(committed);
        _watchers.Publish(committed);
    }

    private async Task Pump()
    {
        do
        {
            while (!_waiting.IsEmpty) await Commit();
            Volatile.Write(ref _pumping, 0);
            // One that came between the last look and the line above found the pump still running.
        }
        while (!_waiting.IsEmpty && Interlocked.CompareExchange(ref _pumping, 1, 0) == 0);
    }

    /// <summary>Takes what waits, as one commit.</summary>
    private async Task Commit()
    {
        var taken = new List<Waiting>();
        try
        {
            if (_doubtful) await Reload();
            var group = new Group(_current);
            while (group.Changes.Count < MostChanges && _waiting.TryDequeue(out var next))
            {
                if (!next.Take()) continue;
                taken.Add(next);
                next.Decide(group, _time);
            }
            if (group.Changes.Count > 0) await Store(group);
            if (group.Said) Publish(group.Committed(_time.GetUtcNow()));
            foreach (var waiting in taken) waiting.Done();
        }
        catch (Exception failure)
        {
            // The whole commit failed: whoever had a part in it is told, also those who decided nothing on the strength of it. One that is not taken yet finds the store as it is then.
            if (taken.Count == 0 && _waiting.TryDequeue(out var next) && next.Take()) taken.Add(next);
            foreach (var waiting in taken) waiting.Fail(failure);
        }
    }

    // Not cancellable: a caller that leaves must not make the outcome uncertain.
    private async Task Store(Group group)
    {
        _doubtful = true;
        var writes = _stored.Writes(group.Before, group.After, group.Changes);
        if (writes.Count > 0)
        {
            var outcome = await _store.Commit(writes, CancellationToken.None);
            if (outcome.Conflict)
                throw new InvalidOperationException($"Another process changed '{outcome.Key}' in this store. Only one control plane may use a data folder: stop the other one; this one reads the state again.");
            _stored.Written(writes);
        }
        _doubtful = false;
        _current = group.After;
    }

    private async Task Reload()
    {
        var before = _current;
        var stored = await _stored.Load(_store, CancellationToken.None);
        var after = stored.Seeing(before.Presence.Values, before.Revision + 1);
        _current = after;
        _doubtful = false;
        Publish(new(before, after, [], [], _time.GetUtcNow(), Missed: true));
    }

    /// <summary>Decisions of one commit: the state as each leaves it to the next.</summary>
    private sealed class Group(ClusterState before)
    {
        private readonly ImmutableArray<Committed>.Builder _parts = ImmutableArray.CreateBuilder<Committed>();
        private readonly ImmutableArray<ClusterEvent>.Builder _events = ImmutableArray.CreateBuilder<ClusterEvent>();

        public ClusterState Before { get; } = before;
        public ClusterState After { get; private set; } = before;
        public ImmutableArray<ClusterChange>.Builder Changes { get; } = ImmutableArray.CreateBuilder<ClusterChange>();
        public bool Said => Changes.Count > 0 || _events.Count > 0;

        public void Add(ImmutableArray<ClusterChange> changes, ImmutableArray<ClusterEvent> events, DateTimeOffset at)
        {
            var from = After;
            if (!changes.IsDefaultOrEmpty)
            {
                changes = Observability.TraceRoots.Given(from, changes, at).AddRange(Retention.Due(from, changes));
                After = from.Apply(changes);
                Changes.AddRange(changes);
            }
            if (events.IsDefaultOrEmpty) return;
            _events.AddRange(events);
            _parts.Add(new(from, After, changes.IsDefault ? [] : changes, events, at, Missed: false));
        }

        public Committed Committed(DateTimeOffset at) => new(Before, After, Changes.ToImmutable(), _events.ToImmutable(), at, Missed: false) { Decisions = _parts.ToImmutable() };
    }

    /// <summary>A decision that somebody waits for.</summary>
    private abstract class Waiting
    {
        /// <summary>False: whoever asked has gone. From then on it is not called off any more.</summary>
        public abstract bool Take();
        public abstract void Decide(Group group, TimeProvider time);
        public abstract void Done();
        public abstract void Fail(Exception failure);
    }

    private sealed class Waiting<T> : Waiting
    {
        private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Func<ClusterState, Decision<T>> _decide;
        private readonly CancellationTokenRegistration _left;
        private int _taken;
        private T? _outcome;
        private Exception? _failure;

        public Waiting(Func<ClusterState, Decision<T>> decide, CancellationToken cancel)
        {
            _decide = decide;
            if (cancel.CanBeCanceled) _left = cancel.UnsafeRegister(Left, this);
        }

        public Task<T> Task => _done.Task;

        public override bool Take()
        {
            var mine = Interlocked.Exchange(ref _taken, 1) == 0;
            _left.Unregister();
            return mine;
        }

        public override void Decide(Group group, TimeProvider time)
        {
            try
            {
                var decision = _decide(group.After);
                group.Add(decision.Changes, decision.Events, time.GetUtcNow());
                _outcome = decision.Outcome;
            }
            catch (Exception failure)
            {
                // Of this decision alone: it changed nothing.
                _failure = failure;
            }
        }

        public override void Done()
        {
            if (_failure is { } failure) _done.TrySetException(failure);
            else _done.TrySetResult(_outcome!);
        }

        public override void Fail(Exception failure) => _done.TrySetException(_failure ?? failure);

        private static void Left(object? self, CancellationToken cancel)
        {
            var waiting = (Waiting<T>)self!;
            if (Interlocked.Exchange(ref waiting._taken, 1) == 0) waiting._done.TrySetCanceled(cancel);
        }
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
                    committed = new(oldest.Before, committed.After, [], [], committed.At, Missed: true);
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
