using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Volumes;

public enum VolumeVerb { Create, Snapshot, Drop, Restore, Clone, Resize, Purge, Prune, Import }

/// <summary>What is done next. Stored before it begins; the work of a stage is computed from what is stored and may be repeated.</summary>
public enum VolumeStage { Making, Stopping, Taking, Dropping, Resizing, Checking, Purging, Done, Failed, Receiving, Clearing }

/// <summary>A durable piece of work on one volume. A volume has one at a time, and none beside a move.</summary>
/// <param name="Node">That does the work of this stage.</param>
public sealed record VolumeOperation(OperationId Id, VolumeVerb Verb, VolumeName Volume, NodeId Node, VolumeStage Stage, DateTimeOffset RequestedAt)
{
    /// <summary>Taken, gone back to, or cloned.</summary>
    public SnapshotName? Snapshot { get; init; }
    public SnapshotOrigin Origin { get; init; }
    /// <summary>Restore: what is live is kept under this name first.</summary>
    public SnapshotName? Safety { get; init; }
    /// <summary>Clone: the new volume.</summary>
    public VolumeName? Target { get; init; }
    public ByteCount? Size { get; init; }
    /// <summary>Drop: these go.</summary>
    public EquatableList<SnapshotName> Drops { get; init; } = [];
    /// <summary>Purge: nodes still to be cleaned after <see cref="Node"/>.</summary>
    public EquatableList<NodeId> Further { get; init; } = [];
    /// <summary>Import: how fast; null: as fast as it goes.</summary>
    public long? BytesPerSecond { get; init; }
    /// <summary>Failed tries of this stage.</summary>
    public int Attempts { get; init; }
    public DateTimeOffset? NextAt { get; init; }
    public string? WaitsFor { get; init; }
    public DateTimeOffset? EndedAt { get; init; }
    public string? Failure { get; init; }

    public bool Ended => Stage is VolumeStage.Done or VolumeStage.Failed;

    /// <summary>Apps that use this volume are not started before it has ended.</summary>
    public bool KeepsAppsFrom(VolumeName volume) => volume == Target || Verb is VolumeVerb.Create or VolumeVerb.Import or VolumeVerb.Restore or VolumeVerb.Purge;

    /// <summary>A clone changes nothing of its source.</summary>
    public bool ChangesOwnershipOf(VolumeName volume) => volume == Target || Verb is VolumeVerb.Create or VolumeVerb.Import or VolumeVerb.Restore or VolumeVerb.Purge or VolumeVerb.Prune;

    public string Named => $"the {Verb.ToString().ToLowerInvariant()}";
}

/// <summary>Copies that a restore has stopped: held while it is open, and by nothing else. Its end, good or bad, lets them go.</summary>
public static class VolumeHold
{
    public static VolumeOperation? Of(ClusterState state, Instance instance)
    {
        foreach (var operation in state.OpenOperations)
            if (operation.Verb == VolumeVerb.Restore && instance.Node == operation.Node && instance.Spec.Volumes.Any(m => m.Name == operation.Volume)) return operation;
        return null;
    }

    public static Instance Halted(Instance instance, VolumeOperation restore) => instance with
    {
        State = InstanceState.Scheduled, Healthy = null, Health = [], Readiness = [], StartedAt = null, Start = null, WaitsFor = $"the restore of volume {restore.Volume}, which is {restore.Stage}",
    };
}
