using Drover.Core.Apps;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Moves;

/// <summary>Says whether something may be moved and makes the record a move begins with.</summary>
public static class MovePlanner
{
    /// <summary>Why <paramref name="app"/> cannot be moved to <paramref name="target"/> as things are; null: it can, if the node has room for it
    /// (<see cref="MoveRefusal.DoesNotFit"/> is the placement's word, asked by the caller).</summary>
    public static MoveRefusal? Refusal(ClusterState state, AppId app, NodeId target)
    {
        if (!state.Apps.TryGetValue(app, out var known)) return new MoveRefusal.UnknownApp(app);
        if (!state.Nodes.TryGetValue(target, out var node)) return new MoveRefusal.UnknownNode(target);
        if (state.OpenMoveOf(app) is { } open) return new MoveRefusal.AlreadyMoving(app, open.Id, open.Target);
        var instances = state.InstancesOf(app).Where(i => i.Goal == InstanceGoal.Running).ToList();
        if (instances.Count > 1) return new MoveRefusal.SeveralInstances(app, instances.Count);
        if (VolumeRefusal(state, known.Spec) is { } refusal) return refusal;
        if (Source(state, known.Spec, instances.FirstOrDefault()) is not { } source) return new MoveRefusal.NothingToMove(app);
        if (source == target) return new MoveRefusal.AlreadyThere(app, target);
        if (!state.IsConnected(target)) return new MoveRefusal.NodeDown(target);
        if (node.Cordoned) return new MoveRefusal.NodeCordoned(target);
        return state.IsConnected(source) ? null : new MoveRefusal.SourceDown(app, source);
    }

    /// <summary>Node an app would be moved from: where its data is, or where it runs when it has none; null: nowhere yet.</summary>
    public static NodeId? Source(ClusterState state, AppSpec spec, Instance? instance) =>
        Existing(state, spec).Select(v => v.Primary).FirstOrDefault(n => n is not null) ?? instance?.Node;

    /// <summary>The record a move begins with, in state <see cref="MoveState.Planned"/>. It takes those volumes of <paramref name="targetSpec"/> whose primary is the source.</summary>
    /// <param name="instance">Copy that travels. Its <see cref="Instance.Node"/> is null for a redeploy: nothing runs at the source then.</param>
    public static Move Plan(
        ClusterState state, AppSpec targetSpec, Instance? instance, NodeId source, NodeId target, EquatableList<int> targetPorts, MoveTrigger trigger, MovePolicy policy,
        MoveId id, DateTimeOffset now) =>
        new(id, trigger, targetSpec.Id, instance?.Id,
            Existing(state, targetSpec).Where(v => v.Primary == source).Select(v => Moved(v, target)).ToEquatableList(),
            source, target, targetSpec, targetPorts, policy, MoveState.Planned, now)
        {
            History = [new MoveTransition(MoveState.Planned, now)],
            SourceIdle = instance?.Node is null,
            WrittenByStop = instance?.Node is null ? ByteCount.Zero : LastWrittenByStop(state, targetSpec.Id),
        };

    private static MovedVolume Moved(Volume volume, NodeId target) =>
        new(volume.Name, volume.Epoch, volume.Standbys.Items.Where(s => s.Node == target).Select(s => (SnapshotName?)s.Snapshot).FirstOrDefault(), null) { Used = volume.Used, Initialized = volume.Initialized };

    private static ByteCount LastWrittenByStop(ClusterState state, AppId app)
    {
        var last = state.Moves.Values.Where(m => m.App == app && m.State == MoveState.Done && !m.SourceIdle).MaxBy(m => m.RequestedAt);
        return last is null ? ByteCount.Zero : Seeding.WrittenByStop(last.Rounds);
    }

    private static MoveRefusal? VolumeRefusal(ClusterState state, AppSpec spec)
    {
        NodeId? first = null;
        foreach (var volume in Existing(state, spec))
        {
            if (state.OpenMoveOf(volume.Name) is { } open) return new MoveRefusal.VolumeMoving(volume.Name, open.Id);
            if (state.OpenOperationOf(volume.Name) is { } work) return new MoveRefusal.VolumeAtWork(volume.Name, work.Id, work.Named);
            if (volume.Primary is not { } primary) continue;
            if (!state.Nodes.ContainsKey(primary)) return new MoveRefusal.VolumeLost(volume.Name, primary);
            first ??= primary;
            if (first != primary) return new MoveRefusal.VolumesApart(spec.Id, volume.Name, primary, first.Value);
        }
        return null;
    }

    private static IEnumerable<Volume> Existing(ClusterState state, AppSpec spec) =>
        spec.Volumes.Select(m => m.Name).Distinct().Where(state.Volumes.ContainsKey).Select(name => state.Volumes[name]);
}
