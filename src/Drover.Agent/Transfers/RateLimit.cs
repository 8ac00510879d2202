namespace Drover.Agent.Transfers;

/// <summary>A token bucket shared by the volumes of one round. Holds at most a quarter of a second.</summary>
/// <param name="bytesPerSecond">0: no limit.</param>
internal sealed class RateLimit(long bytesPerSecond, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly double _capacity = Math.Max(bytesPerSecond / 4.0, 1);
    private double _tokens = Math.Max(bytesPerSecond / 4.0, 1);
    private long _last = time.GetTimestamp();

    /// <summary>Largest piece to ask for at once, so that a low limit makes small pieces rather than long pauses.</summary>
    public int Piece => bytesPerSecond == 0 ? FrameChannel.MaxData : (int)Math.Clamp(bytesPerSecond / 8, 1024, FrameChannel.MaxData);

    /// <summary>Waits until so many bytes may go. The bucket may go into debt by one piece, which later ones pay.</summary>
    public Task Take(int bytes, CancellationToken cancel)
    {
        if (bytesPerSecond == 0) return Task.CompletedTask;
        TimeSpan wait;
        lock (_gate)
        {
            var now = time.GetTimestamp();
            _tokens = Math.Min(_capacity, _tokens + time.GetElapsedTime(_last, now).TotalSeconds * bytesPerSecond) - bytes;
            _last = now;
            wait = _tokens >= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(-_tokens / bytesPerSecond);
        }
        return wait == TimeSpan.Zero ? Task.CompletedTask : Task.Delay(wait, time, cancel);
    }
}
