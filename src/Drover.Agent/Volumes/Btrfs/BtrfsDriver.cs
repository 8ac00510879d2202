using System.IO.Pipelines;
using Drover.Agent.Host;
using Drover.Agent.Reconcile;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>Volumes as subvolumes of one btrfs pool, mounted at its top level.</summary>
/// <remarks>
/// The rules that keep btrfs from losing data silently: a received subvolume is never made writable (live data is a snapshot of
/// it); read-only snapshots are taken only of live data, which has no received uuid; streams are made with `-p`, never `-c`, and land in a
/// folder of their own per attempt; the parent that a receive really used is checked.
/// </remarks>
/// <param name="pool">Mount point of the pool's top level.</param>
/// <param name="mountRoot">Folder under which live data is bind-mounted.</param>
public sealed partial class BtrfsDriver(string pool, string mountRoot, IHostCommands commands, IChance chance, TimeProvider time) : IVolumeDriver
{
    private readonly KeyedLocks _locks = new();
    private readonly SnapshotUse _reading = new();
    private readonly SubvolumeSizes _sizes = new();
    private readonly string _pool = Path.TrimEndingDirectorySeparator(Path.GetFullPath(pool));

    /// <summary>Called between the steps of a verb, by name; tests cut verbs short here.</summary>
    internal Action<string> Reached { get; init; } = static _ => { };

    public string Name => "btrfs";

    public VolumeAbilities Abilities { get; } = new([StreamFormat.BtrfsSend1, StreamFormat.Tree1], Incremental: true, Quotas: true, CheapSnapshots: true, AtomicSnapshots: true) { Ahead = true };

    public Task<PoolSpace> Space(CancellationToken cancel) => Task.Run(() =>
    {
        var drive = new DriveInfo(_pool);
        return new PoolSpace(new(drive.TotalSize), new(drive.AvailableFreeSpace));
    }, cancel);

    public Task Sync(CancellationToken cancel) => Task.Run(() => Subvolume.SyncFilesystem(_pool), cancel);

    public Task<IReadOnlyList<ReplicaView>> List(CancellationToken cancel) => Task.Run<IReadOnlyList<ReplicaView>>(() =>
    {
        var all = new List<ReplicaView>();
        foreach (var name in VolumeFolder.NamesIn(VolumeFolder.VolumesOf(_pool)).Order(StringComparer.Ordinal))
        {
            cancel.ThrowIfCancellationRequested();
            if (VolumeNames.TryParse(name, out var volume) && View(Folder(volume.Value), _sizes.Measured) is { } view) all.Add(view);
        }
        return all;
    }, cancel);

    public Task<ReplicaView?> Inspect(VolumeName volume, CancellationToken cancel) => Task.Run(() => View(Folder(volume), _sizes.Known), cancel);

    public string? SealPath(VolumeName volume, Epoch epoch) => Folder(volume).Live(epoch);

    public async Task<VolumeOutcome<SnapshotView>> Snapshot(VolumeName volume, SnapshotName name, Epoch epoch, CancellationToken cancel)
    {
        SnapshotView? taken = null;
        var outcome = await Alone(volume, folder =>
        {
            if (Named(name) is { } badName) return badName;
            if (LiveRefusal(folder, epoch, out _) is { } refused) return refused;
            if (folder.FindSnapshot(name) is null)
            {
                var live = folder.Live(epoch);
                if (Subvolume.HasNested(live))
                    return VolumeOutcome.Conflict($"volume {volume} holds subvolumes of its own, which snapshots leave out: `btrfs subvolume list -o {live}` shows them; turn them into folders");
                Directory.CreateDirectory(folder.Snapshots);
                Native.MakePrivateFolder(folder.Snapshot(name));
                Reached("snapshot folder made");
                Subvolume.Snapshot(live, folder.Snapshot(name), VolumeFolder.DataName, isReadOnly: true);
            }
            taken = ViewOf(folder, name, _sizes.Known);
            return VolumeOutcome.Done;
        }, cancel);
        return outcome.Ok ? VolumeOutcome<SnapshotView>.Of(taken!) : VolumeOutcome<SnapshotView>.Of(outcome);
    }

    private VolumeFolder Folder(VolumeName volume) =>
        VolumeNames.TryParse(volume.Value, out _) ? new(_pool, volume) : throw new ArgumentException($"'{volume}' is no volume name: {VolumeNames.Rule}", nameof(volume));

    private string MountPath(VolumeName volume) => Path.Combine(mountRoot, volume.Value);

    /// <summary>One verb at a time for a volume, and for the one whose snapshot it uses; sends and receives are outside.</summary>
    /// <param name="settle">False for what stands in the way of a start and needs no snapshot.</param>
    private async Task<VolumeOutcome> Alone(VolumeName volume, Func<VolumeFolder, VolumeOutcome> verb, CancellationToken cancel, VolumeName? source = null, bool settle = true)
    {
        var folder = Folder(volume);
        using var held = await _locks.Take(source is { } other ? [volume.Value, other.Value] : [volume.Value], cancel);
        return await Task.Run(() =>
        {
            if (settle) Settle(folder);
            return verb(folder);
        }, CancellationToken.None);
    }

    private static VolumeOutcome? Named(SnapshotName name) =>
        VolumeNames.TryParse(name.Value, out _) ? null : VolumeOutcome.Conflict($"'{name}' is no snapshot name: {VolumeNames.Rule}");

    private static VolumeOutcome? Refusal(VolumeFolder folder, Epoch epoch)
    {
        if (epoch <= Epoch.None) return VolumeOutcome.Conflict($"epoch {epoch} is none: live data has an epoch from 1");
        if (folder.ReadLedger() is null && folder.ForeignTrace() is { } foreign) return VolumeOutcome.Conflict(foreign);
        var ledger = folder.ReadLedger() ?? VolumeLedger.Blank;
        if (epoch < ledger.Known) return VolumeOutcome.Stale(epoch, ledger.Known);
        return ledger.Live && ledger.Epoch == epoch && folder.ForeignTrace() is { } gone ? VolumeOutcome.Missing(gone) : null;
    }

    private static VolumeOutcome? LiveRefusal(VolumeFolder folder, Epoch epoch, out SubvolumeInfo live)
    {
        live = default;
        if (Refusal(folder, epoch) is { } refused) return refused;
        var ledger = folder.ReadLedger() ?? VolumeLedger.Blank;
        if (!ledger.Live || ledger.Epoch != epoch || Subvolume.Find(folder.Live(epoch)) is not { } found)
            return VolumeOutcome.Missing($"volume {folder.Name} has no live data of epoch {epoch} here (ledger: epoch {ledger.Epoch}): the app makes it when it starts on this node; if it ran here before, check the node's pool");
        live = found;
        return null;
    }

    private static VolumeOutcome StillUsed(VolumeFolder folder, Epoch epoch, string verb)
    {
        var users = OpenFiles.Of(Native.DeviceOf(folder.Live(epoch)) ?? 0, onlyWriters: false);
        return VolumeOutcome.Busy($"cannot {verb} volume {folder.Name}: in use by {(users.Count == 0 ? "a process" : string.Join(", ", users))}; stop it, then repeat");
    }

    /// <summary>
    /// Makes the place of a new epoch's live data free. Safe: live data is mounted, and so written, only after the ledger names its
    /// epoch, and the caller checked that it does not; what lies there is of an attempt that was cut short.
    /// </summary>
    private static void ClearUncommitted(VolumeFolder folder, Epoch epoch)
    {
        // Only root may enter: live data of an epoch to come has its app's owner already, and takes what arrives.
        Native.MakePrivateFolder(folder.Lives);
        VolumeFolder.DeleteSubvolume(folder.Lives, VolumeFolder.LiveName(epoch));
    }

    private ReplicaView? View(VolumeFolder folder, Func<string, SubvolumeInfo, ByteCount> sizeOf)
    {
        var foreign = folder.ForeignTrace();
        var ledger = foreign is null ? folder.ReadLedger() : null;
        if (foreign is null && ledger is null) return null;
        var live = ledger is { Live: true } ? Subvolume.Find(folder.Live(ledger.Epoch)) : null;
        // Looked at first: it is made read-only beside this, and then is no longer pending.
        _pending.TryGetValue(folder.Name, out var pending);
        var snapshots = folder.SnapshotNames().Select(n => ViewOf(folder, n, sizeOf)).OfType<SnapshotView>().ToList();
        if (pending is not null && IsReadyAs(ledger, pending) && snapshots.All(s => s.Name != pending.View.Name)) snapshots.Add(pending.View);
        if (foreign is null && live is null && snapshots.Count == 0 && ledger!.Known == Epoch.None) return null;
        var mount = MountPath(folder.Name);
        var used = live is { } there ? sizeOf(folder.Live(ledger!.Epoch), there) : snapshots.Select(s => s.Size).DefaultIfEmpty().Max();
        return new(folder.Name, live is null ? Epoch.None : ledger!.Epoch, live is not null, live is { IsReadOnly: true },
            live is not null && Mounts.Shows(mount, folder.Live(ledger!.Epoch)), mount, used, snapshots, foreign) { Known = ledger?.Known ?? Epoch.None, Limit = live is not null && ledger!.Limit is { } most ? new(most) : null };
    }

    private static SnapshotView? ViewOf(VolumeFolder folder, SnapshotName name, Func<string, SubvolumeInfo, ByteCount> sizeOf) =>
        folder.FindSnapshot(name) is { } info ? new(name, info.Identity, sizeOf(folder.SnapshotData(name), info)) : null;
}
