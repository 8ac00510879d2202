using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Drover.Agent.Volumes;

namespace Drover.Agent.Transfers;

internal enum FrameType : byte { Hello = 1, Accept = 2, Refuse = 3, Data = 4, Credit = 5, End = 6, Abort = 7, Complete = 8, Restart = 9, From = 10, Done = 11, Wait = 12, Packed = 13 }

/// <summary>The connection ended, or what came over it was damaged. What was taken before it is good.</summary>
internal sealed class LinkBroken(Exception cause) : IOException(cause.Message, cause);

internal readonly record struct FrameHeader(FrameType Type, int Length);

/// <summary>Frames of <c>proto/drover/agent/v1/transfer.md</c> on one stream. One reader and one writer at a time.</summary>
internal sealed class FrameChannel(Stream stream) : IDisposable
{
    public const int MaxData = StreamBuffers.Largest;
    /// <summary>Largest payload that is not data.</summary>
    public const int MaxMessage = 64 * 1024;
    public const int HeaderSize = 5, HashSize = 8;

    private readonly byte[] _out = StreamBuffers.Shared.Rent(HeaderSize + MaxMessage + HashSize);
    private readonly byte[] _in = new byte[HeaderSize + HashSize];
    private readonly XxHash3 _hash = new();
    private readonly SemaphoreSlim _writing = new(1, 1);

    /// <summary>Puts header and checksum around a payload that lies <see cref="HeaderSize"/> into the buffer. The whole frame's length.</summary>
    public static int Seal(FrameType type, Span<byte> frame, int payload)
    {
        frame[0] = (byte)type;
        BinaryPrimitives.WriteInt32BigEndian(frame[1..], payload);
        BinaryPrimitives.WriteUInt64BigEndian(frame[(HeaderSize + payload)..], XxHash3.HashToUInt64(frame[..(HeaderSize + payload)]));
        return HeaderSize + payload + HashSize;
    }

    /// <summary>Sends a frame made by <see cref="Seal"/>.</summary>
    public async Task WriteSealed(ReadOnlyMemory<byte> frame, CancellationToken cancel)
    {
        await _writing.WaitAsync(cancel);
        try { await Send(frame, cancel); }
        finally { _writing.Release(); }
    }

    public async Task Write<T>(FrameType type, T message, JsonTypeInfo<T> shape, CancellationToken cancel) =>
        await Write(type, JsonSerializer.SerializeToUtf8Bytes(message, shape), cancel);

    public async Task Write(FrameType type, ReadOnlyMemory<byte> payload, CancellationToken cancel)
    {
        await _writing.WaitAsync(cancel);
        try
        {
            payload.CopyTo(_out.AsMemory(HeaderSize));
            await Send(_out.AsMemory(0, Seal(type, _out, payload.Length)), cancel);
        }
        finally { _writing.Release(); }
    }

    /// <exception cref="InvalidDataException">Not a frame of this protocol.</exception>
    /// <exception cref="LinkBroken">The peer closed, or the way to it broke.</exception>
    public async Task<FrameHeader> ReadHeader(CancellationToken cancel)
    {
        await OnLink(stream.ReadExactlyAsync(_in.AsMemory(0, HeaderSize), cancel));
        var header = new FrameHeader((FrameType)_in[0], BinaryPrimitives.ReadInt32BigEndian(_in.AsSpan(1)));
        var most = header.Type is FrameType.Data or FrameType.Packed ? MaxData : MaxMessage;
        if (!Enum.IsDefined(header.Type) || header.Length < 0 || header.Length > most)
            throw new InvalidDataException($"frame of type {(byte)header.Type} and length {header.Length} is not of the transfer protocol");
        return header;
    }

    /// <summary>Reads the payload of the header just read and checks it.</summary>
    /// <exception cref="LinkBroken">It was changed on the way, or the way broke.</exception>
    public async Task ReadPayload(FrameHeader header, Memory<byte> into, CancellationToken cancel)
    {
        await OnLink(stream.ReadExactlyAsync(into[..header.Length], cancel));
        await OnLink(stream.ReadExactlyAsync(_in.AsMemory(HeaderSize, HashSize), cancel));
        _hash.Append(_in.AsSpan(0, HeaderSize));
        _hash.Append(into.Span[..header.Length]);
        var actual = _hash.GetCurrentHashAsUInt64();
        _hash.Reset();
        if (actual != BinaryPrimitives.ReadUInt64BigEndian(_in.AsSpan(HeaderSize)))
            throw new LinkBroken(new InvalidDataException($"a frame of {header.Length} bytes was changed on the way: its checksum does not agree"));
    }

    public async Task<byte[]> ReadMessage(FrameHeader header, CancellationToken cancel)
    {
        var payload = new byte[header.Length];
        await ReadPayload(header, payload, cancel);
        return payload;
    }

    public static T Parse<T>(byte[] payload, JsonTypeInfo<T> shape) where T : class
    {
        try { return JsonSerializer.Deserialize(payload, shape) ?? throw new InvalidDataException($"empty {typeof(T).Name}"); }
        catch (JsonException e) { throw new InvalidDataException($"{typeof(T).Name} is not as agreed: {e.Message}", e); }
    }

    private async Task Send(ReadOnlyMemory<byte> frame, CancellationToken cancel)
    {
        await OnLink(stream.WriteAsync(frame, cancel));
        await OnLink(new ValueTask(stream.FlushAsync(cancel)));
    }

    /// <summary>What fails here is the connection, never the disk or a program: the stream may go on over another one.</summary>
    private static async Task OnLink(ValueTask io)
    {
        try { await io; }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException) { throw new LinkBroken(e); }
    }

    public void Dispose()
    {
        StreamBuffers.Shared.Return(_out);
        _writing.Dispose();
    }
}

/// <param name="Identity">Of the snapshot that is sent.</param>
/// <param name="Base">Snapshot the sender would send the difference against; null: none.</param>
/// <param name="BaseIdentity">Its identity: a name alone is not enough.</param>
/// <param name="Resume">The sender understands an offset in ACCEPT.</param>
/// <param name="Urgent">A final round: it does not wait in the queue.</param>
/// <param name="Compress">What the sender could compress pieces with.</param>
/// <param name="Formats">Streams that the sender's driver can make, the best first.</param>
/// <param name="Trace">The span that it belongs to.</param>
internal sealed record Hello(int Version, string Ticket, string Volume, string Snapshot, string Identity, string? Base, string? BaseIdentity, string Driver, long Epoch, bool Resume = false, bool Urgent = false, string? Compress = null, IReadOnlyList<string>? Formats = null, string? Trace = null)
{
    /// <summary>The best first. Agents before formats had names sent one only.</summary>
    [JsonIgnore]
    public IEnumerable<StreamFormat> Offered => Formats?.Select(f => new StreamFormat(f)) ?? [StreamFormat.BtrfsSend1];
}

/// <param name="Base">The base that the receiver has too, or null: send everything.</param>
/// <param name="Offset">Bytes of this stream that the receiver took over an earlier connection.</param>
/// <param name="Proof">XXH128 of those bytes, hex.</param>
/// <param name="Format">Of the stream: one that was offered.</param>
/// <param name="Compress">What was offered, when the receiver knows it.</param>
internal sealed record Accept(long Credit, string? Base, long Offset = 0, string? Proof = null, string? Format = null, string? Compress = null);

/// <param name="Offset">Where the sender goes on: as ACCEPT said, or 0 when its stream is another one.</param>
internal sealed record From(long Offset);
internal sealed record Wait(int Place, int Running, int Limit);
internal sealed record Refuse(string Error, string Kind);
internal sealed record End(long Bytes, string Xxh128);
internal sealed record Abort(string Error, string Kind);
internal sealed record Complete(string Identity, long ReceiveUs, long SyncUs);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Hello)), JsonSerializable(typeof(Accept)), JsonSerializable(typeof(Refuse)), JsonSerializable(typeof(End)), JsonSerializable(typeof(From)), JsonSerializable(typeof(Wait))]
[JsonSerializable(typeof(Abort)), JsonSerializable(typeof(Complete)), JsonSerializable(typeof(Ticket))]
internal sealed partial class TransferJson : JsonSerializerContext;
