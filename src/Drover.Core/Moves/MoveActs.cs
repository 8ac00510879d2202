using Drover.Core.State;

namespace Drover.Core.Moves;

/// <summary>What an operator may do to a move under way.</summary>
public static class MoveActs
{
    /// <summary>Takes it back: the source serves again. Undoing what is undone already changes nothing.</summary>
    public static Decision<MoveActOutcome> Undo(ClusterState state, MoveId id, DateTimeOffset now)
    {
        if (!state.Moves.TryGetValue(id, out var move)) return new MoveActOutcome.Unknown(id);
        if (move.Committed) return Late(move);
        if (move.State is MoveState.Unwinding or MoveState.Undone) return new MoveActOutcome.Taken(move);
        return Taken(move, new MoveEvent.Abandoned("the operator took it back"), now);
    }

    /// <summary>No further rounds than the one under way. Cutting what is being cut already changes nothing.</summary>
    public static Decision<MoveActOutcome> Cut(ClusterState state, MoveId id, DateTimeOffset now)
    {
        if (!state.Moves.TryGetValue(id, out var move)) return new MoveActOutcome.Unknown(id);
        if (move.Committed) return Late(move);
        if (move.State is MoveState.Unwinding or MoveState.Undone)
            return new MoveActOutcome.Refused($"move {id} is {(move.Ended ? "undone" : "being undone")}: {move.Failure}", $"begin another with: drover move {move.App} --to {move.Target}");
        return Taken(move, new MoveEvent.CutAsked(), now);
    }

    private static MoveActOutcome.Refused Late(Move move) => new(
        $"move {move.Id} is past its commit point ({move.State}): '{move.Target}' owns the data, and there is only forward",
        move.Ended ? $"move it back with: drover move {move.App} --to {move.Source}" : $"watch it with: drover move show {move.Id}; once it serves, move it back with: drover move {move.App} --to {move.Source}");

    private static Decision<MoveActOutcome> Taken(Move move, MoveEvent asked, DateTimeOffset now)
    {
        var next = MoveMachine.Next(move, asked, now).Next;
        return ReferenceEquals(next, move) ? new MoveActOutcome.Taken(move)
            : Decision.Of<MoveActOutcome>(new MoveActOutcome.Taken(next), [new ClusterChange.PutMove(next)], MoveEvents.Of(move, next));
    }
}

public abstract record MoveActOutcome
{
    private MoveActOutcome() { }

    public sealed record Taken(Move Move) : MoveActOutcome;
    public sealed record Unknown(MoveId Id) : MoveActOutcome;
    public sealed record Refused(string Message, string Remedy) : MoveActOutcome;
}
