using System.Collections.Concurrent;
using System.ComponentModel;
using Drover.Agent.Reconcile;
using Drover.Agent.Volumes.Trees;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Folders;

/// <summary>Volumes as plain folders of any filesystem that knows hard links and extended attributes. Slower than one with snapshots of its own: data is compared and copied.</summary>
/// <remarks>
/// A snapshot shares unchanged files with the one before it by further names, so nobody may ever write to a file of a snapshot: live data is copied from and to them, with
/// shared blocks where the filesystem can.
/// </remarks>
/// <param name="pool">Folder that holds everything; only root may enter what is in it.</param>
/// <param name="mountRoot">Folder under which live data is bind-mounted.</param>
public sealed partial class FolderDriver(string pool, string mountRoot, IChance chance) : IVolumeDriver
{
    private readonly KeyedLocks _locks = new();
    private readonly SnapshotUse _reading = new();
    private readonly ConcurrentDictionary<VolumeName, ByteCount> _used = new();
    private readonly string _pool = Path.TrimEndingDirectorySeparator(Path.GetFullPath(pool));

    /// <summary>Called between the steps of a verb, by name; tests cut verbs short here.</summary>
    internal Action<string> Reached { get; init; } = static _ => { };

    public string Name => "directory";

    public VolumeAbilities Abilities { get; } = new([StreamFormat.Tree1], Incremental: true, Quotas: false, CheapSnapshots: false, AtomicSnapshots: false);

    public Task<PoolSpace> Space(CancellationToken cancel) => Task.Run(() =>
    {
        var drive = new DriveInfo(_pool);
        return new PoolSpace(new(drive.TotalSize), new(drive.AvailableFreeSpace));
    }, cancel);

    public Task Sync(CancellationToken cancel) => Task.Run(() => TreeCalls.SyncFilesystem(_pool), cancel);

    public Task<IReadOnlyList<ReplicaView>> List(CancellationToken cancel) => Task.Run<IReadOnlyList<ReplicaView>>(() =>
    {
        var all = new List<ReplicaView>();
        foreach (var name in FolderVolume.NamesIn(FolderVolume.VolumesOf(_pool)).Order(StringComparer.Ordinal))
        {
            cancel.ThrowIfCancellationRequested();
            if (VolumeNames.TryParse(name, out var volume) && View(Folder(volume.Value), measured: true) is { } view) all.Add(view);
        }
        return all;
    }, cancel);

    public Task<ReplicaView?> Inspect(VolumeName volume, CancellationToken cancel) => Task.Run(() => View(Folder(volume), measured: false), cancel);

    public Task<VolumeOutcome> Resize(VolumeName volume, ByteCount? limit, Epoch epoch, CancellationToken cancel) => Alone(volume, folder =>
        LiveRefusal(folder, epoch) ?? (limit is null ? VolumeOutcome.Done : VolumeOutcome.Unable($"volume {volume} cannot be limited: folders know no sizes; leave the size away, or use a node with another volume driver")), cancel);

    private FolderVolume Folder(VolumeName volume) =>
        VolumeNames.TryParse(volume.Value, out _) ? new(_pool, volume) : throw new ArgumentException($"'{volume}' is no volume name: {VolumeNames.Rule}", nameof(volume));

    private string MountPath(VolumeName volume) => Path.Combine(mountRoot, volume.Value);

    /// <summary>One verb at a time for a volume, and for the one whose snapshot it uses; sends and receives are outside.</summary>
    private async Task<VolumeOutcome> Alone(VolumeName volume, Func<FolderVolume, VolumeOutcome> verb, CancellationToken cancel, VolumeName? source = null)
    {
        var folder = Folder(volume);
        using var held = await _locks.Take(source is { } other ? [volume.Value, other.Value] : [volume.Value], cancel);
        try { return await Task.Run(() => verb(folder), CancellationToken.None); }
        catch (Win32Exception e) when (e.NativeErrorCode is TreeCalls.NoSpace or TreeCalls.OverQuota) { throw new IOException($"the pool at {_pool} is full: make room, then repeat ({e.Message})", e); }
    }

    private static VolumeOutcome? Named(SnapshotName name) =>
        VolumeNames.TryParse(name.Value, out _) ? null : VolumeOutcome.Conflict($"'{name}' is no snapshot name: {VolumeNames.Rule}");

    private static VolumeOutcome? Refusal(FolderVolume folder, Epoch epoch)
    {
        if (epoch <= Epoch.None) return VolumeOutcome.Conflict($"epoch {epoch} is none: live data has an epoch from 1");
        var ledger = folder.ReadLedger();
        if (ledger is null && folder.ForeignTrace() is { } foreign) return VolumeOutcome.Conflict(foreign);
        ledger ??= VolumeLedger.Blank;
        if (epoch < ledger.Known) return VolumeOutcome.Stale(epoch, ledger.Known);
        return ledger.Live && ledger.Epoch == epoch && folder.ForeignTrace() is { } gone ? VolumeOutcome.Missing(gone) : null;
    }

    private static VolumeOutcome? LiveRefusal(FolderVolume folder, Epoch epoch)
    {
        if (Refusal(folder, epoch) is { } refused) return refused;
        var ledger = folder.ReadLedger() ?? VolumeLedger.Blank;
        return ledger.Live && ledger.Epoch == epoch ? null
            : VolumeOutcome.Missing($"volume {folder.Name} has no live data of epoch {epoch} here (ledger: epoch {ledger.Epoch}): the app makes it when it starts on this node; if it ran here before, check the node's pool");
    }

    private ReplicaView? View(FolderVolume folder, bool measured)
    {
        var foreign = folder.ForeignTrace();
        var ledger = foreign is null ? folder.ReadLedger() : null;
        if (foreign is null && ledger is null) return null;
        var live = ledger is { Live: true } ? folder.Live(ledger.Epoch) : null;
        var snapshots = folder.AllSnapshots().Select(s => ViewOf(s.Name, s.Facts)).ToList();
        if (foreign is null && live is null && snapshots.Count == 0 && ledger!.Known == Epoch.None) return null;
        var mount = MountPath(folder.Name);
        var used = live is null ? snapshots.Select(s => s.Size).DefaultIfEmpty().Max() : Used(folder.Name, live, measured);
        return new(folder.Name, live is null ? Epoch.None : ledger!.Epoch, live is not null, live is not null && ledger!.Sealed,
            // One the guard has taken writing from is to be mounted anew.
            live is not null && Mounts.Shows(mount, live) && (ledger!.Sealed || !Mounts.IsReadOnly(mount)), mount, used, snapshots, foreign) { Known = ledger?.Known ?? Epoch.None };
    }

    /// <summary>Measuring walks the whole tree, so it is done by a list only; else the last measure is told.</summary>
    private ByteCount Used(VolumeName volume, string live, bool measured)
    {
        if (measured) _used[volume] = new(TreeSize.Of(live));
        return _used.GetValueOrDefault(volume);
    }

    private static SnapshotView ViewOf(SnapshotName name, SnapshotFacts facts) => new(name, facts.Identity.ToString(), new(facts.Bytes));
}
