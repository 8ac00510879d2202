using Drover.ControlPlane.Observability;

namespace Drover.ControlPlane.Store;

/// <summary>A store whose commits are counted and timed.</summary>
public sealed class MeteredStore(IStateStore store, TimeProvider time) : IStateStore
{
    public Task<StoredEntry?> Get(string key, CancellationToken cancel) => store.Get(key, cancel);

    public Task<IReadOnlyList<StoredEntry>> List(string prefix, CancellationToken cancel) => store.List(prefix, cancel);

    public async Task<CommitOutcome> Commit(IReadOnlyList<StateWrite> writes, CancellationToken cancel)
    {
        var (began, said) = (time.GetTimestamp(), "failed");
        try
        {
            var outcome = await store.Commit(writes, cancel);
            said = outcome.Conflict ? "conflict" : "done";
            return outcome;
        }
        finally
        {
            Meters.Store.Committed(writes.Count, writes.Sum(w => (long)(w.Value?.Length ?? 0)), said, time.GetElapsedTime(began));
        }
    }

    public IAsyncEnumerable<StoreEvent> Watch(string prefix, CancellationToken cancel) => store.Watch(prefix, cancel);

    public Task<bool> Lease(string name, string holder, TimeSpan duration, CancellationToken cancel) => store.Lease(name, holder, duration, cancel);

    /// <summary>The store is disposed by whoever opened it.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
