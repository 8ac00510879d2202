using Drover.Core;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>What takes data away: leftovers at the start, and what the control plane says is no longer needed.</summary>
public sealed partial class BtrfsDriver
{
    private const ulong TopLevelTree = 5;

    public Task Recover(CancellationToken cancel) => Task.Run(() =>
    {
        CheckPool();
        Directory.CreateDirectory(VolumeFolder.VolumesOf(_pool));
        Directory.CreateDirectory(VolumeFolder.RemovedOf(_pool));
        // Safe: only whole volumes whose removal was ordered are ever moved in there.
        foreach (var name in VolumeFolder.NamesIn(VolumeFolder.RemovedOf(_pool)).ToList()) DeleteTree(Path.Combine(VolumeFolder.RemovedOf(_pool), name));
        foreach (var name in VolumeFolder.NamesIn(VolumeFolder.VolumesOf(_pool)).ToList())
        {
            cancel.ThrowIfCancellationRequested();
            if (Core.Volumes.VolumeNames.TryParse(name, out var volume)) RecoverVolume(Folder(volume.Value));
        }
        Subvolume.SyncFilesystem(_pool);
    }, cancel);

    public async Task<VolumeOutcome> Remove(VolumeName volume, Removal what, CancellationToken cancel) => await Alone(volume, folder =>
    {
        var ledger = folder.ReadLedger();
        // Data that no ledger explains is somebody's, and not this volume's to remove: also when everything of it goes.
        if (ledger is null && folder.ForeignTrace() is { } foreign) return VolumeOutcome.Conflict(foreign);
        if (what.Everything) return RemoveEverything(folder);
        if (ledger is null) return VolumeOutcome.Done;
        // What goes need not be made first, least of all where it goes to make room.
        var goesUnmade = _pending.TryGetValue(folder.Name, out var pending) && what.Snapshots.Contains(pending.View.Name);
        if (!goesUnmade) Settle(folder);
        var goes = what.Live && ledger.Live && ledger.Epoch < what.OlderThan;
        var staysLive = ledger.Live && !goes && Subvolume.Find(folder.Live(ledger.Epoch)) is not null;
        var here = folder.SnapshotNames().ToList();
        if (ledger.Ready is { } ready && !here.Contains(ready.Snapshot)) here.Add(ready.Snapshot);
        // Where no live data is left, the last snapshot is all that this node has of the volume.
        if (!staysLive && here.Count + (goes ? 1 : 0) > 0 && here.All(what.Snapshots.Contains))
            return VolumeOutcome.Conflict($"refused to remove the last data of volume {volume} on this node: keep one snapshot, or delete the volume");
        if (goes && !Mounts.Unmount(MountPath(volume))) return StillUsed(folder, ledger.Epoch, "remove the live data of");
        if (what.Live) RemoveOldLives(folder, ledger, what.OlderThan);
        if (AheadOf(folder, what)) ForgetAhead(folder, makesRoom: true);
        if (goesUnmade) Forget(folder.Name);
        foreach (var snapshot in what.Snapshots)
            if (!RemoveSnapshot(folder, snapshot)) return VolumeOutcome.Busy($"snapshot {snapshot} of volume {volume} is being sent: repeat when that ended");
        return VolumeOutcome.Done;
    }, cancel, settle: false);

    /// <summary>What was made ready goes with the snapshot that it is, or is of.</summary>
    private bool AheadOf(VolumeFolder folder, Removal what) =>
        (folder.ReadLedger()?.Ready is { } ready && (what.Snapshots.Contains(ready.Snapshot) || (what.Live && ready.Epoch < what.OlderThan)))
        || (_prepared.TryGetValue(folder.Name, out var prepared) && (what.Snapshots.Contains(prepared.Basis) || (what.Live && prepared.Epoch < what.OlderThan)));

    private void CheckPool()
    {
        if (Subvolume.Find(_pool) is not { } top)
            throw new InvalidOperationException($"{_pool} is not a btrfs filesystem: mount the pool there (`mount -o subvolid=5 DEVICE {_pool}`)");
        if (top.TreeId != TopLevelTree)
            throw new InvalidOperationException($"{_pool} is a subvolume, not the pool's top level: mount it with `-o subvolid=5`");
        if (top.IsReadOnly) throw new InvalidOperationException($"the pool at {_pool} is read-only: look for disk errors in the kernel's log, then remount it");
    }

    private void RecoverVolume(VolumeFolder folder)
    {
        // Safe: what lies here was never accepted, so nobody was told that it arrived; the sender sends it again.
        foreach (var attempt in VolumeFolder.NamesIn(folder.Incoming).ToList()) DeleteTree(Path.Combine(folder.Incoming, attempt));
        // Data that no ledger explains is not ours to clean up.
        if (folder.ForeignTrace() is not null || folder.ReadLedger() is not { } ledger) return;
        if (Directory.Exists(folder.Lives)) Native.MakePrivate(folder.Lives);
        bool IsReady(Epoch epoch) => ledger.Ready?.Epoch == epoch;
        // Safe: a promotion cut short before its commit; live data is mounted only after the ledger names its epoch.
        foreach (var epoch in folder.LiveEpochs().Where(e => e > ledger.Epoch && !IsReady(e)).ToList()) VolumeFolder.DeleteSubvolume(folder.Lives, VolumeFolder.LiveName(epoch));
        // Safe: without data inside it is the mark of a snapshot that was not taken.
        foreach (var name in VolumeFolder.NamesIn(folder.Snapshots).Where(n => !VolumeFolder.NamesIn(Path.Combine(folder.Snapshots, n)).Any()).ToList())
            Directory.Delete(Path.Combine(folder.Snapshots, name));
        foreach (var epoch in ledger.Live ? [] : folder.LiveEpochs().Where(e => !IsReady(e)).ToList())
            // Safe: the ledger says that the live data of this epoch was put away by order, and a crash cut the deletion short.
            VolumeFolder.DeleteSubvolume(folder.Lives, VolumeFolder.LiveName(epoch));
        // After all that makes room.
        RecoverReady(folder);
    }

    private VolumeOutcome RemoveEverything(VolumeFolder folder)
    {
        _prepared.TryRemove(folder.Name, out _);
        Forget(folder.Name);
        if (!Directory.Exists(folder.Path)) return VolumeOutcome.Done;
        if (!Mounts.Unmount(MountPath(folder.Name))) return StillUsed(folder, folder.ReadLedger()?.Epoch ?? Epoch.None, "remove");
        Directory.CreateDirectory(VolumeFolder.RemovedOf(_pool));
        var grave = Path.Combine(VolumeFolder.RemovedOf(_pool), $"{folder.Name}.{chance.NewGuid():N}");
        // One step: after a crash the volume is wholly here or wholly gone, and the rest is cleaned up at the next start.
        Directory.Move(folder.Path, grave);
        Native.SyncFolder(VolumeFolder.VolumesOf(_pool));
        DeleteTree(grave);
        return VolumeOutcome.Done;
    }

    private static void RemoveOldLives(VolumeFolder folder, VolumeLedger ledger, Epoch olderThan)
    {
        // The ledger first: after a crash in between, the data is known to be given up, not thought lost.
        var floor = olderThan > ledger.Floor ? olderThan : ledger.Floor;
        var kept = ledger with { Live = ledger.Live && ledger.Epoch >= olderThan, Floor = floor };
        if (kept != ledger) kept.Write(folder.Path);
        // Safe: ordered for epochs older than one that serves elsewhere or here, and not mounted.
        foreach (var epoch in folder.LiveEpochs().Where(e => e < olderThan && !(kept.Live && e == kept.Epoch)).ToList())
            VolumeFolder.DeleteSubvolume(folder.Lives, VolumeFolder.LiveName(epoch));
    }

    /// <summary>False while it is being sent: the kernel refuses then.</summary>
    private bool RemoveSnapshot(VolumeFolder folder, SnapshotName snapshot)
    {
        if (Named(snapshot) is not null || !Directory.Exists(folder.Snapshot(snapshot))) return true;
        if (_reading.IsUsed(folder.Name, snapshot)) return false;
        // Safe: named by the order, and the caller made sure that it is not the last of the data here.
        var error = Subvolume.Delete(folder.Snapshot(snapshot), VolumeFolder.DataName);
        if (error is Native.ErrorPermission or Native.ErrorBusy) return false;
        if (error is not (0 or Native.ErrorNoEntry)) throw Native.Failed("delete subvolume", folder.SnapshotData(snapshot), error);
        Directory.Delete(folder.Snapshot(snapshot));
        return true;
    }

    /// <summary>Removes a folder and the subvolumes in it. Callers say why that is safe. A subvolume is taken away whole, without walking its files.</summary>
    private static void DeleteTree(string path)
    {
        foreach (var folder in Directory.EnumerateDirectories(path).ToList())
        {
            // Links are removed as links, never followed.
            if (new DirectoryInfo(folder).LinkTarget is not null) continue;
            if (Subvolume.Find(folder) is null) { DeleteTree(folder); continue; }
            var error = Subvolume.Delete(path, Path.GetFileName(folder));
            // An app may have made subvolumes inside: those first, then the emptied one goes like a folder.
            if (error == Native.ErrorNotEmpty) DeleteTree(folder);
            else if (error is not (0 or Native.ErrorNoEntry)) throw Native.Failed("delete subvolume", folder, error);
        }
        Directory.Delete(path, recursive: true);
    }
}
