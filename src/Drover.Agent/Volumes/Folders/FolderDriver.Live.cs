using Drover.Agent.Volumes.Trees;
using Drover.Core;

namespace Drover.Agent.Volumes.Folders;

/// <summary>Live data: made, sealed, mounted.</summary>
public sealed partial class FolderDriver
{
    public Task<VolumeOutcome> Make(LiveOrder order, CancellationToken cancel) => Alone(order.Volume, folder =>
    {
        if (Refusal(folder, order.Epoch) is { } refused) return refused;
        var ledger = folder.ReadLedger() ?? VolumeLedger.Blank;
        if (ledger.Live && ledger.Epoch == order.Epoch) return ledger.MadeAlready(order);
        if (order is not LiveOrder.OfSnapshot && Trace(folder, ledger) is { } trace) return trace;
        SnapshotName? from = order switch { LiveOrder.CloneOf clone => clone.From, LiveOrder.OfSnapshot of => of.From, _ => null };
        var source = order is LiveOrder.CloneOf other ? Folder(other.Source) : folder;
        if (from is { } name)
        {
            if (Named(name) is { } badName) return badName;
            if (source.FindSnapshot(name) is null) return VolumeOutcome.Missing($"snapshot {from} of volume {source.Name} is not complete on this node: send it here first");
        }
        // Whoever still works in the old live data would write where nobody looks any more.
        if (!Mounts.Unmount(MountPath(order.Volume)) || FolderUsers.Writers(folder.Live(ledger.Epoch)).Count > 0) return StillUsed(folder, ledger.Epoch, "make new live data of");
        folder.LedgerOrBlank();
        Fill(folder, order.Epoch, from is { } snapshot ? source.SnapshotData(snapshot) : null, cancel);
        Reached("live made");
        // The commit: until the new ledger is on disk, the old live data counts; afterwards it lies beside, untouched, until removed.
        (ledger with { Epoch = order.Epoch, Live = true, From = from, Source = (order as LiveOrder.CloneOf)?.Source, Sealed = false }).Write(folder.Path);
        return VolumeOutcome.Done;
    }, cancel, (order as LiveOrder.CloneOf)?.Source);

    /// <summary>A new folder of live data, on disk when it returns.</summary>
    private void Fill(FolderVolume folder, Epoch epoch, string? from, CancellationToken cancel)
    {
        const UnixFileMode asAnyNewFolder = (UnixFileMode)0x1ED; // 0755
        Native.MakePrivateFolder(folder.Lives);
        // Safe: live data is mounted, and so written, only after the ledger names its epoch, and the caller checked that it does not; what lies there is of an
        // attempt that was cut short.
        Away(folder.Live(epoch));
        Directory.CreateDirectory(folder.Live(epoch), asAnyNewFolder);
        if (from is not null) TreeCopy.Deep(from, folder.Live(epoch), cancel);
        TreeCalls.SyncFilesystem(_pool);
    }

    private static VolumeOutcome? Trace(FolderVolume folder, VolumeLedger ledger) => ledger.Known == Epoch.None && folder.AllSnapshots().Count == 0 ? null
        : VolumeOutcome.Conflict($"volume {folder.Name} is known here (epoch {ledger.Known}, {folder.AllSnapshots().Count} snapshots): a known volume is never made again empty or of another one; check which node has its data");

    public Task<VolumeOutcome> Access(VolumeName volume, VolumeAccess wanted, Epoch epoch, CancellationToken cancel) => Alone(volume, folder => wanted switch
    {
        VolumeAccess.Sealed => LiveRefusal(folder, epoch) ?? Seal(folder),
        VolumeAccess.Unsealed => LiveRefusal(folder, epoch) ?? Unseal(folder),
        VolumeAccess.Mounted => LiveRefusal(folder, epoch) ?? Mount(folder, epoch),
        _ => Mounts.Unmount(MountPath(volume)) ? VolumeOutcome.Done : StillUsed(folder, folder.ReadLedger()?.Epoch ?? Epoch.None, "unmount"),
    }, cancel);

    /// <summary>A folder has no flag against writes: the ledger keeps it from being mounted, a mount that is there becomes read-only, and no container may have one.</summary>
    private VolumeOutcome Seal(FolderVolume folder)
    {
        var ledger = folder.ReadLedger()!;
        var (live, mount) = (folder.Live(ledger.Epoch), MountPath(folder.Name));
        // First the ledger: from here on nothing mounts it, also after a crash. Whoever writes already is found below, also when it is repeated.
        if (!ledger.Sealed) (ledger with { Sealed = true }).Write(folder.Path);
        Reached("sealed");
        var isMounted = Mounts.Shows(mount, live);
        var error = isMounted ? Native.SetMountReadOnly(mount, true) : 0;
        if (error is not (0 or Native.ErrorBusy)) throw Native.Failed("make read-only", mount, error);
        var writers = FolderUsers.Writers(live);
        if (error == 0 && writers.Count == 0) return VolumeOutcome.Done;
        if (isMounted && error == 0) Native.SetMountReadOnly(mount, false);
        (ledger with { Sealed = false }).Write(folder.Path);
        return VolumeOutcome.Busy($"volume {folder.Name} is open for writing by {(writers.Count == 0 ? "a process" : string.Join(", ", writers))}: stop them, then repeat");
    }

    /// <summary>The guard takes writing away from the mounts that show it.</summary>
    public string? SealPath(VolumeName volume, Epoch epoch) => Folder(volume).Live(epoch);

    private VolumeOutcome Unseal(FolderVolume folder)
    {
        var ledger = folder.ReadLedger()!;
        if (!ledger.Sealed) return VolumeOutcome.Done;
        (ledger with { Sealed = false }).Write(folder.Path);
        var mount = MountPath(folder.Name);
        if (Mounts.Shows(mount, folder.Live(ledger.Epoch)) && Native.SetMountReadOnly(mount, false) is not 0 and var error) throw Native.Failed("make writable", mount, error);
        return VolumeOutcome.Done;
    }

    private VolumeOutcome Mount(FolderVolume folder, Epoch epoch)
    {
        if (folder.ReadLedger()!.Sealed) return VolumeOutcome.Conflict($"volume {folder.Name} is sealed: a move is cutting over; it is mounted when that ends");
        var (path, source) = (MountPath(folder.Name), folder.Live(epoch));
        if (Mounts.Shows(path, source))
        {
            // The guard may have taken writing away from it when this node's lease ran out: whoever orders a mount has it again.
            return Native.SetMountReadOnly(path, false) is not 0 and var error ? throw Native.Failed("make writable", path, error) : VolumeOutcome.Done;
        }
        if (!Mounts.Unmount(path)) return VolumeOutcome.Busy($"{path} shows something else that is in use: stop what works in it, then repeat");
        Mounts.Bind(source, path);
        return VolumeOutcome.Done;
    }

    private static VolumeOutcome StillUsed(FolderVolume folder, Epoch epoch, string verb)
    {
        var users = FolderUsers.Writers(folder.Live(epoch));
        return VolumeOutcome.Busy($"cannot {verb} volume {folder.Name}: in use by {(users.Count == 0 ? "a process" : string.Join(", ", users))}; stop it, then repeat");
    }
}
