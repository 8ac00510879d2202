using System.Buffers.Binary;

namespace Drover.Agent.Volumes.Trees;

/// <summary>The first record of a stream, as bytes.</summary>
internal static class TreeHeaders
{
    private const int Contents = 33;

    /// <summary>Gives the snapshot that a whole stream holds another identity.</summary>
    /// <param name="start">Of the stream: at least its first record.</param>
    /// <exception cref="InvalidDataException">It does not begin as a stream of everything.</exception>
    public static void Rename(Span<byte> start, Guid identity)
    {
        var magic = TreeFormat.Magic;
        if (start.Length < magic.Length + TreeFormat.Before + Contents + TreeFormat.After || !start[..magic.Length].SequenceEqual(magic)) throw Not();
        var record = start[magic.Length..];
        var hashed = record.Slice(TreeFormat.Before - 1, 1 + Contents);
        var hash = record.Slice(TreeFormat.Before + Contents, TreeFormat.After);
        if (BinaryPrimitives.ReadInt32LittleEndian(record) != Contents || hashed[0] != (byte)TreeRecord.Header || hashed[17] != 0) throw Not();
        if (BinaryPrimitives.ReadUInt64LittleEndian(hash) != TreeFormat.HashOf(hashed, 0)) throw new InvalidDataException("the stream's header is damaged");
        identity.TryWriteBytes(hashed[1..17], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(hash, TreeFormat.HashOf(hashed, 0));
    }

    private static InvalidDataException Not() => new("this is no stream of a whole volume");
}
