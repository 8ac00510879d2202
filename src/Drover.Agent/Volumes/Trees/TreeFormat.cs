using System.IO.Hashing;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Kinds of records of a tree-1 stream; docs/tree-1.md is their specification.</summary>
internal enum TreeRecord : byte { Header = 1, Folder, Meta, File, Block, Zero, FileEnd, Link, Node, HardLink, Remove, End }

internal static class TreeFormat
{
    public const int BlockSize = 128 * 1024, LongestPath = 32 * 1024, Deepest = 512, LongestTarget = 4095;
    /// <summary>No disk holds more; some filesystems take any number.</summary>
    public const long LargestFile = 1L << 60;
    /// <summary>Around a record's contents: length and kind before, hash after.</summary>
    public const int Before = 5, After = 8;
    /// <summary>More than any record may need: a path, all attributes, and a second path.</summary>
    public const int LargestRecord = 512 * 1024;
    public static ReadOnlySpan<byte> Magic => "drover tree-1\n"u8;

    /// <summary>The record's own number is in its hash, so one that is left out, doubled or moved is found.</summary>
    public static ulong HashOf(ReadOnlySpan<byte> kindAndContents, long number) => XxHash3.HashToUInt64(kindAndContents, number);

    public static bool IsZero(ReadOnlySpan<byte> block) => !block.ContainsAnyExcept((byte)0);
}

/// <summary>Hash of a file's contents: of its blocks that are not all zero, so that holes and zeros are the same and a large hole costs nothing.</summary>
internal sealed class ContentHash
{
    private readonly XxHash128 _hash = new();

    public void Add(long offset, ReadOnlySpan<byte> block)
    {
        Span<byte> part = stackalloc byte[16];
        System.Buffers.Binary.BinaryPrimitives.WriteInt64LittleEndian(part, offset);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(part[8..], XxHash3.HashToUInt64(block));
        _hash.Append(part);
    }

    public void Value(Span<byte> to) => _hash.GetCurrentHash(to);
}
