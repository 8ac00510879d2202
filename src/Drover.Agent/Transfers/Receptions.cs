using Drover.Core;

namespace Drover.Agent.Transfers;

/// <summary>
/// What is arriving here, one for each volume, with or without a connection. One without is parked: its driver's receive waits with its pipe open until
/// its sender comes back, its time is over, or another attempt takes its place.
/// </summary>
/// <remarks>All but expiry happens within the volume's turn.</remarks>
internal sealed class Receptions(TimeProvider time, TimeSpan parkFor, int mostParked, ILogger log) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<VolumeName, Entry> _entries = [];

    private sealed class Entry(Reception reception)
    {
        public Reception Reception => reception;
        /// <summary>Runs while it is parked.</summary>
        public ITimer? Expiry { get; set; }
        public long ParkedAt { get; set; }
        public Task? Closing { get; set; }
    }

    /// <summary>Receives that wait for their sender.</summary>
    public int Parked { get { lock (_gate) return _entries.Values.Count(e => e.Expiry is not null); } }

    /// <summary>After one was parked, taken up, dropped or done. Called on any thread.</summary>
    public event Action? Changed;

    /// <summary>Those with and without a connection.</summary>
    public int Count { get { lock (_gate) return _entries.Count; } }

    /// <summary>A used ticket is good again only for what it was used for, while that is not at its end.</summary>
    public bool IsOf(ReceptionKey key, string? nonce = null)
    {
        lock (_gate) return _entries.TryGetValue(key.Volume, out var entry) && entry.Closing is null && entry.Reception.Key == key && (nonce is null || entry.Reception.Nonce == nonce);
    }

    public void Begin(Reception reception)
    {
        lock (_gate) _entries.Add(reception.Key.Volume, new(reception));
        reception.Begin();
    }

    /// <summary>Keeps it for its sender to come back.</summary>
    public void Park(Reception reception)
    {
        Entry? oldest = null;
        lock (_gate)
        {
            var entry = _entries[reception.Key.Volume];
            entry.ParkedAt = time.GetTimestamp();
            entry.Expiry = time.CreateTimer(_ => Expire(entry), null, parkFor, Timeout.InfiniteTimeSpan);
            if (_entries.Values.Count(e => e.Expiry is not null) > mostParked) oldest = _entries.Values.Where(e => e.Expiry is not null).MinBy(e => e.ParkedAt);
        }
        log.LogInformation("move {Move}: {Volume}/{Snapshot} waits at byte {Bytes} for {Peer} to come back", reception.Key.Move, reception.Key.Volume, reception.Key.Snapshot, reception.Bytes, reception.Key.Peer);
        Changed?.Invoke();
        if (oldest is not null) Expire(oldest);
    }

    /// <summary>The parked one, when it can go on with this greeting; any other of this volume is dropped first.</summary>
    public async Task<Reception?> Resume(ReceptionKey key, Hello hello)
    {
        Entry? entry;
        lock (_gate)
        {
            if (!_entries.TryGetValue(key.Volume, out entry)) return null;
            var fits = hello.Resume && entry.Closing is null && entry.Reception.CanGoOn && entry.Reception.Key == key && hello.Offered.Contains(entry.Reception.Format)
                && (entry.Reception.Base is null || (entry.Reception.Base, entry.Reception.BaseIdentity) == (hello.Base, hello.BaseIdentity));
            if (fits)
            {
                entry.Expiry?.Dispose();
                entry.Expiry = null;
                return entry.Reception;
            }
        }
        await Close(entry, new IOException("another attempt has taken its place"));
        return null;
    }

    /// <summary>It arrived, and its sender knows.</summary>
    public void Done(Reception reception)
    {
        lock (_gate) _entries.Remove(reception.Key.Volume);
        Changed?.Invoke();
    }

    /// <summary>Nothing of what arrives for this volume is left. What the driver failed of, if it did.</summary>
    public async Task<Exception?> Drop(VolumeName volume, Exception why)
    {
        Entry? entry;
        lock (_gate) if (!_entries.TryGetValue(volume, out entry)) return null;
        await Close(entry, why);
        return await entry.Reception.Drop(why);
    }

    private void Expire(Entry entry)
    {
        lock (_gate)
        {
            // Taken up again between the timer's fall and here: it lives on.
            if (entry.Expiry is null || entry.Closing is not null) return;
        }
        log.LogWarning("move {Move}: {Volume}/{Snapshot} is dropped, its sender did not come back", entry.Reception.Key.Move, entry.Reception.Key.Volume, entry.Reception.Key.Snapshot);
        _ = Close(entry, new IOException("its sender did not come back"), onlyParked: true);
    }

    private Task Close(Entry entry, Exception why, bool onlyParked = false)
    {
        lock (_gate)
        {
            if (onlyParked && entry.Expiry is null) return Task.CompletedTask;
            entry.Expiry?.Dispose();
            entry.Expiry = null;
            return entry.Closing ??= Closed(entry, why);
        }
    }

    private async Task Closed(Entry entry, Exception why)
    {
        // Not under the lock that the caller holds.
        await Task.Yield();
        await entry.Reception.Drop(why);
        lock (_gate)
            if (_entries.GetValueOrDefault(entry.Reception.Key.Volume) == entry) _entries.Remove(entry.Reception.Key.Volume);
        Changed?.Invoke();
    }

    public async ValueTask DisposeAsync()
    {
        List<Entry> all;
        lock (_gate) all = [.. _entries.Values];
        foreach (var entry in all) await Close(entry, new IOException("the agent stops"));
    }
}
