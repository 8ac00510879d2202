using System.Globalization;
using Drover.Core;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>Live data: made, sealed, mounted, limited.</summary>
public sealed partial class ZfsDriver
{
    public Task<VolumeOutcome> Make(LiveOrder order, CancellationToken cancel) => Alone(order.Volume, async (places, here) =>
    {
        if (Refusal(places, here, order.Epoch) is { } refused) return refused;
        var ledger = places.ReadLedger() ?? VolumeLedger.Blank;
        if (ledger.Live && ledger.Epoch == order.Epoch) return ledger.MadeAlready(order);
        if (order is not LiveOrder.OfSnapshot && Trace(places, here, ledger) is { } trace) return trace;
        SnapshotName? from = order switch { LiveOrder.CloneOf clone => clone.From, LiveOrder.OfSnapshot of => of.From, _ => null };
        ZfsSnapshot? origin = null;
        if (from is { } name)
        {
            if (Named(name) is { } badName) return badName;
            var source = order is LiveOrder.CloneOf other ? Places(other.Source) : places;
            origin = (source == places ? here : await Look(source)).Find(name);
            if (origin is null) return VolumeOutcome.Missing($"snapshot {from} of volume {source.Name} is not complete on this node: send it here first");
        }
        // Whoever still works in the old live data would write where nobody looks any more.
        if (!Mounts.Unmount(MountPath(order.Volume)) || Users(places.LivePath(ledger.Epoch), onlyWriters: true).Count > 0) return StillUsed(places, ledger.Epoch, "make new live data of");
        await Prepare(places, here);
        if (await Fill(places, here, order.Epoch, origin) is { } busy) return busy;
        Reached("live made");
        // The commit: until the new ledger is on disk, the old live data counts; afterwards it lies beside, untouched, until removed.
        (ledger with { Epoch = order.Epoch, Live = true, From = from, Source = (order as LiveOrder.CloneOf)?.Source, Limit = null, Sealed = false }).Write(places.Path);
        // Where this fails, the mount does it.
        await _zfs.Try("inherit", ZfsTree.Attempt, places.LiveDataset(order.Epoch));
        return VolumeOutcome.Done;
    }, cancel, (order as LiveOrder.CloneOf)?.Source);

    private static VolumeOutcome? Trace(ZfsPlaces places, ZfsVolume here, VolumeLedger ledger) => ledger.Known == Epoch.None && !here.Visible.Any() ? null
        : VolumeOutcome.Conflict($"volume {places.Name} is known here (epoch {ledger.Known}, {here.Visible.Count()} snapshots): a known volume is never made again empty or of another one; check which node has its data");

    /// <summary>From here on it is no attempt any more, whatever ledger comes back from a backup.</summary>
    private Task Settle(ZfsDataset live) => _zfs.Run("inherit", ZfsTree.Attempt, live.Path);

    /// <summary>Ledger first, then the dataset that all others of the volume lie in.</summary>
    private async Task Prepare(ZfsPlaces places, ZfsVolume here)
    {
        places.KeepLedger();
        if (!here.Exists) await _zfs.Run("create", "-o", "canmount=off", places.Root);
    }

    private async Task<VolumeOutcome?> Fill(ZfsPlaces places, ZfsVolume here, Epoch epoch, ZfsSnapshot? origin)
    {
        var (dataset, path) = (places.LiveDataset(epoch), places.LivePath(epoch));
        if (here.Live(epoch) is { } there)
        {
            if (!there.IsAttempt) return VolumeOutcome.Conflict($"{dataset} is here, and the ledger of volume {places.Name} knows nothing of it: restore the ledger that belongs to it, or rename the dataset");
            // Safe: it is of an attempt that was cut short before its commit; the mark goes before it is mounted for apps.
            ZfsPlaces.Leave(path);
            var result = await _zfs.Patiently("destroy", dataset);
            if (!result.Ok) return VolumeOutcome.Busy($"what an attempt at epoch {epoch} of volume {places.Name} left cannot be removed yet ({result.Error.Trim()}): repeat");
        }
        ZfsPlaces.MakeMountPoint(path);
        string[] properties = ["-o", "canmount=noauto", "-o", $"mountpoint={path}", "-o", $"{ZfsTree.Attempt}=1"];
        if (origin is null) await _zfs.Run(["create", .. properties, dataset]);
        else await Clone(origin, dataset, properties);
        return await Show(dataset, path);
    }

    /// <summary>Old versions mount a clone at once, whatever its properties say, and may not get through with that: the caller looks whether it is mounted.</summary>
    private async Task Clone(ZfsSnapshot origin, string dataset, params string[] properties)
    {
        string[] arguments = ["clone", .. properties, origin.Path, dataset];
        var result = await _zfs.Try(arguments);
        if (!result.Ok && !result.Error.Contains("cannot mount", StringComparison.Ordinal) && !result.Error.Contains("not mounted", StringComparison.Ordinal)) throw ZfsProgram.Failure(new("zfs", arguments), result);
    }

    /// <summary>Mounts a dataset where its property says. Null, or why not now.</summary>
    private async Task<VolumeOutcome?> Show(string dataset, string path)
    {
        if (Mounts.IsMounted(path)) return null;
        ZfsPlaces.MakeMountPoint(path);
        var result = await _zfs.Patiently("mount", dataset);
        if (Mounts.IsMounted(path)) return null;
        return ZfsProgram.IsBusy(result) ? VolumeOutcome.Busy($"{dataset} is mounted elsewhere, perhaps in a container's namespace ({result.Error.Trim()}): end what works in it, then repeat")
            : throw ZfsProgram.Failure(new("zfs", ["mount", dataset]), result);
    }

    public Task<VolumeOutcome> Access(VolumeName volume, VolumeAccess wanted, Epoch epoch, CancellationToken cancel) => Alone(volume, async (places, here) =>
    {
        if (wanted == VolumeAccess.Unmounted) return Mounts.Unmount(MountPath(volume)) ? VolumeOutcome.Done : StillUsed(places, places.ReadLedger()?.Epoch ?? Epoch.None, "unmount");
        if (LiveRefusal(places, here, epoch, out var live) is { } refused) return refused;
        return wanted switch
        {
            VolumeAccess.Sealed => await Seal(places, live, epoch),
            VolumeAccess.Unsealed => await Unseal(places, live, epoch),
            _ => await Mount(places, live, epoch),
        };
    }, cancel);

    /// <summary>The guard takes writing away from the mounts that show it.</summary>
    public string? SealPath(VolumeName volume, Epoch epoch) => Places(volume).LivePath(epoch);

    /// <summary>The kernel makes the filesystem read-only wherever it is mounted, unless it is open for writing. The dataset's own flag lasts longer, but some versions keep it badly.</summary>
    private async Task<VolumeOutcome> Seal(ZfsPlaces places, ZfsDataset live, Epoch epoch)
    {
        var (ledger, path) = (places.ReadLedger()!, places.LivePath(epoch));
        if (await Show(live.Path, path) is { } hidden) return hidden;
        // From here on nothing mounts it, also after a crash; whoever writes is found below, also when it is repeated.
        if (!ledger.Sealed) (ledger with { Sealed = true }).Write(places.Path);
        Reached("sealed");
        // What is mapped into memory could not be written any more afterwards.
        Flush(path);
        var error = Native.SetFilesystemReadOnly(path, true);
        if (error == Native.ErrorBusy && Users(path, onlyWriters: true) is { Count: > 0 } writers)
        {
            await Open(places, live, epoch);
            return VolumeOutcome.Busy($"volume {places.Name} is open for writing by {string.Join(", ", writers)}: stop them, then repeat");
        }
        // It was just closed, or who has it open is frozen: that one writes nothing until the one who froze it says so.
        if (error == Native.ErrorBusy) error = Native.SetFilesystemReadOnly(path, true);
        if (error is not (0 or Native.ErrorBusy)) throw Native.Failed("make read-only", path, error);
        // A frozen process may still have mapped pages that changed since.
        Flush(path);
        await _zfs.Run("set", "readonly=on", live.Path);
        return VolumeOutcome.Done;
    }

    private async Task<VolumeOutcome> Unseal(ZfsPlaces places, ZfsDataset live, Epoch epoch)
    {
        if (await Show(live.Path, places.LivePath(epoch)) is { } hidden) return hidden;
        if (places.ReadLedger()!.Sealed) await Open(places, live, epoch);
        return VolumeOutcome.Done;
    }

    private async Task Open(ZfsPlaces places, ZfsDataset live, Epoch epoch)
    {
        await _zfs.Run("set", "readonly=off", live.Path);
        var (path, mount) = (places.LivePath(epoch), MountPath(places.Name));
        if (Native.SetFilesystemReadOnly(path, false) is not 0 and var error) throw Native.Failed("make writable", path, error);
        if (Mounts.Shows(mount, path) && Native.SetMountReadOnly(mount, false) is not 0 and var refused) throw Native.Failed("make writable", mount, refused);
        (places.ReadLedger()! with { Sealed = false }).Write(places.Path);
    }

    private async Task<VolumeOutcome> Mount(ZfsPlaces places, ZfsDataset live, Epoch epoch)
    {
        if (places.ReadLedger()!.Sealed) return VolumeOutcome.Conflict($"volume {places.Name} is sealed: a move is cutting over; it is mounted when that ends");
        var (path, source) = (MountPath(places.Name), places.LivePath(epoch));
        if (live.IsAttempt) await Settle(live);
        if (await Show(live.Path, source) is { } hidden) return hidden;
        // The guard may have taken writing away from it when this node's lease ran out: whoever orders a mount has it again.
        if (Mounts.Shows(path, source)) return Native.SetMountReadOnly(path, false) is not 0 and var error ? throw Native.Failed("make writable", path, error) : VolumeOutcome.Done;
        if (!Mounts.Unmount(path)) return VolumeOutcome.Busy($"{path} shows something else that is in use: stop what works in it, then repeat");
        Mounts.Bind(source, path);
        return VolumeOutcome.Done;
    }

    public Task<VolumeOutcome> Resize(VolumeName volume, ByteCount? limit, Epoch epoch, CancellationToken cancel) => Alone(volume, async (places, here) =>
    {
        if (LiveRefusal(places, here, epoch, out var live) is { } refused) return refused;
        var ledger = places.ReadLedger()!;
        if (ledger.Limit == limit?.Bytes) return VolumeOutcome.Done;
        if (ledger.Sealed) return VolumeOutcome.Conflict($"volume {volume} is sealed: a move is cutting over; repeat when that ended");
        // Only what is on disk is counted.
        if (limit is not null) await Sync(CancellationToken.None);
        string[] arguments = ["set", $"refquota={(limit is { } most ? (most.Bytes + _emptyBytes).ToString(CultureInfo.InvariantCulture) : "none")}", live.Path];
        var result = await _zfs.Try(arguments);
        if (!result.Ok && result.Error.Contains("less than current used", StringComparison.Ordinal))
            return VolumeOutcome.Conflict($"volume {volume} holds {Size(live.Bytes)} already, more than {limit}: remove data, or give a larger size");
        if (!result.Ok) throw ZfsProgram.Failure(new("zfs", arguments), result);
        (ledger with { Limit = limit?.Bytes }).Write(places.Path);
        return VolumeOutcome.Done;
    }, cancel);
}
