using Drover.Core.Networks;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Makes copies and puts them on nodes.</summary>
public static class Launching
{
    public static Instance NewInstance(App app, DateTimeOffset now, IChance chance) =>
        new(new($"{app.Id.SafePath}.instance-{chance.NewGuid():d}"), app.Id, app.Spec, app.Version, 0, null, [], InstanceGoal.Running, InstanceState.Scheduled, now)
        {
            WaitsFor = "an offer",
        };

    /// <summary>Why a copy may not start anywhere yet, whatever the nodes offer; null: it may.</summary>
    public static string? Block(ClusterState state, Instance copy, DateTimeOffset now)
    {
        if (state.Apps.TryGetValue(copy.App, out var app) && LaunchBackoff.Holding(app, now) is { } delay)
        {
            return LaunchBackoff.Wait(app.Id, delay);
        }
        if (InstanceLifecycle.OwningMove(state, copy) is { } own) return $"move {own.Id} from {own.Source} to {own.Target}, which is {own.State}";
        foreach (var mount in copy.Spec.Volumes)
        {
            if (state.OpenMoveOf(mount.Name) is { } move) return $"move {move.Id} of volume {mount.Name}, which is {move.State}";
            if (state.OpenOperationOf(mount.Name) is { } work && work.KeepsAppsFrom(mount.Name)) return $"{work.Named} of volume {mount.Name}";
        }
        if (!Rollout.Exclusive(copy.Spec)) return null;
        // One writer: whoever still has a container on these volumes, or this address, goes first.
        var other = copy.Spec.Volumes.SelectMany(m => state.InstancesWith(m.Name)).Concat(state.InstancesOf(copy.App)).Where(i => i.Id != copy.Id && i.Node is not null).MinBy(i => i.Id);
        return other is null ? null : $"{other.Task} to be gone from {other.Node}";
    }

    /// <summary>The copy as a new incarnation on this node.</summary>
    internal static Instance Anew(Instance copy, NodeId node, EquatableList<int> ports, DateTimeOffset now, string waitsFor) => copy with
    {
        Node = node, Incarnation = copy.Incarnation + 1, Ports = ports, State = InstanceState.Staging, StagedAt = now, StartedAt = null,
        Healthy = null, Health = [], Readiness = [], Pulling = false, LaunchSince = null, ContainerId = null, Start = null, WaitsFor = waitsFor,
    };

    /// <summary>Volumes that no node holds yet come to be on the node where their app first starts.</summary>
    internal static IEnumerable<ClusterChange> FirstVolumes(ClusterState state, AppSpec spec, NodeId node)
    {
        foreach (var name in spec.Volumes.Select(m => m.Name).Distinct())
        {
            // Initialized means data exists somewhere: then a missing primary is a fault to be looked into, never a reason to make it empty.
            if (!state.Volumes.TryGetValue(name, out var volume) || volume is not { Primary: null, Initialized: false }) continue;
            yield return new ClusterChange.PutVolume(volume with { Primary = node, Epoch = volume.Epoch.Next, Holder = spec.Id });
        }
    }

    /// <summary>Puts a waiting copy on a node. Only where <see cref="Block"/> is null and the verdict fits with all data there.</summary>
    internal static Decision<T> On<T>(ClusterState state, Instance copy, NodeVerdict verdict, DateTimeOffset now, T outcome)
    {
        var next = Anew(copy, verdict.Node, verdict.Ports, now, $"{verdict.Node} to make its container");
        IEnumerable<ClusterChange> changes = [new ClusterChange.PutInstance(next), .. FirstVolumes(state, copy.Spec, verdict.Node)];
        return Decision.Of(outcome, [.. changes, .. Addressing.Follow(state.Apply(changes), copy.App)],
            InstanceLifecycle.Event("instance.staging", next, verdict.Node, "TASK_STAGING", $"{next.Task} is placed on {verdict.Node}"));
    }
}
