using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace Drover.ControlPlane.Store.InMemory;

/// <summary>The store's contract without a disk: for tests and rehearsals. What it holds ends with the process.</summary>
public sealed class InMemoryStore(TimeProvider time) : IStateStore
{
    private readonly Lock _lock = new();
    private readonly StoreWatchers _watchers = new();
    private readonly Dictionary<string, (string Holder, DateTimeOffset Until)> _leases = new(StringComparer.Ordinal);
    private ImmutableSortedDictionary<string, StoredEntry> _entries = ImmutableSortedDictionary.Create<string, StoredEntry>(StringComparer.Ordinal);

    public Task<StoredEntry?> Get(string key, CancellationToken cancel) => Task.FromResult(_entries.GetValueOrDefault(key));

    public Task<IReadOnlyList<StoredEntry>> List(string prefix, CancellationToken cancel) => Task.FromResult(Under(prefix));

    public Task<CommitOutcome> Commit(IReadOnlyList<StateWrite> writes, CancellationToken cancel)
    {
        lock (_lock)
        {
            var next = _entries;
            var events = new List<StoreEvent>(writes.Count);
            foreach (var write in writes)
            {
                var version = next.GetValueOrDefault(write.Key)?.Version ?? 0;
                if (write.ExpectedVersion is { } expected && expected != version) return Task.FromResult(new CommitOutcome(true, write.Key));
                if (write.Value is { } value)
                {
                    var entry = new StoredEntry(write.Key, value.ToArray(), version + 1);
                    next = next.SetItem(write.Key, entry);
                    events.Add(new(entry.Key, entry.Value, entry.Version));
                }
                else if (version > 0)
                {
                    next = next.Remove(write.Key);
                    events.Add(new(write.Key, null, 0));
                }
            }
            _entries = next;
            _watchers.Publish(events);
            return Task.FromResult(new CommitOutcome(false, null));
        }
    }

    public async IAsyncEnumerable<StoreEvent> Watch(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        IAsyncEnumerable<StoreEvent> events;
        lock (_lock) events = _watchers.Add(prefix, Under(prefix), cancel);
        await foreach (var happened in events) yield return happened;
    }

    public Task<bool> Lease(string name, string holder, TimeSpan duration, CancellationToken cancel)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            if (_leases.TryGetValue(name, out var lease) && lease.Holder != holder && lease.Until > now) return Task.FromResult(false);
            _leases[name] = (holder, now + duration);
            return Task.FromResult(true);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private IReadOnlyList<StoredEntry> Under(string prefix) => [.. _entries.Values.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal))];
}
