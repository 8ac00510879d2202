using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.IO.Pipelines;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>Whom a stream is of, and whom it was made against; the guids are those of the snapshots that `zfs send` names in it.</summary>
internal readonly record struct ZfsHeader(Guid Identity, ulong Guid, Guid? Base, ulong BaseGuid);

/// <summary>
/// The formats zfs-send-1 and -2: what `zfs send` writes, in pieces with hashes, behind a header that names the snapshots. `zfs` before 2012 puts one checksum at a
/// stream's end, and none can say what a snapshot is called elsewhere.
/// </summary>
internal static class ZfsStream
{
    public const int Piece = 128 * 1024, HeaderLength = 16 + 8 + 16 + 8, HashLength = 16, LengthLength = 4;
    public static ReadOnlySpan<byte> Magic => "drover zfs-send\n"u8;

    public static void Hash(ReadOnlySpan<byte> part, long at, Span<byte> to) => XxHash128.Hash(part, to, at);
}

internal sealed class ZfsStreamWriter(PipeWriter to)
{
    private long _at;

    public void Header(ZfsHeader header)
    {
        var length = ZfsStream.Magic.Length + ZfsStream.HeaderLength;
        var memory = to.GetSpan(length + ZfsStream.HashLength);
        ZfsStream.Magic.CopyTo(memory);
        var fields = memory[ZfsStream.Magic.Length..];
        header.Identity.TryWriteBytes(fields, bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(fields[16..], header.Guid);
        (header.Base ?? Guid.Empty).TryWriteBytes(fields[24..], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(fields[40..], header.BaseGuid);
        ZfsStream.Hash(memory[..length], 0, memory[length..]);
        to.Advance(length + ZfsStream.HashLength);
    }

    /// <summary>Reads the next piece, as long as every other but the last, so that the same stream is always cut the same. Zero bytes: it is at its end.</summary>
    public async Task<int> Piece(Stream from, CancellationToken cancel)
    {
        const int before = ZfsStream.LengthLength + ZfsStream.HashLength;
        var memory = to.GetMemory(before + ZfsStream.Piece);
        var read = await from.ReadAtLeastAsync(memory.Slice(before, ZfsStream.Piece), ZfsStream.Piece, throwOnEndOfStream: false, cancel);
        if (read > 0) Write(memory.Span, read);
        return read;
    }

    private void Write(Span<byte> memory, int length)
    {
        BinaryPrimitives.WriteInt32LittleEndian(memory, length);
        ZfsStream.Hash(memory.Slice(ZfsStream.LengthLength + ZfsStream.HashLength, length), _at, memory[ZfsStream.LengthLength..]);
        _at += length;
        to.Advance(ZfsStream.LengthLength + ZfsStream.HashLength + length);
    }

    /// <summary>The end mark: no bytes, and the hash of how many there were.</summary>
    public void End() => Write(to.GetSpan(ZfsStream.LengthLength + ZfsStream.HashLength), 0);
}

/// <summary>Reads such a stream off a pipe that is not trusted: nothing is given on before its hash was checked.</summary>
internal sealed class ZfsStreamReader(PipeReader from)
{
    private readonly byte[] _piece = new byte[ZfsStream.Piece];
    private long _at;

    public async Task<ZfsHeader> Header(CancellationToken cancel)
    {
        var length = ZfsStream.Magic.Length + ZfsStream.HeaderLength;
        var all = new byte[length + ZfsStream.HashLength];
        await Fill(all.AsMemory(0, ZfsStream.Magic.Length), cancel);
        if (!all.AsSpan(0, ZfsStream.Magic.Length).SequenceEqual(ZfsStream.Magic)) throw new InvalidDataException("the stream is not in the format zfs-send");
        await Fill(all.AsMemory(ZfsStream.Magic.Length), cancel);
        Check(all.AsSpan(0, length), all.AsSpan(length));
        var fields = all.AsSpan(ZfsStream.Magic.Length);
        var (identity, basis) = (new Guid(fields[..16], bigEndian: true), new Guid(fields.Slice(24, 16), bigEndian: true));
        return new(identity, BinaryPrimitives.ReadUInt64LittleEndian(fields[16..]), basis == Guid.Empty ? null : basis, BinaryPrimitives.ReadUInt64LittleEndian(fields[40..]));
    }

    /// <summary>Empty: the stream was whole and is at its end.</summary>
    public async Task<ReadOnlyMemory<byte>> Piece(CancellationToken cancel)
    {
        var before = new byte[ZfsStream.LengthLength + ZfsStream.HashLength];
        await Fill(before, cancel);
        var length = BinaryPrimitives.ReadInt32LittleEndian(before);
        if (length is < 0 or > ZfsStream.Piece) throw new InvalidDataException($"the stream is damaged after {_at} bytes: a piece claims {length} bytes, allowed are {ZfsStream.Piece}");
        await Fill(_piece.AsMemory(0, length), cancel);
        Check(_piece.AsSpan(0, length), before.AsSpan(ZfsStream.LengthLength));
        _at += length;
        if (length > 0) return _piece.AsMemory(0, length);
        var more = await Read(cancel);
        var isLonger = !more.Buffer.IsEmpty;
        from.AdvanceTo(more.Buffer.End);
        return isLonger ? throw new InvalidDataException("the stream goes on after its end") : ReadOnlyMemory<byte>.Empty;
    }

    private void Check(ReadOnlySpan<byte> part, ReadOnlySpan<byte> told)
    {
        Span<byte> hash = stackalloc byte[ZfsStream.HashLength];
        ZfsStream.Hash(part, _at, hash);
        if (!hash.SequenceEqual(told)) throw new InvalidDataException($"the stream is damaged after {_at} bytes");
    }

    private async Task Fill(Memory<byte> memory, CancellationToken cancel)
    {
        while (memory.Length > 0)
        {
            var read = await Read(cancel);
            var part = read.Buffer.Slice(0, Math.Min(memory.Length, read.Buffer.Length));
            part.CopyTo(memory.Span);
            memory = memory[(int)part.Length..];
            from.AdvanceTo(part.End);
            if (memory.Length > 0 && read.IsCompleted) throw new InvalidDataException($"the stream is cut short after {_at} bytes");
        }
    }

    private async ValueTask<ReadResult> Read(CancellationToken cancel)
    {
        try { return await from.ReadAsync(cancel); }
        catch (Exception e) when (e is not OperationCanceledException || !cancel.IsCancellationRequested) { throw new InvalidDataException($"the stream broke off: {e.Message}", e); }
    }
}
