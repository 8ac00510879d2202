using System.IO.Pipelines;
using Drover.Agent.Volumes;
using Drover.Conformance;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Platform.Tests.Volumes;

/// <summary>A btrfs pool whose driver is asked to make live data ready before each difference, as transfers ask it.</summary>
internal sealed class AheadPool : IPoolBench
{
    private readonly LoopPool _inner;

    private AheadPool(LoopPool inner) => _inner = inner;

    public static async Task<IPoolBench> Make(long mebibytes) => new AheadPool(await LoopPool.Make(mebibytes));

    public IVolumeDriver Driver => new Asking(_inner.Driver);
    public Task Restart() => _inner.Restart();
    public void CutShortAt(string point) => _inner.CutShortAt(point);
    public void Write(VolumeName volume, string file, byte[] contents) => _inner.Write(volume, file, contents);
    public void Delete(VolumeName volume, string file) => _inner.Delete(volume, file);
    public IOpenFile Open(VolumeName volume, string file) => _inner.Open(volume, file);
    public ValueTask DisposeAsync() => _inner.DisposeAsync();

    /// <summary>Live data is what the ledger names: what is ready for a later epoch is none.</summary>
    public string? Contents(VolumeName volume, Epoch epoch) =>
        _inner.Driver.Inspect(volume, default).GetAwaiter().GetResult() is { } seen && seen.ForeignTrace is null && epoch > seen.Known ? null : _inner.Contents(volume, epoch);

    private sealed class Asking(IVolumeDriver inner) : IVolumeDriver
    {
        public async Task<IIncoming> Receive(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeReader stream, CancellationToken cancel)
        {
            if (from is { } basis)
            {
                var known = (await inner.Inspect(volume, cancel))?.Known ?? Epoch.None;
                // The suite's volumes go to and fro between two pools, one epoch a hop.
                await inner.Make(new LiveOrder.Ahead(volume, new(known.Value + 2), basis), cancel);
            }
            return await inner.Receive(volume, snapshot, from, format, stream, cancel);
        }

        public string Name => inner.Name;
        public VolumeAbilities Abilities => inner.Abilities;
        public Task Recover(CancellationToken cancel) => inner.Recover(cancel);
        public Task<PoolSpace> Space(CancellationToken cancel) => inner.Space(cancel);
        public Task<IReadOnlyList<ReplicaView>> List(CancellationToken cancel) => inner.List(cancel);
        public Task<ReplicaView?> Inspect(VolumeName volume, CancellationToken cancel) => inner.Inspect(volume, cancel);
        public Task<VolumeOutcome> Make(LiveOrder order, CancellationToken cancel) => inner.Make(order, cancel);
        public Task<VolumeOutcome> Access(VolumeName volume, VolumeAccess wanted, Epoch epoch, CancellationToken cancel) => inner.Access(volume, wanted, epoch, cancel);
        public string? SealPath(VolumeName volume, Epoch epoch) => inner.SealPath(volume, epoch);
        public Task<VolumeOutcome> Resize(VolumeName volume, ByteCount? limit, Epoch epoch, CancellationToken cancel) => inner.Resize(volume, limit, epoch, cancel);
        public Task<VolumeOutcome<SnapshotView>> Snapshot(VolumeName volume, SnapshotName name, Epoch epoch, CancellationToken cancel) => inner.Snapshot(volume, name, epoch, cancel);
        public Task Send(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeWriter to, CancellationToken cancel) => inner.Send(volume, snapshot, from, format, to, cancel);
        public Task<VolumeOutcome> Remove(VolumeName volume, Removal what, CancellationToken cancel) => inner.Remove(volume, what, cancel);
        public Task Sync(CancellationToken cancel) => inner.Sync(cancel);
    }
}
