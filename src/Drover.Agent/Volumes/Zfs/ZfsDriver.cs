using System.Collections.Concurrent;
using System.ComponentModel;
using Drover.Agent.Host;
using Drover.Agent.Reconcile;
using Drover.Agent.Volumes.Trees;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>Volumes as datasets below one dataset of a ZFS pool. Works with what `zfs` can since 2010 and uses more where it is there.</summary>
/// <remarks>
/// Live data and received snapshots are datasets of their own, clones of each other; a snapshot counts by its name, wherever it lies. A snapshot that arrives has a name that
/// no snapshot can have until one rename makes it visible. What cannot go yet, because a clone still needs it, is hidden and goes later (<see cref="ZfsTidy"/>).
/// </remarks>
/// <param name="pool">Where the dataset that holds everything is mounted.</param>
/// <param name="mountRoot">Folder under which live data is bind-mounted.</param>
public sealed partial class ZfsDriver(string pool, string mountRoot, IHostCommands commands, IChance chance, TimeProvider time) : IVolumeDriver
{
    private readonly KeyedLocks _locks = new();
    private readonly SnapshotUse _reading = new();
    private readonly ZfsProgram _zfs = new(commands, time);
    private readonly ConcurrentDictionary<string, bool> _used = new();
    private readonly string _pool = Path.TrimEndingDirectorySeparator(Path.GetFullPath(pool));
    private string _dataset = "";
    private bool _knowsSync;
    private ZfsAbilities _abilities = ZfsAbilities.Least;
    /// <summary>What a dataset without any files refers to.</summary>
    private long _emptyBytes;

    /// <summary>Called between the steps of a verb, by name; tests cut verbs short here.</summary>
    internal Action<string> Reached { get; init; } = static _ => { };

    public string Name => "zfs";

    public VolumeAbilities Abilities { get; private set; } = AbilitiesOf(ZfsAbilities.Least);

    private static VolumeAbilities AbilitiesOf(ZfsAbilities zfs) =>
        new(zfs.SendsBlocks ? [StreamFormat.ZfsSend2, StreamFormat.ZfsSend1, StreamFormat.Tree1] : [StreamFormat.ZfsSend1, StreamFormat.Tree1], Incremental: true, Quotas: true, CheapSnapshots: true, AtomicSnapshots: true);

    public Task<PoolSpace> Space(CancellationToken cancel) => Task.Run(async () =>
    {
        var values = (await _zfs.Run("get", "-Hp", "-o", "value", "used,available", _dataset)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return values is [var used, var free] && long.TryParse(used, out var usedBytes) && long.TryParse(free, out var freeBytes) ? new PoolSpace(new(usedBytes + freeBytes), new(freeBytes))
            : throw new InvalidDataException($"`zfs get -Hp used,available {_dataset}` answered {string.Join(' ', values)}");
    }, cancel);

    public Task Sync(CancellationToken cancel) => Task.Run(async () =>
    {
        // First what the kernel's page cache still has, of files mapped into memory.
        foreach (var path in Directory.EnumerateDirectories(ZfsPlaces.VolumesOf(_pool), "*").SelectMany(v => ZfsPlaces.NamesIn(v + "/live").Select(e => $"{v}/live/{e}")).Where(Mounts.IsMounted))
            TreeCalls.SyncFilesystem(path);
        if (_knowsSync) await _zfs.Run("zpool", ["sync", PoolName]);
        // Any change of a property waits for the transaction that all writes before it are in.
        else await _zfs.Run("set", $"drover:synced={chance.NewGuid():N}", ZfsPlaces.VolumesOf(_dataset));
    }, cancel);

    /// <summary>Pages of files mapped into memory, which no ZFS knows of before the kernel writes them.</summary>
    private static void Flush(string path)
    {
        if (Mounts.IsMounted(path)) TreeCalls.SyncFilesystem(path);
    }

    private string PoolName => _dataset.Split('/')[0];

    public Task<IReadOnlyList<ReplicaView>> List(CancellationToken cancel) => Task.Run<IReadOnlyList<ReplicaView>>(async () =>
    {
        var root = ZfsPlaces.VolumesOf(_dataset);
        var datasets = await Tree(root);
        var names = datasets.Where(d => d.Path.Length > root.Length).Select(d => d.Path[(root.Length + 1)..].Split('/')[0]);
        var all = new List<ReplicaView>();
        foreach (var name in names.Concat(ZfsPlaces.NamesIn(ZfsPlaces.VolumesOf(_pool))).Distinct().Order(StringComparer.Ordinal))
        {
            cancel.ThrowIfCancellationRequested();
            if (!VolumeNames.TryParse(name, out var volume)) continue;
            var places = Places(volume.Value);
            if (View(places, ZfsTree.Volume(datasets, places.Root)) is { } view) all.Add(view);
        }
        return all;
    }, cancel);

    public Task<ReplicaView?> Inspect(VolumeName volume, CancellationToken cancel)
    {
        var places = Places(volume);
        return Task.Run(async () => View(places, await Look(places)), cancel);
    }

    public async Task<VolumeOutcome<SnapshotView>> Snapshot(VolumeName volume, SnapshotName name, Epoch epoch, CancellationToken cancel)
    {
        SnapshotView? taken = null;
        var outcome = await Alone(volume, async (places, here) =>
        {
            if (Named(name) is { } badName) return badName;
            if (LiveRefusal(places, here, epoch, out var live) is { } refused) return refused;
            if (here.Find(name) is null)
            {
                if (await Hidden(places, live, name) is { } hidden) return hidden;
                Reached("snapshot folder made");
                Flush(places.LivePath(epoch));
                await _zfs.Run("snapshot", $"{live.Path}@{name}");
                here = await Look(places);
            }
            taken = ViewOf(here.Find(name)!);
            return VolumeOutcome.Done;
        }, cancel);
        return outcome.Ok ? VolumeOutcome<SnapshotView>.Of(taken!) : VolumeOutcome<SnapshotView>.Of(outcome);
    }

    /// <summary>A removed snapshot of that name, which a clone needs, may be in the way.</summary>
    private async Task<VolumeOutcome?> Hidden(ZfsPlaces places, ZfsDataset dataset, SnapshotName name)
    {
        if (!dataset.Snapshots.Any(s => s.Name == name.Value)) return null;
        await Tidy(places);
        return (await Look(places)).Snapshots.Any(s => s.Path == $"{dataset.Path}@{name}")
            ? VolumeOutcome.Conflict($"a removed snapshot called {name} of volume {places.Name} is needed by a clone still: take another name, or remove the clone") : null;
    }

    private ZfsPlaces Places(VolumeName volume) =>
        VolumeNames.TryParse(volume.Value, out _) ? new(_pool, _dataset, volume) : throw new ArgumentException($"'{volume}' is no volume name: {VolumeNames.Rule}", nameof(volume));

    private string MountPath(VolumeName volume) => Path.Combine(mountRoot, volume.Value);

    /// <summary>A dataset with all below it; none when there is no such one.</summary>
    private async Task<IReadOnlyList<ZfsDataset>> Tree(string root)
    {
        const int tries = 4;
        string[] arguments = ["get", "-Hp", "-r", "-o", "name,property,value,source", ZfsTree.Properties, root];
        for (var i = 1; ; i++)
        {
            var result = await _zfs.Try(arguments);
            if (result.Ok) return ZfsTree.Parse(result.Output);
            if (!ZfsProgram.IsMissing(result)) throw ZfsProgram.Failure(new("zfs", arguments), result);
            if (result.Error.Contains($"'{root}'", StringComparison.Ordinal)) return [];
            // One below it went away while it was listed.
            if (i == tries) throw ZfsProgram.Failure(new("zfs", arguments), result);
        }
    }

    private async Task<ZfsVolume> Look(ZfsPlaces places) => ZfsTree.Volume(await Tree(places.Root), places.Root);

    /// <summary>One verb at a time for a volume, and for the one whose snapshot it uses; sends and receives are outside.</summary>
    private async Task<VolumeOutcome> Alone(VolumeName volume, Func<ZfsPlaces, ZfsVolume, Task<VolumeOutcome>> verb, CancellationToken cancel, VolumeName? source = null)
    {
        var places = Places(volume);
        using var held = await _locks.Take(source is { } other ? [volume.Value, other.Value] : [volume.Value], cancel);
        try { return await Task.Run(async () => await verb(places, await Look(places)), CancellationToken.None); }
        catch (Win32Exception e) when (e.NativeErrorCode is TreeCalls.NoSpace or TreeCalls.OverQuota) { throw new IOException($"the pool at {_pool} is full: make room, then repeat ({e.Message})", e); }
    }

    private static VolumeOutcome? Named(SnapshotName name) =>
        VolumeNames.TryParse(name.Value, out _) ? null : VolumeOutcome.Conflict($"'{name}' is no snapshot name: {VolumeNames.Rule}");

    private static VolumeOutcome? Refusal(ZfsPlaces places, ZfsVolume here, Epoch epoch)
    {
        if (epoch <= Epoch.None) return VolumeOutcome.Conflict($"epoch {epoch} is none: live data has an epoch from 1");
        var ledger = places.ReadLedger();
        if (ledger is null && places.ForeignTrace(here) is { } foreign) return VolumeOutcome.Conflict(foreign);
        if (places.Grave() is not null) return VolumeOutcome.Busy($"an older volume called {places.Name} is being removed and not gone yet: end what works in it, then repeat, or restart the agent");
        ledger ??= VolumeLedger.Blank;
        if (places.Newer(here, ledger) is { } newer) return VolumeOutcome.Conflict(newer);
        if (epoch < ledger.Known) return VolumeOutcome.Stale(epoch, ledger.Known);
        return ledger.Live && ledger.Epoch == epoch && places.ForeignTrace(here) is { } gone ? VolumeOutcome.Missing(gone) : null;
    }

    private static VolumeOutcome? LiveRefusal(ZfsPlaces places, ZfsVolume here, Epoch epoch, out ZfsDataset live)
    {
        live = null!;
        if (Refusal(places, here, epoch) is { } refused) return refused;
        var ledger = places.ReadLedger() ?? VolumeLedger.Blank;
        if (!ledger.Live || ledger.Epoch != epoch || here.Live(epoch) is not { } found)
            return VolumeOutcome.Missing($"volume {places.Name} has no live data of epoch {epoch} here (ledger: epoch {ledger.Epoch}): the app makes it when it starts on this node; if it ran here before, check the node's pool");
        live = found;
        return null;
    }

    /// <summary>Processes, those in containers too, that have a file of this live data open for writing, or any at all.</summary>
    private static IReadOnlyList<string> Users(string path, bool onlyWriters) =>
        Mounts.IsMounted(path) && Native.DeviceOf(path) is { } device ? OpenFiles.Of(device, onlyWriters, Namespaces.Showing(device)) : [];

    private static VolumeOutcome StillUsed(ZfsPlaces places, Epoch epoch, string verb)
    {
        var users = Users(places.LivePath(epoch), onlyWriters: false);
        return VolumeOutcome.Busy($"cannot {verb} volume {places.Name}: in use by {(users.Count == 0 ? "a process" : string.Join(", ", users))}; stop it, then repeat");
    }

    private ReplicaView? View(ZfsPlaces places, ZfsVolume here)
    {
        var foreign = places.ForeignTrace(here);
        var ledger = foreign is null ? places.ReadLedger() : null;
        if (foreign is null && ledger is null) return null;
        var live = ledger is { Live: true } ? here.Live(ledger.Epoch) : null;
        var snapshots = here.Visible.Select(ViewOf).ToList();
        if (foreign is null && live is null && snapshots.Count == 0 && ledger!.Known == Epoch.None) return null;
        var mount = MountPath(places.Name);
        var used = live is null ? snapshots.Select(s => s.Size).DefaultIfEmpty().Max() : Size(live.Bytes);
        var isSealed = live is not null && ledger!.Sealed;
        return new(places.Name, live is null ? Epoch.None : ledger!.Epoch, live is not null, isSealed,
            // One the guard has taken writing from is to be mounted anew.
            live is not null && Mounts.Shows(mount, places.LivePath(ledger!.Epoch)) && (isSealed || !Mounts.IsReadOnly(mount)), mount, used, snapshots, foreign)
        { Known = ledger?.Known ?? Epoch.None, Limit = live is not null && ledger!.Limit is { } most ? new(most) : null };
    }

    private SnapshotView ViewOf(ZfsSnapshot snapshot) => new(new(snapshot.Name), snapshot.Identity.ToString(), Size(snapshot.Bytes));

    private ByteCount Size(long referenced) => new(Math.Max(0, referenced - _emptyBytes));
}
