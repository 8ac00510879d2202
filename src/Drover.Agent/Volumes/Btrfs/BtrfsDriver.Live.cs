using Drover.Core;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>Live data: made, sealed, mounted.</summary>
public sealed partial class BtrfsDriver
{
    /// <summary>In this time the filesystem gives back what was removed, or somebody must make room.</summary>
    private static readonly TimeSpan GiveBackLimit = TimeSpan.FromSeconds(10);

    public async Task<VolumeOutcome> Make(LiveOrder order, CancellationToken cancel)
    {
        try { return await MakeOnce(order, cancel); }
        catch (Exception e) when (e is IOException { HResult: Trees.TreeCalls.NoSpace } or System.ComponentModel.Win32Exception { NativeErrorCode: Trees.TreeCalls.NoSpace })
        {
            // A transfer that failed of a full pool has removed what came of it; its room comes back by and by. May be repeated: so may every verb.
            await GivenBack(cancel);
            return await MakeOnce(order, cancel);
        }
    }

    private async Task GivenBack(CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(GiveBackLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try { await commands.Run(new("btrfs", ["subvolume", "sync", _pool]), either.Token); }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { /* then the verb fails again, and says of what */ }
    }

    private Task<VolumeOutcome> MakeOnce(LiveOrder order, CancellationToken cancel) => Alone(order.Volume, folder =>
    {
        if (Refusal(folder, order.Epoch) is { } refused) return refused;
        var ledger = folder.ReadLedger() ?? VolumeLedger.Blank;
        if (order is LiveOrder.Ahead ahead)
        {
            Settle(folder);
            return Prepare(folder, ahead, ledger);
        }
        if (ledger.Live && ledger.Epoch == order.Epoch) return ledger.MadeAlready(order);
        if (order is not LiveOrder.OfSnapshot && Trace(folder, ledger) is { } trace) return trace;
        SnapshotName? from = null;
        VolumeFolder? source = null;
        if (order is not LiveOrder.Empty)
        {
            if (IsReady(folder, ledger, order)) return MakeReady(folder, ledger, order);
            Settle(folder);
            (source, from) = order is LiveOrder.CloneOf clone ? (Folder(clone.Source), clone.From) : (folder, ((LiveOrder.OfSnapshot)order).From);
            if (Named(from.Value) is { } badName) return badName;
            if (source != folder) Settle(source);
            if (source.FindSnapshot(from.Value) is null) return VolumeOutcome.Missing($"snapshot {from} of volume {source.Name} is not complete on this node: send it here first");
        }
        // Whoever still works in the old live data would write where nobody looks any more.
        if (!Mounts.Unmount(MountPath(order.Volume))) return StillUsed(folder, ledger.Epoch, "make new live data of");
        folder.LedgerOrBlank();
        ForgetAhead(folder);
        ledger = folder.ReadLedger() ?? ledger;
        ClearUncommitted(folder, order.Epoch);
        if (source is null) Subvolume.Make(folder.Lives, VolumeFolder.LiveName(order.Epoch));
        else Subvolume.Snapshot(source.SnapshotData(from!.Value), folder.Lives, VolumeFolder.LiveName(order.Epoch), isReadOnly: false);
        if (source is null) Subvolume.SyncFilesystem(folder.Path);
        Reached("live made");
        // The commit: until the new ledger is on disk, the old live data counts; afterwards it lies beside, untouched, until removed.
        (ledger with { Epoch = order.Epoch, Live = true, From = from, Source = (order as LiveOrder.CloneOf)?.Source, Limit = null }).Write(folder.Path);
        return VolumeOutcome.Done;
    }, cancel, (order as LiveOrder.CloneOf)?.Source, settle: false);

    private static bool IsReady(VolumeFolder folder, VolumeLedger ledger, LiveOrder order) =>
        order is LiveOrder.OfSnapshot of && ledger.Ready is { } ready && ready.Snapshot == of.From && ready.Epoch == order.Epoch && Subvolume.Find(folder.Live(order.Epoch)) is { IsReadOnly: false };

    /// <summary>The last difference went right into what was made ready: only the ledger has to say so.</summary>
    private VolumeOutcome MakeReady(VolumeFolder folder, VolumeLedger ledger, LiveOrder order)
    {
        if (!Mounts.Unmount(MountPath(folder.Name))) return StillUsed(folder, ledger.Epoch, "make new live data of");
        Reached("live made");
        // The commit, as below. The data was on disk before the ledger called it ready.
        (ledger with { Epoch = order.Epoch, Live = true, From = ledger.Ready!.Snapshot, Source = null, Limit = null, Ready = null }).Write(folder.Path);
        return VolumeOutcome.Done;
    }

    private static VolumeOutcome? Trace(VolumeFolder folder, VolumeLedger ledger) => ledger.Known == Epoch.None && !folder.SnapshotNames().Any() ? null
        : VolumeOutcome.Conflict($"volume {folder.Name} is known here (epoch {ledger.Known}, {folder.SnapshotNames().Count()} snapshots): a known volume is never made again empty or of another one; check which node has its data");

    public Task<VolumeOutcome> Access(VolumeName volume, VolumeAccess wanted, Epoch epoch, CancellationToken cancel) => Alone(volume, folder => wanted switch
    {
        VolumeAccess.Sealed => Seal(folder, true, epoch),
        VolumeAccess.Unsealed => Seal(folder, false, epoch),
        VolumeAccess.Mounted => Mount(folder, epoch),
        _ => Mounts.Unmount(MountPath(volume)) ? VolumeOutcome.Done : StillUsed(folder, folder.ReadLedger()?.Epoch ?? Epoch.None, "unmount"),
    }, cancel, settle: false);

    private VolumeOutcome Seal(VolumeFolder folder, bool isSealed, Epoch epoch)
    {
        if (LiveRefusal(folder, epoch, out var live) is { } refused) return refused;
        var path = folder.Live(epoch);
        if (!isSealed && !live.IsReadOnly) return VolumeOutcome.Done;
        // Safe to flip: live data is never itself received, so there is no received uuid to lose or to leave wrong.
        if (live.ReceivedUuid != Guid.Empty) return VolumeOutcome.Conflict($"{path} has a received uuid although it is live data: it was changed by hand; make live data anew by a move");
        Subvolume.SetReadOnly(path, isSealed);
        if (!isSealed) return VolumeOutcome.Done;
        Reached("sealed");
        // Also where it was sealed already: a crash may have come between the flag and this look.
        var writers = OpenFiles.Of(Native.DeviceOf(path) ?? 0, onlyWriters: true, Namespaces.Showing(_pool, path));
        if (writers.Count == 0) return VolumeOutcome.Done;
        Subvolume.SetReadOnly(path, false);
        return VolumeOutcome.Busy($"volume {folder.Name} is open for writing by {string.Join(", ", writers)}: stop them, then repeat");
    }

    private VolumeOutcome Mount(VolumeFolder folder, Epoch epoch)
    {
        if (LiveRefusal(folder, epoch, out var live) is { } refused) return refused;
        if (live.IsReadOnly) return VolumeOutcome.Conflict($"volume {folder.Name} is sealed: a move is cutting over; it is mounted when that ends");
        var (path, source) = (MountPath(folder.Name), folder.Live(epoch));
        if (Mounts.Shows(path, source)) return VolumeOutcome.Done;
        if (!Mounts.Unmount(path)) return VolumeOutcome.Busy($"{path} shows something else that is in use: stop what works in it, then repeat");
        Mounts.Bind(source, path);
        return VolumeOutcome.Done;
    }
}
