using System.IO.Pipelines;
using System.Text;
using Drover.Agent.Link;
using Drover.Agent.Reconcile;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Trees;
using Drover.Contracts.Agent;
using Drover.Contracts.Volumes;
using Drover.Core;
using ZstdSharp;

namespace Drover.Agent.Transfers;

/// <summary>Snapshots as volumes' files, and files as snapshots: bounded memory, whatever the volume holds. A file is somebody's input and goes the way that a stream of another node goes.</summary>
public sealed class VolumeFiles(IControlStreams streams, IVolumeDriver driver, TransferLimits limits, IChance chance, TimeProvider time)
{
    private const int Level = 1;
    private const long SayEvery = 32 * VolumeFile.LargestBlock;

    public async Task Export(ExportVolume order, Action<StepProgress> progress, CancellationToken cancel)
    {
        var (volume, snapshot) = (new VolumeName(order.Name), new SnapshotName(order.Snapshot));
        if ((await driver.Inspect(volume, cancel))?.Snapshots.Any(s => s.Name == snapshot) != true)
            throw new StepFailed(StepErrorKind.Operator, $"volume '{volume}': its snapshot {snapshot} is not complete on this node");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await streams.Pour(order.StreamId, async to =>
        {
            var ring = Ring.New();
            var sending = driver.Send(volume, snapshot, null, StreamFormat.Tree1, ring.Writer, stop.Token);
            try { await Pack(ring.Reader, to, order, progress, stop.Token); }
            finally
            {
                await stop.CancelAsync();
                await ring.Reader.CompleteAsync();
                await sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            await sending;
        }, cancel);
    }

    private async Task Pack(PipeReader stream, Stream to, ExportVolume order, Action<StepProgress> progress, CancellationToken cancel)
    {
        var rate = new RateLimit(order.BytesPerSecond, time);
        using var writer = new VolumeFileWriter(to);
        using var compressor = new Compressor(Level);
        var (raw, packed) = (new byte[VolumeFile.LargestBlock], new byte[VolumeFile.LargestBlock]);
        var source = stream.AsStream();
        await writer.Begin(VolumeFile.Read(Encoding.UTF8.GetBytes(order.Header)), cancel);
        long sent = 0;
        while (await source.ReadAtLeastAsync(raw, raw.Length, throwOnEndOfStream: false, cancel) is > 0 and var length)
        {
            // Where it does not shrink it goes as it is.
            var smaller = compressor.TryWrap(raw.AsSpan(0, length), packed.AsSpan(0, length), out var written) && written < length;
            var stored = smaller ? packed.AsMemory(0, written) : raw.AsMemory(0, length);
            await rate.Take(stored.Length, cancel);
            await limits.Rate.Take(stored.Length, cancel);
            await writer.Block(stored, length, cancel);
            sent += length;
            Say(sent, order.Name, "exporting", progress);
        }
        await writer.End(cancel);
    }

    /// <summary>Leaves the snapshot, complete and on disk, or nothing.</summary>
    public Task Import(ImportVolume order, Action<StepProgress> progress, CancellationToken cancel) => streams.Draw(order.StreamId, async from =>
    {
        using var reader = new VolumeFileReader(from);
        await reader.Begin(cancel);
        // Its own, on every node: increments are made against what this copy becomes, never against what it was copied from.
        var identity = chance.NewGuid();
        var reception = new Reception(new("import", order.StreamId, new(order.Name), order.Epoch, new(order.Snapshot), identity.ToString()), null, null, StreamFormat.Tree1, driver, time) { Nonce = "", TicketKept = Task.CompletedTask };
        reception.Begin();
        try
        {
            await Unpack(reader, reception, identity, order, progress, cancel);
            await reception.Finish(new End(reception.Bytes, reception.Proof));
        }
        catch (Exception e)
        {
            var cause = await reception.Drop(e);
            if (e is ReceiverEnded && cause is not null) throw new StepFailed(StepErrorKind.Operator, cause.Message);
            throw;
        }
    }, cancel);

    private async Task Unpack(VolumeFileReader reader, Reception reception, Guid identity, ImportVolume order, Action<StepProgress> progress, CancellationToken cancel)
    {
        var rate = new RateLimit(order.BytesPerSecond, time);
        using var decompressor = new Decompressor();
        var first = true;
        while (await reader.Next(cancel) is (var stored, var raw))
        {
            await rate.Take(stored.Length, cancel);
            var room = reception.Room(raw)[..raw];
            Unpack(decompressor, stored.Span, room.Span);
            if (first) TreeHeaders.Rename(room.Span, identity);
            first = false;
            await reception.Take(room, cancel);
            Say(reception.Bytes, order.Name, "importing", progress);
        }
    }

    /// <summary>Not of every block: nobody reads that fast.</summary>
    private static void Say(long bytes, string volume, string doing, Action<StepProgress> progress)
    {
        if (bytes % SayEvery < VolumeFile.LargestBlock) progress(new() { Volume = volume, Bytes = bytes, Doing = doing });
    }

    private static void Unpack(Decompressor decompressor, ReadOnlySpan<byte> stored, Span<byte> into)
    {
        if (stored.Length == into.Length) { stored.CopyTo(into); return; }
        try
        {
            if (decompressor.TryUnwrap(stored, into, out var written) && written == into.Length) return;
        }
        catch (ZstdException e) { throw new InvalidDataException($"the file is damaged: a block cannot be unpacked ({e.Message})", e); }
        throw new InvalidDataException("the file is damaged: a block does not hold what it says");
    }
}
