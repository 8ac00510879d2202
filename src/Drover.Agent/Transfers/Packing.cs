using System.Buffers;
using System.Buffers.Binary;
using Drover.Agent.Volumes;
using ZstdSharp;

namespace Drover.Agent.Transfers;

/// <summary>
/// Whether the next piece is compressed: only while the way is slower than the compressor. Pure: of what was measured on this connection.
/// </summary>
internal sealed class PackingChoice
{
    /// <summary>A way as fast as disks are: there nothing is even tried, the processor belongs to the apps.</summary>
    private const double WorthBelow = 100e6;
    private const double KnownAfter = 1 << 20, Memory = 16 << 20;
    /// <summary>It must save a tenth of the time at least.</summary>
    private const double Gain = 0.9;
    private const int TryEvery = 64;
    private double _sent, _sending, _raw, _packed, _packing;
    private int _since;

    /// <param name="took">Until the way took them: writing, waiting for credit and for the limit.</param>
    public void Sent(int bytes, TimeSpan took) => (_sent, _sending) = Fading(_sent + bytes, _sending + took.TotalSeconds);

    public void Packed(int raw, int packed, TimeSpan took)
    {
        _packed += packed;
        (_raw, _packing) = (_raw + raw, _packing + took.TotalSeconds);
        if (_raw > Memory) (_raw, _packed, _packing) = (_raw / 2, _packed / 2, _packing / 2);
    }

    public bool Next()
    {
        if (_sent < KnownAfter || _sending <= 0) return false;
        var plain = _sending / _sent;
        if (1 / plain >= WorthBelow) return false;
        if (_raw > 0 && (_packing / _raw) + (_packed / _raw * plain) >= Gain * plain && ++_since < TryEvery) return false;
        _since = 0;
        return true;
    }

    private static (double, double) Fading(double bytes, double seconds) => bytes > Memory ? (bytes / 2, seconds / 2) : (bytes, seconds);
}

/// <summary>Compresses pieces into frames of type <see cref="FrameType.Packed"/>: the length they had, then Zstandard at its fastest.</summary>
internal sealed class Packer(TimeProvider time) : IDisposable
{
    public const string Name = "zstd";
    private const int LengthSize = 4, Level = 1;
    private Compressor? _compressor; // made when there is something for it: a last round must not wait for what it does not use

    public PackingChoice Choice { get; } = new();

    /// <summary>A whole frame, or null where it would not be smaller.</summary>
    public (byte[] Frame, int Length)? Pack(ReadOnlySpan<byte> piece)
    {
        if (piece.Length <= LengthSize) return null;
        var began = time.GetTimestamp();
        // No larger than the frame of the piece itself: what would not be smaller need not fit, and a buffer beyond the largest is used only once.
        var frame = StreamBuffers.Shared.Rent(FrameChannel.HeaderSize + piece.Length + FrameChannel.HashSize);
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(FrameChannel.HeaderSize), piece.Length);
        var smaller = (_compressor ??= new(Level)).TryWrap(piece, frame.AsSpan(FrameChannel.HeaderSize + LengthSize, piece.Length - LengthSize), out var packed) && packed + LengthSize < piece.Length;
        Choice.Packed(piece.Length, smaller ? packed + LengthSize : piece.Length, time.GetElapsedTime(began));
        if (smaller) return (frame, FrameChannel.Seal(FrameType.Packed, frame, packed + LengthSize));
        StreamBuffers.Shared.Return(frame);
        return null;
    }

    public void Dispose() => _compressor?.Dispose();
}

/// <summary>The other way, on what a peer says: never more than a frame may hold.</summary>
internal sealed class Unpacker : IDisposable
{
    private Decompressor? _decompressor;

    /// <exception cref="InvalidDataException">It is not what a <see cref="Packer"/> makes.</exception>
    public static int LengthOf(ReadOnlySpan<byte> payload) =>
        payload.Length > sizeof(int) && BinaryPrimitives.ReadInt32BigEndian(payload) is > 0 and <= FrameChannel.MaxData and var length ? length
        : throw new InvalidDataException("a compressed frame says a length that cannot be");

    /// <exception cref="InvalidDataException">It is not what a <see cref="Packer"/> makes.</exception>
    public void Unpack(ReadOnlySpan<byte> payload, Span<byte> into)
    {
        try
        {
            if ((_decompressor ??= new()).TryUnwrap(payload[sizeof(int)..], into, out var written) && written == into.Length) return;
        }
        catch (ZstdException e) { throw new InvalidDataException($"a compressed frame cannot be read: {e.Message}", e); }
        throw new InvalidDataException("a compressed frame does not hold what it says");
    }

    public void Dispose() => _decompressor?.Dispose();
}
