using Drover.Core.Moves;

namespace Drover.Core.Volumes;

/// <summary>One piece of work of an agent for an operation. Repeatable.</summary>
public abstract record VolumeStep(NodeId Node, VolumeName Volume)
{
    /// <summary>Live data of this epoch: empty, or of a snapshot of <paramref name="Source"/>.</summary>
    public sealed record Make(NodeId Node, VolumeName Volume, Epoch Epoch, VolumeName? Source, SnapshotName? From, ByteCount? Size) : VolumeStep(Node, Volume);
    /// <param name="Instance">Null: nothing runs, it is only unmounted.</param>
    public sealed record Stop(NodeId Node, VolumeName Volume, InstanceId? Instance) : VolumeStep(Node, Volume);
    /// <param name="Needs">A snapshot that must be complete there, or nothing is done: what a restore goes back to.</param>
    public sealed record Take(NodeId Node, VolumeName Volume, Epoch Epoch, SnapshotName Snapshot, SnapshotName? Needs) : VolumeStep(Node, Volume);
    /// <param name="Whole">All there is on this node goes; false: only the snapshots named.</param>
    public sealed record Drop(NodeId Node, VolumeName Volume, Epoch Epoch, EquatableList<SnapshotName> Snapshots, bool Whole) : VolumeStep(Node, Volume);
    /// <summary>A new volume of the file that its sender holds ready under the operation's id.</summary>
    public sealed record Receive(NodeId Node, VolumeName Volume, Epoch Epoch, SnapshotName Snapshot, ByteCount? Size, long? BytesPerSecond) : VolumeStep(Node, Volume);
    /// <summary>What that has left, if anything; refused where anything but <paramref name="Snapshot"/>, and what was made of it, is there.</summary>
    public sealed record Clear(NodeId Node, VolumeName Volume, Epoch Epoch, SnapshotName Snapshot) : VolumeStep(Node, Volume);
    public sealed record Resize(NodeId Node, VolumeName Volume, Epoch Epoch, ByteCount? Size) : VolumeStep(Node, Volume);
    /// <summary>The primary says whether its live data is there.</summary>
    public sealed record Check(NodeId Node, VolumeName Volume, Epoch Epoch) : VolumeStep(Node, Volume);
}

/// <summary>What came of a step.</summary>
public abstract record VolumeEvent
{
    private VolumeEvent() { }

    /// <param name="Size">Of the snapshot taken.</param>
    public sealed record Done(ByteCount Size) : VolumeEvent;
    public sealed record Failed(StepFailure Kind, string Message) : VolumeEvent;
}
