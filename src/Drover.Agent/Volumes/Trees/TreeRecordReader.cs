using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Takes records off a pipe that is not trusted: every length is bounded and every hash checked before a field is looked at.</summary>
internal sealed class TreeRecordReader(PipeReader from)
{
    private readonly byte[] _record = new byte[TreeFormat.LargestRecord + TreeFormat.Before + TreeFormat.After];
    private int _at, _end;
    private long _count;

    public TreeRecord Kind { get; private set; }

    /// <summary>Records read so far.</summary>
    public long Count => _count;

    public async ValueTask Magic(CancellationToken cancel)
    {
        await Fill(0, TreeFormat.Magic.Length, cancel);
        if (!_record.AsSpan(0, TreeFormat.Magic.Length).SequenceEqual(TreeFormat.Magic)) throw new InvalidDataException("the stream is not in the format tree-1");
    }

    public async ValueTask Next(CancellationToken cancel)
    {
        await Fill(0, TreeFormat.Before, cancel);
        var length = BinaryPrimitives.ReadInt32LittleEndian(_record);
        if (length is < 0 or > TreeFormat.LargestRecord) throw new InvalidDataException($"record {_count} claims {length} bytes, allowed are {TreeFormat.LargestRecord}");
        await Fill(TreeFormat.Before, length + TreeFormat.After, cancel);
        (_at, _end) = (TreeFormat.Before, TreeFormat.Before + length);
        if (BinaryPrimitives.ReadUInt64LittleEndian(_record.AsSpan(_end)) != TreeFormat.HashOf(_record.AsSpan(TreeFormat.Before - 1, length + 1), _count))
            throw new InvalidDataException($"record {_count} is damaged or out of its place");
        Kind = (TreeRecord)_record[TreeFormat.Before - 1];
        _count++;
    }

    /// <summary>Nothing may come after the last record.</summary>
    public async ValueTask Finished(CancellationToken cancel)
    {
        while (true)
        {
            var read = await Read(cancel);
            var more = !read.Buffer.IsEmpty;
            from.AdvanceTo(read.Buffer.End);
            if (more) throw new InvalidDataException("the stream goes on after its end");
            if (read.IsCompleted) return;
        }
    }

    public byte Byte() => Take(1)[0];
    public long Number64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));
    public uint Number32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
    public Guid Identity() => new(Take(16), bigEndian: true);
    public ReadOnlySpan<byte> Hash() => Take(16);

    public ReadOnlySpan<byte> Bytes(int most)
    {
        var length = Number32();
        return length <= most ? Take((int)length) : throw Wrong($"holds {length} bytes where {most} are allowed");
    }

    public TreeMeta Meta()
    {
        const ushort permissions = 0xFFF;
        const uint nanosecondsOfSecond = 1_000_000_000;
        var (mode, user, group) = (Number32(), Number32(), Number32());
        var modified = new Moment(Number64(), Number32());
        if (mode > permissions || modified.Nanoseconds >= nanosecondsOfSecond) throw Wrong("has a mode or time that cannot be");
        var count = Number32();
        if (count > TreeAttributes.Most) throw Wrong($"has {count} attributes where {TreeAttributes.Most} are allowed");
        var attributes = new List<Attribute>();
        for (var i = 0; i < count; i++)
        {
            var name = Bytes(RawName.Longest).ToArray();
            if (!TreeAttributes.IsCarried(name) || name.Contains((byte)0)) throw Wrong("names an attribute that a stream may not set");
            attributes.Add(new(name, Bytes(TreeAttributes.LongestValue).ToArray()));
        }
        return new((ushort)mode, user, group, modified, attributes);
    }

    /// <summary>A path below the root of the tree, as its single names; empty for the root itself where that may be.</summary>
    public TreePath Path(bool mayBeRoot = false)
    {
        var bytes = Bytes(TreeFormat.LongestPath);
        return TreePath.Parse(bytes, mayBeRoot) ?? throw Wrong($"names a path that leaves its tree or cannot be: '{RawName.Text(bytes)}'");
    }

    /// <summary>All that is left of the record.</summary>
    public ReadOnlySpan<byte> Rest() => Take(_end - _at);

    /// <summary>Before a record is acted on: it held just what was read.</summary>
    public void AtEnd()
    {
        if (_at != _end) throw Wrong("is longer than its kind is");
    }

    public InvalidDataException Wrong(string how) => new($"record {_count - 1} ({Kind}) {how}");

    private ReadOnlySpan<byte> Take(int length)
    {
        if (_end - _at < length) throw Wrong("is shorter than its kind is");
        _at += length;
        return _record.AsSpan(_at - length, length);
    }

    private async ValueTask Fill(int at, int length, CancellationToken cancel)
    {
        while (length > 0)
        {
            var read = await Read(cancel);
            var part = read.Buffer.Slice(0, Math.Min(length, read.Buffer.Length));
            part.CopyTo(_record.AsSpan(at));
            (at, length) = (at + (int)part.Length, length - (int)part.Length);
            from.AdvanceTo(part.End);
            if (length > 0 && read.IsCompleted) throw new InvalidDataException($"the stream is cut short after {_count} records");
        }
    }

    private async ValueTask<ReadResult> Read(CancellationToken cancel)
    {
        try { return await from.ReadAsync(cancel); }
        catch (Exception e) when (e is not OperationCanceledException || !cancel.IsCancellationRequested) { throw new InvalidDataException($"the stream broke off: {e.Message}", e); }
    }
}

/// <summary>Names from the root of a tree to an entry: each a single component, none of which leads up or away.</summary>
internal readonly record struct TreePath(byte[][] Names)
{
    public bool IsRoot => Names.Length == 0;
    public byte[] Last => IsRoot ? RawName.Here : Names[^1];
    public ReadOnlySpan<byte[]> Parents => IsRoot ? [] : Names.AsSpan(0, Names.Length - 1);

    public static TreePath? Parse(ReadOnlySpan<byte> bytes, bool mayBeRoot)
    {
        if (bytes.IsEmpty) return mayBeRoot ? new([]) : null;
        var names = new List<byte[]>();
        foreach (var range in bytes.Split((byte)'/'))
        {
            var name = bytes[range];
            if (name.IsEmpty || name.Length > RawName.Longest || name.SequenceEqual("."u8) || name.SequenceEqual(".."u8) || name.Contains((byte)0) || names.Count == TreeFormat.Deepest) return null;
            names.Add(RawName.Of(name));
        }
        return new([.. names]);
    }

    public override string ToString() => string.Join('/', Names.Select(n => RawName.Text(RawName.Bytes(n))));
}
