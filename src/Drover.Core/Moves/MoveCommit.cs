using Drover.Core.Apps;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Moves;

/// <summary>The commit point: ownership of the volumes and the place of the instance change together, or not at all.</summary>
public static class MoveCommit
{
    /// <summary>Why the commit point may not be passed; null: it may.</summary>
    public static string? Refusal(ClusterState state, Move move)
    {
        foreach (var moved in move.Volumes)
        {
            if (!state.Volumes.TryGetValue(moved.Name, out var volume)) return $"volume '{moved.Name}' is not known any more";
            if (volume.Primary != move.Source || volume.Epoch != moved.Epoch)
                return $"volume '{moved.Name}' is owned by '{volume.Primary}' at epoch {volume.Epoch}, not by '{move.Source}' at epoch {moved.Epoch}: something else changed it";
            if (moved.Last is null) return $"nothing of volume '{moved.Name}' is complete on '{move.Target}'";
        }
        if (move.Instance is not { } id) return null;
        if (!state.Instances.TryGetValue(id, out var instance) || instance.Goal == InstanceGoal.Removed) return $"instance '{id}' is not wanted any more";
        var expected = move.SourceIdle ? (NodeId?)null : move.Source;
        return instance.Node == expected ? null : $"instance '{id}' is on '{instance.Node?.Value ?? "no node"}', not where the move began";
    }

    /// <summary>The move past the commit point, and everything that changes with it. Only where <see cref="Refusal"/> is null.</summary>
    public static (Move Move, IEnumerable<ClusterChange> Changes) Pass(ClusterState state, Move move, DateTimeOffset now)
    {
        var committed = MoveMachine.To(move with { Timings = move.Timings with { VerifiedAt = move.Timings.VerifiedAt ?? now, CommittedAt = now } }, MoveState.CutOver, now);
        return (committed, [.. Volumes(state, move), .. FirstVolumes(state, move), .. Instances(state, move, now), .. Addresses(state, move)]);
    }

    private static IEnumerable<ClusterChange> Volumes(ClusterState state, Move move)
    {
        foreach (var moved in move.Volumes)
        {
            var volume = state.Volumes[moved.Name];
            yield return new ClusterChange.PutVolume(volume with
            {
                Primary = move.Target,
                Epoch = moved.Epoch.Next,
                Base = moved.Last,
                Holder = move.App,
                Standbys = volume.Standbys.Where(s => s.Node != move.Target).ToEquatableList(),
            });
        }
    }

    /// <summary>Volumes the target's spec has and no node holds yet: their first place is the target.</summary>
    private static IEnumerable<ClusterChange> FirstVolumes(ClusterState state, Move move) =>
        move.TargetSpec.Volumes.Select(m => m.Name).Distinct()
            .Where(name => state.Volumes.TryGetValue(name, out var volume) && volume is { Primary: null, Initialized: false })
            .Select(name => new ClusterChange.PutVolume(state.Volumes[name] with { Primary = move.Target, Epoch = state.Volumes[name].Epoch.Next, Holder = move.App }));

    private static IEnumerable<ClusterChange> Instances(ClusterState state, Move move, DateTimeOffset now)
    {
        if (move.Instance is not { } id) yield break;
        var instance = state.Instances[id];
        var version = state.Apps.TryGetValue(move.App, out var app) && app.Spec.SameConfiguration(move.TargetSpec) ? app.Version : instance.AppVersion;
        yield return new ClusterChange.PutInstance(instance with
        {
            Node = move.Target,
            Incarnation = instance.Incarnation + 1,
            Ports = move.TargetPorts,
            Spec = move.TargetSpec,
            AppVersion = version,
            State = InstanceState.Starting,
            // What was seen of the container at the source says nothing of the one at the target.
            StagedAt = now,
            StartedAt = null,
            Healthy = null,
            Health = [],
            ContainerId = null,
            WaitsFor = null,
            Start = null,
        });
    }

    private static IEnumerable<ClusterChange> Addresses(ClusterState state, Move move) =>
        from network in state.Networks.Values
        where network.Addresses.Items.Any(a => a.App == move.App && a.Node != move.Target)
        select new ClusterChange.PutNetwork(network with
        {
            Addresses = network.Addresses.Select(a => a.App == move.App ? a with { Node = move.Target } : a).ToEquatableList(),
        });
}
