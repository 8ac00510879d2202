namespace Drover.Core.Moves;

/// <summary>Whether to send another round while the app runs, and how long the stop is expected to be.</summary>
/// <remarks>A round shows how fast the app writes (its bytes over the time since the snapshot before) and how fast the way to the target's disk is. What is written
/// while the last round was under way is what the final delta carries. What the app itself writes by stopping is added to what is shown, not to what
/// decides: no further round would make it smaller.</remarks>
public static class Seeding
{
    /// <summary>A round of more than this part of the one before no longer converges.</summary>
    public const double Shrinks = 0.7;

    /// <summary>Below this a round's rate says more about starting programs than about the way.</summary>
    private const long Telling = 4 << 20;

    /// <param name="rounds">Rounds so far, the newest last; none of them final.</param>
    public static SeedingVerdict Judge(MovePolicy policy, EquatableList<Round> rounds, ByteCount writtenByStop)
    {
        // The target had this round already: it shows neither how fast the app writes nor how fast the way is.
        if (rounds.Count > 0 && IsRepeated(rounds[^1]))
            return rounds.Count >= policy.MaxRounds ? Unmet(policy, null, $"after {rounds.Count} rounds") : new(SeedingNext.Round, null, null);
        var delta = DeltaTime(policy, rounds);
        var shown = delta is { } time && Rate(policy, rounds) is { } rate ? time + Time(writtenByStop.Bytes, rate) : delta;
        if (delta <= policy.DowntimeTarget) return new(SeedingNext.Cut, shown, null) { Met = true };
        // One that waits is bound by the machine: its rounds are few and far between.
        if (policy.NonConvergence != NonConvergence.Wait && rounds.Count >= policy.MaxRounds) return Unmet(policy, shown, $"after {rounds.Count} rounds");
        var last = rounds[^1].Bytes;
        if (DeltaBytes(rounds) is { } next && next > Shrinks * last.Bytes)
            return Unmet(policy, shown, $"the app writes as fast as can be sent: round {rounds[^1].Number} carried {last}, the next would carry {new ByteCount(next)}");
        return new(SeedingNext.Round, shown, null);
    }

    /// <summary>Expected length of a final delta taken now; null before two rounds have shown how fast the app writes.</summary>
    public static TimeSpan? DeltaTime(MovePolicy policy, EquatableList<Round> rounds)
    {
        if (DirtyRate(rounds) is not { } dirty || Rate(policy, rounds) is not { } rate) return null;
        var last = rounds[^1];
        return Time((long)(dirty * last.Elapsed.TotalSeconds), rate) + last.SnapshotTime + last.SyncTime + Start(rounds, rate);
    }

    /// <summary>Bytes a delta taken now would carry: what came to be while the last round was under way.</summary>
    public static long? DeltaBytes(EquatableList<Round> rounds) => DirtyRate(rounds) is { } dirty ? (long)(dirty * rounds[^1].Elapsed.TotalSeconds) : null;

    /// <summary>Bytes a second the app dirties; null: fewer than two rounds.</summary>
    public static double? DirtyRate(EquatableList<Round> rounds)
    {
        if (rounds.Count < 2) return null;
        var span = (rounds[^1].SnapshotAt - rounds[^2].SnapshotAt).TotalSeconds;
        return span > 0 ? rounds[^1].Bytes.Bytes / span : null;
    }

    /// <summary>Bytes a second from the source's disk to the target's; null: nothing was sent yet.</summary>
    public static double? Rate(MovePolicy policy, EquatableList<Round> rounds)
    {
        var telling = rounds.Items.LastOrDefault(r => r.Bytes.Bytes >= Telling && r.SendTime > TimeSpan.Zero);
        long bytes = 0;
        var time = TimeSpan.Zero;
        foreach (var round in telling is null ? rounds : [telling]) (bytes, time) = (bytes + round.Bytes.Bytes, time + round.SendTime);
        if (bytes <= 0 || time <= TimeSpan.Zero) return null;
        var measured = bytes / time.TotalSeconds;
        return policy.BytesPerSecond is { } limit ? Math.Min(measured, limit) : measured;
    }

    /// <summary>What an app wrote by stopping, as its move shows afterwards: the final delta less what it would have written running.</summary>
    public static ByteCount WrittenByStop(EquatableList<Round> rounds)
    {
        if (rounds.Count < 2 || !rounds[^1].Final) return ByteCount.Zero;
        var seeds = new EquatableList<Round>(rounds.Items.RemoveAt(rounds.Count - 1));
        var running = (DirtyRate(seeds) ?? 0) * (rounds[^1].SnapshotAt - seeds[^1].SnapshotAt).TotalSeconds;
        return new((long)Math.Max(0, rounds[^1].Bytes.Bytes - Math.Max(0, running)));
    }

    private static SeedingVerdict Unmet(MovePolicy policy, TimeSpan? shown, string why) => policy.NonConvergence switch
    {
        NonConvergence.Cut => new(SeedingNext.Cut, shown, null),
        NonConvergence.Throttle => new(SeedingNext.Throttle, shown, why),
        NonConvergence.Wait => new(SeedingNext.Wait, shown, why),
        _ => new(SeedingNext.Abort, shown, $"the downtime target of {policy.DowntimeTarget.TotalMilliseconds:0} ms is out of reach: {why}. "
            + "Raise the target, lower the app's writing, or let the move cut anyway"),
    };

    // Even a round without changes carries a stream's frame.
    private static bool IsRepeated(Round round) => round.Bytes.Bytes == 0 && round.SendTime < TimeSpan.FromMilliseconds(1);

    /// <summary>Part of a send that does not depend on its size.</summary>
    private static TimeSpan Start(EquatableList<Round> rounds, double rate)
    {
        var least = TimeSpan.MaxValue;
        foreach (var round in rounds.Items.Where(r => !IsRepeated(r)))
        {
            var start = round.SendTime - Time(round.Bytes.Bytes, rate);
            if (start < least) least = start;
        }
        return least > TimeSpan.Zero ? least : TimeSpan.Zero;
    }

    private static TimeSpan Time(long bytes, double rate) => TimeSpan.FromSeconds(Math.Min(bytes / rate, TimeSpan.FromDays(365).TotalSeconds));
}

public enum SeedingNext { Round, Cut, Abort, Throttle, Wait }

/// <param name="PredictedStop">Expected length of the final delta if the app stopped now; null: not known yet.</param>
/// <param name="Why">With <see cref="SeedingNext.Abort"/>: why, with what to do.</param>
public sealed record SeedingVerdict(SeedingNext Next, TimeSpan? PredictedStop, string? Why)
{
    /// <summary>The prediction is within the downtime target.</summary>
    public bool Met { get; init; }
}
