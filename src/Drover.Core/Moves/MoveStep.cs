namespace Drover.Core.Moves;

/// <summary>Something a driver does for a move. Each may be repeated: the second time does what is still missing.</summary>
public abstract record MoveStep
{
    private MoveStep() { }

    /// <summary>At the target: image, container, network, room.</summary>
    public sealed record PrepareTarget(NodeId Node, ByteCount Needed) : MoveStep;

    /// <summary>At the source: sizes and snapshots.</summary>
    public sealed record InspectSource(NodeId Node) : MoveStep;

    /// <summary>From source to target: one pass of all volumes. <paramref name="Final"/>: the live data is sealed first.</summary>
    public sealed record SendRound(int Number, bool Final, EquatableList<VolumePass> Volumes) : MoveStep;

    /// <summary>At the source: the app's own command, while it serves.</summary>
    public sealed record RunPreStop(NodeId Node, InstanceId Instance, PreStop What) : MoveStep;

    /// <summary>At the source: half of what the container uses of the processors now.</summary>
    public sealed record ThrottleInstance(NodeId Node, InstanceId Instance, int Level) : MoveStep;

    /// <summary>At the source: sync, then stop with grace, or freeze.</summary>
    public sealed record StopInstance(NodeId Node, InstanceId Instance, bool Freeze) : MoveStep;

    /// <summary>In the store: {source, epoch} becomes {target, epoch + 1}.</summary>
    public sealed record Commit : MoveStep;

    /// <summary>At one node: drop what nobody needs as a base.</summary>
    public sealed record Retire(NodeId Node, bool DropLive, EquatableList<KeptVolume> Volumes) : MoveStep;

    /// <summary>At the target: drop the prepared container and all data of this move.</summary>
    public sealed record UnwindTarget(NodeId Node, EquatableList<KeptVolume> Volumes) : MoveStep;

    /// <summary>At the source: give the live data back and drop the snapshots of this move.</summary>
    public sealed record UnwindSource(NodeId Node, EquatableList<KeptVolume> Volumes) : MoveStep;
}

/// <param name="Epoch">Epoch of the source's live data.</param>
/// <param name="Base">Snapshot both have; null: everything is sent.</param>
public sealed record VolumePass(VolumeName Name, Epoch Epoch, SnapshotName Snapshot, SnapshotName? Base);

/// <param name="Keep">Snapshot that stays whatever else goes; null: none is asked to stay.</param>
/// <param name="Epoch">Newest epoch of the volume: live data of an older one may go where a step says so.</param>
public sealed record KeptVolume(VolumeName Name, SnapshotName? Keep, Epoch Epoch, EquatableList<SnapshotName> Drop);
