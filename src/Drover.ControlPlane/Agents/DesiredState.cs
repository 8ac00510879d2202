using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Core.Volumes;
using Instance = Drover.Core.Apps.Instance;

namespace Drover.ControlPlane.Agents;

/// <summary>What a node should run, computed from the state alone, and the smallest order that leads from what was ordered before to it.</summary>
public static class DesiredState
{
    /// <summary>All of it, in the order of ids. The generation is left to the one who sends it.</summary>
    public static Desired For(ClusterState state, NodeId node)
    {
        var desired = new Desired();
        var moves = state.OpenMoves.ToList();
        var instances = state.InstancesOn(node).Select(instance => DesiredContainer.Of(state, node, instance, instance.Incarnation, WishOf(state, instance, moves)))
            .Concat(moves.Where(move => move.Target == node).Select(move => Prepared(state, move)).OfType<DesiredInstance>());
        desired.Instances.AddRange(instances.OrderBy(i => i.InstanceId, StringComparer.Ordinal));
        desired.Volumes.AddRange(state.Volumes.Values.Select(volume => VolumeOn(node, volume, moves)).OfType<DesiredVolume>());
        desired.Networks.AddRange(state.Networks.Values.Select(network => NetworkOn(state, node, network)));
        return desired;
    }

    /// <summary>The copy as it will run at the target once the commit point is passed, held until then: the same task id, epochs and ports, so that the container made ahead is the one that starts.
    /// Null before there is something to prepare, and after the commit, when the instance itself stands on the target.</summary>
    public static DesiredInstance? Prepared(ClusterState state, Move move)
    {
        if (move.State is not (MoveState.Preparing or MoveState.Seeding or MoveState.Quiescing or MoveState.FinalDelta or MoveState.Verified)) return null;
        if (move.Instance is not { } id || !state.Instances.TryGetValue(id, out var instance) || instance.Goal == InstanceGoal.Removed) return null;
        // The version that the commit will give it.
        var version = state.Apps.TryGetValue(move.App, out var app) && app.Spec.SameConfiguration(move.TargetSpec) ? app.Version : instance.AppVersion;
        var moved = instance with { Spec = move.TargetSpec, Ports = move.TargetPorts, AppVersion = version };
        return DesiredContainer.Of(state, move.Target, moved, instance.Incarnation + 1, InstanceWish.Hold);
    }

    /// <summary>What changed of these copies alone, where nothing else of the node's orders can have. Null: nothing to say.</summary>
    public static DesiredChange? Change(ClusterState before, ClusterState after, NodeId node, IReadOnlyCollection<InstanceId> copies)
    {
        DesiredChange? change = null;
        foreach (var id in copies.Order())
        {
            var (was, now) = (Of(before, node, id), Of(after, node, id));
            if (now is null ? was is null : now.Equals(was)) continue;
            change ??= new();
            if (now is not null) change.Instances.Add(now);
            else change.RemovedInstances.Add(id.Value);
        }
        return change;

        static DesiredInstance? Of(ClusterState state, NodeId node, InstanceId id) =>
            state.Instances.TryGetValue(id, out var copy) && copy.Node == node ? DesiredContainer.Of(state, node, copy, copy.Incarnation, WishOf(state, copy, state.OpenMoves)) : null;
    }

    /// <summary>Null: nothing to say.</summary>
    public static DesiredChange? Change(Desired before, Desired after)
    {
        var change = new DesiredChange();
        Compare(before.Instances, after.Instances, i => i.InstanceId, change.Instances, change.RemovedInstances);
        Compare(before.Volumes, after.Volumes, v => v.Name, change.Volumes, change.RemovedVolumes);
        Compare(before.Networks, after.Networks, n => n.Name, change.Networks, change.RemovedNetworks);
        return change.CalculateSize() == 0 ? null : change;
    }

    /// <summary>False: nothing an order is made of differs, so that no order needs to be computed.</summary>
    public static bool MayDiffer(ClusterState before, ClusterState after) =>
        !ReferenceEquals(before.Instances, after.Instances) || !ReferenceEquals(before.Volumes, after.Volumes) || !ReferenceEquals(before.Moves, after.Moves)
        || !ReferenceEquals(before.Operations, after.Operations) || !ReferenceEquals(before.Networks, after.Networks) || !ReferenceEquals(before.Nodes, after.Nodes) || !ReferenceEquals(before.Apps, after.Apps);

    private static InstanceWish WishOf(ClusterState state, Instance instance, IEnumerable<Move> moves)
    {
        // In line it runs on until it is its turn.
        if (instance is { Goal: InstanceGoal.Removed, InLine: false }) return InstanceWish.Remove;
        var cutting = moves.Any(move => move.Instance == instance.Id && move.Source == instance.Node
            && move.State is MoveState.Quiescing or MoveState.FinalDelta or MoveState.Verified);
        // A restore stops it, and lets go of it by ending: there is no hold to be taken off.
        return cutting || VolumeHold.Of(state, instance) is not null ? InstanceWish.Hold : InstanceWish.Run;
    }

    private static DesiredVolume? VolumeOn(NodeId node, Volume volume, List<Move> moves)
    {
        if (volume.Primary == node)
        {
            return new DesiredVolume
            {
                Name = volume.Name.Value,
                Role = VolumeRole.Primary,
                Epoch = volume.Epoch.Value,
                // Only before anyone has written it: a known volume is never made empty again.
                CreateEmpty = !volume.Initialized,
                Base = volume.Base?.Value ?? "",
                // The volume's, not one epoch's: each new live data is limited before anybody may write it.
                SizeBytes = volume.Size?.Bytes ?? 0,
                Sealed = moves.Any(move => move.State is MoveState.FinalDelta or MoveState.Verified && move.Volumes.Items.Any(moved => moved.Name == volume.Name)),
            };
        }
        if (volume.Forks.Items.FirstOrDefault(f => f.Node == node && !f.Kept) is { } fork)
            return new DesiredVolume { Name = volume.Name.Value, Role = VolumeRole.Standby, Epoch = volume.Epoch.Value, ForkEpoch = fork.Epoch.Value };
        foreach (var standby in volume.Standbys)
            if (standby.Node == node) return new DesiredVolume { Name = volume.Name.Value, Role = VolumeRole.Standby, Epoch = standby.Epoch.Value, Base = standby.Snapshot.Value };
        return null;
    }

    private static DesiredNetwork NetworkOn(ClusterState state, NodeId node, Core.Networks.Network network)
    {
        var desired = new DesiredNetwork { Name = network.Name.Value, Vni = network.Vni, Subnet = network.Subnet };
        desired.Peers.AddRange(state.Nodes.Values.Where(n => n.Id != node).Select(n => new OverlayPeer { Node = n.Id.Value, Address = n.Address }));
        foreach (var lease in network.Addresses.OrderBy(a => a.Address, StringComparer.Ordinal))
        {
            if (lease.Node is { } at && state.Nodes.TryGetValue(at, out var host))
                desired.Entries.Add(new OverlayEntry { Address = lease.Address, Mac = lease.Mac, Node = at.Value, NodeAddress = host.Address });
        }
        return desired;
    }

    private static void Compare<T>(IEnumerable<T> before, IEnumerable<T> after, Func<T, string> key, ICollection<T> set, ICollection<string> removed) where T : class
    {
        var old = before.ToDictionary(key, StringComparer.Ordinal);
        foreach (var item in after)
            if (!old.Remove(key(item), out var was) || !was.Equals(item)) set.Add(item);
        foreach (var gone in old.Keys.Order(StringComparer.Ordinal)) removed.Add(gone);
    }
}
