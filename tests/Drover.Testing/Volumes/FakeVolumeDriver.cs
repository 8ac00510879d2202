using System.IO.Pipelines;
using System.Security.Cryptography;

using Drover.Agent.Volumes;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Testing.Volumes;

/// <summary>
/// A volume driver in memory, with contents, under the same laws as the real ones (it passes the same suite). Two of them on pools of their own
/// exchange streams like two nodes.
/// </summary>
public sealed partial class FakeVolumeDriver(FakePool pool, IChance chance, string mountRoot = "/flocker") : IVolumeDriver
{
    /// <summary>Called between the steps of a verb, by name; tests throw here.</summary>
    public Action<string> Reached { get; set; } = static _ => { };

    /// <summary>Awaited before a receive begins to read: a slow disk.</summary>
    public Func<Task> BeforeReceive { get; set; } = static () => Task.CompletedTask;

    /// <summary>Called for each piece of a stream that is being sent, with the bytes sent before it; tests break sends here.</summary>
    public Action<long> Sending { get; set; } = static _ => { };

    /// <summary>Every second stream of a snapshot holds its files the other way round.</summary>
    public bool Unsteady { get; set; }
    private int _sends;

    public FakePool Pool => pool;
    public string Name { get; init; } = "btrfs";

    /// <summary>As a btrfs driver's, unless a test wants another kind of node. Each format has the fake's own encoding, with its name in it.</summary>
    public VolumeAbilities Abilities { get; init; } = new([StreamFormat.BtrfsSend1, StreamFormat.Tree1], Incremental: true, Quotas: true, CheapSnapshots: true, AtomicSnapshots: true);

    public Task Recover(CancellationToken cancel) => Locked(() =>
    {
        foreach (var volume in pool.Volumes.Values)
            foreach (var epoch in volume.Lives.Keys.Where(e => e > volume.Epoch).ToList()) volume.Lives.Remove(epoch);
        return true;
    });

    public Task<PoolSpace> Space(CancellationToken cancel) => Locked(() => new PoolSpace(new(pool.Size), new(pool.Free)));

    public Task Sync(CancellationToken cancel) => Locked(() => pool.Syncs++);

    public Task<IReadOnlyList<ReplicaView>> List(CancellationToken cancel) => Locked<IReadOnlyList<ReplicaView>>(() =>
        [.. pool.Volumes.Keys.Order().Select(View).OfType<ReplicaView>()]);

    public Task<ReplicaView?> Inspect(VolumeName volume, CancellationToken cancel) => Verb(volume, () => View(volume));

    public Task<VolumeOutcome> Make(LiveOrder order, CancellationToken cancel) => Verb(order.Volume, () =>
    {
        var volume = order.Volume;
        if (Refusal(volume, order.Epoch) is { } refused) return refused;
        var known = Of(volume);
        var (source, from) = order switch
        {
            LiveOrder.OfSnapshot of => (volume, of.From),
            LiveOrder.CloneOf clone => (clone.Source, clone.From),
            _ => (volume, (SnapshotName?)null),
        };
        if (known.Live && known.Epoch == order.Epoch)
            return known.From == from && known.Source == source ? VolumeOutcome.Done : VolumeOutcome.Conflict($"live data of epoch {order.Epoch} is made of {known.Source}/{known.From}");
        if (order is not LiveOrder.OfSnapshot && (known.Known != Epoch.None || known.Snapshots.Count > 0)) return VolumeOutcome.Conflict($"volume {volume} is known here: never made again empty");
        FakeSnapshot? snapshot = null;
        if (from is { } name && !(pool.Volumes.GetValueOrDefault(source)?.Snapshots.TryGetValue(name, out snapshot) ?? false))
            return VolumeOutcome.Missing($"snapshot {from} of volume {source} is not complete here");
        if (InUse(volume)) return VolumeOutcome.Busy($"volume {volume} is in use");
        pool.Mounted.Remove(volume);
        known.Lives[order.Epoch] = snapshot?.Tree.Copy() ?? FakeTree.Empty();
        Reached("live made");
        (known.Epoch, known.Live, known.From, known.Source, known.Limit) = (order.Epoch, true, from, source, null);
        return VolumeOutcome.Done;
    });

    public Task<VolumeOutcome> Access(VolumeName volume, VolumeAccess wanted, Epoch epoch, CancellationToken cancel) => wanted switch
    {
        VolumeAccess.Sealed => Seal(volume, true, epoch),
        VolumeAccess.Unsealed => Seal(volume, false, epoch),
        VolumeAccess.Mounted => Mount(volume, epoch),
        _ => Unmount(volume),
    };

    public Task<VolumeOutcome> Resize(VolumeName volume, ByteCount? limit, Epoch epoch, CancellationToken cancel) => OnLive(volume, epoch, live =>
    {
        if (!Abilities.Quotas) return limit is null ? VolumeOutcome.Done : VolumeOutcome.Unable($"volume {volume} cannot be limited here");
        if (limit is { } most && most.Bytes < live.Bytes) return VolumeOutcome.Conflict($"volume {volume} holds {live.Bytes} bytes, more than {most}");
        Of(volume).Limit = limit;
        return VolumeOutcome.Done;
    });

    private Task<VolumeOutcome> Seal(VolumeName volume, bool isSealed, Epoch epoch) => OnLive(volume, epoch, live =>
    {
        live.Sealed = isSealed;
        if (!isSealed) return VolumeOutcome.Done;
        Reached("sealed");
        if (live.OpenForWriting == 0) return VolumeOutcome.Done;
        live.Sealed = false;
        return VolumeOutcome.Busy($"volume {volume} is open for writing");
    });

    private Task<VolumeOutcome> Mount(VolumeName volume, Epoch epoch) => OnLive(volume, epoch, live =>
    {
        if (live.Sealed) return VolumeOutcome.Conflict($"volume {volume} is sealed");
        pool.Mounted.Add(volume);
        return VolumeOutcome.Done;
    });

    private Task<VolumeOutcome> Unmount(VolumeName volume) => Verb(volume, () =>
    {
        if (InUse(volume)) return VolumeOutcome.Busy($"volume {volume} is in use");
        pool.Mounted.Remove(volume);
        return VolumeOutcome.Done;
    });

    public async Task<VolumeOutcome<SnapshotView>> Snapshot(VolumeName volume, SnapshotName name, Epoch epoch, CancellationToken cancel)
    {
        SnapshotView? taken = null;
        var outcome = await OnLive(volume, epoch, live =>
        {
            if (!VolumeNames.TryParse(name.Value, out _)) return VolumeOutcome.Conflict($"'{name}' is no snapshot name");
            Reached("snapshot folder made");
            var snapshots = Of(volume).Snapshots;
            if (!snapshots.ContainsKey(name)) snapshots[name] = new(chance.NewGuid().ToString(), live.Copy()) { Made = Of(volume).NextMade };
            taken = ViewOf(name, snapshots[name]);
            return VolumeOutcome.Done;
        });
        return outcome.Ok ? VolumeOutcome<SnapshotView>.Of(taken!) : VolumeOutcome<SnapshotView>.Of(outcome);
    }

    public Task<VolumeOutcome> Remove(VolumeName volume, Removal what, CancellationToken cancel) => Verb(volume, () =>
    {
        if (!pool.Volumes.TryGetValue(volume, out var known)) return VolumeOutcome.Done;
        var goes = what.Live && known.Live && known.Epoch < what.OlderThan;
        if ((goes || what.Everything) && InUse(volume)) return VolumeOutcome.Busy($"volume {volume} is in use");
        if (what.Everything)
        {
            pool.Mounted.Remove(volume);
            pool.Volumes.Remove(volume);
            return VolumeOutcome.Done;
        }
        if ((!known.Live || goes) && known.Snapshots.Count + (goes ? 1 : 0) > 0 && known.Snapshots.Keys.All(what.Snapshots.Contains))
            return VolumeOutcome.Conflict($"refused to remove the last data of volume {volume}");
        if (goes) (known.Live, _) = (false, pool.Mounted.Remove(volume));
        if (what.Live)
        {
            if (what.OlderThan > known.Floor) known.Floor = what.OlderThan;
            foreach (var epoch in known.Lives.Keys.Where(e => e < what.OlderThan).ToList()) known.Lives.Remove(epoch);
        }
        foreach (var snapshot in what.Snapshots) known.Snapshots.Remove(snapshot);
        return VolumeOutcome.Done;
    });

    // ---- What a container would do ----

    /// <summary>Writes a file of the mounted live data.</summary>
    /// <exception cref="IOException">It is not mounted, or sealed.</exception>
    public void Write(VolumeName volume, string file, byte[] contents)
    {
        lock (pool.Gate)
        {
            var live = Writable(volume);
            if (pool.Volumes[volume].Limit is { } limit && live.Bytes - (live.Files.GetValueOrDefault(file)?.Length ?? 0) + contents.Length > limit.Bytes) throw new IOException("Disk quota exceeded");
            live.Files[file] = contents;
        }
    }

    public void Delete(VolumeName volume, string file)
    {
        lock (pool.Gate) Writable(volume).Files.Remove(file);
    }

    public byte[]? Read(VolumeName volume, string file)
    {
        lock (pool.Gate) return pool.Volumes.GetValueOrDefault(volume)?.Current?.Files.GetValueOrDefault(file);
    }

    /// <summary>A container that works in the volume: until disposed it can be neither unmounted nor sealed.</summary>
    public IDisposable Use(VolumeName volume)
    {
        lock (pool.Gate)
        {
            var live = Writable(volume);
            live.OpenForWriting++;
            return new Closing(() => { lock (pool.Gate) live.OpenForWriting--; });
        }
    }

    /// <summary>A hash of names and contents of the live data of that epoch; null when there is none.</summary>
    public string? Contents(VolumeName volume, Epoch epoch)
    {
        lock (pool.Gate)
        {
            if (pool.Volumes.GetValueOrDefault(volume)?.Lives.GetValueOrDefault(epoch) is not { } live) return null;
            return string.Join('\n', live.Files.Select(f => $"{f.Key} {Convert.ToHexString(SHA256.HashData(f.Value))}"));
        }
    }

    private FakeTree Writable(VolumeName volume)
    {
        if (!pool.Mounted.Contains(volume) || pool.Volumes[volume].Current is not { } live) throw new IOException($"{volume} is not mounted");
        return live.Sealed ? throw new IOException("Read-only file system") : live;
    }

    private bool InUse(VolumeName volume) => pool.Volumes.GetValueOrDefault(volume)?.Current is { OpenForWriting: > 0 };

    private FakeVolume Of(VolumeName volume) => pool.Volumes.TryGetValue(volume, out var known) ? known : pool.Volumes[volume] = new();

    private VolumeOutcome? Refusal(VolumeName volume, Epoch epoch)
    {
        if (epoch <= Epoch.None) return VolumeOutcome.Conflict($"epoch {epoch} is none");
        var known = pool.Volumes.GetValueOrDefault(volume)?.Known ?? Epoch.None;
        return epoch < known ? VolumeOutcome.Stale(epoch, known) : null;
    }

    private Task<VolumeOutcome> OnLive(VolumeName volume, Epoch epoch, Func<FakeTree, VolumeOutcome> verb) => Verb(volume, () =>
    {
        if (Refusal(volume, epoch) is { } refused) return refused;
        return pool.Volumes.GetValueOrDefault(volume) is { } known && known.Epoch == epoch && known.Current is { } live ? verb(live)
            : VolumeOutcome.Missing($"volume {volume} has no live data of epoch {epoch} here");
    });

    private ReplicaView? View(VolumeName name)
    {
        if (!pool.Volumes.TryGetValue(name, out var known)) return null;
        var live = known.Current;
        if (live is null && known.Snapshots.Count == 0 && known.Known == Epoch.None) return null;
        var snapshots = known.Snapshots.OrderBy(s => s.Value.Made).Select(s => ViewOf(s.Key, s.Value)).ToList();
        var used = live is null ? snapshots.Select(s => s.Size).DefaultIfEmpty().Max() : new ByteCount(live.Bytes);
        return new(name, live is null ? Epoch.None : known.Epoch, live is not null, live is { Sealed: true }, live is not null && pool.Mounted.Contains(name),
            Path.Combine(mountRoot, name.Value), used, snapshots, null) { Known = known.Known, Limit = live is null ? null : known.Limit };
    }

    private static SnapshotView ViewOf(SnapshotName name, FakeSnapshot snapshot) => new(name, snapshot.Identity, new(snapshot.Tree.Bytes));

    private Task<T> Verb<T>(VolumeName volume, Func<T> verb) =>
        VolumeNames.TryParse(volume.Value, out _) ? Locked(verb) : Task.FromException<T>(new ArgumentException($"'{volume}' is no volume name", nameof(volume)));

    private Task<T> Locked<T>(Func<T> verb)
    {
        lock (pool.Gate)
        {
            try { return Task.FromResult(verb()); }
            catch (Exception e) { return Task.FromException<T>(e); }
        }
    }

    private sealed class Closing(Action close) : IDisposable
    {
        public void Dispose() => close();
    }
}
