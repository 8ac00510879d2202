using System.Collections.Immutable;
using System.Globalization;
using Drover.Agent.Containers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Contracts.Hosting;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>All that bears on one instance, at one moment.</summary>
/// <param name="Wanted">Its order; null: this node should not have it.</param>
/// <param name="Containers">Its containers, of whatever task.</param>
/// <param name="Users">Containers of other instances that run with a volume: one writer at a time.</param>
/// <param name="Spent">The wanted task ran or failed here already: only a new task id starts it again.</param>
/// <param name="Kill">A health check reached its limit of failures.</param>
public sealed record InstanceSight(
    DesiredInstance? Wanted, ImmutableArray<ContainerView> Containers, ImmutableDictionary<VolumeName, DesiredVolume> Volumes,
    ImmutableDictionary<VolumeName, ReplicaView> Replicas, ImmutableDictionary<VolumeName, TaskId> Users, bool Spent, bool Kill)
{
    /// <summary>This node's driver can limit what a volume grows to.</summary>
    public bool LimitsSizes { get; init; }
}

/// <summary>One thing to do for an instance.</summary>
public abstract record AgentStep
{
    private AgentStep() { }

    public sealed record Stop(TaskId Task, TimeSpan Grace) : AgentStep;
    public sealed record Remove(TaskId Task) : AgentStep;
    public sealed record Unmount(VolumeName Volume) : AgentStep;
    public sealed record Pull : AgentStep;
    public sealed record Create : AgentStep;
    public sealed record MakeEmpty(VolumeName Volume, Epoch Epoch) : AgentStep;
    public sealed record Promote(VolumeName Volume, SnapshotName From, Epoch Epoch) : AgentStep;
    /// <summary>The volume's size holds for every live data of it, from before its first write here. Null: no limit any more.</summary>
    public sealed record Limit(VolumeName Volume, ByteCount? Size, Epoch Epoch) : AgentStep;
    public sealed record Unseal(VolumeName Volume, Epoch Epoch) : AgentStep;
    public sealed record Mount(VolumeName Volume, Epoch Epoch, string ContainerPath) : AgentStep;
    /// <summary>Only after <see cref="EpochCheck"/> on what is there at that moment, as a start.</summary>
    public sealed record Thaw(TaskId Task) : AgentStep;
    /// <summary>Only after <see cref="EpochCheck"/> on what is there at that moment.</summary>
    public sealed record Start(TaskId Task) : AgentStep;
    /// <summary>Nothing can be done now; <paramref name="For"/> says what is waited for.</summary>
    public sealed record Wait(string For) : AgentStep;
}

/// <summary>From what is wanted and what is there to what is to be done. Pure.</summary>
public static class AgentPlanner
{
    private static readonly TimeSpan GraceWithoutLabel = TimeSpan.FromSeconds(10);

    public static ImmutableArray<AgentStep> Plan(InstanceSight sight) => sight.Wanted switch
    {
        null => TakeDown(sight, keep: null),
        { Wish: InstanceWish.Remove } => TakeDown(sight, keep: null),
        { Wish: InstanceWish.Run } wanted => Run(sight, wanted),
        { } held when Unchecked => Run(sight, held),
        // A move owns it, or a wish of a newer control plane that this agent does not know: hands off.
        _ => [],
    };

    /// <summary>Never in the product: an agent that starts again whatever has stopped, as Docker's own restart policies would. The fault tests must notice it.</summary>
    internal static bool Unchecked => Failpoints.Bends("no-epoch-check");

    private static ImmutableArray<AgentStep> TakeDown(InstanceSight sight, TaskId? keep)
    {
        var steps = ImmutableArray.CreateBuilder<AgentStep>();
        foreach (var container in sight.Containers.Where(c => c.Task != keep))
        {
            if (container.State == ContainerState.Running) steps.Add(new AgentStep.Stop(container.Task, Grace(container)));
            steps.Add(new AgentStep.Remove(container.Task));
        }
        if (keep is not null) return steps.ToImmutable();
        var volumes = sight.Containers.SelectMany(c => ContainerEpochs.Parse(c.Labels.GetValueOrDefault(ContainerLabels.Epochs)).Keys)
            .Concat(sight.Wanted?.Volumes.Select(v => new VolumeName(v.Name)) ?? []).Distinct();
        foreach (var volume in volumes)
            if (!sight.Users.ContainsKey(volume) && sight.Replicas.GetValueOrDefault(volume) is { Mounted: true }) steps.Add(new AgentStep.Unmount(volume));
        return steps.ToImmutable();
    }

    internal static TimeSpan Grace(ContainerView container) =>
        long.TryParse(container.Labels.GetValueOrDefault(ContainerLabels.Grace), NumberStyles.None, CultureInfo.InvariantCulture, out var ms) ? TimeSpan.FromMilliseconds(ms) : GraceWithoutLabel;

    private static ImmutableArray<AgentStep> Run(InstanceSight sight, DesiredInstance wanted)
    {
        var task = new TaskId(wanted.TaskId);
        var older = TakeDown(sight, keep: task);
        var container = sight.Containers.FirstOrDefault(c => c.Task == task);
        if (container is { State: ContainerState.Running }) return [.. older, .. WhileRunning(sight, wanted, container)];
        // An end is told to control, which decides: it comes back with a new task id.
        if (!Unchecked && (sight.Spent || container is { State: ContainerState.Exited })) return older;
        var steps = older.ToBuilder();
        if (container is not null && !SameEpochs(container, wanted))
        {
            // It has never run: made anew, nothing is lost.
            steps.Add(new AgentStep.Remove(task));
            container = null;
        }
        if (container is null)
        {
            steps.Add(new AgentStep.Pull());
            steps.Add(new AgentStep.Create());
        }
        foreach (var volume in wanted.Volumes)
        {
            var ready = Ready(sight, volume);
            steps.AddRange(ready);
            if (ready.Any(s => s is AgentStep.Wait)) return steps.ToImmutable();
        }
        steps.Add(new AgentStep.Start(task));
        return steps.ToImmutable();
    }

    private static ImmutableArray<AgentStep> WhileRunning(InstanceSight sight, DesiredInstance wanted, ContainerView container)
    {
        // A container of another epoch writes where it must not.
        if (!SameEpochs(container, wanted) || sight.Kill) return [new AgentStep.Stop(container.Task, TimeSpan.FromMilliseconds(wanted.StopGraceMs))];
        if (!container.Frozen) return [];
        // A move that froze it was undone.
        var steps = ImmutableArray.CreateBuilder<AgentStep>();
        foreach (var volume in wanted.Volumes)
        {
            var ready = Ready(sight, volume);
            steps.AddRange(ready);
            if (ready.Any(s => s is AgentStep.Wait)) return steps.ToImmutable();
        }
        steps.Add(new AgentStep.Thaw(container.Task));
        return steps.ToImmutable();
    }

    internal static bool SameEpochs(ContainerView container, DesiredInstance wanted) =>
        container.Labels.GetValueOrDefault(ContainerLabels.Epochs, "") == ContainerEpochs.Format(wanted.Volumes);

    /// <summary>What makes the live data of this epoch mounted; ends in a <see cref="AgentStep.Wait"/> when that cannot be.</summary>
    private static ImmutableArray<AgentStep> Ready(InstanceSight sight, InstanceVolume volume)
    {
        var (name, epoch) = (new VolumeName(volume.Name), new Epoch(volume.Epoch));
        if (sight.Users.TryGetValue(name, out var user)) return [new AgentStep.Wait($"volume '{name}': container of task {user} still runs with it")];
        if (!Unchecked && Refusal(name, epoch, sight.Volumes.GetValueOrDefault(name)) is { } refusal) return [new AgentStep.Wait(refusal)];
        var order = sight.Volumes[name];
        var mount = new AgentStep.Mount(name, epoch, volume.ContainerPath);
        var here = sight.Replicas.GetValueOrDefault(name);
        if (here?.ForeignTrace is { } trace) return [new AgentStep.Wait($"volume '{name}': {trace}")];
        if (here is { HasLive: true } && here.Epoch == epoch)
        {
            var limit = Limits(sight, order, here.Limit, epoch);
            return (here.Sealed, here.Mounted) switch
            {
                (true, _) => [new AgentStep.Unseal(name, epoch), .. limit, mount],
                (false, false) => [.. limit, mount],
                _ => limit,
            };
        }
        if (here is not null && here.Epoch > epoch) return [new AgentStep.Wait($"volume '{name}': order for epoch {epoch}, this node knows {here.Epoch}; waiting for newer orders")];
        if (order.Base.Length > 0)
        {
            return here is not null && here.Snapshots.Any(s => s.Name.Value == order.Base)
                ? [new AgentStep.Promote(name, new SnapshotName(order.Base), epoch), .. Limits(sight, order, null, epoch), mount]
                : [new AgentStep.Wait($"volume '{name}': its data (snapshot {order.Base}) is not complete on this node; it is never made empty again. Check the pool of this node")];
        }
        // First placement only: control says so, and the driver refuses where any trace of the volume exists.
        if (order.CreateEmpty) return [new AgentStep.MakeEmpty(name, epoch), .. Limits(sight, order, null, epoch), mount];
        return [new AgentStep.Wait($"volume '{name}': no data of epoch {epoch} on this node although it was made before; it is never made empty again. Check the pool of this node")];
    }

    /// <summary>Nothing where control does not say, or where the driver cannot: then the size is known and not kept, which the plan of a move says.</summary>
    private static ImmutableArray<AgentStep> Limits(InstanceSight sight, DesiredVolume order, ByteCount? now, Epoch epoch)
    {
        if (!sight.LimitsSizes || !order.HasSizeBytes) return [];
        ByteCount? wanted = order.SizeBytes > 0 ? new ByteCount(order.SizeBytes) : null;
        return wanted == now ? [] : [new AgentStep.Limit(new VolumeName(order.Name), wanted, epoch)];
    }

    private static string? Refusal(VolumeName name, Epoch epoch, DesiredVolume? order) => order switch
    {
        null => $"volume '{name}': control has not said that this node may write it",
        { Role: not VolumeRole.Primary } => $"volume '{name}': this node holds a standby only; waiting for control to make it the primary",
        { Sealed: true } => $"volume '{name}': a move is cutting over",
        _ when order.Epoch != epoch.Value => $"volume '{name}': its order is of epoch {order.Epoch}, the container's of epoch {epoch}; waiting for both to agree",
        _ => null,
    };
}

/// <summary>The last look before a start: container, order and data are of one epoch, and the data is really there and mounted.</summary>
public static class EpochCheck
{
    /// <summary>Null: may start.</summary>
    public static string? Refusal(DesiredInstance wanted, ContainerView container, IReadOnlyDictionary<VolumeName, DesiredVolume> orders, IReadOnlyDictionary<VolumeName, ReplicaView> replicas)
    {
        if (AgentPlanner.Unchecked) return null;
        if (container.Task.Value != wanted.TaskId) return $"refused to start {container.Task}: the order is for {wanted.TaskId}";
        if (!AgentPlanner.SameEpochs(container, wanted))
            return $"refused to start {wanted.TaskId}: its container is of epochs [{container.Labels.GetValueOrDefault(ContainerLabels.Epochs)}], the order of [{ContainerEpochs.Format(wanted.Volumes)}]";
        foreach (var volume in wanted.Volumes)
        {
            var name = new VolumeName(volume.Name);
            if (!orders.TryGetValue(name, out var order) || order.Role != VolumeRole.Primary || order.Epoch != volume.Epoch || order.Sealed)
                return $"refused to start {wanted.TaskId}: this node may not write volume '{name}' at epoch {volume.Epoch}";
            if (!replicas.TryGetValue(name, out var here) || !here.HasLive) return $"refused to start {wanted.TaskId}: volume '{name}' has no live data on this node";
            if (here.Epoch.Value != volume.Epoch) return $"refused to start {wanted.TaskId}: volume '{name}' is at epoch {here.Epoch} on this node, the order of epoch {volume.Epoch}";
            if (here.Sealed) return $"refused to start {wanted.TaskId}: volume '{name}' is sealed";
            if (!here.Mounted) return $"refused to start {wanted.TaskId}: volume '{name}' is not mounted at {here.MountPath}";
        }
        return null;
    }
}
