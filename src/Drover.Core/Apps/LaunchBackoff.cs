namespace Drover.Core.Apps;

/// <summary>Marathon's launch delay: the first failure waits <see cref="Backoff.Initial"/>, each further one <see cref="Backoff.Factor"/> times longer, never longer
/// than <see cref="Backoff.Max"/>. Kept over scaling, dropped by a new configuration. A copy that was killed is no failure.</summary>
public static class LaunchBackoff
{
    public static LaunchDelay AfterFailure(Backoff backoff, LaunchDelay? before, string why, DateTimeOffset now)
    {
        // An app that ran for longer than the longest delay starts over: what failed then is another trouble.
        var fresh = before is null || now > before.Until + backoff.Max;
        var next = fresh ? backoff.Initial : TimeSpan.FromTicks((long)Math.Min(backoff.Max.Ticks, before!.Current.Ticks * backoff.Factor));
        var current = next > backoff.Max ? backoff.Max : next;
        return new LaunchDelay(current, now + current, why);
    }

    /// <summary>Null: may be launched now.</summary>
    public static LaunchDelay? Holding(App app, DateTimeOffset now) => app.Delay is { } delay && delay.Until > now ? delay : null;
}
