using System.Collections.Immutable;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Copies on nodes whose agent is away: when they count as unreachable, when another takes their place, when they are forgotten.</summary>
public static class Absence
{
    /// <summary>An agent away for less than this is restarting, not lost: nothing is decided from it.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <param name="knownSince">When this control plane began to look: a node never seen since counts as away from then on.</param>
    /// <returns>null: the agent is connected.</returns>
    public static DateTimeOffset? Since(ClusterState state, NodeId node, DateTimeOffset knownSince)
    {
        if (!state.Presence.TryGetValue(node, out var presence)) return knownSince;
        if (presence.Connected) return null;
        return presence.Since > knownSince ? presence.Since : knownSince;
    }

    /// <summary>True: another copy is to take its place. Never for one with a volume: its data is there and nowhere else.</summary>
    public static bool IsInactive(ClusterState state, Instance instance, DateTimeOffset now, DateTimeOffset knownSince) =>
        instance is { State: InstanceState.Unreachable, Spec.Unreachable: { } strategy } && Replaceable(instance)
        && LostAt(state, instance, knownSince) + strategy.InactiveAfter is { } at && now >= at;

    /// <summary>False: every known node's agent is connected.</summary>
    public static bool Any(ClusterState state) => !state.Copies.Away.IsEmpty;

    /// <summary>Apps with copies on nodes whose agent is away.</summary>
    public static IEnumerable<AppId> Apps(ClusterState state) => state.Copies.Away.SelectMany(state.InstancesOn).Select(copy => copy.App).Distinct();

    /// <summary>Marks and forgets what is due.</summary>
    public static Decision<int> Fold(ClusterState state, DateTimeOffset now, DateTimeOffset knownSince)
    {
        var changes = ImmutableArray.CreateBuilder<ClusterChange>();
        var events = ImmutableArray.CreateBuilder<ClusterEvent>();
        foreach (var node in state.Copies.Away.Where(n => Since(state, n, knownSince) + Patience <= now).Order())
        {
            foreach (var instance in state.InstancesOn(node).Where(i => InstanceLifecycle.OwningMove(state, i) is null).OrderBy(i => i.Id)) Fold(instance, node);
        }
        return Decision.Of(changes.Count, changes, events.ToImmutable());

        void Fold(Instance instance, NodeId node)
        {
            var lost = LostAt(state, instance, knownSince);
            var forgotten = Replaceable(instance) && (instance.Goal == InstanceGoal.Removed || instance.Spec.Unreachable is { } strategy && now >= lost + strategy.ExpungeAfter);
            if (forgotten)
            {
                // Only the record goes. An agent that comes back is not told to run it, and removes the container.
                changes.Add(new ClusterChange.RemoveInstance(instance.Id));
                events.Add(InstanceLifecycle.Event("instance.gone", instance, node, "TASK_GONE", $"{instance.Task} is given up: {node} is away"));
                return;
            }
            if (instance.State == InstanceState.Unreachable) return;
            changes.Add(new ClusterChange.PutInstance(instance with
            {
                State = InstanceState.Unreachable, Healthy = null, Health = [],
                WaitsFor = Replaceable(instance) ? $"{node} to come back" : $"{node} to come back: its data is there",
            }));
            events.Add(InstanceLifecycle.Event("instance.unreachable", instance, node, "TASK_UNREACHABLE", $"{instance.Task} cannot be reached: the agent of {node} is away"));
        }
    }

    /// <summary>Next moment at which <see cref="Fold"/> or <see cref="IsInactive"/> may answer differently though the state has not changed.</summary>
    public static DateTimeOffset? Deadline(ClusterState state, DateTimeOffset now, DateTimeOffset knownSince)
    {
        DateTimeOffset? first = null;
        foreach (var node in state.Copies.Away)
        {
            if (Since(state, node, knownSince) is not { } since || !state.Copies.ByNode.ContainsKey(node)) continue;
            Consider(since + Patience);
            // All others of this node come after that.
            if (since + Patience > now) continue;
            foreach (var instance in state.InstancesOn(node))
            {
                if (instance.Spec.Unreachable is not { } strategy) continue;
                Consider(since + Patience + strategy.InactiveAfter);
                Consider(since + Patience + strategy.ExpungeAfter);
            }
        }
        return first;

        void Consider(DateTimeOffset at)
        {
            if (at > now && (first is null || at < first)) first = at;
        }
    }

    private static bool Replaceable(Instance instance) => instance.Spec.Volumes.Length == 0;

    private static DateTimeOffset? LostAt(ClusterState state, Instance instance, DateTimeOffset knownSince) =>
        instance.Node is { } node ? Since(state, node, knownSince) + Patience : null;
}
