using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Drover.ControlPlane.Store;

/// <summary>Watchers of a store that lives in this process. The store calls both methods under its own write lock, so that no commit falls between the list and the stream.</summary>
internal sealed class StoreWatchers
{
    /// <summary>Events that may wait for one watcher. One that falls further behind is ended with an error and watches anew.</summary>
    public const int Capacity = 4096;

    private ImmutableList<Watcher> _watchers = [];

    public IAsyncEnumerable<StoreEvent> Add(string prefix, IReadOnlyList<StoredEntry> present, CancellationToken cancel)
    {
        var watcher = new Watcher(prefix, Channel.CreateBounded<StoreEvent>(new BoundedChannelOptions(Capacity) { SingleReader = true }));
        ImmutableInterlocked.Update(ref _watchers, list => list.Add(watcher));
        return Read(watcher, present, cancel);
    }

    public bool Any => !_watchers.IsEmpty;

    public void Publish(IEnumerable<StoreEvent> events)
    {
        var watchers = _watchers;
        if (watchers.IsEmpty) return;
        foreach (var happened in events)
        {
            foreach (var watcher in watchers)
            {
                if (!happened.Key.StartsWith(watcher.Prefix, StringComparison.Ordinal) || watcher.Events.Writer.TryWrite(happened)) continue;
                watcher.Events.Writer.TryComplete(new InvalidOperationException($"This watch of '{watcher.Prefix}' fell more than {Capacity} events behind. Watch again: it begins with everything there is."));
            }
        }
    }

    private async IAsyncEnumerable<StoreEvent> Read(Watcher watcher, IReadOnlyList<StoredEntry> present, [EnumeratorCancellation] CancellationToken cancel)
    {
        try
        {
            foreach (var entry in present) yield return new(entry.Key, entry.Value, entry.Version);
            await foreach (var happened in watcher.Events.Reader.ReadAllAsync(cancel)) yield return happened;
        }
        finally
        {
            ImmutableInterlocked.Update(ref _watchers, list => list.Remove(watcher));
        }
    }

    private sealed record Watcher(string Prefix, Channel<StoreEvent> Events);
}
