using Drover.Contracts.Agent;

namespace Drover.Agent.Reconcile;

/// <summary>One check of one task, as a value.</summary>
/// <param name="LastCounted">When a failure last counted; failures of quick early probes closer than an interval count once.</param>
public sealed record HealthState(
    bool Known, bool Alive, int Failures, DateTimeOffset? FirstSuccess, DateTimeOffset? LastSuccess, DateTimeOffset? LastFailure, string? Cause, DateTimeOffset? LastCounted, int Probes)
{
    public static readonly HealthState Unknown = new(false, false, 0, null, null, null, null, null, 0);
}

/// <summary>Marathon's rules for health (grace, interval, consecutive failures) with quick probes until the first success. Pure.</summary>
public static class HealthMachine
{
    private static readonly TimeSpan FirstGap = TimeSpan.FromMilliseconds(20);
    /// <summary>Gaps grow with the time already waited, so that the first answer is measured within about a tenth.</summary>
    private const double Growth = 1.1;

    /// <param name="cause">Null: the probe succeeded.</param>
    public static (HealthState Next, bool Kill) After(HealthState state, HealthCheck check, DateTimeOffset startedAt, string? cause, DateTimeOffset now)
    {
        var probed = state with { Probes = Math.Min(state.Probes + 1, 1_000_000) };
        if (cause is null)
            return (probed with { Known = true, Alive = true, Failures = 0, FirstSuccess = state.FirstSuccess ?? now, LastSuccess = now, LastCounted = null }, false);
        var failed = probed with { LastFailure = now, Cause = cause };
        // While it starts, silence is no failure.
        var lenient = TimeSpan.FromMilliseconds(Math.Max(check.GraceMs, check.DelayMs));
        if (state.FirstSuccess is null && now - startedAt < lenient) return (failed, false);
        if (state.LastCounted is { } counted && now - counted < Interval(check) - FirstGap) return (failed, false);
        failed = failed with { Known = true, Alive = false, Failures = Math.Min(state.Failures + 1, 1_000_000), LastCounted = now };
        return (failed, check.MaxConsecutiveFailures > 0 && failed.Failures >= check.MaxConsecutiveFailures);
    }

    /// <summary>How long to wait before the next probe.</summary>
    public static TimeSpan Gap(HealthState state, HealthCheck check)
    {
        var interval = Interval(check);
        if (state.FirstSuccess is not null) return interval;
        return EarlyGap(state.Probes, interval);
    }

    /// <summary>Until the first success: short at first, growing up to the interval.</summary>
    public static TimeSpan EarlyGap(int probes, TimeSpan interval)
    {
        var quick = FirstGap * Math.Pow(Growth, Math.Min(probes, 200));
        return quick < interval ? quick : interval;
    }

    private static TimeSpan Interval(HealthCheck check) => TimeSpan.FromMilliseconds(Math.Max(100, check.IntervalMs));
}
