using System.Text.Json.Serialization;
using Drover.Core.Apps;

namespace Drover.Core.Moves;

/// <summary>The durable operation that takes volumes and the instance that uses them to another node.</summary>
/// <param name="Instance">Copy that travels; null where nothing runs at the source (the app was deleted and is wanted elsewhere).</param>
/// <param name="TargetSpec">Spec to run at the target: the app's newest, which may differ from what runs at the source.</param>
/// <param name="TargetPorts">Host ports taken at the target.</param>
/// <param name="RequestedAt">When the trigger arrived: for a redeploy, the POST.</param>
public sealed record Move(
    MoveId Id, MoveTrigger Trigger, AppId App, InstanceId? Instance, EquatableList<MovedVolume> Volumes, NodeId Source, NodeId Target,
    AppSpec TargetSpec, EquatableList<int> TargetPorts, MovePolicy Policy, MoveState State, DateTimeOffset RequestedAt)
{
    /// <summary>When each state was entered, in order.</summary>
    public EquatableList<MoveTransition> History { get; init; } = [];
    public EquatableList<Round> Rounds { get; init; } = [];
    public CutoverTimings Timings { get; init; } = CutoverTimings.None;
    /// <summary>Why it is undone or being undone, with what the operator can do; null when all is well.</summary>
    public string? Failure { get; init; }
    public string? WaitsFor { get; init; }
    /// <summary>How often the current state's step failed and is tried again; 0 after each progress.</summary>
    public int Attempts { get; init; }
    /// <summary>What the app wrote by stopping, at its last move (a database's shutdown checkpoint): part of the stop that no further round makes smaller.</summary>
    public ByteCount WrittenByStop { get; init; }
    /// <summary>Nothing runs at the source and nothing is stopped there: the data alone goes.</summary>
    public bool SourceIdle { get; init; }
    /// <summary>The app before the constraint this move was wished with; put back when the move is undone. Null: the move changed no constraint.</summary>
    public App? Before { get; init; }
    /// <summary>The app's command before its stop: whether it is due, and how it ended.</summary>
    public PreStopState PreStop { get; init; }
    /// <summary>What the command said where it failed; null: nothing.</summary>
    public string? PreStopSaid { get; init; }
    /// <summary>Rounds sent when the command ended.</summary>
    public int PreStopAt { get; init; }
    /// <summary>An operator wants no further rounds than the one under way.</summary>
    public bool CutNow { get; init; }
    /// <summary>How often the source's container is to be slowed down by half; 0: it runs as it may.</summary>
    public int Throttle { get; init; }
    /// <summary>The same, as it is in place.</summary>
    public int Throttled { get; init; }
    /// <summary>Pauses made between rounds that do not converge.</summary>
    public int Pauses { get; init; }
    /// <summary>Moment of the next round after a pause; null: no pause. <see cref="MoveMachine.UntilAsked"/>: only an operator's word ends it.</summary>
    public DateTimeOffset? NextRoundAt { get; init; }
    /// <summary>Moves that may run side by side on its nodes while this one is among them; 0: <see cref="MoveQueue.PerNode"/>.</summary>
    public int Width { get; init; }
    /// <summary>The trace it is part of, in W3C form: kept so that spans made after a restart are of the same. Null: it is not traced.</summary>
    public string? Trace { get; init; }
    public bool Ended => State is MoveState.Done or MoveState.Undone;
    /// <summary>Past the commit point there is only forward.</summary>
    public bool Committed => State is MoveState.CutOver or MoveState.Starting or MoveState.Healthy or MoveState.Retiring or MoveState.Done;
}

/// <param name="Epoch">The volume's epoch when the move began: the commit point swaps {Source, Epoch} for {Target, Epoch + 1}.</param>
/// <param name="Base">Newest snapshot both nodes hold: expected when planned, made sure of while preparing; null: the first round sends everything.</param>
/// <param name="Last">Newest snapshot complete on the target; what will be promoted.</param>
public sealed record MovedVolume(VolumeName Name, Epoch Epoch, SnapshotName? Base, SnapshotName? Last)
{
    /// <summary>Bytes the source's replica refers to, as last known.</summary>
    public ByteCount Used { get; init; }
    /// <summary>The source held data when the move was planned: finding nothing there is then a loss, not a beginning.</summary>
    public bool Initialized { get; init; }
    /// <summary>Snapshots of earlier moves found on either node that nobody needs as a base any more; dropped when this move retires.</summary>
    public EquatableList<SnapshotName> Leftovers { get; init; } = [];
}

[JsonConverter(typeof(JsonStringEnumConverter<MoveTrigger>))]
public enum MoveTrigger { Move, Constraint, Redeploy, Drain, Rebalance }

/// <summary>States in the order of a good move, then the way back. The commit point is the step into <see cref="CutOver"/>.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<MoveState>))]
public enum MoveState
{
    Planned, Preparing, Seeding, Quiescing, FinalDelta, Verified, CutOver, Starting, Healthy, Retiring, Done, Unwinding, Undone,
}

public sealed record MoveTransition(MoveState State, DateTimeOffset At);

/// <summary>How a move decides and how hard it pulls.</summary>
/// <param name="DowntimeTarget">Seeding ends when the predicted final delta takes no longer than this.</param>
/// <param name="MaxRounds">Seeding ends after this many rounds whatever the prediction.</param>
/// <param name="BytesPerSecond">Limit of the transfer's rate; null: none.</param>
public sealed record MovePolicy(TimeSpan DowntimeTarget, int MaxRounds, NonConvergence NonConvergence, long? BytesPerSecond)
{
    public static readonly MovePolicy Default = new(TimeSpan.FromMilliseconds(150), 8, NonConvergence.Cut, null);
    public Quiesce Quiesce { get; init; }
    /// <summary>Command of the app that makes its stop short; null: none.</summary>
    public PreStop? PreStop { get; init; }
}

/// <summary>What to do when rounds no longer shrink. Throttle: slow the app down, and cut where that does not help. Wait: go on slowly until they do, or an operator says cut.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<NonConvergence>))]
public enum NonConvergence { Cut, Abort, Throttle, Wait }

/// <summary>How the app is brought to rest. Freeze: its processes stand still where they are; what arrives is what a power cut would leave.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Quiesce>))]
public enum Quiesce { Stop, Freeze }

/// <summary>Run inside the container while it still serves; one more round follows.</summary>
/// <param name="Required">Where it fails the move is undone; otherwise it says so and goes on.</param>
public sealed record PreStop(string Command, TimeSpan Limit, bool Required);

[JsonConverter(typeof(JsonStringEnumConverter<PreStopState>))]
public enum PreStopState { None, Due, Done, Failed }

/// <summary>One pass of data. The final delta is a round like the others, after the app stopped.</summary>
/// <param name="Bytes">Bytes of stream sent.</param>
/// <param name="Elapsed">From the snapshot to the target's word that all is on its disk.</param>
/// <param name="PredictedStop">What the next delta was expected to take when this round ended.</param>
public sealed record Round(int Number, bool Final, ByteCount Bytes, TimeSpan Elapsed, TimeSpan SnapshotTime, TimeSpan SendTime, TimeSpan SyncTime, DateTimeOffset SnapshotAt, TimeSpan? PredictedStop)
{
    /// <summary>Bytes a second the app dirtied, as this round shows; null: not known yet.</summary>
    public double? DirtyRate { get; init; }
    /// <summary>Bytes a second from disk to disk, as measured so far.</summary>
    public double? PipeRate { get; init; }
    /// <summary>Bytes a final delta taken when this round ended was expected to carry.</summary>
    public long? PredictedDelta { get; init; }
    /// <summary>What went over the wire: less than the stream where it was compressed, more where a connection broke.</summary>
    public ByteCount WireBytes { get; init; }
    /// <summary>Of the stream, sent again because a connection broke.</summary>
    public ByteCount ResentBytes { get; init; }
}

/// <summary>The waterfall of the cutover. Moments on the control plane's clock; spans measured by the agent that did the work.</summary>
/// <param name="AppStop">From the stop signal to the container's end: the app's own.</param>
/// <param name="AppStart">From the container's start to its first healthy answer (or running, without checks): the app's own.</param>
public sealed record CutoverTimings(
    DateTimeOffset? StopRequestedAt, TimeSpan? AppStop, DateTimeOffset? StoppedAt, TimeSpan? FinalSnapshot, TimeSpan? FinalSend, TimeSpan? FinalSync,
    DateTimeOffset? VerifiedAt, DateTimeOffset? CommittedAt, TimeSpan? Promote, DateTimeOffset? StartRequestedAt, TimeSpan? AppStart, DateTimeOffset? ServingAt)
{
    public static readonly CutoverTimings None = new(null, null, null, null, null, null, null, null, null, null, null, null);
    /// <summary>Part of <see cref="AppStart"/> after the container was started: until its first healthy answer.</summary>
    public TimeSpan? FirstAnswer { get; init; }
    public TimeSpan? Cutover => ServingAt - StopRequestedAt;
    public TimeSpan? Added => Cutover - (AppStop ?? TimeSpan.Zero) - (AppStart ?? TimeSpan.Zero);
}
