using Drover.Core.Apps;
using Drover.Core.Volumes;

namespace Drover.Core.Moves;

/// <summary>Something that happened to a move. One that does not belong to the state the move is in changes nothing.</summary>
public abstract record MoveEvent
{
    private MoveEvent() { }

    /// <summary>A driver has taken the move up.</summary>
    public sealed record Begun : MoveEvent;

    /// <summary>Target prepared and source inspected: what each holds, and the room at the target.</summary>
    public sealed record Prepared(EquatableList<ReplicaSeen> Source, EquatableList<ReplicaSeen> Target, ByteCount TargetFree) : MoveEvent
    {
        /// <summary>What a receive there leaves free.</summary>
        public ByteCount TargetReserve { get; init; }
        /// <summary>Live data made of a snapshot takes its room there once more.</summary>
        public bool LiveIsCopied { get; init; }
    }

    /// <summary>A pass is complete and on the target's disk. <see cref="Round.PredictedStop"/> is filled in by the machine.</summary>
    public sealed record RoundSent(Round Round) : MoveEvent;

    /// <summary>The app's command before its stop has ended.</summary>
    /// <param name="Said">What it said where it failed.</param>
    public sealed record PreStopped(bool Ok, string? Said) : MoveEvent;

    /// <summary>The source's container is slowed down to this level.</summary>
    public sealed record Throttled(int Level) : MoveEvent;

    /// <summary>The pause between two rounds is over.</summary>
    public sealed record PauseOver : MoveEvent;

    /// <summary>An operator wants the cut without further rounds.</summary>
    public sealed record CutAsked : MoveEvent;

    /// <param name="AppStop">From the stop signal to the container's end.</param>
    public sealed record Stopped(TimeSpan AppStop) : MoveEvent
    {
        /// <summary>From the source's request to the engine until now; null: not known, and the stop counts from when it was decided.</summary>
        public TimeSpan? SinceRequest { get; init; }
    }

    /// <summary>The commit point was not passed: the volumes are no longer as the move knew them.</summary>
    public sealed record CommitRefused(string Why) : MoveEvent;

    /// <summary>The agent at the target has begun to start the instance.</summary>
    public sealed record TargetStarts : MoveEvent;

    /// <param name="Start">What the target's agent measured; null when it did not say.</param>
    public sealed record Serves(StartTimings? Start) : MoveEvent;

    /// <summary>What was to serve at the target is no longer wanted.</summary>
    public sealed record NotWanted : MoveEvent;

    public sealed record Retired : MoveEvent;

    /// <param name="Left">What could not be cleaned at the target, in words; null: nothing.</param>
    public sealed record Unwound(string? Left) : MoveEvent;

    /// <param name="During">State whose step failed.</param>
    /// <param name="Attempt"><see cref="Move.Attempts"/> when the step was issued: a failure counts once.</param>
    public sealed record StepFailed(MoveState During, int Rounds, int Attempt, StepFailure Kind, string Message) : MoveEvent;

    /// <summary>A node the move needs is not connected for longer than <see cref="MoveMachine.AwayLimit"/>.</summary>
    public sealed record NodeAway(NodeId Node) : MoveEvent;

    /// <summary>The move has lost its purpose (the app was deleted).</summary>
    public sealed record Abandoned(string Why) : MoveEvent;

    /// <summary>What the current state waits for, in words; null: it makes progress.</summary>
    public sealed record Waits(string? For) : MoveEvent;
}

/// <summary>One volume on one node as its agent reported it.</summary>
/// <param name="Snapshots">Complete ones, oldest first.</param>
public sealed record ReplicaSeen(VolumeName Volume, ByteCount Used, EquatableList<SnapshotView> Snapshots);

/// <summary>Retry: may go well the next time. Refused: an older order or one that does not fit what is there. Operator: a person must change something first.</summary>
public enum StepFailure { Retry, Refused, Operator }
