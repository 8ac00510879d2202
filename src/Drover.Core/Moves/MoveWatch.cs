using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Moves;

/// <summary>What the cluster's state alone says to a move: that it may begin, that its app serves, that a node is away.</summary>
public static class MoveWatch
{
    private const string Back = "to come back";

    /// <param name="knownSince">When this control plane began to look: a node never seen since counts as away from then on.</param>
    /// <returns>null: nothing to say.</returns>
    public static MoveEvent? Look(ClusterState state, Move move, DateTimeOffset now, DateTimeOffset knownSince) => move.State switch
    {
        MoveState.Planned => Abandoned(state, move) ?? Queued(state, move),
        MoveState.Healthy or MoveState.Verified => new MoveEvent.Begun(),
        MoveState.Preparing or MoveState.Seeding or MoveState.Quiescing or MoveState.FinalDelta =>
            Abandoned(state, move) ?? Away(state, move, now, knownSince) ?? (MoveEvent?)Waiting(state, move) ?? Paused(move, now),
        MoveState.CutOver or MoveState.Starting => Start(state, move),
        MoveState.Retiring => (MoveEvent?)Uncleaned(state, move, now, knownSince) ?? Waiting(state, move),
        MoveState.Unwinding => Waiting(state, move),
        _ => null,
    };

    /// <summary>Next moment at which <see cref="Look"/> may answer differently though the state has not changed.</summary>
    public static DateTimeOffset? Deadline(ClusterState state, Move move, DateTimeOffset knownSince)
    {
        var first = move.NextRoundAt == MoveMachine.UntilAsked ? null : move.NextRoundAt;
        foreach (var node in (ReadOnlySpan<NodeId>)[move.Source, move.Target])
        {
            if (AwaySince(state, node, knownSince) is not { } since) continue;
            var limit = since + MoveMachine.AwayLimit(move);
            if (first is null || limit < first) first = limit;
        }
        return first;
    }

    /// <summary>True: the node is away for longer than a move in this state waits for it.</summary>
    public static bool IsLost(ClusterState state, Move move, NodeId node, DateTimeOffset now, DateTimeOffset knownSince) =>
        AwaySince(state, node, knownSince) is { } since && now - since >= MoveMachine.AwayLimit(move);

    /// <summary>Null: it is connected.</summary>
    public static DateTimeOffset? AwaySince(ClusterState state, NodeId node, DateTimeOffset knownSince)
    {
        if (!state.Presence.TryGetValue(node, out var presence)) return knownSince;
        if (presence.Connected) return null;
        return presence.Since > knownSince ? presence.Since : knownSince;
    }

    private static MoveEvent.PauseOver? Paused(Move move, DateTimeOffset now) => move.NextRoundAt <= now ? new() : null;

    private static MoveEvent? Queued(ClusterState state, Move move) => MoveQueue.Wait(state, move) is not { } wait ? new MoveEvent.Begun() : Say(move, wait);

    private static MoveEvent? Abandoned(ClusterState state, Move move)
    {
        var gone = move.Instance is { } id
            ? !state.Instances.TryGetValue(id, out var instance) || instance.Goal == InstanceGoal.Removed
            : !state.Apps.ContainsKey(move.App);
        return gone ? new MoveEvent.Abandoned($"app '{move.App}' is not wanted any more") : null;
    }

    private static MoveEvent? Away(ClusterState state, Move move, DateTimeOffset now, DateTimeOffset knownSince) =>
        IsLost(state, move, move.Target, now, knownSince) ? new MoveEvent.NodeAway(move.Target)
        : IsLost(state, move, move.Source, now, knownSince) ? new MoveEvent.NodeAway(move.Source)
        : null;

    /// <summary>Cleaning up does not hold up the app when a node does not come back: what stays there is fenced by the volume's epoch, and its snapshots go with the next move.</summary>
    private static MoveEvent.Retired? Uncleaned(ClusterState state, Move move, DateTimeOffset now, DateTimeOffset knownSince) =>
        IsLost(state, move, move.Source, now, knownSince) || IsLost(state, move, move.Target, now, knownSince) ? new() : null;

    private static MoveEvent.Waits? Waiting(ClusterState state, Move move)
    {
        var away = !state.IsConnected(move.Source) ? move.Source : !state.IsConnected(move.Target) ? move.Target : (NodeId?)null;
        if (away is { } node) return Say(move, $"node '{node}' {Back}");
        return move.WaitsFor?.EndsWith(Back, StringComparison.Ordinal) == true ? new MoveEvent.Waits(null) : null;
    }

    private static MoveEvent? Start(ClusterState state, Move move)
    {
        var instance = Arrived(state, move, out var wanted);
        if (!wanted) return new MoveEvent.NotWanted();
        if (instance?.Serves == true) return new MoveEvent.Serves(instance.Start);
        if (move.State == MoveState.CutOver && instance is { Runs: true } or { WaitsFor: not null }) return new MoveEvent.TargetStarts();
        if (!state.IsConnected(move.Target)) return Say(move, $"node '{move.Target}' {Back}");
        if (instance is null) return Say(move, $"app '{move.App}' to be placed on '{move.Target}'");
        return Say(move, instance.WaitsFor ?? (instance.Runs ? "its first healthy answer" : null));
    }

    private static Instance? Arrived(ClusterState state, Move move, out bool wanted)
    {
        if (move.Instance is not { } id)
        {
            wanted = state.Apps.ContainsKey(move.App);
            return state.InstancesOf(move.App).FirstOrDefault(i => i.Node == move.Target && i.Goal == InstanceGoal.Running);
        }
        wanted = state.Instances.TryGetValue(id, out var instance) && instance.Goal == InstanceGoal.Running;
        return instance?.Node == move.Target ? instance : null;
    }

    private static MoveEvent.Waits? Say(Move move, string? what) => move.WaitsFor == what ? null : new MoveEvent.Waits(what);
}
