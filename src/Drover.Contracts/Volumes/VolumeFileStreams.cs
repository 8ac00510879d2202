using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Drover.Contracts.Volumes;

/// <summary>Writes a volume's file, a block at a time.</summary>
public sealed class VolumeFileWriter(Stream to) : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly byte[] _head = new byte[VolumeFile.BlockHead];

    public ValueTask Begin(VolumeFileHeader header, CancellationToken cancel) => Put(VolumeFile.Write(header), cancel);

    /// <param name="stored">As it stands in the file: packed, or as it was where both lengths are the same.</param>
    /// <param name="raw">Bytes of the stream in it.</param>
    public async ValueTask Block(ReadOnlyMemory<byte> stored, int raw, CancellationToken cancel)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_head, stored.Length);
        BinaryPrimitives.WriteInt32LittleEndian(_head.AsSpan(4), raw);
        await Put(_head, cancel);
        await Put(stored, cancel);
    }

    /// <summary>Without it the file is not whole, whatever was written.</summary>
    public async ValueTask End(CancellationToken cancel)
    {
        Array.Clear(_head);
        await Put(_head, cancel);
        await to.WriteAsync(_hash.GetCurrentHash(), cancel);
    }

    private ValueTask Put(ReadOnlyMemory<byte> bytes, CancellationToken cancel)
    {
        _hash.AppendData(bytes.Span);
        return to.WriteAsync(bytes, cancel);
    }

    public void Dispose() => _hash.Dispose();
}

/// <summary>Reads one. What it gives counts only when <see cref="Next"/> has said that the end is reached: before that, nobody knows whether the file is whole.</summary>
public sealed class VolumeFileReader(Stream from) : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly byte[] _stored = new byte[VolumeFile.LargestBlock];

    /// <summary>Bytes of the file taken so far.</summary>
    public long Taken { get; private set; }

    /// <exception cref="InvalidDataException">It is no such file, or of a version that is not read here.</exception>
    public async Task<VolumeFileHeader> Begin(CancellationToken cancel)
    {
        var before = new byte[VolumeFile.Before];
        await Take(before, cancel);
        var text = new byte[VolumeFile.HeaderLength(before)];
        await Take(text, cancel);
        return VolumeFile.Read(text);
    }

    /// <summary>The next block, good until the next call; null: the end was reached and the hash of the whole is right.</summary>
    /// <exception cref="InvalidDataException">The file is cut short or damaged.</exception>
    public async Task<(ReadOnlyMemory<byte> Stored, int Raw)?> Next(CancellationToken cancel)
    {
        var head = new byte[VolumeFile.BlockHead];
        await Take(head, cancel);
        var (stored, raw) = (BinaryPrimitives.ReadInt32LittleEndian(head), BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(4)));
        if ((stored, raw) == (0, 0))
        {
            await AtEnd(cancel);
            return null;
        }
        // Bounded before anything is read by it.
        if (stored is <= 0 or > VolumeFile.LargestBlock || raw is <= 0 or > VolumeFile.LargestBlock || stored > raw)
            throw new InvalidDataException($"the file is damaged at byte {Taken - VolumeFile.BlockHead}: a block has a length that cannot be");
        var block = _stored.AsMemory(0, stored);
        await Take(block, cancel);
        return (block, raw);
    }

    private async Task AtEnd(CancellationToken cancel)
    {
        var expected = _hash.GetCurrentHash();
        var said = new byte[VolumeFile.HashSize];
        await Take(said, cancel);
        if (!CryptographicOperations.FixedTimeEquals(expected, said)) throw new InvalidDataException("the file is damaged: the hash at its end is not that of its contents");
        if (await from.ReadAsync(said.AsMemory(0, 1), cancel) != 0) throw new InvalidDataException("something follows the end of the file");
    }

    private async ValueTask Take(Memory<byte> into, CancellationToken cancel)
    {
        var read = await from.ReadAtLeastAsync(into, into.Length, throwOnEndOfStream: false, cancel);
        Taken += read;
        if (read < into.Length) throw new InvalidDataException($"the file is cut short: it ends after {Taken} bytes");
        _hash.AppendData(into.Span);
    }

    public void Dispose() => _hash.Dispose();
}
