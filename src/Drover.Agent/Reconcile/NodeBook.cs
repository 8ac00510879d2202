using System.Collections.Concurrent;
using Drover.Agent.Containers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>What is really on this node, as last seen: containers of ours, and what the agent noted of their tasks.</summary>
public sealed class NodeBook(IContainerRuntime containers, IVolumeDriver volumes)
{
    private readonly ConcurrentDictionary<TaskId, ContainerView> _containers = new();
    private readonly ConcurrentDictionary<TaskId, TaskNotes> _notes = new();

    public ICollection<ContainerView> Containers => _containers.Values;

    public TaskNotes Notes(TaskId task) => _notes.GetOrAdd(task, static _ => new());

    public void Forget(TaskId task) => _notes.TryRemove(task, out _);

    public ContainerView? Container(TaskId task) => _containers.GetValueOrDefault(task);

    public IReadOnlyList<ContainerView> Of(InstanceId instance) => [.. _containers.Values.Where(c => c.Instance == instance).OrderBy(c => c.Task.Value, StringComparer.Ordinal)];

    /// <summary>Looks at everything anew.</summary>
    public async Task Survey(CancellationToken cancel)
    {
        var all = await containers.List(cancel);
        foreach (var gone in _containers.Keys.Except(all.Select(c => c.Task))) _containers.TryRemove(gone, out _);
        foreach (var one in all) Put(one);
    }

    public async Task<ContainerView?> Refresh(TaskId task, CancellationToken cancel)
    {
        var view = await containers.Inspect(task, cancel);
        if (view is null) _containers.TryRemove(task, out _);
        else Put(view);
        return view;
    }

    private void Put(ContainerView view)
    {
        _containers[view.Task] = view;
        if (view.State == ContainerState.Running) Notes(view.Task).Ran = true;
    }

    /// <summary>Containers that run with the volume, of any instance, as the engine says now.</summary>
    public async Task<TaskId?> RunningWith(VolumeName volume, InstanceId? except, CancellationToken cancel)
    {
        foreach (var known in _containers.Values.Where(c => c.Instance != except && ContainerEpochs.Parse(c.Labels.GetValueOrDefault(ContainerLabels.Epochs)).ContainsKey(volume)))
            if (await Refresh(known.Task, cancel) is { State: ContainerState.Running }) return known.Task;
        return null;
    }

    /// <summary>The same without those that stand frozen.</summary>
    public async Task<TaskId?> WritingWith(VolumeName volume, CancellationToken cancel)
    {
        foreach (var known in _containers.Values.Where(c => ContainerEpochs.Parse(c.Labels.GetValueOrDefault(ContainerLabels.Epochs)).ContainsKey(volume)))
            if (await Refresh(known.Task, cancel) is { State: ContainerState.Running, Frozen: false }) return known.Task;
        return null;
    }

    public async Task<ReplicaView?> Replica(VolumeName volume, CancellationToken cancel) =>
        await volumes.Inspect(volume, cancel);

    public static VolumeObserved Observed(ReplicaView replica, DesiredVolume? wanted)
    {
        var primary = wanted is { Role: VolumeRole.Primary };
        var ready = primary && replica is { HasLive: true, ForeignTrace: null } && replica.Epoch.Value == wanted!.Epoch;
        var seen = new VolumeObserved
        {
            Name = replica.Name.Value, Role = wanted?.Role ?? VolumeRole.Unspecified, Epoch = replica.Epoch.Value, Ready = ready, Mounted = replica.Mounted,
            UsedBytes = replica.Used.Bytes,
            Message = replica.ForeignTrace ?? (primary && !ready ? $"live data is of epoch {replica.Epoch}, wanted is {wanted!.Epoch}" : ""),
        };
        seen.Snapshots.AddRange(replica.Snapshots.Select(s => new Snapshot { Name = s.Name.Value, Identity = s.Identity, Bytes = s.Size.Bytes }));
        return seen;
    }
}
