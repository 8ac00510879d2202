using System.Runtime.InteropServices;
using Drover.Core;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>Limits, by quota groups. They slow every commit of the pool down, so they are off until the first limit is asked for.</summary>
public sealed partial class BtrfsDriver : ICarriesSizes, IMeasuresChanges
{
    /// <summary>ENOTCONN: what the kernel says of a limit in a pool without quota groups.</summary>
    private const int NotCounting = 107;

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
        // Taking off what a pool that counts nothing never had is no failure.
        if (Subvolume.Limit(_pool, live.TreeId, limit?.Bytes) is not 0 and var error && !(limit is null && error == NotCounting)) return NotLimited(error);
        (ledger with { Limit = limit?.Bytes }).Write(folder.Path);
        return VolumeOutcome.Done;
    }

    /// <summary>What was written after the snapshot's last transaction: a received one was written until it was whole, and live data made of it begins with all of that.</summary>
    public Task<ByteCount?> ChangedSince(VolumeName volume, SnapshotName snapshot, CancellationToken cancel) => Task.Run(() =>
    {
        var folder = Folder(volume);
        if (folder.ReadLedger() is not { Live: true } ledger || Subvolume.Find(folder.Live(ledger.Epoch)) is null || folder.FindSnapshot(snapshot) is not { } since) return (ByteCount?)null;
        return new ByteCount(Subvolume.ReferencedBytes(folder.Live(ledger.Epoch), since.Generation));
    }, cancel);

    public async Task<VolumeOutcome> Expect(CancellationToken cancel) => await CountingRefusal(cancel) ?? VolumeOutcome.Done;

    /// <summary>A snapshot's count is its origin's: nothing is read. What is there is not asked for, and counting is switched on only where it turns out to be off.</summary>
    public async Task<VolumeOutcome> Carry(VolumeName volume, ByteCount? limit, Epoch epoch, CancellationToken cancel)
    {
        var folder = Folder(volume);
        using var held = await _locks.Take([volume.Value], cancel);
        if (LiveRefusal(folder, epoch, out var live) is { } refused) return refused;
        var ledger = folder.ReadLedger()!;
        if (ledger.Limit == limit?.Bytes) return VolumeOutcome.Done;
        var error = Subvolume.Limit(_pool, live.TreeId, limit?.Bytes);
        if (error == NotCounting && limit is not null)
        {
            if (await CountingRefusal(cancel) is { } cannot) return cannot;
            error = Subvolume.Limit(_pool, live.TreeId, limit?.Bytes);
        }
        if (error != 0 && !(limit is null && error == NotCounting)) return NotLimited(error);
        (ledger with { Limit = limit?.Bytes }).Write(folder.Path);
        return VolumeOutcome.Done;
    }

    private VolumeOutcome NotLimited(int error) =>
        VolumeOutcome.Unable($"the pool at {_pool} takes no limit ({Marshal.GetPInvokeErrorMessage(error)}): leave the size away, or repair the pool's quotas (`btrfs quota disable {_pool}`)");

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
