using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using Drover.Agent.Volumes.Trees;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>Commands of a btrfs send stream, with the numbers of linux/fs/btrfs/send.h.</summary>
internal enum SendKind : ushort
{
    Unknown, Subvolume, Snapshot, MakeFile, MakeFolder, MakeNode, MakeFifo, MakeSocket, MakeLink, Rename, HardLink, Unlink, RemoveFolder, SetAttribute, RemoveAttribute,
    Write, Clone, Truncate, Mode, Owner, Times, End, UpdateExtent, Allocate, FileFlags, EncodedWrite, EnableVerity,
}

/// <summary>One command of a stream. Which of the fields it has depends on its kind.</summary>
internal sealed record SendCommand(SendKind Kind, TreePath Path)
{
    public TreePath? To { get; init; }
    /// <summary>A part of the command as it is held: good for as long as that is.</summary>
    public ReadOnlyMemory<byte> Data { get; init; }
    public long Offset { get; init; }
    public long Size { get; init; }
    public uint Mode { get; init; }
    public uint User { get; init; }
    public uint Group { get; init; }
    public Moment Accessed { get; init; }
    public Moment Modified { get; init; }
    public Guid Uuid { get; init; }
    public Guid CloneUuid { get; init; }
}

/// <summary>Reads a whole stream, before anything is done of it. Format: linux/fs/btrfs/send.h, versions 1 and 2.</summary>
internal static class SendStream
{
    private const int MostCommands = 64 * 1024;
    private const int HeaderSize = 17, CommandHeader = 10, ChecksumAt = 6;
    private static ReadOnlySpan<byte> Magic => "btrfs-stream\0"u8;

    private enum Field : ushort
    {
        Uuid = 1, Transaction, Inode, Size, Mode, User, Group, Device, Changed, Modified, Accessed, Made, AttributeName, AttributeData, Path, PathTo, PathLink, Offset, Data,
        CloneUuid, CloneTransaction, ClonePath, CloneOffset, CloneLength,
    }

    /// <summary>The commands, the last one <see cref="SendKind.End"/>. Null: more, or longer ones, than are worth holding in memory.</summary>
    /// <param name="keep">Where the commands are to lie: their data is not copied once more.</param>
    /// <exception cref="InvalidDataException">It is cut short, damaged, or no such stream.</exception>
    public static List<SendCommand>? Parse(ReadOnlySequence<byte> stream, HeldCommands keep)
    {
        Span<byte> head = stackalloc byte[HeaderSize];
        if (stream.Length < HeaderSize) throw NoStream();
        stream.Slice(0, HeaderSize).CopyTo(head);
        if (!head.StartsWith(Magic)) throw NoStream();
        var version = BinaryPrimitives.ReadUInt32LittleEndian(head[Magic.Length..]);
        if (version is not (1 or 2)) throw new InvalidDataException($"version {version} of btrfs' streams is not known here");
        var commands = new List<SendCommand>();
        for (var rest = stream.Slice(HeaderSize); ;)
        {
            if (rest.Length < CommandHeader) throw CutShort(commands);
            rest.Slice(0, CommandHeader).CopyTo(head);
            var length = CommandHeader + (long)BinaryPrimitives.ReadUInt32LittleEndian(head);
            if (length > rest.Length) throw CutShort(commands);
            if (keep.Keep(rest.Slice(0, length)) is not { } whole) return null;
            if (Checksum(whole.Span) != BinaryPrimitives.ReadUInt32LittleEndian(whole.Span[ChecksumAt..])) throw new InvalidDataException($"command {commands.Count} of the stream is damaged");
            commands.Add(Command(whole, version));
            if (commands.Count > MostCommands) return null;
            rest = rest.Slice(length);
            if (commands[^1].Kind != SendKind.End) continue;
            return rest.IsEmpty ? commands : throw new InvalidDataException("the stream goes on behind its end");
        }
    }

    private static InvalidDataException NoStream() => new("it is no stream of btrfs");

    private static InvalidDataException CutShort(List<SendCommand> after) => new($"the stream is cut short after {after.Count} commands");

    /// <summary>CRC-32C of the command, its own field taken as zero; the kernel neither starts with ones nor inverts.</summary>
    private static uint Checksum(ReadOnlySpan<byte> command)
    {
        var sum = Add(0, command[..ChecksumAt]);
        sum = BitOperations.Crc32C(sum, 0u);
        return Add(sum, command[CommandHeader..]);
    }

    private static uint Add(uint sum, ReadOnlySpan<byte> bytes)
    {
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..]) sum = BitOperations.Crc32C(sum, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (var b in bytes) sum = BitOperations.Crc32C(sum, b);
        return sum;
    }

    private static SendCommand Command(ReadOnlyMemory<byte> whole, uint version)
    {
        var kind = (SendKind)BinaryPrimitives.ReadUInt16LittleEndian(whole.Span[4..]);
        // The root of what is sent has no path.
        var command = new SendCommand(kind, new([]));
        for (var rest = whole[CommandHeader..]; !rest.IsEmpty;)
        {
            if (rest.Length < 2) throw Wrong(kind);
            var field = (Field)BinaryPrimitives.ReadUInt16LittleEndian(rest.Span);
            // From version 2 on, data takes all that is left of its command.
            var (before, length) = field == Field.Data && version >= 2 ? (2, rest.Length - 2) : rest.Length < 4 ? throw Wrong(kind) : (4, BinaryPrimitives.ReadUInt16LittleEndian(rest.Span[2..]));
            if (length > rest.Length - before) throw Wrong(kind);
            command = With(command, field, rest.Slice(before, length));
            rest = rest[(before + length)..];
        }
        return command;
    }

    private static SendCommand With(SendCommand c, Field field, ReadOnlyMemory<byte> value) => field switch
    {
        Field.Uuid => c with { Uuid = Uuid(c, value) },
        Field.CloneUuid => c with { CloneUuid = Uuid(c, value) },
        Field.Path => Path(c, value) is { } path ? c with { Path = path } : c with { Kind = SendKind.Unknown },
        // Of a symbolic link it is the target, which may be anything.
        Field.PathLink when c.Kind != SendKind.HardLink => c,
        Field.PathTo or Field.PathLink => Path(c, value) is { } to ? c with { To = to } : c with { Kind = SendKind.Unknown },
        Field.Data => c with { Data = value },
        Field.Offset => c with { Offset = Number(c, value) },
        Field.Size => c with { Size = Number(c, value) },
        Field.Mode => c with { Mode = (uint)Number(c, value) },
        Field.User => c with { User = (uint)Number(c, value) },
        Field.Group => c with { Group = (uint)Number(c, value) },
        Field.Accessed => c with { Accessed = Time(c, value) },
        Field.Modified => c with { Modified = Time(c, value) },
        _ => c,
    };

    private static Guid Uuid(SendCommand c, ReadOnlyMemory<byte> value) => value.Length == 16 ? new(value.Span, bigEndian: true) : throw Wrong(c.Kind);

    /// <summary>Null: deeper than is followed here, which is no fault of the stream.</summary>
    private static TreePath? Path(SendCommand c, ReadOnlyMemory<byte> value) => TreePath.Parse(value.Span, mayBeRoot: true) ?? (value.Span.Count((byte)'/') >= TreeFormat.Deepest ? null : throw new InvalidDataException($"a command {c.Kind} of the stream names a path that leaves its tree or cannot be: '{RawName.Text(value.Span)}'"));

    private static long Number(SendCommand c, ReadOnlyMemory<byte> value) =>
        value.Length == 8 && BinaryPrimitives.ReadInt64LittleEndian(value.Span) is >= 0 and var number ? number : throw Wrong(c.Kind);

    private static Moment Time(SendCommand c, ReadOnlyMemory<byte> value) =>
        value.Length == 12 ? new(BinaryPrimitives.ReadInt64LittleEndian(value.Span), BinaryPrimitives.ReadUInt32LittleEndian(value.Span[8..])) : throw Wrong(c.Kind);

    private static InvalidDataException Wrong(SendKind kind) => new($"a command {kind} of the stream is damaged");
}
