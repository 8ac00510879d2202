using System.Globalization;
using Drover.Agent.Host;
using Drover.Core;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>Limits, by quota groups. They slow every commit of the pool down, so they are off until the first limit is asked for.</summary>
public sealed partial class BtrfsDriver
{
    public async Task<VolumeOutcome> Resize(VolumeName volume, ByteCount? limit, Epoch epoch, CancellationToken cancel)
    {
        var folder = Folder(volume);
        using var held = await _locks.Take([volume.Value], cancel);
        if (LiveRefusal(folder, epoch, out var live) is { } refused) return refused;
        var ledger = folder.ReadLedger()!;
        if (ledger.Limit == limit?.Bytes) return VolumeOutcome.Done;
        if (live.IsReadOnly) return VolumeOutcome.Conflict($"volume {volume} is sealed: a move is cutting over; repeat when that ended");
        if (limit is { } most)
        {
            if (await CountingRefusal(cancel) is { } cannot) return cannot;
            // Only what is on disk is counted.
            await Sync(cancel);
            var used = Subvolume.ReferencedBytes(folder.Live(epoch));
            if (used > most.Bytes) return VolumeOutcome.Conflict($"volume {volume} holds {new ByteCount(used)} already, more than {most}: remove data, or give a larger size");
        }
        var command = new HostCommand("btrfs", ["qgroup", "limit", limit is { } size ? size.Bytes.ToString(CultureInfo.InvariantCulture) : "none", folder.Live(epoch)]);
        (await commands.Run(command, cancel)).Require(command);
        (ledger with { Limit = limit?.Bytes }).Write(folder.Path);
        return VolumeOutcome.Done;
    }

    /// <summary>Switches counting on where it is off, and waits until all that is there is counted: before that no limit holds.</summary>
    private async Task<VolumeOutcome?> CountingRefusal(CancellationToken cancel)
    {
        foreach (var arguments in new IReadOnlyList<string>[] { ["quota", "enable", _pool], ["quota", "rescan", "-W", _pool] })
        {
            var result = await commands.Run(new("btrfs", arguments), cancel);
            if (!result.Ok) return VolumeOutcome.Unable($"the pool at {_pool} cannot count what volumes hold ({result.Error.Trim()}): leave the size away, or repair the pool's quotas (`btrfs quota disable {_pool}`)");
        }
        return null;
    }
}
