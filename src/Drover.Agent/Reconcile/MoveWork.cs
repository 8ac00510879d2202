using Drover.Agent.Containers;
using Drover.Agent.Leases;
using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>The steps of a move on this node, under the same locks as the reconciler.</summary>
public sealed class MoveWork(
    Orders orders, NodeBook book, InstanceWork instances, IContainerRuntime containers, IVolumeDriver volumes, IRoundSender rounds, KeyedLocks locks, IObservations observations,
    IWriteRight right, TimeProvider time, IArrivals? arrivals = null)
    : IStepWork
{
    /// <summary>Snapshots of a volume, the newest: an older one is nobody's base but by chance.</summary>
    private const int BasesMeasured = 8;

    public async Task<StepResult> Do(Step step, Action<StepProgress> progress, CancellationToken cancel)
    {
        switch (step.WorkCase)
        {
            case Step.WorkOneofCase.Prepare: return await Prepare(step.Prepare, cancel);
            case Step.WorkOneofCase.Inspect: return await Inspect(step.Inspect.Volumes, cancel);
            case Step.WorkOneofCase.Round: return await Round(step, progress, cancel);
            case Step.WorkOneofCase.PreStop: return await PreStop(step.PreStop, cancel);
            case Step.WorkOneofCase.Throttle: return await Throttle(step.Throttle, cancel);
            case Step.WorkOneofCase.Attend: return new StepResult();
            case Step.WorkOneofCase.Stop: return await Stop(step.Stop, cancel);
            case Step.WorkOneofCase.Retire: return await Retire(step.Retire, cancel);
            case Step.WorkOneofCase.Unwind: return await Unwind(step.Unwind, cancel);
            default: throw new StepFailed(StepErrorKind.Refused, $"this agent does not know the step '{step.StepId}': install the control plane's version of drover-agent on this node");
        }
    }

    private async Task<StepResult> Prepare(PrepareTarget prepare, CancellationToken cancel)
    {
        var space = await volumes.Space(cancel);
        if (space.Free.Bytes < prepare.BytesNeeded)
            throw new StepFailed(StepErrorKind.Operator, $"the pool of this node has {space.Free} free, the move needs {new ByteCount(prepare.BytesNeeded)}: free space there, or move elsewhere");
        // Counting what is there takes as long as there is much: not in the app's stop. A pool that cannot count is told of when the limit is set.
        if (prepare.LimitsSizes && volumes is ICarriesSizes sizes) await sizes.Expect(cancel);
        if (prepare.Instance is { } instance) await PrepareContainer(instance, cancel);
        return await WithVolumes(prepare.Volumes, cancel);
    }

    private async Task PrepareContainer(DesiredInstance instance, CancellationToken cancel)
    {
        var pulled = await containers.Pull(instance.Container.Image, instance.Container.ForcePull, cancel);
        if (!pulled.Ok) throw new StepFailed(StepErrorKind.Operator, pulled.Message ?? "the image cannot be had, and Docker does not say why: try `docker pull` on this node");
        using var held = await locks.Take([KeyedLocks.Instance(instance.InstanceId)], cancel);
        var order = instances.OrderOf(instance);
        var made = await containers.Create(order, cancel);
        if (made.Kind == ContainerOutcomeKind.Conflict && await book.Refresh(new(instance.TaskId), cancel) is { State: ContainerState.Created })
        {
            // Prepared before, for an order that has changed since. It has never run: nothing is lost.
            await containers.Remove(new(instance.TaskId), cancel);
            made = await containers.Create(order, cancel);
        }
        await book.Refresh(new(instance.TaskId), cancel);
        if (!made.Ok) throw new StepFailed(made.Kind == ContainerOutcomeKind.NoImage ? StepErrorKind.Retry : StepErrorKind.Operator, made.Message ?? "the container cannot be made, and Docker does not say why: see dockerd's log on this node");
    }

    private async Task<StepResult> WithVolumes(IEnumerable<string> names, CancellationToken cancel)
    {
        var wanted = names.ToHashSet();
        var space = await volumes.Space(cancel);
        var result = new StepResult { PoolFreeBytes = space.Free.Bytes, PoolReserveBytes = SpaceReserve.Of(space.Total).Bytes, LiveIsCopied = !volumes.Abilities.CheapSnapshots };
        foreach (var replica in await volumes.List(cancel))
            if (wanted.Contains(replica.Name.Value)) result.Volumes.Add(NodeBook.Observed(replica, orders.Current.Volumes.GetValueOrDefault(replica.Name)));
        return result;
    }

    /// <summary>With what the live data does not share with the snapshots that may be the other node's base too: that is what will be written there.</summary>
    private async Task<StepResult> Inspect(IEnumerable<string> names, CancellationToken cancel)
    {
        var result = await WithVolumes(names, cancel);
        if (volumes is not IMeasuresChanges changes) return result;
        foreach (var volume in result.Volumes)
            foreach (var snapshot in volume.Snapshots.TakeLast(BasesMeasured))
                if (await changes.ChangedSince(new(volume.Name), new(snapshot.Name), cancel) is { } changed) snapshot.ChangedBytes = changed.Bytes;
        return result;
    }

    private async Task<StepResult> Round(Step step, Action<StepProgress> progress, CancellationToken cancel)
    {
        var keys = step.Round.Volumes.Select(v => KeyedLocks.Volume(v.Name)).ToList();
        using (await locks.Take(keys, cancel))
            foreach (var volume in step.Round.Volumes) await MakeLive(volume, cancel);
        // A seeding round takes as long as its data; an app that ends meanwhile must be started again. The driver's own verbs are safe beside a send.
        using var held = step.Round.Final ? await locks.Take(keys, cancel) : null;
        if (step.Round.Final) await NobodyWrites(step.Round, cancel);
        var outcome = await rounds.Send(step.Round, step.MoveId, progress, cancel);
        // One that was frozen and was thawed meanwhile, by whoever, may have answered its clients after the snapshot.
        if (step.Round.Final) await NobodyWrites(step.Round, cancel);
        foreach (var volume in step.Round.Volumes) await TellVolume(new(volume.Name), cancel);
        return new StepResult { Round = outcome };
    }

    /// <summary>What a container writes after the last snapshot would be lost. A frozen one writes nothing.</summary>
    private async Task NobodyWrites(SendRound round, CancellationToken cancel)
    {
        foreach (var volume in round.Volumes)
            if (await book.WritingWith(new(volume.Name), cancel) is { } user)
                throw new StepFailed(StepErrorKind.Refused, $"the final round of volume '{volume.Name}' is refused: container of task {user} still runs with it");
    }

    /// <summary>While the app serves: nothing is held, an app that ends meanwhile is started again. What it comes to is for the move to judge.</summary>
    private async Task<StepResult> PreStop(RunPreStop run, CancellationToken cancel)
    {
        var task = new TaskId(run.TaskId);
        if (await book.Refresh(task, cancel) is not { State: ContainerState.Running, Frozen: false })
            return new StepResult { PreStop = new() { Ok = false, Said = "its container does not run" } };
        var ended = await containers.Exec(task, ["/bin/sh", "-c", run.Command], TimeSpan.FromMilliseconds(run.LimitMs), cancel);
        if (ended is { TimedOut: false, ExitCode: 0 }) return new StepResult { PreStop = new() { Ok = true } };
        var output = ended.Output.Trim();
        return new StepResult { PreStop = new() { Ok = false, Said = ended.TimedOut ? output : $"exit code {ended.ExitCode}{(output.Length > 0 ? $": {output}" : "")}" } };
    }

    private async Task<StepResult> Throttle(ThrottleInstance throttle, CancellationToken cancel)
    {
        var slowed = await containers.Throttle(new(throttle.TaskId), cancel);
        await book.Refresh(new(throttle.TaskId), cancel);
        // One that ended meanwhile writes nothing: as slow as can be.
        return slowed.Ok || slowed.Kind == ContainerOutcomeKind.NoContainer ? new StepResult() : throw new StepFailed(StepErrorKind.Retry, $"{throttle.TaskId} cannot be slowed down: {slowed.Message}");
    }

    /// <summary>A primary whose app never came up here has no live data yet. By the same order as a start, so that it can go elsewhere.</summary>
    private async Task MakeLive(RoundVolume volume, CancellationToken cancel)
    {
        var (name, epoch) = (new VolumeName(volume.Name), new Epoch(volume.Epoch));
        if (await book.Replica(name, cancel) is { HasLive: true } here && here.Epoch == epoch) return;
        if (orders.Current.Volumes.GetValueOrDefault(name) is not { Role: VolumeRole.Primary } order || order.Epoch != volume.Epoch) return;
        if (order.Base.Length == 0 && !order.CreateEmpty) return;
        // Safe: the driver makes nothing of older data than it knows, and nothing empty where any trace of the volume exists.
        var made = order.Base.Length > 0 ? await volumes.Promote(name, new(order.Base), epoch, cancel) : await volumes.CreateEmpty(name, epoch, cancel);
        if (!made.Ok) throw Failed(volume.Name, made);
        if (volumes.Abilities.Quotas && order.SizeBytes > 0) await volumes.Carry(name, new ByteCount(order.SizeBytes), epoch, cancel);
    }

    private async Task<StepResult> Stop(StopInstance stop, CancellationToken cancel)
    {
        // Before the stop, while the app still serves: what is left to write at the end is then little.
        await volumes.Sync(cancel);
        if (stop.Freeze) await OrderedToHold(new(stop.InstanceId), cancel);
        using var held = await locks.Take([KeyedLocks.Instance(stop.InstanceId), .. stop.Volumes.Select(KeyedLocks.Volume)], cancel);
        var result = new StepResult();
        long? requested = null;
        if (stop.TaskId.Length > 0)
        {
            var task = new TaskId(stop.TaskId);
            if (stop.Freeze) return await Freeze(task, stop, cancel);
            book.Notes(task).StoppedByUs = true;
            await Unthrottled(task, cancel);
            var asked = time.GetTimestamp();
            var stopped = await containers.Stop(task, TimeSpan.FromMilliseconds(stop.GraceMs), cancel);
            result.AppStopUs = (long)stopped.Elapsed.TotalMicroseconds;
            // One that had ended before has been away for longer than this step can tell.
            if (stopped.WasRunning) requested = asked;
            await book.Refresh(task, cancel);
        }
        foreach (var name in stop.Volumes)
        {
            if (await book.RunningWith(new(name), except: null, cancel) is { } user)
                throw new StepFailed(StepErrorKind.Refused, $"volume '{name}': container of task {user} still runs with it");
            var unmounted = await volumes.Unmount(new(name), cancel);
            if (!unmounted.Ok) throw Failed(name, unmounted);
            await TellVolume(new(name), cancel);
        }
        if (requested is { } moment) result.SinceStopUs = Micros(moment);
        return result;
    }

    private long Micros(long since) => Math.Max(1, (long)time.GetElapsedTime(since).TotalMicroseconds);

    /// <summary>The order that says so travels beside the step. Frozen before it has come, the container would be thawed again as one that should run.</summary>
    private async Task OrderedToHold(InstanceId instance, CancellationToken cancel)
    {
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Look(NodeDesired before, NodeDesired after)
        {
            if (after.Instances.GetValueOrDefault(instance) is not { Wish: InstanceWish.Run }) held.TrySetResult();
        }
        orders.Changed += Look;
        try
        {
            Look(orders.Current, orders.Current);
            await held.Task.WaitAsync(cancel);
        }
        finally
        {
            orders.Changed -= Look;
        }
    }

    /// <summary>The volume stays where it is: frozen processes have it open. The container's own end comes after the commit, by the orders of this node, or its thaw by an undo.</summary>
    private async Task<StepResult> Freeze(TaskId task, StopInstance stop, CancellationToken cancel)
    {
        var stood = await book.Refresh(task, cancel) is { Frozen: true };
        var asked = time.GetTimestamp();
        var frozen = await containers.Freeze(task, cancel);
        await book.Refresh(task, cancel);
        if (!frozen.Ok) throw new StepFailed(frozen.Kind == ContainerOutcomeKind.NoContainer ? StepErrorKind.Refused : StepErrorKind.Retry, $"{task} cannot be frozen: {frozen.Message}");
        foreach (var name in stop.Volumes)
            if (await book.WritingWith(new(name), cancel) is { } user) throw new StepFailed(StepErrorKind.Refused, $"volume '{name}': container of task {user} still runs with it");
        return stood ? new StepResult() : new StepResult { SinceStopUs = Micros(asked) };
    }

    /// <summary>Off before a stop, which would take longer, and after an undo, whoever put it there.</summary>
    private async Task Unthrottled(TaskId task, CancellationToken cancel)
    {
        if (await book.Refresh(task, cancel) is not { Throttled: true, State: ContainerState.Running }) return;
        var freed = await containers.Unthrottle(task, cancel);
        if (!freed.Ok && freed.Kind != ContainerOutcomeKind.NoContainer) throw new StepFailed(StepErrorKind.Retry, $"the limit of {task} cannot be taken off: {freed.Message}");
        await book.Refresh(task, cancel);
    }

    private async Task<StepResult> Retire(Retire retire, CancellationToken cancel)
    {
        using var held = await locks.Take(retire.Volumes.Select(v => KeyedLocks.Volume(v.Name)), cancel);
        foreach (var volume in retire.Volumes)
        {
            var name = new VolumeName(volume.Name);
            if (volume.DropLive)
            {
                if (await book.RunningWith(name, except: null, cancel) is { } user)
                    throw new StepFailed(StepErrorKind.Retry, $"volume '{name}': container of task {user} still runs with its old data");
                await volumes.Unmount(name, cancel);
            }
            // A newer, verified replica serves: control orders this only after that. Live data goes only when older than the epoch that serves,
            // and the driver keeps the last complete snapshot.
            await Drop(volume, volume.DropLive, everything: false, cancel);
            await TellVolume(name, cancel);
        }
        return new StepResult();
    }

    private async Task<StepResult> Unwind(Unwind unwind, CancellationToken cancel)
    {
        var keys = unwind.Volumes.Select(v => KeyedLocks.Volume(v.Name));
        using var held = await locks.Take(unwind.InstanceId.Length > 0 ? keys.Append(KeyedLocks.Instance(unwind.InstanceId)) : keys, cancel);
        if (!unwind.Source && unwind.TaskId.Length > 0) await RemovePrepared(new(unwind.TaskId), cancel);
        if (unwind.Source && unwind.TaskId.Length > 0) await Unthrottled(new(unwind.TaskId), cancel);
        foreach (var volume in unwind.Volumes)
        {
            var name = new VolumeName(volume.Name);
            // What still waits there for its sender would become a snapshot after this.
            if (!unwind.Source && arrivals is not null) await arrivals.CallOff(name, cancel);
            var here = await book.Replica(name, cancel);
            if (unwind.Source && here is { HasLive: true, Sealed: true })
            {
                if (await right.Claim([(name, new(volume.Epoch))], "", cancel) is { } unleased) throw new StepFailed(StepErrorKind.Retry, $"volume '{name}': {unleased}");
                var unsealed = await volumes.Seal(name, false, new(volume.Epoch), cancel);
                if (!unsealed.Ok) throw Failed(volume.Name, unsealed);
            }
            // The source holds the live data and serves again. At the target everything may go only where this move brought the first copy
            // (nothing to keep), nothing was ever live and nothing else lies here: a snapshot this move did not bring may be the last copy there is.
            var everything = !unwind.Source && volume.Keep.Length == 0 && here is { HasLive: false } && here.Snapshots.All(s => volume.Drop.Contains(s.Name.Value));
            // What nobody can explain was there before this move, which could bring nothing beside it.
            if (here is { ForeignTrace: null }) await Drop(volume, live: false, everything, cancel);
            await TellVolume(name, cancel);
        }
        if (unwind.Source && unwind.TaskId.Length > 0) await Thawed(new(unwind.TaskId), unwind.Volumes, cancel);
        return new StepResult();
    }

    /// <summary>Its data is unsealed, and control orders this only before the commit: this node is the one writer.</summary>
    private async Task Thawed(TaskId task, IEnumerable<RetireVolume> held, CancellationToken cancel)
    {
        if (await book.Refresh(task, cancel) is not { Frozen: true } frozen) return;
        if (await right.Claim([.. held.Select(v => (new VolumeName(v.Name), new Epoch(v.Epoch)))], frozen.ContainerId, cancel) is { } unleased)
            throw new StepFailed(StepErrorKind.Retry, $"{task} stays frozen: {unleased}");
        var thawed = await containers.Thaw(task, cancel);
        await book.Refresh(task, cancel);
        if (!thawed.Ok && thawed.Kind != ContainerOutcomeKind.NoContainer) throw new StepFailed(StepErrorKind.Retry, $"{task} cannot be thawed: {thawed.Message}");
    }

    private async Task RemovePrepared(TaskId task, CancellationToken cancel)
    {
        if (await book.Refresh(task, cancel) is { State: ContainerState.Running })
            throw new StepFailed(StepErrorKind.Refused, $"container of task {task} runs here: a move whose target runs is past its commit and is not undone");
        var removed = await containers.Remove(task, cancel);
        await book.Refresh(task, cancel);
        book.Forget(task);
        if (!removed.Ok) throw new StepFailed(StepErrorKind.Retry, removed.Message ?? $"container of {task} cannot be removed: look at `docker ps -a` on this node");
    }

    private async Task Drop(RetireVolume volume, bool live, bool everything, CancellationToken cancel)
    {
        var snapshots = volume.Drop.Where(s => s != volume.Keep).Select(s => new SnapshotName(s)).ToList();
        var dropped = await volumes.Remove(new(volume.Name), new Removal(snapshots, live, new(volume.Epoch), everything), cancel);
        if (!dropped.Ok) throw Failed(volume.Name, dropped);
    }

    private async Task TellVolume(VolumeName name, CancellationToken cancel)
    {
        if (await book.Replica(name, cancel) is { } replica)
            observations.Tell(new FromAgent { Volume = NodeBook.Observed(replica, orders.Current.Volumes.GetValueOrDefault(name)) });
    }

    private static StepFailed Failed(string volume, VolumeOutcome outcome) =>
        new(outcome.Kind switch { VolumeOutcomeKind.Busy => StepErrorKind.Retry, VolumeOutcomeKind.Stale => StepErrorKind.Refused, _ => StepErrorKind.Operator }, $"volume '{volume}': {outcome.Message}");
}
