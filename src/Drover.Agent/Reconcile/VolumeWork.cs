using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>Gives each step to the work it belongs to.</summary>
public sealed class StepsByKind(MoveWork moves, VolumeWork volumes) : IStepWork
{
    public Task<StepResult> Do(Step step, Action<StepProgress> progress, CancellationToken cancel) =>
        volumes.Do(step, progress, cancel) ?? moves.Do(step, progress, cancel);
}

/// <summary>Work on one volume that no move asks for. Each verb may be repeated: one that was cut short by the agent's end is done again from the start and finds what is there.</summary>
public sealed class VolumeWork(Orders orders, NodeBook book, IVolumeDriver volumes, KeyedLocks locks, IObservations observations, VolumeFiles? files = null)
{
    /// <summary>Null: not such a step.</summary>
    public Task<StepResult>? Do(Step step, Action<StepProgress> progress, CancellationToken cancel) => step.WorkCase switch
    {
        Step.WorkOneofCase.MakeVolume => Make(step.MakeVolume, cancel),
        Step.WorkOneofCase.TakeSnapshot => Take(step.TakeSnapshot, cancel),
        Step.WorkOneofCase.DropData => Drop(step.DropData, cancel),
        Step.WorkOneofCase.ResizeVolume => Resize(step.ResizeVolume, cancel),
        Step.WorkOneofCase.CheckVolume => Check(step.CheckVolume, cancel),
        Step.WorkOneofCase.ExportVolume when files is not null => Export(files, step.ExportVolume, progress, cancel),
        Step.WorkOneofCase.ImportVolume when files is not null => Import(files, step.ImportVolume, progress, cancel),
        Step.WorkOneofCase.ClearImport => Clear(step.ClearImport, cancel),
        _ => null,
    };

    /// <summary>Nothing is held: a snapshot does not change, and the driver keeps it while it is read.</summary>
    private static async Task<StepResult> Export(VolumeFiles files, ExportVolume export, Action<StepProgress> progress, CancellationToken cancel)
    {
        await files.Export(export, progress, cancel);
        return new StepResult();
    }

    /// <summary>Only where there is no trace of the name. What a failure leaves, the operation clears away by its next step.</summary>
    private async Task<StepResult> Import(VolumeFiles files, ImportVolume import, Action<StepProgress> progress, CancellationToken cancel)
    {
        if (import.SizeBytes > 0) Able(import.Name);
        var (name, epoch) = (new VolumeName(import.Name), new Epoch(import.Epoch));
        using var held = await locks.Take([KeyedLocks.Volume(import.Name)], cancel);
        if (await volumes.Inspect(name, cancel) is { } here)
            throw new StepFailed(StepErrorKind.Operator, here.ForeignTrace ?? $"volume {name} is known here (epoch {here.Known}, {here.Snapshots.Count} snapshots): a known volume is never made again of a file; choose another name, or another node");
        try { await files.Import(import, progress, cancel); }
        // What the file is, the file's sender must know; what the network is, too.
        catch (Exception e) when (e is InvalidDataException or IOException or Grpc.Core.RpcException) { throw new StepFailed(StepErrorKind.Operator, e is Grpc.Core.RpcException rpc ? rpc.Status.Detail : e.Message); }
        Ensure(import.Name, await volumes.Promote(name, new(import.Snapshot), epoch, cancel));
        if (import.SizeBytes > 0) Ensure(import.Name, await volumes.Resize(name, new ByteCount(import.SizeBytes), epoch, cancel));
        await Tell(name, cancel);
        return new StepResult();
    }

    private async Task<StepResult> Make(MakeVolume make, CancellationToken cancel)
    {
        // Before anything is made: what cannot be as asked leaves nothing behind.
        if (make.SizeBytes > 0 && make.Source != make.Name) Able(make.Name);
        var (name, epoch, from) = (new VolumeName(make.Name), new Epoch(make.Epoch), new SnapshotName(make.Snapshot));
        using var held = await locks.Take(new[] { make.Name, make.Source }.Where(n => n.Length > 0).Select(KeyedLocks.Volume), cancel);
        if (await book.RunningWith(name, except: null, cancel) is { } user)
            throw new StepFailed(StepErrorKind.Retry, $"volume '{name}': container of task {user} still runs with it");
        // Safe: the driver makes nothing where a trace of the volume lies that this epoch does not follow, and puts older live data away, never over.
        LiveOrder order = make.Source.Length == 0 ? new LiveOrder.Empty(name, epoch)
            : make.Source == make.Name ? new LiveOrder.OfSnapshot(name, epoch, from) : new LiveOrder.CloneOf(name, epoch, new(make.Source), from);
        var isNew = make.Source != make.Name && await volumes.Inspect(name, cancel) is null;
        Ensure(make.Name, await volumes.Make(order, cancel));
        if (make.SizeBytes > 0) await Limit(make, name, epoch, isNew, cancel);
        await Tell(name, cancel);
        return new StepResult();
    }

    private async Task Limit(MakeVolume make, VolumeName name, Epoch epoch, bool isNew, CancellationToken cancel)
    {
        var limited = await volumes.Resize(name, new ByteCount(make.SizeBytes), epoch, cancel);
        // A restore is past its commit: an app that waits for a limit that this node, or what the snapshot holds, does not allow would wait for ever.
        if (make.Source == make.Name && limited.Kind is (VolumeOutcomeKind.Unable or VolumeOutcomeKind.Conflict)) return;
        // Safe: nothing of this name was here when this step began, its lock is held since, and no container had it; what it was cloned from stays. Left here it would bar its name.
        if (!limited.Ok && isNew) Ensure(make.Name, await volumes.Remove(name, new Removal([], Live: false, epoch, Everything: true), cancel));
        Ensure(make.Name, limited);
    }

    private async Task<StepResult> Take(TakeSnapshot take, CancellationToken cancel)
    {
        var name = new VolumeName(take.Name);
        using var held = await locks.Take([KeyedLocks.Volume(take.Name)], cancel);
        if (take.Needs.Length > 0 && (await volumes.Inspect(name, cancel))?.Snapshots.Any(s => s.Name.Value == take.Needs) != true)
            throw new StepFailed(StepErrorKind.Operator, $"volume '{name}': its snapshot {take.Needs} is not complete on this node; nothing was done: choose another (drover volume show {take.Name})");
        if (!volumes.Abilities.AtomicSnapshots && await book.WritingWith(name, cancel) is { } user)
            throw new StepFailed(StepErrorKind.Operator, $"volume '{name}': the {volumes.Name} driver cannot take a snapshot of one moment while {user} runs with it: stop the app first");
        var taken = await volumes.Snapshot(name, new(take.Snapshot), new(take.Epoch), cancel);
        Ensure(take.Name, taken);
        await Tell(name, cancel);
        return new StepResult { Snapshot = new Snapshot { Name = taken.Value!.Name.Value, Identity = taken.Value.Identity, Bytes = taken.Value.Size.Bytes } };
    }

    private async Task<StepResult> Drop(DropData drop, CancellationToken cancel)
    {
        var name = new VolumeName(drop.Name);
        using var held = await locks.Take([KeyedLocks.Volume(drop.Name)], cancel);
        if (drop.Whole)
        {
            if (await book.RunningWith(name, except: null, cancel) is { } user)
                throw new StepFailed(StepErrorKind.Retry, $"volume '{name}': container of task {user} still runs with it");
            if (await volumes.Inspect(name, cancel) is { } here && here.Known.Value > drop.Epoch)
                throw new StepFailed(StepErrorKind.Refused, $"volume '{name}': order of epoch {drop.Epoch} refused: this node knows epoch {here.Known}");
            Ensure(drop.Name, await volumes.Unmount(name, cancel));
        }
        // Safe: the whole of it goes only for a purged volume or a standby whose primary has just said that it has the data, and never when this node knows a newer epoch.
        // Without that the driver itself keeps the last complete data of the node.
        Ensure(drop.Name, await volumes.Remove(name, new Removal([.. drop.Snapshots.Select(s => new SnapshotName(s))], Live: false, new(drop.Epoch), drop.Whole), cancel));
        await Tell(name, cancel);
        return new StepResult();
    }

    private async Task<StepResult> Clear(ClearImport clear, CancellationToken cancel)
    {
        var name = new VolumeName(clear.Name);
        using var held = await locks.Take([KeyedLocks.Volume(clear.Name)], cancel);
        if (await volumes.Inspect(name, cancel) is { } found && (found.ForeignTrace is not null || found.Known.Value > clear.Epoch || found.Snapshots.Count != 1 || found.Snapshots[0].Name.Value != clear.Snapshot))
            throw new StepFailed(StepErrorKind.Refused, $"what lies on the node of volume '{name}' was not brought by this import and is left alone: look into this node's pool, or choose another name");
        if (await book.RunningWith(name, except: null, cancel) is { } user) throw new StepFailed(StepErrorKind.Retry, $"volume '{name}': container of task {user} still runs with it");
        Ensure(clear.Name, await volumes.Unmount(name, cancel));
        // Safe: all that is here is of the one snapshot that this import brought, under a name that nobody else gives, and no app was let near it.
        Ensure(clear.Name, await volumes.Remove(name, new Removal([], Live: false, new(clear.Epoch), Everything: true), cancel));
        await Tell(name, cancel);
        return new StepResult();
    }

    private async Task<StepResult> Resize(ResizeVolume resize, CancellationToken cancel)
    {
        if (resize.SizeBytes > 0) Able(resize.Name);
        using var held = await locks.Take([KeyedLocks.Volume(resize.Name)], cancel);
        Ensure(resize.Name, await volumes.Resize(new(resize.Name), resize.SizeBytes > 0 ? new ByteCount(resize.SizeBytes) : null, new(resize.Epoch), cancel));
        return new StepResult();
    }

    private async Task<StepResult> Check(CheckVolume check, CancellationToken cancel) =>
        await volumes.Inspect(new(check.Name), cancel) is { HasLive: true, ForeignTrace: null } here && here.Epoch.Value == check.Epoch ? new StepResult()
            : throw new StepFailed(StepErrorKind.Operator, $"volume '{check.Name}': no live data of epoch {check.Epoch} on this node: the other copies stay");

    private void Able(string name)
    {
        if (!volumes.Abilities.Quotas)
            throw new StepFailed(StepErrorKind.Operator, $"volume '{name}': the {volumes.Name} driver of this node cannot limit a volume's size: leave the size out, or use a node whose driver can");
    }

    private async Task Tell(VolumeName name, CancellationToken cancel)
    {
        if (await book.Replica(name, cancel) is { } replica)
            observations.Tell(new FromAgent { Volume = NodeBook.Observed(replica, orders.Current.Volumes.GetValueOrDefault(name)) });
    }

    private static void Ensure(string volume, VolumeOutcome outcome)
    {
        if (outcome.Ok) return;
        throw new StepFailed(outcome.Kind switch { VolumeOutcomeKind.Busy => StepErrorKind.Retry, VolumeOutcomeKind.Stale => StepErrorKind.Refused, _ => StepErrorKind.Operator }, $"volume '{volume}': {outcome.Message}");
    }
}
