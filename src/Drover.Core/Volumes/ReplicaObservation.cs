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
        var kept = WithForks(volume, node, seen);
        var next = volume.Primary == node ? OfPrimary(kept, seen) : OfStandby(state, kept, node, seen, now);
        if (next == volume) return true;
        var events = kept.Forks == volume.Forks ? [] : kept.Forks.Items.Except(volume.Forks.Items).Select(f => new ClusterEvent("volume.forked", volume.Name.Value,
            $"{node} kept what it wrote to volume {volume.Name} at epoch {f.Epoch}, before {volume.Primary} was promoted, as snapshot {f.Snapshot}") { Volume = volume.Name, Node = node }).ToImmutableArray();
        return Decision.Of(true, [new ClusterChange.PutVolume(next)], events);
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
        // A fork is nobody's base: it holds what the volume's history went on without. Nor is what people keep, which moves must not use up.
        var bases = seen.Snapshots.Where(s => !Promotion.IsFork(s.Name) && !VolumeSnapshots.IsKept(s.Name)).ToList();
        if (bases.Count == 0) return Without(volume, node);
        var known = volume.Standbys.FirstOrDefault(s => s.Node == node);
        if (known is not null && bases.Any(s => s.Name == known.Snapshot)) return volume;
        return Without(volume, node) with { Standbys = Without(volume, node).Standbys.Add(new Standby(node, bases[^1].Name, seen.Epoch, now)) };
    }

    private static Volume WithForks(Volume volume, NodeId node, ReplicaObservation seen) =>
        volume.Forks.Items.Any(f => f.Node == node && !f.Kept && seen.Snapshots.Items.Any(s => s.Name == f.Snapshot))
            ? volume with { Forks = volume.Forks.Select(f => f.Node == node && seen.Snapshots.Items.Any(s => s.Name == f.Snapshot) ? f with { Kept = true } : f).ToEquatableList() }
            : volume;

    private static Volume Without(Volume volume, NodeId node) => volume.Standbys.Items.Any(s => s.Node == node)
        ? volume with { Standbys = volume.Standbys.Where(s => s.Node != node).ToEquatableList() }
        : volume;
}
