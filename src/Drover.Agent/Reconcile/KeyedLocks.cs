namespace Drover.Agent.Reconcile;

/// <summary>One lock for each instance and volume, shared by reconciler and steps. Taken in order of their names, so that nobody waits in a ring.</summary>
public sealed class KeyedLocks
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Entry> _entries = [];

#pragma warning disable CA1001 // a semaphore without a wait handle holds nothing to free
    private sealed class Entry
    {
        public readonly SemaphoreSlim Free = new(1, 1);
        public int Users;
    }
#pragma warning restore CA1001

    public static string Instance(string id) => $"i:{id}";
    public static string Volume(string name) => $"v:{name}";

    public async Task<IDisposable> Take(IEnumerable<string> keys, CancellationToken cancel)
    {
        var held = new Held(this);
        try
        {
            foreach (var key in keys.Distinct().Order(StringComparer.Ordinal))
            {
                Entry entry;
                lock (_gate)
                {
                    if (!_entries.TryGetValue(key, out entry!)) _entries[key] = entry = new();
                    entry.Users++;
                }
                try { await entry.Free.WaitAsync(cancel); }
                catch { Leave(key, entry, release: false); throw; }
                held.Keys.Push((key, entry));
            }
            return held;
        }
        catch { held.Dispose(); throw; }
    }

    private void Leave(string key, Entry entry, bool release)
    {
        lock (_gate)
        {
            if (release) entry.Free.Release();
            if (--entry.Users == 0) _entries.Remove(key);
        }
    }

    private sealed class Held(KeyedLocks owner) : IDisposable
    {
        public Stack<(string Key, Entry Entry)> Keys { get; } = [];

        public void Dispose()
        {
            while (Keys.TryPop(out var one)) owner.Leave(one.Key, one.Entry, release: true);
        }
    }
}
