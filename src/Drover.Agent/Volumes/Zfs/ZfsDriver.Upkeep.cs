using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>What takes data away: leftovers at the start, and what the control plane says is no longer needed.</summary>
public sealed partial class ZfsDriver
{
    public Task Recover(CancellationToken cancel) => Task.Run(async () =>
    {
        await CheckPool();
        await FinishRemovals();
        foreach (var name in ZfsPlaces.NamesIn(ZfsPlaces.VolumesOf(_pool)).ToList())
        {
            cancel.ThrowIfCancellationRequested();
            if (VolumeNames.TryParse(name, out var volume)) await RecoverVolume(Places(volume.Value));
        }
    }, cancel);

    private async Task CheckPool()
    {
        var (kind, source) = Mounts.FilesystemAt(_pool) ?? ("", "");
        if (kind is not ("zfs" or "fuse.zfs"))
            throw new InvalidOperationException($"no ZFS dataset is mounted at {_pool}: `zfs create -o mountpoint={_pool} POOL/drover` makes one; `zpool import` finds a pool that is not there after a restart");
        if (Mounts.IsReadOnly(_pool)) throw new InvalidOperationException($"{source} is mounted read-only at {_pool}: `zpool status` says why; `zfs set readonly=off {source}`");
        _dataset = source;
        var root = ZfsPlaces.VolumesOf(_dataset);
        if ((await Tree(root)).Count == 0) await _zfs.Run("create", "-o", "mountpoint=none", "-o", "canmount=off", root);
        // One that this version or the kernel refuses is done without.
        foreach (var setting in ZfsSettings.Missing(await _zfs.Run("get", "-H", "-o", "property,value", "all", root))) await _zfs.Try("set", setting, root);
        Native.MakePrivateFolder(ZfsPlaces.VolumesOf(_pool));
        Native.MakePrivateFolder(ZfsPlaces.RemovedOf(_pool));
        _emptyBytes = (await Tree(root)).First(d => d.Path == root).Bytes;
        // Without arguments it says what it knows.
        var usage = await _zfs.Try("help-me");
        _abilities = ZfsAbilities.Of(usage.Error + usage.Output);
        _knowsSync = (await _zfs.Try("zpool", ["sync", PoolName])).Ok;
        Abilities = AbilitiesOf(_abilities);
    }

    private async Task RecoverVolume(ZfsPlaces places)
    {
        // Safe: what is mounted there was never accepted, or is only looked at.
        foreach (var path in places.MountPoints().Where(p => Path.GetFileName(Path.GetDirectoryName(p)) != "live").ToList()) ZfsPlaces.Leave(path);
        var here = await Look(places);
        // Data that no ledger explains is not ours to clean up.
        if (places.ForeignTrace(here) is not null || places.ReadLedger() is not { } ledger) return;
        if (ledger.Live && here.Live(ledger.Epoch) is { IsAttempt: true } made) await Settle(made);
        // Safe: made, but cut short before its commit: the mark goes before it is mounted for apps. A ledger that came back from a backup makes nothing an attempt.
        foreach (var live in here.Datasets.Where(d => d.IsAttempt && d.Live > ledger.Epoch).ToList())
        {
            ZfsPlaces.Leave(places.LivePath(live.Live!.Value));
            await _zfs.Patiently("destroy", live.Path);
        }
        // Safe: never accepted, so nobody was told that it arrived; the sender sends it again.
        foreach (var snapshot in here.Snapshots.Where(s => s.IsArriving)) await _zfs.Patiently("destroy", snapshot.Path);
        await Tidy(places);
    }

    /// <summary>Brings the volume's datasets in order as far as that is possible now; what is busy is left for the next time. Under the volume's lock.</summary>
    private async Task Tidy(ZfsPlaces places)
    {
        const int most = 1000;
        var wasTried = new HashSet<string>();
        for (var i = 0; i < most; i++)
        {
            var pool = await Tree(_dataset);
            if (places.ReadLedger() is not { } ledger) return;
            if (ZfsTidy.Next(ZfsTree.Volume(pool, places.Root), ledger, pool, d => _used.ContainsKey(d.Path), d => Directory.Exists(places.LivePath(d.Live!.Value)), wasTried) is not { } step) return;
            if (!await Do(places, step)) wasTried.Add(step.Path);
        }
    }

    private async Task<bool> Do(ZfsPlaces places, TidyStep step) => step switch
    {
        TidyStep.PutAway put => await PutAway(places, put.Live),
        // Safe: it is no live data and has no snapshot, so nothing that anybody can name is in it. Without `-r` it goes only if that is so.
        TidyStep.Destroy gone => (await _zfs.Patiently("destroy", gone.Dataset.Path)).Ok,
        // Safe: its removal was ordered, and no clone needs it any more; where one does, `zfs` refuses.
        TidyStep.DestroySnapshot old => (await _zfs.Try("destroy", old.Snapshot.Path)).Ok,
        TidyStep.Promote promote => (await _zfs.Try("promote", promote.Of.Path)).Ok,
        _ => false,
    };

    private async Task<bool> PutAway(ZfsPlaces places, ZfsDataset live)
    {
        if (!ZfsPlaces.Leave(places.LivePath(live.Live!.Value))) return false;
        // Safe: an order named a newer epoch, and the ledger says so. Snapshots that lie in it stay.
        if (live.Newest is { } newest) await _zfs.Patiently("rollback", newest.Path);
        return true;
    }

    public Task<VolumeOutcome> Remove(VolumeName volume, Removal what, CancellationToken cancel) => Alone(volume, async (places, here) =>
    {
        var ledger = places.ReadLedger();
        // Data that no ledger explains is somebody's, and not this volume's to remove: also when everything of it goes.
        if (ledger is null && places.ForeignTrace(here) is { } foreign) return VolumeOutcome.Conflict(foreign);
        if (what.Everything) return await RemoveEverything(places, here);
        if (ledger is null) return VolumeOutcome.Done;
        var goes = what.Live && ledger.Live && ledger.Epoch < what.OlderThan;
        var staysLive = ledger.Live && !goes && here.Live(ledger.Epoch) is not null;
        var visible = here.Visible.Select(s => s.Visible!.Value).ToList();
        // Where no live data is left, the last snapshot is all that this node has of the volume.
        if (!staysLive && visible.Count + (goes ? 1 : 0) > 0 && visible.All(what.Snapshots.Contains))
            return VolumeOutcome.Conflict($"refused to remove the last data of volume {volume} on this node: keep one snapshot, or delete the volume");
        if (goes && IsUsed(places, ledger.Epoch)) return StillUsed(places, ledger.Epoch, "remove the live data of");
        if (what.Live)
        {
            // The ledger first: after a crash in between, the data is known to be given up, not thought lost. It goes when the datasets are put in order.
            var kept = ledger with { Live = ledger.Live && ledger.Epoch >= what.OlderThan, Floor = what.OlderThan > ledger.Floor ? what.OlderThan : ledger.Floor };
            if (kept != ledger) kept.Write(places.Path);
        }
        foreach (var snapshot in what.Snapshots)
            if (Named(snapshot) is null && here.Find(snapshot) is { } there && !await RemoveSnapshot(volume, there)) return VolumeOutcome.Busy($"snapshot {snapshot} of volume {volume} is being sent: repeat when that ended");
        await Tidy(places);
        return VolumeOutcome.Done;
    }, cancel);

    private bool IsUsed(ZfsPlaces places, Epoch epoch) => !Mounts.Unmount(MountPath(places.Name)) || Users(places.LivePath(epoch), onlyWriters: true).Count > 0;

    private async Task<bool> RemoveSnapshot(VolumeName volume, ZfsSnapshot snapshot)
    {
        if (_reading.IsUsed(volume, snapshot.Visible!.Value)) return false;
        // Safe: named by the order, and the caller made sure that it is not the last of the data here.
        if ((await _zfs.Try("destroy", snapshot.Path)).Ok) return true;
        // A clone needs it still, or a stream that just ended holds it: out of sight, and gone when nothing needs it any more.
        return (await _zfs.Patiently("set", $"{ZfsTree.Going}=yes", snapshot.Path)).Ok;
    }

    private async Task<VolumeOutcome> RemoveEverything(ZfsPlaces places, ZfsVolume here)
    {
        if (!here.Exists && !Directory.Exists(places.Path) && places.Grave() is null) return VolumeOutcome.Done;
        var epoch = places.ReadLedger()?.Epoch ?? Epoch.None;
        if (IsUsed(places, epoch)) return StillUsed(places, epoch, "remove");
        if (here.Visible.Any(s => _reading.IsUsed(places.Name, s.Visible!.Value))) return VolumeOutcome.Busy($"a snapshot of volume {places.Name} is being sent: repeat when that ended");
        if (_used.Keys.Any(here.IsOver)) return VolumeOutcome.Busy($"volume {places.Name} is being received or sent: repeat when that ended");
        if (places.Unexplained(here) is { } strange) return VolumeOutcome.Conflict(strange);
        if (ZfsTidy.Conflict(here, await Tree(_dataset)) is { } conflict) return VolumeOutcome.Conflict(conflict);
        foreach (var path in places.MountPoints().ToList())
            if (!ZfsPlaces.Leave(path)) return StillUsed(places, epoch, "remove");
        if (Directory.Exists(places.Path))
        {
            foreach (var kind in ZfsPlaces.NamesIn(places.Path).Select(n => Path.Combine(places.Path, n)).Where(Directory.Exists).ToList()) Directory.Delete(kind);
            // The commit, one step: after a crash the volume is wholly here, or nothing of it is shown and the rest goes at the next start.
            Directory.Move(places.Path, Path.Combine(ZfsPlaces.RemovedOf(_pool), $"{places.Name}.{chance.NewGuid():N}"));
            Native.SyncFolder(ZfsPlaces.VolumesOf(_pool));
        }
        return await Bury(places) is { } left ? VolumeOutcome.Busy($"volume {places.Name} cannot be removed wholly yet ({left}): end what works in it, then repeat") : VolumeOutcome.Done;
    }

    private async Task FinishRemovals()
    {
        foreach (var name in ZfsPlaces.NamesIn(ZfsPlaces.RemovedOf(_pool)).ToList())
            if (ZfsPlaces.VolumeOfGrave(name) is { } volume && !Directory.Exists(Places(volume).Path)) await Bury(Places(volume));
    }

    /// <summary>Destroys what was ordered to go. Clones in other volumes take over what they need of it, out of sight there. Null, or what keeps it for now.</summary>
    private async Task<string?> Bury(ZfsPlaces places)
    {
        var all = await Tree(_dataset);
        var here = ZfsTree.Volume(all, places.Root);
        bool IsHere(string? path) => path is not null && here.IsOver(path);
        if (places.Unexplained(here) is { } strange) return strange;
        if (all.Any(d => !IsHere(d.Path) && IsHere(d.Origin)))
            foreach (var snapshot in here.Snapshots.Where(s => !s.IsGoing)) await _zfs.Run("set", $"{ZfsTree.Going}=yes", snapshot.Path);
        foreach (var _ in all)
        {
            if ((await Tree(_dataset)).FirstOrDefault(d => !IsHere(d.Path) && IsHere(d.Origin)) is not { } clone) break;
            if (await _zfs.Try("promote", clone.Path) is { Ok: false } refused) return refused.Error.Trim();
        }
        // Safe: its removal was ordered and stands in the pool's folder, and nothing but the driver's own is there; where a clone outside needs something of it still, `zfs` refuses.
        if (here.Exists && await _zfs.Patiently("destroy", "-r", places.Root) is { Ok: false } busy) return busy.Error.Trim();
        while (places.Grave() is { } grave)
        {
            File.Delete(Path.Combine(grave, VolumeLedger.FileName));
            Directory.Delete(grave, recursive: true);
        }
        return null;
    }
}
