using System.Collections.Immutable;
using Drover.Agent.Containers;
using Drover.Agent.Host;
using Drover.Agent.Leases;
using Drover.Agent.Networks;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Contracts.Hosting;
using Drover.Core;

namespace Drover.Agent.Reconcile;

public enum WorkOutcome { Done, Waits }

/// <summary>Carries out the planner's steps for one instance. The caller holds the locks of the instance and its volumes.</summary>
public sealed class InstanceWork(
    Orders orders, NodeBook book, IContainerRuntime containers, IVolumeDriver volumes, IVolumeOwner owners, IOverlay overlay, IObservations observations,
    IWriteRight right, AgentOptions options, TimeProvider time, ILogger<InstanceWork> log)
{
    private const int LastWordsKept = 300;

    public async Task<InstanceSight> Look(InstanceId instance, DesiredInstance? wanted, CancellationToken cancel)
    {
        foreach (var known in book.Of(instance)) await book.Refresh(known.Task, cancel);
        if (wanted is not null) await book.Refresh(new(wanted.TaskId), cancel);
        var here = book.Of(instance);
        var names = here.SelectMany(c => ContainerEpochs.Parse(c.Labels.GetValueOrDefault(ContainerLabels.Epochs)).Keys)
            .Concat(wanted?.Volumes.Select(v => new VolumeName(v.Name)) ?? []).Distinct().ToList();
        var replicas = ImmutableDictionary.CreateBuilder<VolumeName, ReplicaView>();
        var users = ImmutableDictionary.CreateBuilder<VolumeName, TaskId>();
        foreach (var name in names)
        {
            if (await book.Replica(name, cancel) is { } replica) replicas[name] = replica;
            if (await book.RunningWith(name, instance, cancel) is { } user) users[name] = user;
        }
        return new(wanted, [.. here], orders.Current.Volumes, replicas.ToImmutable(), users.ToImmutable(), Spent(wanted, here), wanted is not null && book.Notes(new(wanted.TaskId)).Kill) { LimitsSizes = volumes.Abilities.Quotas };
    }

    private bool Spent(DesiredInstance? wanted, IReadOnlyList<ContainerView> here)
    {
        if (wanted is null) return false;
        var notes = book.Notes(new(wanted.TaskId));
        return notes.Failure is not null || (notes.Ran && here.All(c => c.Task.Value != wanted.TaskId));
    }

    /// <summary>Does the steps in order; stops at the first that does not come to its end.</summary>
    public async Task<WorkOutcome> Do(InstanceSight sight, ImmutableArray<AgentStep> plan, Action tell, CancellationToken cancel)
    {
        foreach (var step in plan)
        {
            if (sight.Wanted is { } wanted && Doing(step, wanted) is { } doing)
            {
                var notes = book.Notes(new(wanted.TaskId));
                if (notes.Doing != doing) { notes.Doing = doing; tell(); }
            }
            var outcome = await One(sight, step, cancel);
            if (outcome is not null) return outcome.Value;
        }
        if (sight.Wanted is { } done) book.Notes(new(done.TaskId)).Doing = null;
        return WorkOutcome.Done;
    }

    private static InstanceCondition? Doing(AgentStep step, DesiredInstance wanted) => step switch
    {
        AgentStep.Pull => InstanceCondition.Pulling,
        AgentStep.Create => InstanceCondition.Creating,
        AgentStep.MakeEmpty or AgentStep.Promote or AgentStep.Limit or AgentStep.Unseal or AgentStep.Mount or AgentStep.Start => InstanceCondition.Starting,
        AgentStep.Stop stop when stop.Task.Value == wanted.TaskId => InstanceCondition.Stopping,
        _ => null,
    };

    /// <summary>Null: go on with the next step.</summary>
    private async Task<WorkOutcome?> One(InstanceSight sight, AgentStep step, CancellationToken cancel)
    {
        switch (step)
        {
            case AgentStep.Stop stop:
                log.LogInformation("Stopping {Task}", stop.Task);
                book.Notes(stop.Task).StoppedByUs = true;
                await containers.Stop(stop.Task, stop.Grace, cancel);
                await book.Refresh(stop.Task, cancel);
                return null;
            case AgentStep.Remove remove:
                return await Removed(remove.Task, sight, cancel);
            case AgentStep.Unmount unmount:
                return await Ready(sight, unmount.Volume, await volumes.Unmount(unmount.Volume, cancel), cancel);
            case AgentStep.Pull:
                return Made(sight, await containers.Pull(sight.Wanted!.Container.Image, sight.Wanted.Container.ForcePull, cancel));
            case AgentStep.Create:
                var made = await containers.Create(OrderOf(sight.Wanted!), cancel);
                await book.Refresh(new(sight.Wanted!.TaskId), cancel);
                return Made(sight, made);
            case AgentStep.Start start:
                return await Start(sight.Wanted!, start.Task, cancel);
            case AgentStep.Thaw thaw:
                return await Thaw(sight.Wanted!, thaw.Task, cancel);
            case AgentStep.Wait wait:
                return Waits(sight, wait.For);
            default:
                return await Volume(sight, step, cancel);
        }
    }

    private async Task<WorkOutcome?> Removed(TaskId task, InstanceSight sight, CancellationToken cancel)
    {
        var outcome = await containers.Remove(task, cancel);
        await book.Refresh(task, cancel);
        if (!outcome.Ok) return Waits(sight, outcome.Message ?? $"container of {task} cannot be removed");
        if (sight.Wanted?.TaskId != task.Value || sight.Wanted.Wish == InstanceWish.Remove) book.Forget(task);
        return null;
    }

    private async Task<WorkOutcome?> Volume(InstanceSight sight, AgentStep step, CancellationToken cancel)
    {
        var notes = book.Notes(new(sight.Wanted!.TaskId));
        var begun = time.GetTimestamp();
        switch (step)
        {
            case AgentStep.MakeEmpty make:
                var empty = await volumes.CreateEmpty(make.Volume, make.Epoch, cancel);
                notes.Promote += time.GetElapsedTime(begun);
                return await Ready(sight, make.Volume, empty, cancel);
            case AgentStep.Promote promote:
                log.LogInformation("Promoting {Snapshot} of volume {Volume} for epoch {Epoch}", promote.From, promote.Volume, promote.Epoch);
                Failpoints.Reach("promote.begin");
                var promoted = await volumes.Promote(promote.Volume, promote.From, promote.Epoch, cancel);
                notes.Promote += time.GetElapsedTime(begun);
                return await Ready(sight, promote.Volume, promoted, cancel);
            case AgentStep.Limit limit:
                await Limit(limit, cancel);
                notes.Promote += time.GetElapsedTime(begun);
                return null;
            case AgentStep.Unseal unseal:
                if (await right.Claim([(unseal.Volume, unseal.Epoch)], "", cancel) is { } refusal) return Waits(sight, refusal);
                return await Ready(sight, unseal.Volume, await volumes.Seal(unseal.Volume, false, unseal.Epoch, cancel), cancel);
            case AgentStep.Mount mount:
                if (await right.Claim([(mount.Volume, mount.Epoch)], "", cancel) is { } unleased) return Waits(sight, unleased);
                var mounted = await volumes.Mount(mount.Volume, mount.Epoch, cancel);
                if (mounted.Ok) await Give(sight.Wanted, mount, cancel);
                notes.Mount += time.GetElapsedTime(begun);
                return await Ready(sight, mount.Volume, mounted, cancel);
            default:
                throw new InvalidOperationException($"step {step} is not one of a volume");
        }
    }

    /// <summary>Whoever waits for this data loses more by waiting than by a volume that may grow: where it fails it is told, and tried again at the next start.</summary>
    private async Task Limit(AgentStep.Limit limit, CancellationToken cancel)
    {
        try
        {
            if (await volumes.Carry(limit.Volume, limit.Size, limit.Epoch, cancel) is { Ok: false } unlimited)
                log.LogWarning("Volume {Volume} does not keep to its size {Size} here: {Why}", limit.Volume, limit.Size, unlimited.Message);
        }
        catch (HostCommandFailed failed)
        {
            log.LogWarning("Volume {Volume} does not keep to its size {Size} here: {Why}", limit.Volume, limit.Size, failed.Message);
        }
    }

    /// <summary>Only the first placement can be empty; the image is not asked on the way of a move.</summary>
    private async Task Give(DesiredInstance wanted, AgentStep.Mount mount, CancellationToken cancel)
    {
        if (orders.Current.Volumes.GetValueOrDefault(mount.Volume) is not { Base: "" }) return;
        if (await book.Replica(mount.Volume, cancel) is not { } here || !owners.IsEmpty(here.MountPath)) return;
        owners.GiveIfEmpty(here.MountPath, await containers.OwnerOf(new(wanted.TaskId), mount.ContainerPath, cancel));
    }

    private async Task<WorkOutcome?> Ready(InstanceSight sight, VolumeName volume, VolumeOutcome outcome, CancellationToken cancel)
    {
        if (await book.Replica(volume, cancel) is { } replica)
            observations.Tell(new FromAgent { Volume = NodeBook.Observed(replica, orders.Current.Volumes.GetValueOrDefault(volume)) });
        return outcome.Ok ? null : Waits(sight, $"volume '{volume}': {outcome.Message}");
    }

    private async Task<WorkOutcome?> Start(DesiredInstance wanted, TaskId task, CancellationToken cancel)
    {
        if (await book.Refresh(task, cancel) is not { } container) return WorkOutcome.Done; // gone meanwhile: look and plan again
        var now = orders.Current;
        if (now.Instances.GetValueOrDefault(new(wanted.InstanceId)) is not { } newest || (newest.Wish != InstanceWish.Run && !AgentPlanner.Unchecked) || newest.TaskId != wanted.TaskId) return WorkOutcome.Done;
        var replicas = new Dictionary<VolumeName, ReplicaView>();
        foreach (var volume in wanted.Volumes)
            if (await book.Replica(new(volume.Name), cancel) is { } replica) replicas[replica.Name] = replica;
        var notes = book.Notes(task);
        // The last look before the start, after all that takes time.
        if (await right.Claim([.. wanted.Volumes.Select(v => (new VolumeName(v.Name), new Epoch(v.Epoch)))], container.ContainerId, cancel) is { } unleased)
        {
            (notes.WaitsFor, notes.Doing) = (unleased, null);
            return WorkOutcome.Waits;
        }
        if (EpochCheck.Refusal(newest, container, now.Volumes, replicas) is { } refusal)
        {
            log.LogWarning("{Refusal}", refusal);
            notes.WaitsFor = refusal;
            notes.Doing = null;
            return WorkOutcome.Waits;
        }
        var begun = time.GetTimestamp();
        Failpoints.Reach("start.begin");
        var started = Failpoints.BendsOnce("start-fails") ? new(ContainerOutcomeKind.Failed, "the engine refused to start it") : await containers.Start(task, cancel);
        notes.Start = time.GetElapsedTime(begun);
        await book.Refresh(task, cancel);
        notes.Doing = null;
        if (!started.Ok)
        {
            notes.Failure = started.Kind == ContainerOutcomeKind.NoContainer ? null : started.Message;
            return started.Kind == ContainerOutcomeKind.NoContainer ? WorkOutcome.Waits : WorkOutcome.Done;
        }
        (notes.StartedTicks, notes.Ran, notes.WaitsFor) = (time.GetTimestamp(), true, null);
        log.LogInformation("Started {Task} in {Milliseconds:0} ms (promote {Promote:0}, mount {Mount:0})", task, notes.Start.TotalMilliseconds, notes.Promote.TotalMilliseconds, notes.Mount.TotalMilliseconds);
        if (wanted.Container.Overlay is { } endpoint) await Announce(endpoint, cancel);
        return null;
    }

    private async Task<WorkOutcome?> Thaw(DesiredInstance wanted, TaskId task, CancellationToken cancel)
    {
        if (await book.Refresh(task, cancel) is not { Frozen: true } container) return WorkOutcome.Done;
        var now = orders.Current;
        if (now.Instances.GetValueOrDefault(new(wanted.InstanceId)) is not { Wish: InstanceWish.Run } newest || newest.TaskId != wanted.TaskId) return WorkOutcome.Done;
        var replicas = new Dictionary<VolumeName, ReplicaView>();
        foreach (var volume in wanted.Volumes)
            if (await book.Replica(new(volume.Name), cancel) is { } replica) replicas[replica.Name] = replica;
        var notes = book.Notes(task);
        notes.WaitsFor = EpochCheck.Refusal(newest, container, now.Volumes, replicas)
            ?? await right.Claim([.. wanted.Volumes.Select(v => (new VolumeName(v.Name), new Epoch(v.Epoch)))], container.ContainerId, cancel);
        if (notes.WaitsFor is null && await containers.Thaw(task, cancel) is { Ok: false } failed) notes.WaitsFor = $"{task} cannot be thawed: {failed.Message}";
        await book.Refresh(task, cancel);
        return notes.WaitsFor is null ? null : WorkOutcome.Waits;
    }

    private async Task Announce(OverlayEndpoint endpoint, CancellationToken cancel)
    {
        try { await overlay.Announce(new(endpoint.Network), endpoint.Address, endpoint.Mac, cancel); }
        // The container runs and its address works; neighbours only learn of it later.
        catch (Exception e) when (e is not OperationCanceledException) { log.LogWarning("Address {Address} could not be announced: {Error}", endpoint.Address, e.Message); }
    }

    private WorkOutcome? Made(InstanceSight sight, ContainerOutcome outcome)
    {
        if (outcome.Ok) return null;
        var notes = book.Notes(new(sight.Wanted!.TaskId));
        (notes.Failure, notes.Doing) = (outcome.Message, null);
        log.LogWarning("{Task}: {Message}", sight.Wanted.TaskId, outcome.Message);
        return WorkOutcome.Done;
    }

    private WorkOutcome Waits(InstanceSight sight, string message)
    {
        if (sight.Wanted is { } wanted)
        {
            var notes = book.Notes(new(wanted.TaskId));
            (notes.WaitsFor, notes.Doing) = (message, null);
        }
        log.LogInformation("{Instance} waits: {Message}", sight.Wanted?.InstanceId ?? sight.Containers.FirstOrDefault()?.Instance.Value, message);
        return WorkOutcome.Waits;
    }

    /// <summary>The container of an order on this node: volumes at their mount points, host folders as they are.</summary>
    public ContainerOrder OrderOf(DesiredInstance instance)
    {
        var binds = new List<Bind>();
        foreach (var volume in instance.Volumes)
        {
            var mountPoint = Path.Combine(options.MountRoot, volume.Name);
            Directory.CreateDirectory(mountPoint);
            binds.Add(new(mountPoint, volume.ContainerPath, volume.ReadOnly));
        }
        binds.AddRange(instance.Container.HostMounts.Select(m => new Bind(m.HostPath, m.ContainerPath, m.ReadOnly)));
        return new(instance, binds, options.CgroupParent);
    }

    /// <summary>The end of its output, for the one who asks why it ended.</summary>
    public async Task ReadLastWords(ContainerView ended, CancellationToken cancel)
    {
        var notes = book.Notes(ended.Task);
        if (notes.LastWords is not null || ended.ExitCode == 0 || notes.StoppedByUs) return;
        var text = new System.Text.StringBuilder();
        await foreach (var line in containers.Logs(ended.Task, follow: false, tail: 3, cancel))
        {
            text.Append(System.Text.Encoding.UTF8.GetString(line.Data.Span));
            if (text.Length > 4 * LastWordsKept) break;
        }
        var words = text.ToString().Trim();
        notes.LastWords = words.Length > LastWordsKept ? words[^LastWordsKept..] : words;
    }
}
