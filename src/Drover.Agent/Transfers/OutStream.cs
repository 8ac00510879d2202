using System.Buffers;
using System.IO.Hashing;
using System.IO.Pipelines;
using Drover.Agent.Volumes;
using Drover.Contracts.Hosting;
using Drover.Core;

namespace Drover.Agent.Transfers;

/// <summary>A frame of the stream that went out and that the target has not confirmed yet.</summary>
/// <param name="End">Offset in the stream after it.</param>
/// <param name="Proof">Hash of the stream up to there.</param>
internal sealed record Chunk(byte[] Frame, int FrameLength, int Bytes, long End, UInt128 Proof);

/// <summary>
/// A driver's stream on its way out. It outlives a connection: what the target has not confirmed is kept (never more than the window), so that another
/// connection goes on where the target is.
/// </summary>
internal sealed class OutStream : IAsyncDisposable
{
    /// <summary>With its header and checksum it fills a pooled buffer of 256 KiB exactly.</summary>
    public const int Piece = FrameChannel.MaxData - FrameChannel.HeaderSize - FrameChannel.HashSize;

    /// <summary>There is something at the other side by then, and it is not whole.</summary>
    private const int BehindTheHead = 16 * 1024;

    private readonly Pipe _ring = Ring.ToSend();
    private readonly CancellationTokenSource _ending = new();
    private readonly Task _sending;
    private readonly XxHash128 _hash = new();
    private readonly Lock _gate = new();
    private readonly LinkedList<Chunk> _kept = [];
    private long _read, _letGo;
    private UInt128 _letGoProof;

    public OutStream(IVolumeDriver driver, VolumeName volume, SnapshotName snapshot, SnapshotName? basis, StreamFormat format)
    {
        (Base, Format) = (basis?.Value, format);
        _letGoProof = _hash.GetCurrentHashAsUInt128();
        _sending = Task.Run(() => driver.Send(volume, snapshot, basis, format, _ring.Writer, _ending.Token), CancellationToken.None);
    }

    public string? Base { get; }
    public StreamFormat Format { get; }

    /// <summary>Bytes taken from the driver so far.</summary>
    public long Length => _read;

    public string Proof => Hex(_hash.GetCurrentHashAsUInt128());

    /// <summary>Goes back to an offset that is still held. False: it is not, or the target's bytes are not ours.</summary>
    public bool GoBackTo(long offset, string? proof)
    {
        lock (_gate)
        {
            if (offset < _letGo) return false;
            var at = offset == _letGo ? _letGoProof : _kept.FirstOrDefault(c => c.End == offset)?.Proof;
            if (at is not { } known || (proof is not null && Hex(known) != proof)) return false;
        }
        Confirm(offset);
        return true;
    }

    /// <summary>On a new stream: reads the bytes that the target has without sending them. False: they are not the ones it has.</summary>
    public async Task<bool> Skip(long offset, string? proof, CancellationToken cancel)
    {
        while (_read < offset)
        {
            var read = await _ring.Reader.ReadAsync(cancel);
            var part = read.Buffer.Slice(0, Math.Min(read.Buffer.Length, offset - _read));
            if (part.IsEmpty && read.IsCompleted) return false; // shorter than what the target has
            foreach (var segment in part) _hash.Append(segment.Span);
            _read += part.Length;
            _ring.Reader.AdvanceTo(part.End);
        }
        (_letGo, _letGoProof) = (_read, _hash.GetCurrentHashAsUInt128());
        return proof is not null && Hex(_letGoProof) == proof;
    }

    /// <summary>What went out over a connection that is gone and was not confirmed, oldest first.</summary>
    public IReadOnlyList<Chunk> Unconfirmed()
    {
        lock (_gate) return [.. _kept];
    }

    /// <summary>Waits for data. Zero: the stream has ended, and the driver says it is whole.</summary>
    public async Task<int> Ready(CancellationToken cancel)
    {
        if (_read > BehindTheHead)
        {
            // As from a driver whose send was killed, and as from one that ended well before its end.
            if (Failpoints.BendsOnce("send-dies")) throw new IOException("the sending program was killed");
            if (Failpoints.BendsOnce("truncate-stream")) return 0;
        }
        var read = await _ring.Reader.ReadAsync(cancel);
        var size = (int)Math.Min(read.Buffer.Length, Piece);
        _ring.Reader.AdvanceTo(read.Buffer.Start);
        // Only a send that ended well makes its stream a whole one.
        if (size == 0 && read.IsCompleted) await _sending;
        return size;
    }

    /// <summary>The next so many bytes, of those that are <see cref="Ready"/>, as a frame.</summary>
    /// <param name="packer">Compresses it, where that makes it smaller.</param>
    public Chunk Take(int size, Packer? packer = null)
    {
        if (!_ring.Reader.TryRead(out var read)) throw new InvalidOperationException("take follows ready");
        var frame = StreamBuffers.Shared.Rent(FrameChannel.HeaderSize + size + FrameChannel.HashSize);
        var payload = frame.AsSpan(FrameChannel.HeaderSize, size);
        read.Buffer.Slice(0, size).CopyTo(payload);
        _ring.Reader.AdvanceTo(read.Buffer.GetPosition(size));
        _hash.Append(payload);
        _read += size;
        var packed = packer?.Pack(payload);
        if (packed is not null) StreamBuffers.Shared.Return(frame);
        var (whole, length) = packed ?? (frame, FrameChannel.Seal(FrameType.Data, frame, size));
        var chunk = new Chunk(whole, length, size, _read, _hash.GetCurrentHashAsUInt128());
        lock (_gate) _kept.AddLast(chunk);
        return chunk;
    }

    /// <summary>The target has taken everything before this offset: it need not be kept.</summary>
    public void Confirm(long offset)
    {
        lock (_gate)
            while (_kept.First is { } first && first.Value.End <= offset)
            {
                (_letGo, _letGoProof) = (first.Value.End, first.Value.Proof);
                StreamBuffers.Shared.Return(first.Value.Frame);
                _kept.RemoveFirst();
            }
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _ring.Reader.CompleteAsync();
        // Why it failed came out of the ring, to whoever read it; cancelled is what we asked for.
        await _sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_gate) _kept.Clear();
        _ending.Dispose();
    }

    private static string Hex(UInt128 hash) => hash.ToString("x32", System.Globalization.CultureInfo.InvariantCulture);
}
