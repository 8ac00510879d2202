using System.IO.Pipelines;
using Drover.Agent.Volumes.Trees;
using Drover.Core;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>Streams in the format that every driver knows.</summary>
public sealed partial class BtrfsDriver
{
    private static async Task SendTree(VolumeFolder folder, SnapshotName snapshot, SnapshotName? from, PipeWriter to, CancellationToken cancel)
    {
        TreeSource Source(SnapshotName name) => new(folder.SnapshotData(name), folder.FindSnapshot(name)!.Value.Original);
        var taken = from is { } basis ? TakenAt(folder, basis) : default;
        // An inode keeps its number and its time of change as long as nothing changed it. Where it was last changed about when the base was taken, a coarse clock
        // could hide one more change after that: then its contents are compared.
        bool Same(TreeEntry now, TreeEntry before) => now with { Device = 0, Links = 0 } == before with { Device = 0, Links = 0 } && before.Changed.CompareTo(taken) < 0;
        var sender = new TreeSender(to, Same, isStill: true);
        await Task.Run(() => sender.Send(Source(snapshot), from is { } name ? Source(name) : null, cancel), cancel);
    }

    /// <summary>A second before the base was surely whole: its folder changes when it is put in there, and when it is renamed into place.</summary>
    private static Moment TakenAt(VolumeFolder folder, SnapshotName basis)
    {
        using var root = TreeCalls.OpenRoot(folder.Snapshot(basis));
        var changed = TreeCalls.Find(root, RawName.Here)!.Value.Changed;
        return changed with { Seconds = changed.Seconds - 1 };
    }

    /// <summary>Into a subvolume of its own: empty, or a snapshot of the base. Marked as a copy, so that later `btrfs send` finds it as a base too.</summary>
    private async Task ReceiveTree(Incoming attempt, string? basis, SubvolumeInfo? parent, PipeReader stream, CancellationToken cancel)
    {
        using var receiver = new TreeReceiver(stream);
        var header = await receiver.Header(cancel);
        if (header.Base != parent?.Original)
            throw new BaseUnusable($"the stream of {attempt.Name} needs base {header.Base?.ToString() ?? "none"}, here is {parent?.Identity ?? "none"}");
        var data = Path.Combine(attempt.Folder, VolumeFolder.DataName);
        await Task.Run(() =>
        {
            if (basis is null) Subvolume.Make(attempt.Folder, VolumeFolder.DataName);
            else Subvolume.Snapshot(basis, attempt.Folder, VolumeFolder.DataName, isReadOnly: false);
        }, cancel);
        await Task.Run(() => receiver.Apply(data, filesAreShared: false, cancel), cancel);
        await stream.CompleteAsync();
        Subvolume.SetReceivedUuid(data, header.Identity);
        Subvolume.SetReadOnly(data, true);
    }
}
