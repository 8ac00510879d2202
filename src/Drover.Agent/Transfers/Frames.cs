using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Drover.Agent.Transfers;

internal enum FrameType : byte { Hello = 1, Accept = 2, Refuse = 3, Data = 4, Credit = 5, End = 6, Abort = 7, Complete = 8, Restart = 9 }

internal readonly record struct FrameHeader(FrameType Type, int Length);

/// <summary>Frames of <c>proto/drover/agent/v1/transfer.md</c> on one stream. One reader and one writer at a time.</summary>
internal sealed class FrameChannel(Stream stream) : IDisposable
{
    public const int MaxData = 256 * 1024;
    /// <summary>Largest payload that is not data.</summary>
    public const int MaxMessage = 64 * 1024;
    public const int HeaderSize = 5, HashSize = 8;

    private readonly byte[] _out = ArrayPool<byte>.Shared.Rent(HeaderSize + MaxData + HashSize);
    private readonly byte[] _in = new byte[HeaderSize + HashSize];
    private readonly XxHash3 _hash = new();
    private readonly SemaphoreSlim _writing = new(1, 1);

    /// <summary>Room for the payload of the data frame that <see cref="WriteData"/> sends: filled in place, written in one go.</summary>
    public Memory<byte> DataRoom => _out.AsMemory(HeaderSize, MaxData);

    /// <summary>Sends the first bytes of <see cref="DataRoom"/>. Not to be used together with another write.</summary>
    public Task WriteData(int length, CancellationToken cancel) => WriteRoom(FrameType.Data, length, cancel);

    public async Task Write<T>(FrameType type, T message, JsonTypeInfo<T> shape, CancellationToken cancel) =>
        await Write(type, JsonSerializer.SerializeToUtf8Bytes(message, shape), cancel);

    public async Task Write(FrameType type, ReadOnlyMemory<byte> payload, CancellationToken cancel)
    {
        await _writing.WaitAsync(cancel);
        try
        {
            payload.CopyTo(DataRoom);
            await WriteRoom(type, payload.Length, cancel);
        }
        finally { _writing.Release(); }
    }

    /// <exception cref="InvalidDataException">Not a frame of this protocol.</exception>
    /// <exception cref="EndOfStreamException">The peer closed.</exception>
    public async Task<FrameHeader> ReadHeader(CancellationToken cancel)
    {
        await stream.ReadExactlyAsync(_in.AsMemory(0, HeaderSize), cancel);
        var header = new FrameHeader((FrameType)_in[0], BinaryPrimitives.ReadInt32BigEndian(_in.AsSpan(1)));
        var most = header.Type == FrameType.Data ? MaxData : MaxMessage;
        if (!Enum.IsDefined(header.Type) || header.Length < 0 || header.Length > most)
            throw new InvalidDataException($"frame of type {(byte)header.Type} and length {header.Length} is not of the transfer protocol");
        return header;
    }

    /// <summary>Reads the payload of the header just read and checks it.</summary>
    /// <exception cref="InvalidDataException">It was changed on the way.</exception>
    public async Task ReadPayload(FrameHeader header, Memory<byte> into, CancellationToken cancel)
    {
        await stream.ReadExactlyAsync(into[..header.Length], cancel);
        await stream.ReadExactlyAsync(_in.AsMemory(HeaderSize, HashSize), cancel);
        _hash.Append(_in.AsSpan(0, HeaderSize));
        _hash.Append(into.Span[..header.Length]);
        var actual = _hash.GetCurrentHashAsUInt64();
        _hash.Reset();
        if (actual != BinaryPrimitives.ReadUInt64BigEndian(_in.AsSpan(HeaderSize)))
            throw new InvalidDataException($"a frame of {header.Length} bytes was changed on the way: its checksum does not agree");
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

    private async Task WriteRoom(FrameType type, int length, CancellationToken cancel)
    {
        _out[0] = (byte)type;
        BinaryPrimitives.WriteInt32BigEndian(_out.AsSpan(1), length);
        BinaryPrimitives.WriteUInt64BigEndian(_out.AsSpan(HeaderSize + length), XxHash3.HashToUInt64(_out.AsSpan(0, HeaderSize + length)));
        await stream.WriteAsync(_out.AsMemory(0, HeaderSize + length + HashSize), cancel);
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_out);
        _writing.Dispose();
    }
}

/// <param name="Identity">Of the snapshot that is sent.</param>
/// <param name="Base">Snapshot the sender would send the difference against; null: none.</param>
/// <param name="BaseIdentity">Its identity: a name alone is not enough.</param>
internal sealed record Hello(int Version, string Ticket, string Volume, string Snapshot, string Identity, string? Base, string? BaseIdentity, string Driver, long Epoch);

/// <param name="Base">The base that the receiver has too, or null: send everything.</param>
internal sealed record Accept(long Credit, string? Base);
internal sealed record Refuse(string Error, string Kind);
internal sealed record End(long Bytes, string Xxh128);
internal sealed record Abort(string Error, string Kind);
internal sealed record Complete(string Identity, long ReceiveUs, long SyncUs);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Hello)), JsonSerializable(typeof(Accept)), JsonSerializable(typeof(Refuse)), JsonSerializable(typeof(End))]
[JsonSerializable(typeof(Abort)), JsonSerializable(typeof(Complete)), JsonSerializable(typeof(Ticket))]
internal sealed partial class TransferJson : JsonSerializerContext;
