using System.Net.Sockets;

namespace Drover.Agent.Transfers;

/// <summary>
/// Between TLS and the socket: TLS reads and writes records of 16 KiB, one call of the kernel each, which on two cores costs as much as the data itself.
/// Here many records go in one call. Writes are held back only after <see cref="HoldWrites"/>, and until flushed.
/// </summary>
internal sealed class WideStream(NetworkStream inner) : Stream
{
    private const int Size = 288 * 1024;
    /// <summary>Made when there is something to hold: a connection that says nothing costs next to nothing.</summary>
    private byte[]? _in, _out;
    private int _from, _until, _held;

    /// <summary>From now on what is written goes out by <see cref="FlushAsync(CancellationToken)"/>, or when the buffer is full. Not before the handshake is done: it does not flush.</summary>
    public bool HoldWrites { get; set; }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // TLS asks for nothing at first, to wait without holding a buffer.
        if (buffer.IsEmpty) return _from == _until ? await inner.ReadAsync(buffer, cancellationToken) : 0;
        if (_from == _until)
        {
            _from = 0;
            _until = 0;
            // Waits without a buffer.
            if (_in is null) _ = await inner.ReadAsync(Memory<byte>.Empty, cancellationToken);
            _in ??= GC.AllocateUninitializedArray<byte>(Size);
            if ((_until = await inner.ReadAsync(_in, cancellationToken)) == 0) return 0;
        }
        var size = Math.Min(buffer.Length, _until - _from);
        _in.AsSpan(_from, size).CopyTo(buffer.Span);
        _from += size;
        return size;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!HoldWrites) return inner.WriteAsync(buffer, cancellationToken);
        if (buffer.Length > Size - _held) return Overflow(buffer, cancellationToken);
        _out ??= GC.AllocateUninitializedArray<byte>(Size);
        buffer.CopyTo(_out.AsMemory(_held));
        _held += buffer.Length;
        return ValueTask.CompletedTask;
    }

    private async ValueTask Overflow(ReadOnlyMemory<byte> buffer, CancellationToken cancel)
    {
        await FlushAsync(cancel);
        if (buffer.Length > Size) { await inner.WriteAsync(buffer, cancel); return; }
        buffer.CopyTo(_out);
        _held = buffer.Length;
    }

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        if (_held == 0) return;
        var size = _held;
        _held = 0;
        await inner.WriteAsync(_out.AsMemory(0, size), cancellationToken);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    // TLS closes with these.
    public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer, offset, count, CancellationToken.None).GetAwaiter().GetResult();
    public override void Write(byte[] buffer, int offset, int count) => WriteAsync(buffer, offset, count, CancellationToken.None).GetAwaiter().GetResult();
    public override void Flush() => FlushAsync(CancellationToken.None).GetAwaiter().GetResult();

    public override bool CanRead => true;
    public override bool CanWrite => true;
    public override bool CanSeek => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
