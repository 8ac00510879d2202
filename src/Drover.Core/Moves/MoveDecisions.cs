using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Moves;

/// <summary>What one event of a move changes in the cluster, as one commit.</summary>
public static class MoveDecisions
{
    /// <summary>Folds an event into the move, provided it still stands where <paramref name="seen"/> did; the commit point is passed in the same commit that verifies the data.</summary>
    /// <returns>The move as it is stored afterwards; null when it is not known any more.</returns>
    public static Decision<Move?> Take(ClusterState state, Move seen, MoveEvent happened, DateTimeOffset now)
    {
        if (!state.Moves.TryGetValue(seen.Id, out var current)) return default(Move);
        if (!SamePlace(current, seen)) return current;
        // Two moves that look at the same state must not both take the last place.
        if (happened is MoveEvent.Begun && current.State == MoveState.Planned && MoveQueue.Wait(state, current) is { } wait) happened = new MoveEvent.Waits(wait);
        var next = MoveMachine.Next(current, happened, now).Next;
        IEnumerable<ClusterChange> changes = [];
        if (next.State == MoveState.Verified)
        {
            if ((MoveCommit.Refusal(state, next) ?? Away(state, next)) is { } why) next = MoveMachine.Next(next, new MoveEvent.CommitRefused(why), now).Next;
            else (next, changes) = MoveCommit.Pass(state, next, now);
        }
        if (ReferenceEquals(next, current) || next == current) return current;
        if (next.State == MoveState.Done) changes = Standbys(state, next, now);
        if (next.State == MoveState.Undone && Unconstrained(state, next, now) is { } app)
        {
            next = next with { Failure = $"{next.Failure} (the app's constraints are again those from before the move)" };
            changes = [new ClusterChange.PutApp(app)];
        }
        return Decision.Of<Move?>(next, [.. changes, new ClusterChange.PutMove(next)], MoveEvents.Of(current, next));
    }

    /// <summary>After the commit there is no way back: a target that is known to be away would keep the app down for as long as that lasts.</summary>
    private static string? Away(ClusterState state, Move move) =>
        state.IsConnected(move.Target) ? null : $"node '{move.Target}' is not connected at the moment of the commit; move again when it is back";

    /// <summary>Nothing happened to <paramref name="current"/> since <paramref name="seen"/> was read that a step's outcome depends on.</summary>
    public static bool SamePlace(Move current, Move seen) =>
        current.State == seen.State && current.Rounds.Count == seen.Rounds.Count && current.Attempts == seen.Attempts
        && current.PreStop == seen.PreStop && (current.Throttle, current.Throttled) == (seen.Throttle, seen.Throttled) && current.NextRoundAt == seen.NextRoundAt;

    /// <summary>The app as it was before the constraint the move came with; null: there was none, or the app was changed since.</summary>
    private static App? Unconstrained(ClusterState state, Move move, DateTimeOffset now)
    {
        if (move.Before is not { } before || !state.Apps.TryGetValue(move.App, out var app) || app.Version != MoveRequests.Version(move.RequestedAt)) return null;
        var version = MoveRequests.Version(now);
        return before with { Version = version > app.Version ? version : app.Version.AddMilliseconds(1), Delay = app.Delay, LastTaskFailure = app.LastTaskFailure };
    }

    /// <summary>The old primary keeps the final snapshot: the way back sends only what is new since.</summary>
    private static IEnumerable<ClusterChange> Standbys(ClusterState state, Move move, DateTimeOffset now)
    {
        foreach (var moved in move.Volumes)
        {
            if (moved.Last is not { } last || !state.Volumes.TryGetValue(moved.Name, out var volume) || volume.Primary != move.Target) continue;
            yield return new ClusterChange.PutVolume(volume with
            {
                Standbys = volume.Standbys.Where(s => s.Node != move.Source && s.Node != move.Target).ToEquatableList()
                    .Add(new Standby(move.Source, last, volume.Epoch, now)),
            });
        }
    }
}

/// <summary>Moves in the cluster's stream of events.</summary>
public static class MoveEvents
{
    public static ClusterEvent Planned(Move move) =>
        new("move.planned", move.Id.Value, $"{move.App} moves from {move.Source} to {move.Target}") { App = move.App, Instance = move.Instance, Node = move.Target, Move = move.Id, State = nameof(MoveState.Planned) };

    /// <summary>One for each state entered between the two, and the end.</summary>
    public static ImmutableArray<ClusterEvent> Of(Move before, Move after)
    {
        var events = ImmutableArray.CreateBuilder<ClusterEvent>();
        foreach (var entered in after.History.Skip(before.History.Count)) events.Add(One("move.state", after, entered.State, $"{after.App}: {entered.State}"));
        if (before.State == after.State && before != after) events.Add(One("move.changed", after, after.State, after.WaitsFor is { } what ? $"{after.App}: waits for {what}" : $"{after.App}: {after.Rounds.Count} rounds sent"));
        if (before.Ended) return events.ToImmutable();
        if (after.State == MoveState.Done) events.Add(One("move.done", after, after.State, $"{after.App} moved from {after.Source} to {after.Target}"));
        if (after.State == MoveState.Undone) events.Add(One("move.undone", after, after.State, $"{after.App} stays on {after.Source}: {after.Failure}"));
        return events.ToImmutable();
    }

    private static ClusterEvent One(string kind, Move move, MoveState state, string text) =>
        new(kind, move.Id.Value, text) { App = move.App, Instance = move.Instance, Node = move.Target, Move = move.Id, State = state.ToString() };
}
