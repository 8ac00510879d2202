using System.Globalization;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Marathon's launch delay: the first failure waits <see cref="Backoff.Initial"/>, each further one <see cref="Backoff.Factor"/> times longer, never longer
/// than <see cref="Backoff.Max"/>. Kept over scaling, dropped by a new configuration and on request. A copy that was killed is no failure.</summary>
public static class LaunchBackoff
{
    /// <summary>Failures in a row from which on it is said aloud.</summary>
    public const int Loud = 3;

    public static LaunchDelay AfterFailure(Backoff backoff, LaunchDelay? before, string why, DateTimeOffset now)
    {
        // An app that went on for longer than the longest delay after its last one starts over: what failed then is another trouble. Marathon counts from the failure itself,
        // so that an app at its longest delay starts over with every try.
        var fresh = before is null || now > before.Until + backoff.Max;
        var next = fresh ? backoff.Initial : TimeSpan.FromTicks((long)Math.Min(backoff.Max.Ticks, before!.Current.Ticks * backoff.Factor));
        var current = next > backoff.Max ? backoff.Max : next;
        return new LaunchDelay(current, now + current, why, fresh ? 1 : Math.Max(1, before!.Failures) + 1);
    }

    /// <summary>Null: may be launched now.</summary>
    public static LaunchDelay? Holding(App app, DateTimeOffset now) => app.Delay is { } delay && delay.Until > now ? delay : null;

    /// <summary>What a copy that is held back waits for.</summary>
    public static string Wait(AppId app, LaunchDelay delay)
    {
        var until = $"its backoff until {Clock(delay.Until)} UTC";
        return delay.Failures < Loud ? $"{until}: {delay.Why}" : $"{until}: it failed {delay.Failures} times in a row, the last: {delay.Why}. {Remedy(app)}";
    }

    /// <summary>Said with each failure once there have been <see cref="Loud"/> in a row.</summary>
    internal static ClusterEvent? Failing(App app, Instance copy, NodeId node, DateTimeOffset now)
    {
        if (app.Delay is not { Failures: >= Loud } delay) return null;
        var left = (delay.Until - now).TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture);
        // No state of its own: that it failed is told already.
        return InstanceLifecycle.Event("instance.failing", copy, node, "",
            $"{app.Id} failed {delay.Failures} times in a row, the last on {node}: {delay.Why}. Tried again in {left} s, at {Clock(delay.Until)} UTC. {Remedy(app.Id)}") with { State = null };
    }

    private static string Remedy(AppId app) => $"Correct the app, which starts it at once, or try now: DELETE /v2/queue{app}/delay";

    private static string Clock(DateTimeOffset at) => at.UtcDateTime.ToString("HH:mm:ss", CultureInfo.InvariantCulture);
}
