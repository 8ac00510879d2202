using Drover.Contracts.Agent;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Drover.Agent.Link;

/// <summary>Bytes between a step and whoever asked the control plane for it.</summary>
public interface IControlStreams
{
    /// <summary>Gives what <paramref name="write"/> writes to the control plane, which has all of it when this returns.</summary>
    Task Pour(string stream, Func<Stream, Task> write, CancellationToken cancel);

    /// <summary>Reads what the control plane holds ready.</summary>
    Task Draw(string stream, Func<Stream, Task> read, CancellationToken cancel);
}

/// <summary>Over connections of their own, so that no order waits behind a file; dialled as the agent's stream is, with the same identity.</summary>
public sealed class ControlStreams(AgentOptions options, AgentIdentity identity) : IControlStreams
{
    private static readonly TimeSpan PingAfter = TimeSpan.FromSeconds(4);

    public async Task Pour(string stream, Func<Stream, Task> write, CancellationToken cancel)
    {
        using var channel = Dial();
        using var call = new AgentLink.AgentLinkClient(channel).Pour(cancellationToken: cancel);
        await call.RequestStream.WriteAsync(new VolumePiece { StreamId = stream }, cancel);
        // Without its end the call counts as broken off: what was written is then no file.
        await write(new PouringStream(call.RequestStream));
        await call.RequestStream.CompleteAsync();
        await call.ResponseAsync;
    }

    public async Task Draw(string stream, Func<Stream, Task> read, CancellationToken cancel)
    {
        using var channel = Dial();
        using var call = new AgentLink.AgentLinkClient(channel).Draw(new VolumeDraw { StreamId = stream }, cancellationToken: cancel);
        await read(new DrawingStream(call.ResponseStream));
    }

    private GrpcChannel Dial() => GrpcChannel.ForAddress(options.Control, new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler { SslOptions = identity.ForControl(), KeepAlivePingDelay = PingAfter, KeepAlivePingTimeout = PingAfter, ConnectTimeout = PingAfter },
        DisposeHttpClient = true,
    });
}

/// <summary>One direction only; what is not that direction's is not there.</summary>
internal abstract class OneWayStream : Stream
{
    public override bool CanSeek => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

internal sealed class PouringStream(IClientStreamWriter<VolumePiece> to) : OneWayStream
{
    private const int Piece = 256 * 1024;

    public override bool CanRead => false;
    public override bool CanWrite => true;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        for (; buffer.Length > 0; buffer = buffer[Math.Min(Piece, buffer.Length)..])
            await to.WriteAsync(new VolumePiece { Data = ByteString.CopyFrom(buffer.Span[..Math.Min(Piece, buffer.Length)]) }, cancellationToken);
    }
}

internal sealed class DrawingStream(IAsyncStreamReader<VolumePiece> from) : OneWayStream
{
    private ReadOnlyMemory<byte> _left;

    public override bool CanRead => true;
    public override bool CanWrite => false;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_left.IsEmpty)
        {
            if (!await from.MoveNext(cancellationToken)) return 0;
            _left = from.Current.Data.Memory;
        }
        var taken = Math.Min(buffer.Length, _left.Length);
        _left[..taken].CopyTo(buffer);
        _left = _left[taken..];
        return taken;
    }
}
