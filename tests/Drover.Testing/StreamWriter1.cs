using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Drover.Testing;

/// <summary>Writes streams as `btrfs send` does in version 1, also such as it never would. Checksums as linux/fs/btrfs/send.c makes them, byte by byte.</summary>
public sealed class StreamWriter1
{
    private readonly List<byte> _bytes = [.. "btrfs-stream\0"u8, 1, 0, 0, 0];

    public StreamWriter1 Snapshot(Guid uuid, Guid of) => Command(2, [.. Field(15, "data"u8), .. Field(1, uuid.ToByteArray(bigEndian: true)), .. Field(2, new byte[8]), .. Field(20, of.ToByteArray(bigEndian: true)), .. Field(21, new byte[8])]);

    public StreamWriter1 MakeFile(string path) => Command(3, [.. Field(15, Encoding.UTF8.GetBytes(path)), .. Field(3, new byte[8])]);

    public StreamWriter1 Rename(string path, string to) => Command(9, [.. Field(15, Encoding.UTF8.GetBytes(path)), .. Field(16, Encoding.UTF8.GetBytes(to))]);

    public StreamWriter1 Write(string path, long offset, byte[] data)
    {
        var at = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(at, offset);
        return Command(15, [.. Field(15, Encoding.UTF8.GetBytes(path)), .. Field(18, at), .. Field(19, data)]);
    }

    public byte[] End() => [.. Command(21, [])._bytes];

    private StreamWriter1 Command(ushort kind, byte[] fields)
    {
        var command = new byte[10 + fields.Length];
        BinaryPrimitives.WriteInt32LittleEndian(command, fields.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(command.AsSpan(4), kind);
        fields.CopyTo(command, 10);
        BinaryPrimitives.WriteUInt32LittleEndian(command.AsSpan(6), command.Aggregate(0u, BitOperations.Crc32C));
        _bytes.AddRange(command);
        return this;
    }

    private static byte[] Field(ushort kind, ReadOnlySpan<byte> value)
    {
        var field = new byte[4 + value.Length];
        BinaryPrimitives.WriteUInt16LittleEndian(field, kind);
        BinaryPrimitives.WriteUInt16LittleEndian(field.AsSpan(2), (ushort)value.Length);
        value.CopyTo(field.AsSpan(4));
        return field;
    }
}
