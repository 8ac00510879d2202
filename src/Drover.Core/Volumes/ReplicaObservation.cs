using System.Collections.Immutable;
using Drover.Core.State;

namespace Drover.Core.Volumes;

/// <summary>What an agent said of its replica of one volume.</summary>
/// <param name="Primary">It holds the writable data, not only snapshots.</param>
/// <param name="Epoch">Of the ledger beside the data.</param>
/// <param name="Ready">Live data is there, at this epoch.</param>
/// <param name="Snapshots">Complete ones, oldest first.</param>
public sealed record ReplicaObservation(VolumeName Name, bool Primary, Epoch Epoch, bool Ready, ByteCount Used, EquatableList<SnapshotView> Snapshots);

/// <summary>Folds what agents say of volumes into the cluster's state. Never changes who owns a volume: only a placement and a move's commit do.</summary>
public static class ReplicaLifecycle
{
    /// <summary>True: it told something of a volume this cluster knows.</summary>
    public static Decision<bool> Observed(ClusterState state, NodeId node, ReplicaObservation seen, DateTimeOffset now)
    {
        if (!state.Volumes.TryGetValue(seen.Name, out var volume)) return false;
        var next = volume.Primary == node ? OfPrimary(volume, seen) : OfStandby(state, volume, node, seen, now);
        return next == volume ? true : Decision.Of(true, [new ClusterChange.PutVolume(next)]);
    }

    /// <summary>An agent listed all it has: standbys of this node that are not among them are no base for a move any more.</summary>
    public static Decision<int> Missing(ClusterState state, NodeId node, IReadOnlySet<VolumeName> present)
    {
        var changes = state.Volumes.Values
            .Where(volume => !present.Contains(volume.Name) && state.OpenMoveOf(volume.Name) is null && volume.Standbys.Items.Any(s => s.Node == node))
            .Select(volume => new ClusterChange.PutVolume(Without(volume, node))).ToImmutableArray();
        return Decision.Of(changes.Length, changes);
    }

    // An older epoch's ledger speaks of data that is not this ownership's.
    private static Volume OfPrimary(Volume volume, ReplicaObservation seen) =>
        seen is { Primary: true, Ready: true } && seen.Epoch == volume.Epoch ? volume with { Initialized = true, Used = seen.Used } : volume;

    private static Volume OfStandby(ClusterState state, Volume volume, NodeId node, ReplicaObservation seen, DateTimeOffset now)
    {
        // While a move is open the snapshots at both ends are its own; it says at its end what stays.
        if (seen.Primary || state.OpenMoveOf(volume.Name) is not null || volume.Primary is null) return volume;
        if (seen.Snapshots.Count == 0) return Without(volume, node);
        var known = volume.Standbys.FirstOrDefault(s => s.Node == node);
        if (known is not null && seen.Snapshots.Items.Any(s => s.Name == known.Snapshot)) return volume;
        return Without(volume, node) with { Standbys = Without(volume, node).Standbys.Add(new Standby(node, seen.Snapshots[^1].Name, seen.Epoch, now)) };
    }

    private static Volume Without(Volume volume, NodeId node) => volume.Standbys.Items.Any(s => s.Node == node)
        ? volume with { Standbys = volume.Standbys.Where(s => s.Node != node).ToEquatableList() }
        : volume;
}
