using System.Globalization;

namespace Drover.Cli.Output;

/// <summary>One line about bytes on their way, drawn over itself; nothing where standard error is no terminal.</summary>
/// <param name="whole">How many there will be, about; null: nobody knows.</param>
public sealed class TransferProgress(long? whole) : IDisposable
{
    private static readonly TimeSpan DrawEvery = TimeSpan.FromMilliseconds(250);
    private readonly long _began = TimeProvider.System.GetTimestamp();
    private readonly bool _draws = !Console.IsErrorRedirected;
    private long _drawn;
    private int _width;

    public void At(long bytes)
    {
        if (!_draws || _drawn != 0 && TimeProvider.System.GetElapsedTime(_drawn) < DrawEvery) return;
        _drawn = TimeProvider.System.GetTimestamp();
        var line = Line(bytes, whole, TimeProvider.System.GetElapsedTime(_began));
        Console.Error.Write($"\r{line.PadRight(_width)}");
        _width = line.Length;
    }

    /// <summary>`1.2 GiB of about 4 GiB  180 MiB/s  16 s left`</summary>
    public static string Line(long bytes, long? whole, TimeSpan took)
    {
        var rate = took.TotalSeconds > 0.1 ? bytes / took.TotalSeconds : 0;
        var left = whole is { } all && all > bytes && rate > 0 ? string.Create(CultureInfo.InvariantCulture, $"  {(all - bytes) / rate:0} s left") : "";
        return $"{Screen.Bytes(bytes)}{(whole is { } total ? $" of about {Screen.Bytes(total)}" : "")}{(rate > 0 ? $"  {Screen.Bytes((long)rate)}/s" : "")}{left}";
    }

    public void Dispose()
    {
        if (_width > 0) Console.Error.Write($"\r{new string(' ', _width)}\r");
        _width = 0;
    }
}

/// <summary>A stream that is read once, from its beginning on.</summary>
public abstract class ReadingStream : Stream
{
    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override void Flush() { }
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    public abstract override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default);
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
