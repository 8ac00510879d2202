using System.Buffers.Binary;
using System.IO.Pipelines;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Puts records on a pipe: first the fields, then <see cref="Done"/>.</summary>
internal sealed class TreeRecordWriter(PipeWriter to)
{
    private const int FlushAt = 256 * 1024;
    private readonly byte[] _record = new byte[TreeFormat.LargestRecord];
    private int _length;
    private long _unflushed;

    /// <summary>Records written so far.</summary>
    public long Count { get; private set; }

    public void Magic()
    {
        TreeFormat.Magic.CopyTo(to.GetSpan(TreeFormat.Magic.Length));
        to.Advance(TreeFormat.Magic.Length);
    }

    public TreeRecordWriter Begin(TreeRecord kind)
    {
        _length = TreeFormat.Before;
        _record[TreeFormat.Before - 1] = (byte)kind;
        return this;
    }

    public TreeRecordWriter Byte(byte value)
    {
        Room(1)[0] = value;
        return this;
    }

    public TreeRecordWriter Number(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(Room(8), value);
        return this;
    }

    public TreeRecordWriter Number(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(Room(4), value);
        return this;
    }

    public TreeRecordWriter Bytes(ReadOnlySpan<byte> bytes)
    {
        Number((uint)bytes.Length);
        bytes.CopyTo(Room(bytes.Length));
        return this;
    }

    public TreeRecordWriter Identity(Guid id)
    {
        id.TryWriteBytes(Room(16), bigEndian: true, out _);
        return this;
    }

    public TreeRecordWriter Meta(TreeMeta meta)
    {
        Number(meta.Mode).Number(meta.User).Number(meta.Group).Number(meta.Modified.Seconds).Number(meta.Modified.Nanoseconds).Number((uint)meta.Attributes.Count);
        foreach (var one in meta.Attributes) Bytes(one.Name).Bytes(one.Value);
        return this;
    }

    /// <summary>The rest of the record, to be read into directly; as long as asked for.</summary>
    public Span<byte> Rest(int length) => Room(length);

    public async ValueTask Done(CancellationToken cancel)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_record, _length - TreeFormat.Before);
        BinaryPrimitives.WriteUInt64LittleEndian(_record.AsSpan(_length), TreeFormat.HashOf(_record.AsSpan(TreeFormat.Before - 1, _length - TreeFormat.Before + 1), Count++));
        _length += TreeFormat.After;
        _record.AsSpan(0, _length).CopyTo(to.GetSpan(_length));
        to.Advance(_length);
        if ((_unflushed += _length) >= FlushAt) await Flush(cancel);
    }

    public async ValueTask Flush(CancellationToken cancel)
    {
        _unflushed = 0;
        if ((await to.FlushAsync(cancel)).IsCompleted) throw new IOException("the reader of the stream went away");
    }

    private Span<byte> Room(int length)
    {
        if (_length + length > TreeFormat.LargestRecord - TreeFormat.After) throw new IOException("an entry's path and extended attributes are larger than a stream carries: shorten them");
        _length += length;
        return _record.AsSpan(_length - length, length);
    }
}
