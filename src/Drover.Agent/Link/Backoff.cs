using Drover.Core;

namespace Drover.Agent.Link;

/// <summary>Waits between attempts to reach control: doubled each time, capped, and spread so that a cluster does not dial at once.</summary>
public static class Backoff
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Most = TimeSpan.FromSeconds(3);

    /// <param name="attempt">0 for the first failure.</param>
    public static TimeSpan After(int attempt, IChance chance)
    {
        var full = Math.Min(Most.TotalMilliseconds, First.TotalMilliseconds * Math.Pow(2, Math.Min(attempt, 16)));
        return TimeSpan.FromMilliseconds(full * (0.5 + (chance.NextDouble() / 2)));
    }
}
