namespace Drover.Agent.Transfers;

/// <summary>
/// Finds a target that is not there any more. One that works, however slowly its disk does, says so every second; a link that is cut and a process that is stopped say nothing,
/// which the kernel would find out a minute later, or never.
/// </summary>
internal sealed class Silence : IDisposable
{
    /// <summary>How often a receiver says that it is there.</summary>
    public static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(8), Urgent = TimeSpan.FromSeconds(4);

    private readonly CancellationTokenSource _fallen;
    private readonly ITimer _timer;
    private volatile bool _fell;
    private bool _beats;

    public Silence(bool urgent, TimeProvider time, CancellationToken cancel)
    {
        Limit = urgent ? Urgent : Patient;
        _fallen = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        _timer = time.CreateTimer(_ => Fall(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public TimeSpan Limit { get; }
    public bool Fell => _fell;
    public CancellationToken Token => _fallen.Token;

    /// <summary>Receivers of before do not beat: only one that did is missed.</summary>
    public void Heard(FrameType said)
    {
        _beats |= said == FrameType.Wait;
        if (_beats) _timer.Change(Limit, Timeout.InfiniteTimeSpan);
    }

    private void Fall()
    {
        _fell = true;
        try { _fallen.Cancel(); }
        catch (ObjectDisposedException) { /* the last word came in this moment */ }
    }

    public void Dispose()
    {
        _timer.Dispose();
        _fallen.Dispose();
    }
}

/// <summary>Says every second that a receiver is there, from its ACCEPT to its last word.</summary>
internal sealed class Beating : IAsyncDisposable
{
    private readonly CancellationTokenSource _over;
    private readonly Task _beating;

    private Beating(FrameChannel channel, TimeProvider time, CancellationToken cancel)
    {
        _over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        _beating = Beat(channel, time, _over.Token);
    }

    public static Beating Begin(FrameChannel channel, TimeProvider time, CancellationToken cancel) => new(channel, time, cancel);

    private static async Task Beat(FrameChannel channel, TimeProvider time, CancellationToken over)
    {
        using var timer = new PeriodicTimer(Silence.Beat, time);
        try
        {
            // The first at once: a link that is cut in the first second is found as well.
            do await channel.Write(FrameType.Wait, new Wait(0, 0, 0), TransferJson.Default.Wait, CancellationToken.None);
            while (await timer.WaitForNextTickAsync(over));
        }
        catch (Exception e) when (e is LinkBroken or OperationCanceledException or ObjectDisposedException) { /* whoever reads finds out by itself */ }
    }

    /// <summary>What follows is the receiver's last word: nothing is said beside it.</summary>
    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _beating;
        _over.Dispose();
    }
}
