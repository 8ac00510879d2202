using System.Globalization;
using Drover.Core.Apps;
using Drover.Core.Networks;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Nodes;

/// <summary>What came of the wish that a node is none of the cluster's any more.</summary>
public abstract record RemovalOutcome
{
    private RemovalOutcome() { }

    /// <param name="Forgotten">What is not known any more, in words.</param>
    public sealed record Removed(NodeId Id, EquatableList<string> Forgotten) : RemovalOutcome;
    public sealed record Unknown(NodeId Id) : RemovalOutcome;
    /// <param name="Reasons">All of them.</param>
    public sealed record Refused(EquatableList<string> Reasons, string Remedy) : RemovalOutcome;
}

/// <summary>Retires a node that is away for good. Nothing on its disks is touched; what is refused here is to forget where the last copy of something is.</summary>
public static class NodeRemoval
{
    /// <param name="left">What is left of its lease: until then it may still write.</param>
    /// <param name="acceptLoss">Forks, snapshots and lone standbys that it has, and volumes that were deleted, may be forgotten too; never the data of a volume in the list.</param>
    public static Decision<RemovalOutcome> Decide(ClusterState state, NodeId id, TimeSpan left, bool acceptLoss, DateTimeOffset now)
    {
        if (!state.Nodes.ContainsKey(id)) return new RemovalOutcome.Unknown(id);
        if (state.IsConnected(id)) return new RemovalOutcome.Refused([$"node '{id}' is connected"], $"empty it (drover node drain {id}), then stop its agent");
        var work = Released(state, id, now).ToList();
        var released = state.Apply(work.SelectMany(w => w.Changes));
        var bound = Bound(released, id, left).ToList();
        var only = Purging(state, id).Concat(OnlyThere(released, id)).ToList();
        if (bound.Count > 0 || only.Count > 0 && !acceptLoss) return Refused(id, bound, only);
        List<ClusterChange> changes = [.. work.SelectMany(w => w.Changes), .. Forget(released, id)];
        var after = state.Apply(changes);
        var apps = state.InstancesOn(id).Select(i => i.App).Distinct();
        return Decision.Of<RemovalOutcome>(new RemovalOutcome.Removed(id, only.ToEquatableList()), [.. changes, .. apps.SelectMany(app => Addressing.Follow(after, app)), new ClusterChange.RemoveNode(id)],
            [.. work.SelectMany(w => w.Events), new ClusterEvent("node.removed", id.Value, $"{id} is no node of the cluster any more{(only.Count > 0 ? $"; forgotten with it: {string.Join(", ", only)}" : "")}") { Node = id }]);
    }

    /// <summary>Work that nobody else could end any more: once its lease is over, the node does nothing of it whose outcome counts.</summary>
    private static IEnumerable<Decision<VolumeOperation?>> Released(ClusterState state, NodeId id, DateTimeOffset now)
    {
        foreach (var work in At(state, id))
            if (VolumeMachine.Without(state, work, id, now) is { } without) yield return without;
    }

    private static IEnumerable<VolumeOperation> At(ClusterState state, NodeId id) => state.OpenOperations.Where(o => o.Node == id || o.Further.Items.Contains(id)).OrderBy(o => o.Id);

    private static IEnumerable<string> Purging(ClusterState state, NodeId id) => At(state, id).Where(o => o.Verb == VolumeVerb.Purge).Select(o => $"what it has of volume '{o.Volume}', which is being purged");

    private static bool IsPurged(ClusterState state, Volume volume) => state.OpenOperations.Any(o => o.Verb == VolumeVerb.Purge && o.Volume == volume.Name);

    /// <summary>What is said where its identity was taken before that was decided: it cannot come back as it is.</summary>
    public static RemovalOutcome AfterRevoke(RemovalOutcome outcome, NodeId id) => outcome is RemovalOutcome.Refused refused
        ? refused with { Reasons = refused.Reasons.Add("its identity is revoked"), Remedy = $"{refused.Remedy}; to let it in again, join it anew: drover node token --name {id}" } : outcome;

    private static RemovalOutcome.Refused Refused(NodeId id, List<string> bound, List<string> only) => new([.. bound, .. only],
        bound.Count > 0 ? $"bring '{id}' back and move that away (drover node drain {id}); where it is lost for good, promote a standby (drover volume promote) or delete the volume"
            : $"bring '{id}' back, or say --accept-loss if that may be lost");

    /// <summary>What no word of an operator passes over.</summary>
    private static IEnumerable<string> Bound(ClusterState state, NodeId id, TimeSpan left)
    {
        if (left > TimeSpan.Zero) yield return string.Create(CultureInfo.InvariantCulture, $"it may still write for {Math.Ceiling(left.TotalSeconds):0} s");
        foreach (var move in state.OpenMoves.Where(m => m.Source == id || m.Target == id).OrderBy(m => m.Id)) yield return $"move {move.Id} of app '{move.App}' is {move.State} there";
        foreach (var work in At(state, id)) yield return $"{work.Named} of volume '{work.Volume}' is under way there";
        foreach (var volume in state.Volumes.Values)
        {
            if (IsPurged(state, volume)) continue;
            if (volume.DeletedAt is not null)
            {
                // Forgotten whole, what lies on other nodes would be nobody's.
                if (volume.Primary == id && VolumeRequests.Holders(volume).Any(n => n != id))
                    yield return $"it has the data of volume '{volume.Name}', which was deleted, and other nodes have something of it: undelete it and promote a standby, or purge it";
            }
            else if (volume.Primary == id) yield return $"it has the data of volume '{volume.Name}'";
            // The primary may be lost too: then this is what is left.
            else if (volume.Standbys.Items.Any(s => s.Node == id) && !(volume.Primary is { } primary && state.IsConnected(primary)) && !volume.Standbys.Items.Any(s => s.Node != id && state.IsConnected(s.Node)))
                yield return $"its standby of volume '{volume.Name}' is the only copy beside that of '{volume.Primary}', which is away";
        }
    }

    private static IEnumerable<string> OnlyThere(ClusterState state, NodeId id)
    {
        foreach (var volume in state.Volumes.Values)
        {
            if (IsPurged(state, volume)) continue;
            // That the primary is connected does not say that it has the data still.
            if (volume.Standbys.Items.Any(s => s.Node == id) && !volume.Standbys.Items.Any(s => s.Node != id && state.IsConnected(s.Node)))
                yield return $"the standby of volume '{volume.Name}', beside which there is only what '{volume.Primary}' has";
            if (volume.DeletedAt is not null && volume.Primary == id) yield return $"the data of volume '{volume.Name}', which was deleted and is kept until {volume.PurgeAt:u}";
            foreach (var fork in volume.Forks.Items.Where(f => f.Node == id)) yield return $"fork {fork.Snapshot} of volume '{volume.Name}'";
            foreach (var snapshot in volume.Snapshots.Items.Where(s => s.Node == id)) yield return $"snapshot '{snapshot.Name}' of volume '{volume.Name}'";
        }
    }

    /// <summary>Copies of apps that ran there wait for another place: none of them has a volume there, and the node may not come back as itself.</summary>
    private static IEnumerable<ClusterChange> Forget(ClusterState state, NodeId id)
    {
        foreach (var volume in state.Volumes.Values)
        {
            // Its purge needs the record for the nodes that are left.
            if (volume.Primary == id && !IsPurged(state, volume)) { yield return new ClusterChange.RemoveVolume(volume.Name); continue; }
            var without = volume with
            {
                Primary = volume.Primary == id ? null : volume.Primary,
                Standbys = volume.Standbys.Where(s => s.Node != id).ToEquatableList(), Forks = volume.Forks.Where(f => f.Node != id).ToEquatableList(), Snapshots = volume.Snapshots.Where(s => s.Node != id).ToEquatableList(),
            };
            if (without != volume) yield return new ClusterChange.PutVolume(without);
        }
        foreach (var instance in state.InstancesOn(id).OrderBy(i => i.Id))
        {
            if (instance.Goal == InstanceGoal.Removed) yield return new ClusterChange.RemoveInstance(instance.Id);
            else yield return new ClusterChange.PutInstance(instance.WithoutPlace());
        }
    }
}
