using System.Collections.Immutable;
using Drover.Core.Moves;
using Drover.Core.State;
using static Drover.Core.Volumes.VolumeAnswer;

namespace Drover.Core.Volumes;

/// <summary>What people ask of volumes, each as one decision: refused with the remedy, or begun. Pure.</summary>
public static class VolumeRequests
{
    public static readonly TimeSpan Kept = TimeSpan.FromDays(7), LongestKept = TimeSpan.FromDays(3650);

    public static Decision<VolumeAnswer> Create(ClusterState state, string name, string? node, ByteCount? size, OperationId id, DateTimeOffset now)
    {
        if (NameTaken(state, name, "name") is { } taken) return taken;
        if (PlaceFor(state, node) is not { } place) return NoPlace(state, node);
        var volume = new Volume(new(name), place, new(1), Initialized: false, null, Waiting(state, new(name)), now) { Size = size };
        return Begin(new VolumeOperation(id, VolumeVerb.Create, volume.Name, place, VolumeStage.Making, now) { Size = size }, new ClusterChange.PutVolume(volume));
    }

    /// <summary>A new volume of a file whose sender waits under <paramref name="id"/>.</summary>
    public static Decision<VolumeAnswer> Import(ClusterState state, string name, string? node, ByteCount? size, long? bytesPerSecond, OperationId id, DateTimeOffset now)
    {
        if (NameTaken(state, name, "name") is { } taken) return taken;
        if (PlaceFor(state, node) is not { } place) return NoPlace(state, node);
        if (size is not null && !VolumeSizes.Kept(state.Nodes[place].VolumeDriver))
            return new Refused(VolumeFault.Impossible, "size", $"the {state.Nodes[place].VolumeDriver} driver of node '{place}' cannot limit a volume's size", "choose another node, or say that it has no size");
        var volume = new Volume(new(name), place, new(1), Initialized: false, null, Waiting(state, new(name)), now) { Size = size };
        return Begin(new VolumeOperation(id, VolumeVerb.Import, volume.Name, place, VolumeStage.Receiving, now) { Size = size, Snapshot = MoveSnapshots.Brought(id), BytesPerSecond = bytesPerSecond }, new ClusterChange.PutVolume(volume));
    }

    public static Decision<VolumeAnswer> Snapshot(ClusterState state, VolumeName name, string? given, SnapshotOrigin origin, OperationId id, DateTimeOffset now)
    {
        if (AtRest(state, name, out var volume) is { } refused) return refused;
        var snapshot = given ?? Stamp(now, "snap");
        if (SnapshotNameFault(volume, snapshot) is { } fault) return fault;
        if (Away(state, volume.Primary!.Value) is { } away) return away;
        return Begin(new VolumeOperation(id, VolumeVerb.Snapshot, name, volume.Primary!.Value, VolumeStage.Taking, now) { Snapshot = new(snapshot), Origin = origin });
    }

    public static Decision<VolumeAnswer> Drop(ClusterState state, VolumeName name, SnapshotName snapshot, OperationId id, DateTimeOffset now)
    {
        if (Present(state, name, out var volume) is { } refused) return refused;
        if (Find(volume, snapshot, out var found) is { } unknown) return unknown;
        if (Away(state, found.Node) is { } away) return away;
        return Begin(new VolumeOperation(id, VolumeVerb.Drop, name, found.Node, VolumeStage.Dropping, now) { Drops = [snapshot] });
    }

    public static Decision<VolumeAnswer> Restore(ClusterState state, VolumeName name, SnapshotName snapshot, OperationId id, DateTimeOffset now)
    {
        if (AtRest(state, name, out var volume) is { } refused) return refused;
        if (Find(volume, snapshot, out var found) is { } unknown) return unknown;
        if (Apart(volume, found) is { } apart) return apart;
        if (Away(state, found.Node) is { } away) return away;
        return Begin(new VolumeOperation(id, VolumeVerb.Restore, name, found.Node, VolumeStage.Stopping, now) { Snapshot = snapshot, Safety = new(Stamp(now, "before-restore")) });
    }

    /// <param name="snapshot">Null: of the present data, by a snapshot that is taken now.</param>
    public static Decision<VolumeAnswer> Clone(ClusterState state, VolumeName name, string to, SnapshotName? snapshot, OperationId id, DateTimeOffset now)
    {
        if (AtRest(state, name, out var volume) is { } refused) return refused;
        if (NameTaken(state, to, "to") is { } taken) return taken;
        var node = volume.Primary!.Value;
        if (snapshot is { } given)
        {
            if (Find(volume, given, out var found) is { } unknown) return unknown;
            // Any node that has it will do: the new volume is then there.
            node = found.Node;
        }
        if (Away(state, node) is { } away) return away;
        var operation = new VolumeOperation(id, VolumeVerb.Clone, name, node, snapshot is null ? VolumeStage.Taking : VolumeStage.Making, now)
        {
            Target = new(to), Snapshot = snapshot ?? new SnapshotName(Stamp(now, "for-clone")), Size = volume.Size,
        };
        // Known from now on, so that nobody makes it empty while its data is on its way.
        return Begin(operation, new ClusterChange.PutVolume(new Volume(new(to), node, new(1), Initialized: true, null, Waiting(state, new(to)), now) { Size = volume.Size }));
    }

    /// <param name="size">Null: no limit.</param>
    public static Decision<VolumeAnswer> Resize(ClusterState state, VolumeName name, ByteCount? size, OperationId id, DateTimeOffset now)
    {
        if (AtRest(state, name, out var volume) is { } refused) return refused;
        if (size is { } limit && limit < volume.Used)
            return new Refused(VolumeFault.Impossible, "size", $"volume '{name}' holds {volume.Used}, more than {limit}", "free space in it first, or give a greater size");
        if (Away(state, volume.Primary!.Value) is { } away) return away;
        return Begin(new VolumeOperation(id, VolumeVerb.Resize, name, volume.Primary!.Value, VolumeStage.Resizing, now) { Size = size });
    }

    /// <param name="every">Null: no schedule any more.</param>
    public static Decision<VolumeAnswer> Schedule(ClusterState state, VolumeName name, TimeSpan? every, int keep, DateTimeOffset now)
    {
        if (Present(state, name, out var volume) is { } refused) return refused;
        if (every is { } span && (span < SnapshotSchedule.Shortest || span > SnapshotSchedule.Longest))
            return new Refused(VolumeFault.Impossible, "every", "must be from 1 minute to 366 days", "give something like 1h");
        if (every is not null && keep is < 1 or > SnapshotSchedule.Most)
            return new Refused(VolumeFault.Impossible, "keep", $"must be from 1 to {SnapshotSchedule.Most}", "give how many snapshots stay, such as 24");
        return Change(volume with { Schedule = every is { } between ? new SnapshotSchedule(between, keep, now + between) : null }, "volume.scheduled",
            every is null ? $"volume {name} is snapshot by nobody's clock" : $"volume {name} has a snapshot each {every}, {keep} stay");
    }

    /// <summary>It leaves the list; its data stays until <paramref name="kept"/> has passed.</summary>
    public static Decision<VolumeAnswer> Delete(ClusterState state, VolumeName name, TimeSpan kept, DateTimeOffset now)
    {
        if (Present(state, name, out var volume) is { } refused) return refused;
        if (volume.Holder is { } holder)
            return new Refused(VolumeFault.NotNow, "name", $"volume '{name}' is in use by app '{holder}'", $"delete that app first: drover app delete {holder}");
        if (kept < TimeSpan.Zero || kept > LongestKept) return new Refused(VolumeFault.Impossible, "keep", "must be from 0 to 3650 days", "leave it out for 7 days");
        return Change(volume with { DeletedAt = now, PurgeAt = now + kept }, "volume.deleted", $"volume {name} is deleted; its data is kept until {now + kept:u}");
    }

    public static Decision<VolumeAnswer> Undelete(ClusterState state, VolumeName name)
    {
        if (!state.Volumes.TryGetValue(name, out var volume)) return Unknown(name);
        if (volume.DeletedAt is null) return new Refused(VolumeFault.NotNow, "name", $"volume '{name}' is not deleted", "nothing to do");
        if (state.OpenOperationOf(name) is { } work) return AtWork(name, work);
        return Change(volume with { DeletedAt = null, PurgeAt = null }, "volume.undeleted", $"volume {name} is back");
    }

    /// <summary>Now and for good. Only of a deleted volume, and only by one who says its name twice.</summary>
    public static Decision<VolumeAnswer> Purge(ClusterState state, VolumeName name, string? confirm, OperationId id, DateTimeOffset now)
    {
        if (!state.Volumes.TryGetValue(name, out var volume)) return Unknown(name);
        if (confirm != name.Value) return new Refused(VolumeFault.Impossible, "confirm", "must be the volume's name: its data cannot be had back afterwards", $"say \"confirm\": \"{name}\"");
        if (volume.DeletedAt is null) return new Refused(VolumeFault.NotNow, "name", $"volume '{name}' is not deleted", $"delete it first: drover volume delete {name}");
        if (Busy(state, name) is { } busy) return busy;
        return Purge(volume, id, now);
    }

    internal static Decision<VolumeAnswer> Purge(Volume volume, OperationId id, DateTimeOffset now)
    {
        var nodes = Holders(volume);
        if (nodes.IsEmpty) return Decision.Of<VolumeAnswer>(new Changed(volume), [new ClusterChange.RemoveVolume(volume.Name)]);
        return Begin(new VolumeOperation(id, VolumeVerb.Purge, volume.Name, nodes[0], VolumeStage.Purging, now) { Further = nodes.Skip(1).ToEquatableList() });
    }

    /// <summary>Every node with something of it, the primary last: until then a complete copy is there.</summary>
    public static ImmutableArray<NodeId> Holders(Volume volume)
    {
        var others = volume.Standbys.Items.Select(s => s.Node).Concat(volume.Snapshots.Items.Select(s => s.Node)).Concat(volume.Forks.Items.Select(f => f.Node))
            .Where(n => n != volume.Primary).Distinct().Order();
        return volume.Primary is { } primary ? [.. others, primary] : [.. others];
    }

    internal static Decision<VolumeAnswer> Begin(VolumeOperation operation, params ReadOnlySpan<ClusterChange> changes) =>
        Decision.Of<VolumeAnswer>(new Begun(operation), [.. changes, new ClusterChange.PutOperation(operation)],
            new ClusterEvent("volume.operation", operation.Volume.Value, $"{operation.Named} of volume {operation.Volume} begins on {operation.Node}") { Volume = operation.Volume, Node = operation.Node, State = operation.Stage.ToString() });

    private static Decision<VolumeAnswer> Change(Volume volume, string kind, string text) =>
        Decision.Of<VolumeAnswer>(new Changed(volume), [new ClusterChange.PutVolume(volume)], new ClusterEvent(kind, volume.Name.Value, text) { Volume = volume.Name, Node = volume.Primary });

    private static Refused Unknown(VolumeName name) => new(VolumeFault.Unknown, "name", $"there is no volume '{name}'", "list what there is with: drover volume list");

    private static Refused AtWork(VolumeName name, VolumeOperation work) =>
        new(VolumeFault.NotNow, "name", $"{work.Named} of volume '{name}' is under way ({work.Id})", $"wait for its end: drover volume show {name}");

    private static Refused? Present(ClusterState state, VolumeName name, out Volume volume)
    {
        if (!state.Volumes.TryGetValue(name, out volume!)) return Unknown(name);
        if (volume.DeletedAt is not null) return new(VolumeFault.NotNow, "name", $"volume '{name}' was deleted", $"give it back first: drover volume undelete {name}");
        return Busy(state, name);
    }

    private static Refused? Busy(ClusterState state, VolumeName name)
    {
        if (state.OpenOperationOf(name) is { } work) return AtWork(name, work);
        return state.OpenMoveOf(name) is { } move ? new(VolumeFault.NotNow, "name", $"volume '{name}' is being moved (move {move.Id}, {move.State})", $"wait for its end: drover move show {move.Id}") : null;
    }

    /// <summary>Present, nothing else under way, and with data on a node.</summary>
    private static Refused? AtRest(ClusterState state, VolumeName name, out Volume volume) => Present(state, name, out volume) ?? volume switch
    {
        { Primary: not null, Initialized: true } => null,
        { Missing: { } why } => new(VolumeFault.NotNow, "name", $"volume '{name}' has no data: {why}", $"clone it again: drover volume clone SOURCE {name}"),
        _ => new(VolumeFault.NotNow, "name", $"volume '{name}' has no data yet", "start an app that uses it first"),
    };

    /// <summary>The app that waits for the volume of this name, whose copy never came.</summary>
    private static AppId? Waiting(ClusterState state, VolumeName name) => state.Volumes.GetValueOrDefault(name)?.Holder;

    private static Refused? NameTaken(ClusterState state, string name, string field)
    {
        if (!VolumeNames.TryParse(name, out var parsed)) return new(VolumeFault.Impossible, field, $"is no volume name: {VolumeNames.Rule}", "choose another name");
        // Nothing is under a name whose copy never came: it may be given again.
        if (!state.Volumes.TryGetValue(parsed.Value, out var there) || there is { Missing: not null, DeletedAt: null }) return null;
        return there.DeletedAt is null ? new(VolumeFault.NotNow, field, $"volume '{name}' exists already", "choose another name")
            : new(VolumeFault.NotNow, field, $"volume '{name}' was deleted and its data is kept until {there.PurgeAt:u}", $"give it back (drover volume undelete {name}), purge it (drover volume delete {name} --purge), or choose another name");
    }

    private static Refused? SnapshotNameFault(Volume volume, string name)
    {
        if (name.Length > VolumeSnapshots.MaxLength || !VolumeNames.TryParse(name, out _))
            return new(VolumeFault.Impossible, "snapshot", $"is no snapshot name: 1 to {VolumeSnapshots.MaxLength} characters: letters, digits, '_', '.', '-', the first a letter or digit", "choose another name, or leave it out");
        return volume.Snapshots.Items.Any(s => s.Name.Value == name) ? new(VolumeFault.NotNow, "snapshot", $"volume '{volume.Name}' has a snapshot '{name}' already", "choose another name") : null;
    }

    private static Refused? Find(Volume volume, SnapshotName name, out VolumeSnapshot found)
    {
        found = volume.Snapshots.Items.FirstOrDefault(s => s.Name == name)!;
        return found is null ? new(VolumeFault.Unknown, "snapshot", $"volume '{volume.Name}' has no snapshot '{name}'", $"list what there is with: drover volume show {volume.Name}") : null;
    }

    /// <summary>Work that waits for a node that is gone would keep moves and a promotion waiting too.</summary>
    private static Refused? Away(ClusterState state, NodeId node) => state.IsConnected(node) ? null
        : new(VolumeFault.NotNow, "name", $"node '{node}', which must do this, is not connected", $"bring it back first: '{node}' in drover nodes");

    private static Refused? Apart(Volume volume, VolumeSnapshot snapshot) => snapshot.Node == volume.Primary ? null
        : new(VolumeFault.NotNow, "snapshot", $"snapshot '{snapshot.Name}' is on node '{snapshot.Node}', the volume is on '{volume.Primary}'",
            $"move its app to {snapshot.Node} first, or clone it there: drover volume clone {volume.Name} NEW --snapshot {snapshot.Name}");

    private static NodeId? PlaceFor(ClusterState state, string? node)
    {
        var open = state.Nodes.Values.Where(n => !n.Cordoned && state.IsConnected(n.Id));
        return node is not null ? open.Where(n => n.Id.Value == node).Select(n => (NodeId?)n.Id).FirstOrDefault()
            : open.OrderByDescending(n => state.Presence[n.Id].PoolFree.Bytes).ThenBy(n => n.Id).Select(n => (NodeId?)n.Id).FirstOrDefault();
    }

    private static Refused NoPlace(ClusterState state, string? node)
    {
        if (node is null) return new(VolumeFault.NotNow, "node", "no node takes a new volume: none is connected and not cordoned", "look with: drover nodes");
        if (!state.Nodes.TryGetValue(new(node), out var known)) return new(VolumeFault.Unknown, "node", $"there is no node '{node}'", "list what there is with: drover nodes");
        return new(VolumeFault.NotNow, "node", $"node '{node}' is {(known.Cordoned ? "cordoned" : "not connected")}", "choose another node");
    }

    private static string Stamp(DateTimeOffset now, string what) => $"{what}-{now.UtcDateTime.ToString("yyyyMMdd-HHmmss-fff", System.Globalization.CultureInfo.InvariantCulture)}";
}
