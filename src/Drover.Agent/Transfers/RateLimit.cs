namespace Drover.Agent.Transfers;

/// <summary>A token bucket shared by the volumes of one round, or by all rounds of a node. Holds at most a quarter of a second.</summary>
/// <param name="bytesPerSecond">0: no limit.</param>
internal sealed class RateLimit(long bytesPerSecond, TimeProvider time)
{
    private readonly Lock _gate = new();
    private long _rate = bytesPerSecond;
    private double _tokens = Capacity(bytesPerSecond);
    private long _last = time.GetTimestamp();

    /// <summary>Largest piece to ask for at once, so that a low limit makes small pieces rather than long pauses.</summary>
    public int Piece => Volatile.Read(ref _rate) is > 0 and var rate ? (int)Math.Clamp(rate / 8, 1024, FrameChannel.MaxData) : FrameChannel.MaxData;

    /// <summary>Bytes a second from now on; 0: no limit. Whoever waits already has waited by the old one.</summary>
    public void Set(long rate)
    {
        lock (_gate)
        {
            if (rate == _rate) return;
            (_rate, _tokens, _last) = (rate, Capacity(rate), time.GetTimestamp());
        }
    }

    private static double Capacity(long rate) => Math.Max(rate / 4.0, 1);

    /// <summary>Waits until so many bytes may go. The bucket may go into debt by one piece, which later ones pay.</summary>
    public Task Take(int bytes, CancellationToken cancel)
    {
        TimeSpan wait;
        lock (_gate)
        {
            if (_rate == 0) return Task.CompletedTask;
            var now = time.GetTimestamp();
            _tokens = Math.Min(Capacity(_rate), _tokens + time.GetElapsedTime(_last, now).TotalSeconds * _rate) - bytes;
            _last = now;
            wait = _tokens >= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(-_tokens / _rate);
        }
        return wait == TimeSpan.Zero ? Task.CompletedTask : Task.Delay(wait, time, cancel);
    }
}
