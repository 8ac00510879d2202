using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Drover.Contracts.Volumes;

/// <summary>What stands at the beginning of a volume's file. Enough to make the volume anew anywhere.</summary>
/// <param name="Version">Of this format.</param>
/// <param name="Volume">Its name where it came from; an import gives a name of its own.</param>
/// <param name="Format">Of the stream inside: `tree-1`.</param>
/// <param name="Packing">`zstd`: each block by itself.</param>
/// <param name="Bytes">What the snapshot referred to; the stream is about as long.</param>
/// <param name="SizeBytes">What the volume might grow to; null: no limit.</param>
public sealed record VolumeFileHeader(int Version, string Volume, string Snapshot, DateTimeOffset TakenAt, DateTimeOffset WrittenAt, string Format, string Packing, long Bytes, long? SizeBytes);

/// <summary>
/// A volume as one file: header, blocks, and a hash of all of it at the end. A file that was cut, or changed in any byte, is found. docs/volume-file.md is its specification.
/// </summary>
public static class VolumeFile
{
    public const int Version = 1, LargestHeader = 64 * 1024, LargestBlock = 1024 * 1024, HashSize = 32;
    /// <summary>Before a block: what it takes in the file, and what it held before it was packed. Where both are the same it was not packed.</summary>
    public const int BlockHead = 8;
    public const string Tree1 = "tree-1", Zstd = "zstd";

    public static ReadOnlySpan<byte> Magic => "drovervol\n"u8;

    /// <summary>Magic and length.</summary>
    public const int Before = 14;

    public static byte[] Write(VolumeFileHeader header)
    {
        var text = JsonSerializer.SerializeToUtf8Bytes(header, VolumeFileJson.Default.VolumeFileHeader);
        var bytes = new byte[Before + text.Length];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(Magic.Length), text.Length);
        text.CopyTo(bytes.AsSpan(Before));
        return bytes;
    }

    /// <summary>Length of the header that begins like this.</summary>
    /// <exception cref="InvalidDataException">It is none.</exception>
    public static int HeaderLength(ReadOnlySpan<byte> before)
    {
        if (!before[..Magic.Length].SequenceEqual(Magic)) throw new InvalidDataException("this is no file of `drover volume export`");
        return BinaryPrimitives.ReadInt32LittleEndian(before[Magic.Length..Before]) is > 0 and <= LargestHeader and var length ? length : throw new InvalidDataException("the file's header has a length that cannot be");
    }

    /// <exception cref="InvalidDataException">It is none that this version reads.</exception>
    public static VolumeFileHeader Read(ReadOnlySpan<byte> text)
    {
        VolumeFileHeader? header;
        try { header = JsonSerializer.Deserialize(text, VolumeFileJson.Default.VolumeFileHeader); }
        catch (JsonException e) { throw new InvalidDataException("the file's header cannot be read", e); }
        if (header is null) throw new InvalidDataException("the file's header is empty");
        if (header.Version != Version) throw new InvalidDataException($"the file is of version {header.Version}, this program reads {Version}: use the version that wrote it");
        if (header.Format != Tree1 || header.Packing != Zstd) throw new InvalidDataException($"the file holds '{Shown(header.Format)}' packed by '{Shown(header.Packing)}', this program reads {Tree1} packed by {Zstd}");
        return header with { Volume = Shown(header.Volume), Snapshot = Shown(header.Snapshot), Bytes = Math.Max(0, header.Bytes), SizeBytes = header.SizeBytes is > 0 ? header.SizeBytes : null };
    }

    /// <summary>The header at the beginning of what has come so far, which stays there; null: more is needed.</summary>
    /// <exception cref="InvalidDataException">It is none.</exception>
    public static VolumeFileHeader? Peek(ReadOnlySequence<byte> come)
    {
        if (come.Length < Before) return null;
        var length = HeaderLength(come.Slice(0, Before).ToArray());
        return come.Length < Before + length ? null : Read(come.Slice(Before, length).ToArray());
    }

    // Somebody else's words, which go to terminals and logs.
    private static string Shown(string? text) => new([.. (text ?? "").Where(c => !char.IsControl(c)).Take(80)]);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(VolumeFileHeader))]
public sealed partial class VolumeFileJson : JsonSerializerContext;
