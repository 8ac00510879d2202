using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.Core.Volumes;

/// <summary>From where an operation stands to its next step, and from what came of that to where it stands then. Pure: whoever crashes, the same follows from what is stored.</summary>
public static class VolumeMachine
{
    /// <summary>Tries of a stage that may still be given up: the app of a restore must not stand still for ever.</summary>
    public const int Tries = 8;

    public static VolumeStep Step(ClusterState state, VolumeOperation operation)
    {
        var epoch = state.Volumes.TryGetValue(operation.Volume, out var volume) ? volume.Epoch : Epoch.None;
        var (node, name) = (operation.Node, operation.Volume);
        return (operation.Verb, operation.Stage) switch
        {
            (VolumeVerb.Clone, VolumeStage.Making) => new VolumeStep.Make(node, operation.Target!.Value, new(1), name, OnNode(operation.Snapshot), operation.Size),
            (VolumeVerb.Restore, VolumeStage.Making) => new VolumeStep.Make(node, name, epoch, name, OnNode(operation.Snapshot), volume?.Size),
            (VolumeVerb.Import, VolumeStage.Receiving) => new VolumeStep.Receive(node, name, new(1), operation.Snapshot!.Value, operation.Size, operation.BytesPerSecond),
            // Safe: the name was free when this began and is held since; where anything lies that this did not bring, nothing is removed.
            (VolumeVerb.Import, VolumeStage.Clearing) => new VolumeStep.Clear(node, name, new(1), operation.Snapshot!.Value),
            (_, VolumeStage.Making) => new VolumeStep.Make(node, name, epoch, null, null, operation.Size),
            (_, VolumeStage.Stopping) => new VolumeStep.Stop(node, name, Running(state, operation)?.Id),
            (VolumeVerb.Restore, VolumeStage.Taking) => new VolumeStep.Take(node, name, epoch, OnNode(operation.Safety)!.Value, OnNode(operation.Snapshot)),
            (_, VolumeStage.Taking) => new VolumeStep.Take(node, name, epoch, OnNode(operation.Snapshot)!.Value, null),
            (_, VolumeStage.Resizing) => new VolumeStep.Resize(node, name, epoch, operation.Size),
            (_, VolumeStage.Checking) => new VolumeStep.Check(volume!.Primary!.Value, name, epoch),
            // Safe: a prune is run here only by who has just heard of the primary that its data is there; a purge only when its volume was deleted and its time is over or a person said its name.
            (VolumeVerb.Prune, _) or (VolumeVerb.Purge, _) => new VolumeStep.Drop(node, name, epoch, [], Whole: true),
            _ => new VolumeStep.Drop(node, name, epoch, operation.Drops.Select(VolumeSnapshots.OnNode).ToEquatableList(), Whole: false),
        };
    }

    /// <summary>Folds what came of the step that <paramref name="seen"/> asked for; changes nothing when the operation has gone on since.</summary>
    public static Decision<VolumeOperation?> Take(ClusterState state, VolumeOperation seen, VolumeEvent happened, DateTimeOffset now)
    {
        if (!state.Operations.TryGetValue(seen.Id, out var current)) return default(VolumeOperation);
        if (!StandsWhere(state, seen)) return current;
        return happened is VolumeEvent.Failed failed ? Failed(state, current, failed, now) : Done(state, current, ((VolumeEvent.Done)happened).Size, now);
    }

    /// <summary>The step of <paramref name="seen"/> is still the one that is asked for.</summary>
    public static bool StandsWhere(ClusterState state, VolumeOperation seen) => state.Operations.TryGetValue(seen.Id, out var current) && !current.Ended
        && (current.Stage, current.Attempts, current.Node) == (seen.Stage, seen.Attempts, seen.Node);

    private static Decision<VolumeOperation?> Done(ClusterState state, VolumeOperation operation, ByteCount size, DateTimeOffset now)
    {
        var volume = state.Volumes.GetValueOrDefault(operation.Volume);
        if (volume is null) return End(state, operation, now, []);
        return (operation.Verb, operation.Stage) switch
        {
            (VolumeVerb.Create, _) => End(state, operation, now, Put(volume with { Initialized = true, Size = operation.Size })),
            (VolumeVerb.Import, VolumeStage.Receiving) => End(state, operation, now, Put(volume with { Initialized = true, Size = operation.Size, Base = operation.Snapshot })),
            (VolumeVerb.Import, _) => Lost(state, operation, operation.Failure, now),
            (VolumeVerb.Snapshot, _) => End(state, operation, now, Put(Taken(volume, operation, operation.Snapshot!.Value, operation.Origin, size, now))),
            (VolumeVerb.Drop, _) => End(state, operation, now, Put(Dropped(volume, operation))),
            (VolumeVerb.Restore, VolumeStage.Stopping) => Go(operation, VolumeStage.Taking, [.. Halted(state, operation)]),
            // The commit: from here on the safety snapshot is what is kept of the present data, and the epoch bars whoever still had orders for it.
            (VolumeVerb.Restore, VolumeStage.Taking) => Go(operation, VolumeStage.Making,
                Put(Taken(volume, operation, operation.Safety!.Value, SnapshotOrigin.BeforeRestore, size, now) with { Epoch = volume.Epoch.Next, Base = OnNode(operation.Snapshot) })),
            (VolumeVerb.Clone, VolumeStage.Taking) => Go(operation, VolumeStage.Making, Put(Taken(volume, operation, operation.Snapshot!.Value, SnapshotOrigin.ForClone, size, now))),
            (VolumeVerb.Resize, _) => End(state, operation, now, Put(volume with { Size = operation.Size })),
            (VolumeVerb.Prune, VolumeStage.Checking) => Go(operation, VolumeStage.Dropping, [], operation.Attempts),
            (VolumeVerb.Prune, _) => End(state, operation, now, Put(volume with { Standbys = volume.Standbys.Where(s => s.Node != operation.Node).ToEquatableList() })),
            (VolumeVerb.Purge, _) when operation.Further.Count > 0 => Go(operation with { Node = operation.Further[0], Further = operation.Further.Skip(1).ToEquatableList() }, VolumeStage.Purging, []),
            (VolumeVerb.Purge, _) => End(state, operation, now, [new ClusterChange.RemoveVolume(volume.Name)]),
            _ => End(state, operation, now, []),
        };
    }

    private static Decision<VolumeOperation?> Failed(ClusterState state, VolumeOperation operation, VolumeEvent.Failed failed, DateTimeOffset now)
    {
        // The file can be read once only: there is no second try. What may have come of it goes first, then the name is free again.
        if (operation is { Verb: VolumeVerb.Import, Stage: VolumeStage.Receiving }) return Go(operation with { Failure = failed.Message }, VolumeStage.Clearing, []);
        if (Forward(operation) || operation.Stage == VolumeStage.Clearing && failed.Kind != StepFailure.Refused || failed.Kind == StepFailure.Retry && (operation.Stage == VolumeStage.Making || operation.Attempts + 1 < Tries))
        {
            var wait = TimeSpan.FromMilliseconds(Math.Min(10_000, 250 * Math.Pow(2, Math.Min(operation.Attempts, 10))));
            // The primary's word was for the try that failed: it is asked anew, under another number, so that its agent looks again.
            var stage = operation is { Verb: VolumeVerb.Prune, Stage: VolumeStage.Dropping } ? VolumeStage.Checking : operation.Stage;
            var again = operation with { Stage = stage, Attempts = operation.Attempts + 1, NextAt = now + wait, WaitsFor = $"another attempt: {failed.Message}" };
            return Decision.Of<VolumeOperation?>(again, [new ClusterChange.PutOperation(again)], Said(again, "volume.operation", $"{again.Named} of volume {again.Volume} waits for {again.WaitsFor}"));
        }
        return Lost(state, operation, operation.Failure is { } first ? $"{first}; {failed.Message}" : failed.Message, now);
    }

    private static Decision<VolumeOperation?> Lost(ClusterState state, VolumeOperation operation, string? why, DateTimeOffset now)
    {
        var ended = operation with { Stage = VolumeStage.Failed, EndedAt = now, WaitsFor = null, NextAt = null, Failure = why };
        return Decision.Of<VolumeOperation?>(ended, [new ClusterChange.PutOperation(ended), .. Undone(state, operation, why ?? "it was given up")],
            Said(ended, "volume.failed", $"{ended.Named} of volume {ended.Volume} failed: {ended.Failure}"));
    }

    /// <summary>How it goes on where <paramref name="node"/>, which works for it, is no node of the cluster any more; null: that node must do it, or it ends by itself soon.</summary>
    public static Decision<VolumeOperation?>? Without(ClusterState state, VolumeOperation operation, NodeId node, DateTimeOffset now)
    {
        if (operation.Verb == VolumeVerb.Purge)
        {
            var others = operation with { Further = operation.Further.Where(n => n != node).ToEquatableList() };
            return operation.Node == node ? Done(state, others, default, now) : Decision.Of<VolumeOperation?>(others, [new ClusterChange.PutOperation(others)]);
        }
        if (operation.Node != node || operation.Verb is not (VolumeVerb.Create or VolumeVerb.Clone or VolumeVerb.Import)) return null;
        var gone = $"node '{node}' is no node of the cluster any more";
        return Lost(state, operation, operation.Failure is { } first ? $"{first}; {gone}" : gone, now);
    }

    /// <summary>Past its commit: there is only forward.</summary>
    private static bool Forward(VolumeOperation operation) => operation.Verb == VolumeVerb.Purge || operation is { Verb: VolumeVerb.Restore, Stage: VolumeStage.Making };

    /// <summary>Not null: the standby is not to be touched, for nobody knows any more that another copy is there.</summary>
    /// <param name="vouched">The prune as it was when its primary said, just before and to whoever asks here, that it has the data.</param>
    public static VolumeEvent? Stays(ClusterState state, VolumeOperation operation, VolumeOperation? vouched)
    {
        if (operation is not { Verb: VolumeVerb.Prune, Stage: VolumeStage.Dropping }) return null;
        var both = state.IsConnected(operation.Node) && state.Volumes.GetValueOrDefault(operation.Volume)?.Primary is { } primary && state.IsConnected(primary);
        return both && operation == vouched ? null : WentAway;
    }

    public static VolumeEvent WentAway { get; } = new VolumeEvent.Failed(StepFailure.Operator, "a node went away: the standby stays");

    /// <summary>Nothing is begun that cannot be left where it is. Of a clone the node makes the very same again, or refuses: its ledger names the snapshot; and it must not keep its source waiting.</summary>
    public static bool MayGiveUp(VolumeOperation operation) => !operation.Ended && !Forward(operation)
        && (operation.Stage is not (VolumeStage.Making or VolumeStage.Clearing) || operation.Verb == VolumeVerb.Clone) && operation is not { Verb: VolumeVerb.Prune, Stage: VolumeStage.Dropping };

    /// <summary>The record of a volume that did not come to be. Of a create it goes, or stays an app's that has claimed it meanwhile and is made empty where that is placed, as asked. Of a clone, and of an import that an app
    /// waits for, it stays: whoever names it expects those contents, and must not get an empty volume instead. What comes here the agent refused to make, or its node is away or gone: a clone that lies there all the same was used by nobody, and no other order is taken for it.</summary>
    private static ImmutableArray<ClusterChange> Undone(ClusterState state, VolumeOperation operation, string why)
    {
        var made = operation.Verb switch { VolumeVerb.Create or VolumeVerb.Import => operation.Volume, VolumeVerb.Clone => operation.Target, _ => null };
        if (made is not { } name || !state.Volumes.TryGetValue(name, out var volume)) return [];
        if (operation.Verb == VolumeVerb.Clone || operation.Verb == VolumeVerb.Import && volume.Holder is not null)
        {
            var what = operation.Verb == VolumeVerb.Import ? "its import" : $"the clone of volume '{operation.Volume}'";
            return Put(volume with { Primary = null, Epoch = Epoch.None, Initialized = true, Missing = $"{what} failed: {why}" });
        }
        return volume.Holder is not null ? Put(volume with { Primary = null, Epoch = Epoch.None, Initialized = false }) : [new ClusterChange.RemoveVolume(name)];
    }

    private static Decision<VolumeOperation?> Go(VolumeOperation operation, VolumeStage stage, ImmutableArray<ClusterChange> changes, int attempts = 0)
    {
        var next = operation with { Stage = stage, Attempts = attempts, NextAt = null, WaitsFor = null };
        return Decision.Of<VolumeOperation?>(next, [.. changes, new ClusterChange.PutOperation(next)], Said(next, "volume.operation", $"{next.Named} of volume {next.Volume}: {stage}"));
    }

    private static Decision<VolumeOperation?> End(ClusterState state, VolumeOperation operation, DateTimeOffset now, ImmutableArray<ClusterChange> changes)
    {
        var next = operation with { Stage = VolumeStage.Done, Attempts = 0, NextAt = null, WaitsFor = null, EndedAt = now };
        return Decision.Of<VolumeOperation?>(next, [.. changes, new ClusterChange.PutOperation(next)], Said(next, "volume.done", $"{next.Named} of volume {next.Volume} is done"));
    }

    private static Volume Taken(Volume volume, VolumeOperation operation, SnapshotName name, SnapshotOrigin origin, ByteCount size, DateTimeOffset now) => volume with
    {
        Snapshots = volume.Snapshots.Where(s => s.Name != name).ToEquatableList().Add(new VolumeSnapshot(name, operation.Node, volume.Epoch, now, size, origin)),
    };

    private static Volume Dropped(Volume volume, VolumeOperation operation) =>
        volume with { Snapshots = volume.Snapshots.Where(s => s.Node != operation.Node || !operation.Drops.Items.Contains(s.Name)).ToEquatableList() };

    private static Instance? Running(ClusterState state, VolumeOperation operation) => state.InstancesOn(operation.Node)
        .Where(i => i.Goal == InstanceGoal.Running && i.State != InstanceState.Scheduled && i.Spec.Volumes.Any(m => m.Name == operation.Volume)).MinBy(i => i.Id);

    // In the same commit: an observation that comes late finds the copy halted, and starts nothing.
    private static IEnumerable<ClusterChange> Halted(ClusterState state, VolumeOperation operation) =>
        Running(state, operation) is { } instance ? [new ClusterChange.PutInstance(VolumeHold.Halted(instance, operation))] : [];

    private static SnapshotName? OnNode(SnapshotName? name) => name is { } given ? VolumeSnapshots.OnNode(given) : null;

    private static ImmutableArray<ClusterChange> Put(Volume volume) => [new ClusterChange.PutVolume(volume)];

    private static ClusterEvent Said(VolumeOperation operation, string kind, string text) =>
        new(kind, operation.Volume.Value, text) { Volume = operation.Volume, Node = operation.Node, State = operation.Stage.ToString() };
}
