namespace Drover.Core.Moves;

/// <summary>What a move does next. Total: any event in any state has an answer, and one that is late, repeated or foreign to the state changes nothing.</summary>
/// <remarks>The way back is open until <see cref="MoveStep.Commit"/>; after it every failure is tried again for ever, and the move says what it waits for.</remarks>
public static partial class MoveMachine
{
    /// <summary>A node away for longer than this before the commit point undoes the move: less while the app stands still.</summary>
    public static TimeSpan AwayLimit(Move move) => TimeSpan.FromSeconds(StandsStill(move) ? 4 : 15);

    /// <summary>Failed attempts of one step before a move is undone: few while the app stands still.</summary>
    public static int AttemptLimit(Move move) => StandsStill(move) ? 3 : 6;

    /// <summary>The app was stopped for this move. Where nothing ran at the source, the last round may carry everything and takes the time it takes.</summary>
    private static bool StandsStill(Move move) => !move.SourceIdle && move.State is (MoveState.Quiescing or MoveState.FinalDelta);

    /// <summary>How often the app is slowed down by half before it is cut anyway.</summary>
    public const int MostThrottle = 3;

    /// <summary>Rounds of a move that waits for its app to write less.</summary>
    public const int MostRounds = 48;

    /// <summary>Rounds after the app's command before its stop; the first carries what the command wrote.</summary>
    public const int RoundsAfterPreStop = 3;

    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(10);

    /// <summary>A pause that no clock ends.</summary>
    public static readonly DateTimeOffset UntilAsked = new(9999, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Room kept free at the target beyond the data itself.</summary>
    public static readonly ByteCount Slack = ByteCount.MiB(64);

    public static MoveDecision Next(Move move, MoveEvent happened, DateTimeOffset now)
    {
        var next = (move.State, happened) switch
        {
            (_, MoveEvent.Waits(var what)) when !move.Ended => move with { WaitsFor = what },
            (_, MoveEvent.StepFailed failed) when Concerns(move, failed) => Failed(move, failed, now),
            (MoveState.Planned, MoveEvent.Begun) => To(move, MoveState.Preparing, now),
            (MoveState.Preparing, MoveEvent.Prepared prepared) => AfterPrepared(move, prepared, now),
            (MoveState.Seeding, MoveEvent.RoundSent(var round)) when Expected(move, round, final: false) => AfterRound(move, round, now),
            (MoveState.Seeding, MoveEvent.PreStopped ended) when move.PreStop == PreStopState.Due => AfterPreStop(move, ended, now),
            (MoveState.Seeding, MoveEvent.Throttled(var level)) when level == move.Throttle && level != move.Throttled => move with { Throttled = level, Attempts = 0, WaitsFor = null },
            (MoveState.Seeding, MoveEvent.PauseOver) when move.NextRoundAt is not null => move with { NextRoundAt = null, WaitsFor = null },
            (MoveState.Planned or MoveState.Preparing or MoveState.Seeding, MoveEvent.CutAsked) when !move.CutNow =>
                move with { CutNow = true, NextRoundAt = null, WaitsFor = move.NextRoundAt is null ? move.WaitsFor : null },
            (MoveState.Quiescing, MoveEvent.Stopped stopped) => AfterStop(move, stopped, now),
            (MoveState.FinalDelta, MoveEvent.RoundSent(var round)) when Expected(move, round, final: true) => AfterFinal(move, round, now),
            (MoveState.Verified, MoveEvent.CommitRefused(var why)) => Unwind(move, why, now),
            (MoveState.CutOver, MoveEvent.TargetStarts) => To(move, MoveState.Starting, now),
            (MoveState.CutOver, MoveEvent.Serves serves) => AfterServing(To(move, MoveState.Starting, now), serves, now),
            (MoveState.Starting, MoveEvent.Serves serves) => AfterServing(move, serves, now),
            // Nothing will serve: nothing is dropped either, both copies stay whole.
            (MoveState.CutOver or MoveState.Starting, MoveEvent.NotWanted) => To(move, MoveState.Done, now),
            (MoveState.Healthy, MoveEvent.Begun) => To(move, MoveState.Retiring, now),
            (MoveState.Retiring, MoveEvent.Retired) => To(move, MoveState.Done, now),
            (MoveState.Unwinding, MoveEvent.Unwound(var left)) => AfterUnwound(move, left, now),
            (< MoveState.CutOver, MoveEvent.NodeAway(var node)) => Unwind(move, $"node '{node}' is not connected for more than {AwayLimit(move).TotalSeconds:0} s; move again when it is back", now),
            (< MoveState.CutOver, MoveEvent.Abandoned(var why)) => Unwind(move, why, now),
            _ => move,
        };
        return new(next, ReferenceEquals(next, move) ? [] : Steps(next));
    }

    /// <summary>How long to wait before the current state's step is tried (again).</summary>
    public static TimeSpan Delay(Move move)
    {
        if (move.Attempts == 0) return TimeSpan.Zero;
        var (first, most) = StandsStill(move) ? (100, 400) : (250, move.Committed || move.State == MoveState.Unwinding ? 30_000 : 4_000);
        return TimeSpan.FromMilliseconds(Math.Min(most, first * Math.Pow(2, Math.Min(move.Attempts - 1, 16))));
    }

    private static bool Expected(Move move, Round round, bool final) => round.Final == final && round.Number == move.Rounds.Count + 1;

    private static bool Concerns(Move move, MoveEvent.StepFailed failed) =>
        failed.During == move.State && failed.Rounds == move.Rounds.Count && failed.Attempt == move.Attempts && !move.Ended
        && move.State is not (MoveState.Planned or MoveState.Verified or MoveState.CutOver or MoveState.Starting or MoveState.Healthy);

    private static Move Failed(Move move, MoveEvent.StepFailed failed, DateTimeOffset now)
    {
        var again = move with { Attempts = Math.Min(move.Attempts + 1, 1_000_000), WaitsFor = $"another attempt: {failed.Message}" };
        // Forward after the commit, and back to a serving source before it, there is no giving up.
        if (move.Committed || move.State == MoveState.Unwinding) return again;
        if (failed.Kind != StepFailure.Retry) return Unwind(move, failed.Message, now);
        return again.Attempts < AttemptLimit(move) ? again : Unwind(move, $"{failed.Message} (after {again.Attempts} attempts)", now);
    }

    private static Move AfterPrepared(Move move, MoveEvent.Prepared prepared, DateTimeOffset now)
    {
        var volumes = move.Volumes.Select(v => WithBase(move, v, prepared)).ToEquatableList();
        var known = move with { Volumes = volumes };
        if (Lost(known, prepared) is { } lost) return Unwind(known, lost, now);
        if (MoveSpace.Refusal(known, prepared) is { } full) return Unwind(known, full, now);
        if (!move.SourceIdle) return volumes.Count == 0 ? Quiesce(known, now) : To(known, MoveState.Seeding, now);
        // The stop of something that does not run is its request.
        return To(known with { Timings = known.Timings with { StopRequestedAt = move.RequestedAt, StoppedAt = now } },
            volumes.Count == 0 ? MoveState.Verified : MoveState.FinalDelta, now);
    }

    /// <summary>A source without a trace of data it had (its pool was replaced) has nothing to send; what the target keeps may be the last copy.</summary>
    private static string? Lost(Move move, MoveEvent.Prepared prepared)
    {
        var lost = move.Volumes.Items.FirstOrDefault(v => v.Initialized && prepared.Source.Items.All(r => r.Volume != v.Name));
        if (lost is null) return null;
        var kept = prepared.Target.Items.Where(r => r.Volume == lost.Name).SelectMany(r => r.Snapshots.Items).Select(s => (SnapshotName?)s.Name).LastOrDefault();
        return $"node '{move.Source}' has no data of volume '{lost.Name}' although it is its primary: check the pool there"
            + (kept is { } snapshot ? $"; node '{move.Target}' still holds snapshot {snapshot} of it, which is left alone" : "");
    }

    private static MovedVolume WithBase(Move move, MovedVolume volume, MoveEvent.Prepared prepared)
    {
        var source = prepared.Source.Items.FirstOrDefault(r => r.Volume == volume.Name);
        var target = prepared.Target.Items.FirstOrDefault(r => r.Volume == volume.Name);
        var common = MoveSnapshots.CommonBase(volume.Base, source, target);
        return volume with { Base = common, Used = source?.Used ?? volume.Used, Leftovers = MoveSnapshots.Leftovers(move, common, source, target) };
    }

    private static Move AfterRound(Move move, Round round, DateTimeOffset now)
    {
        var rounds = move.Rounds.Add(round);
        var verdict = Seeding.Judge(move.Policy, rounds, move.WrittenByStop);
        var seeded = move with
        {
            Rounds = move.Rounds.Add(round with
            {
                PredictedStop = verdict.PredictedStop, DirtyRate = Seeding.DirtyRate(rounds), PipeRate = Seeding.Rate(move.Policy, rounds), PredictedDelta = Seeding.DeltaBytes(rounds),
            }),
            Volumes = move.Volumes.Select(v => v with { Last = MoveSnapshots.Round(move.Id, round.Number) }).ToEquatableList(),
            Attempts = 0,
            WaitsFor = null,
        };
        if (seeded.PreStop is PreStopState.Done or PreStopState.Failed)
            return verdict.Met || seeded.CutNow || seeded.Rounds.Count - seeded.PreStopAt >= RoundsAfterPreStop ? Quiesce(seeded, now) : seeded;
        if (seeded.CutNow) return Cut(seeded, now);
        return verdict.Next switch
        {
            SeedingNext.Cut => Cut(seeded, now),
            SeedingNext.Abort => Unwind(seeded, verdict.Why ?? "seeding does not converge", now),
            SeedingNext.Throttle => seeded.Throttle < MostThrottle ? seeded with { Throttle = seeded.Throttle + 1 } : Cut(seeded, now),
            SeedingNext.Wait => Pause(seeded, verdict.Why, now),
            _ => seeded.Rounds.Count < MostRounds ? seeded : Pause(seeded, verdict.Why, now),
        };
    }

    /// <summary>The app's own command first, where it has one: what it writes travels in one more round, while the app serves.</summary>
    private static Move Cut(Move move, DateTimeOffset now) =>
        move is { Policy.PreStop: not null, Instance: not null, PreStop: PreStopState.None } ? move with { PreStop = PreStopState.Due } : Quiesce(move, now);

    private static Move Pause(Move move, string? why, DateTimeOffset now)
    {
        var cut = $"drover move cut {move.Id}";
        // Each round's snapshot is kept until the move ends: their number has an end, the wait for an operator has none.
        if (move.Rounds.Count >= MostRounds) return move with { NextRoundAt = UntilAsked, WaitsFor = $"the operator, after {move.Rounds.Count} rounds: {cut}, or: drover move undo {move.Id}" };
        var pause = TimeSpan.FromSeconds(Math.Min(LongestPause.TotalSeconds, Math.Pow(2, Math.Min(move.Pauses, 16))));
        return move with { NextRoundAt = now + pause, Pauses = move.Pauses + 1, WaitsFor = $"the app to write less, looking again in {pause.TotalSeconds:0} s ({why}); to cut now: {cut}" };
    }

    private static Move AfterPreStop(Move move, MoveEvent.PreStopped ended, DateTimeOffset now)
    {
        if (!ended.Ok && move.Policy.PreStop is { Required: true })
            return Unwind(move, $"the app's preStop command failed: {ended.Said}; mend the command, or set label {MoveSettings.PreStopFailureLabel} to goOn", now);
        return move with { PreStop = ended.Ok ? PreStopState.Done : PreStopState.Failed, PreStopSaid = ended.Said, PreStopAt = move.Rounds.Count, Attempts = 0, WaitsFor = null };
    }

    private static Move Quiesce(Move move, DateTimeOffset now) =>
        To(move with { Timings = move.Timings with { StopRequestedAt = now } }, MoveState.Quiescing, now);

    /// <summary>The app serves while the source syncs its pool before the stop: that is not time without it.</summary>
    private static Move AfterStop(Move move, MoveEvent.Stopped stopped, DateTimeOffset now) =>
        To(move with
        {
            Timings = move.Timings with
            {
                StopRequestedAt = stopped.SinceRequest is { } since ? Later(now - since, move.Timings.StopRequestedAt) : move.Timings.StopRequestedAt,
                AppStop = stopped.AppStop,
                StoppedAt = now,
            },
        }, move.Volumes.Count == 0 ? MoveState.Verified : MoveState.FinalDelta, now);

    private static Move AfterFinal(Move move, Round round, DateTimeOffset now) => To(
        move with
        {
            Rounds = move.Rounds.Add(round),
            Volumes = move.Volumes.Select(v => v with { Last = MoveSnapshots.Final(move.Id) }).ToEquatableList(),
            Timings = move.Timings with { FinalSnapshot = round.SnapshotTime, FinalSend = round.SendTime, FinalSync = round.SyncTime, VerifiedAt = now },
        },
        MoveState.Verified, now);

    private static Move AfterServing(Move move, MoveEvent.Serves serves, DateTimeOffset now)
    {
        var start = serves.Start;
        var own = start?.ContainerStart + start?.FirstAnswer;
        return To(
            move with
            {
                Timings = move.Timings with
                {
                    Promote = start?.Promote + start?.Mount,
                    AppStart = own,
                    FirstAnswer = start?.FirstAnswer,
                    StartRequestedAt = own is { } span ? Later(now - span, move.Timings.CommittedAt) : move.Timings.CommittedAt,
                    ServingAt = now,
                },
            },
            MoveState.Healthy, now);
    }

    private static Move AfterUnwound(Move move, string? left, DateTimeOffset now) =>
        To(left is null ? move : move with { Failure = $"{move.Failure} (left at the target until the next move: {left})" }, MoveState.Undone, now);

    private static Move Unwind(Move move, string why, DateTimeOffset now) => To(move with { Failure = why }, MoveState.Unwinding, now);

    internal static Move To(Move move, MoveState state, DateTimeOffset now) =>
        move with { State = state, Attempts = 0, WaitsFor = null, NextRoundAt = null, History = move.History.Add(new MoveTransition(state, now)) };

    private static DateTimeOffset Later(DateTimeOffset moment, DateTimeOffset? least) => least is { } floor && floor > moment ? floor : moment;
}

/// <param name="Next">The move as it is to be stored; the same object when nothing changed.</param>
/// <param name="Steps">What to do once that is stored, side by side; none when nothing changed or something is waited for.</param>
public sealed record MoveDecision(Move Next, EquatableList<MoveStep> Steps);
