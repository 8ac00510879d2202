using System.Text;
using Drover.Agent.Volumes.Trees;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Folders;

/// <summary>What takes data away: leftovers at the start, and what the control plane says is no longer needed.</summary>
public sealed partial class FolderDriver
{
    public Task Recover(CancellationToken cancel) => Task.Run(() =>
    {
        FolderCheck.Require(_pool);
        Native.MakePrivateFolder(FolderVolume.VolumesOf(_pool));
        Native.MakePrivateFolder(FolderVolume.RemovedOf(_pool));
        // Safe: only what was ordered to go, or what never came to be, is ever moved in there.
        foreach (var name in FolderVolume.NamesIn(FolderVolume.RemovedOf(_pool)).ToList()) Delete(Path.Combine(FolderVolume.RemovedOf(_pool), name));
        foreach (var name in FolderVolume.NamesIn(FolderVolume.VolumesOf(_pool)).ToList())
        {
            cancel.ThrowIfCancellationRequested();
            if (VolumeNames.TryParse(name, out var volume)) RecoverVolume(Folder(volume.Value));
        }
        TreeCalls.SyncFilesystem(_pool);
    }, cancel);

    private void RecoverVolume(FolderVolume folder)
    {
        // Safe: what lies here was never accepted, so nobody was told that it arrived; the sender sends it again.
        foreach (var attempt in FolderVolume.NamesIn(folder.Incoming).ToList()) Delete(Path.Combine(folder.Incoming, attempt));
        // Data that no ledger explains is not ours to clean up.
        if (folder.ForeignTrace() is not null || folder.ReadLedger() is not { } ledger) return;
        // Safe: made, but cut short before its commit; live data is mounted only after the ledger names its epoch. Or the ledger says that it was put away by order.
        foreach (var epoch in folder.LiveEpochs().Where(e => e > ledger.Epoch || !ledger.Live).ToList()) Away(folder.Live(epoch));
    }

    public async Task<VolumeOutcome> Remove(VolumeName volume, Removal what, CancellationToken cancel) => await Alone(volume, folder =>
    {
        var ledger = folder.ReadLedger();
        // Data that no ledger explains is somebody's, and not this volume's to remove: also when everything of it goes.
        if (ledger is null && folder.ForeignTrace() is { } foreign) return VolumeOutcome.Conflict(foreign);
        if (what.Everything) return RemoveEverything(folder);
        if (ledger is null) return VolumeOutcome.Done;
        var goes = what.Live && ledger.Live && ledger.Epoch < what.OlderThan;
        var staysLive = ledger.Live && !goes && Directory.Exists(folder.Live(ledger.Epoch));
        var here = folder.AllSnapshots();
        // Where no live data is left, the last snapshot is all that this node has of the volume.
        if (!staysLive && here.Count + (goes ? 1 : 0) > 0 && here.All(s => what.Snapshots.Contains(s.Name)))
            return VolumeOutcome.Conflict($"refused to remove the last data of volume {volume} on this node: keep one snapshot, or delete the volume");
        if (goes && IsUsed(folder, ledger.Epoch)) return StillUsed(folder, ledger.Epoch, "remove the live data of");
        if (what.Live) RemoveOldLives(folder, ledger, what.OlderThan);
        foreach (var snapshot in what.Snapshots)
        {
            if (Named(snapshot) is not null || !Directory.Exists(folder.Snapshot(snapshot))) continue;
            if (_reading.IsUsed(volume, snapshot)) return VolumeOutcome.Busy($"snapshot {snapshot} of volume {volume} is being sent: repeat when that ended");
            // Safe: named by the order, and it is not the last of the data here. Files that other snapshots share keep their names there.
            Away(folder.Snapshot(snapshot));
        }
        return VolumeOutcome.Done;
    }, cancel);

    private bool IsUsed(FolderVolume folder, Epoch epoch) => !Mounts.Unmount(MountPath(folder.Name)) || FolderUsers.Writers(folder.Live(epoch)).Count > 0;

    private VolumeOutcome RemoveEverything(FolderVolume folder)
    {
        if (!Directory.Exists(folder.Path)) return VolumeOutcome.Done;
        var epoch = folder.ReadLedger()?.Epoch ?? Epoch.None;
        if (IsUsed(folder, epoch)) return StillUsed(folder, epoch, "remove");
        if (folder.AllSnapshots().Any(s => _reading.IsUsed(folder.Name, s.Name))) return VolumeOutcome.Busy($"a snapshot of volume {folder.Name} is being sent: repeat when that ended");
        // Safe: the order is to remove the volume with all its data, and nobody works in it.
        Away(folder.Path);
        Native.SyncFolder(FolderVolume.VolumesOf(_pool));
        return VolumeOutcome.Done;
    }

    private void RemoveOldLives(FolderVolume folder, VolumeLedger ledger, Epoch olderThan)
    {
        // The ledger first: after a crash in between, the data is known to be given up, not thought lost.
        var floor = olderThan > ledger.Floor ? olderThan : ledger.Floor;
        var kept = ledger with { Live = ledger.Live && ledger.Epoch >= olderThan, Floor = floor };
        if (kept != ledger) kept.Write(folder.Path);
        // Safe: ordered for epochs older than one that serves elsewhere or here, and not mounted.
        foreach (var epoch in folder.LiveEpochs().Where(e => e < olderThan && !(kept.Live && e == kept.Epoch)).ToList()) Away(folder.Live(epoch));
    }

    /// <summary>First out of sight by one rename, so that a crash never leaves half of something; then gone. Callers say why that is safe.</summary>
    private void Away(string path)
    {
        if (!Directory.Exists(path)) return;
        var removed = Path.Combine(FolderVolume.RemovedOf(_pool), chance.NewGuid().ToString("N"));
        Directory.Move(path, removed);
        Delete(removed);
    }

    /// <summary>Removes a folder with all in it, name by name and through no link. Callers say why that is safe.</summary>
    private static void Delete(string path)
    {
        using var parent = TreeCalls.OpenRoot(Path.GetDirectoryName(path)!);
        TreeCalls.Remove(parent, RawName.Of(Encoding.UTF8.GetBytes(Path.GetFileName(path))));
    }
}
