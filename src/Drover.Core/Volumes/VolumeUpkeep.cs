using System.Collections.Immutable;
using Drover.Core.State;

namespace Drover.Core.Volumes;

/// <summary>How long and how many standbys stay for the way back.</summary>
public sealed record StandbyPolicy(TimeSpan Age, int Keep, double LeastFree)
{
    public static readonly StandbyPolicy Default = new(TimeSpan.FromDays(7), 2, 0.05);
}

/// <summary>What volumes need without being asked: scheduled snapshots, their pruning, purges whose time has come, standbys that have served. Pure.</summary>
public static class VolumeUpkeep
{
    /// <summary>An export that its control plane did not see to its end has left its snapshot.</summary>
    public static readonly TimeSpan ExportKept = TimeSpan.FromDays(1);

    /// <summary>After a failure of the same work on the same volume.</summary>
    public static readonly TimeSpan Rest = TimeSpan.FromMinutes(10);

    /// <summary>Begins one piece of work that is due; <see langword="null"/>: none is.</summary>
    public static Decision<VolumeOperation?> Due(ClusterState state, StandbyPolicy policy, OperationId id, DateTimeOffset now)
    {
        foreach (var volume in state.Volumes.Values)
        {
            if (state.OpenOperationOf(volume.Name) is not null || state.OpenMoveOf(volume.Name) is not null) continue;
            var due = volume.DeletedAt is not null ? Purge(state, volume, id, now) : Scheduled(state, volume, id, now) ?? Pruned(state, volume, id, now) ?? Exported(state, volume, id, now) ?? Standby(state, volume, policy, id, now);
            if (due is not { } decision) continue;
            return new((decision.Outcome as VolumeAnswer.Begun)?.Operation, decision.Changes, decision.Events);
        }
        return default(VolumeOperation);
    }

    /// <summary>When to look again though nothing changed.</summary>
    public static DateTimeOffset? Next(ClusterState state, StandbyPolicy policy, DateTimeOffset now)
    {
        var moments = state.Volumes.Values.SelectMany(v => v.Standbys.Items.Select(s => s.Since + policy.Age)
            .Concat(v.DeletedAt is null ? v.Snapshots.Items.Where(s => s.Origin == SnapshotOrigin.ForExport).Select(s => s.TakenAt + ExportKept) : [])
            .Concat(v.DeletedAt is null ? [] : [v.PurgeAt!.Value]).Concat(v is { DeletedAt: null, Schedule: { } schedule } ? [schedule.NextAt] : [])).ToList();
        // What is due and could not begin waits for a node, or rests after a failure.
        return moments.Count == 0 ? null : moments.Select(m => m > now ? m : now + TimeSpan.FromMinutes(1)).Min();
    }

    private static Decision<VolumeAnswer>? Purge(ClusterState state, Volume volume, OperationId id, DateTimeOffset now) =>
        volume.PurgeAt <= now && volume.Holder is null && !Resting(state, volume, VolumeVerb.Purge, now) ? VolumeRequests.Purge(volume, id, now) : (Decision<VolumeAnswer>?)null;

    private static Decision<VolumeAnswer>? Scheduled(ClusterState state, Volume volume, OperationId id, DateTimeOffset now)
    {
        if (volume is not { Schedule: { } schedule, Primary: { } primary, Initialized: true } || schedule.NextAt > now || !state.IsConnected(primary)) return null;
        if (Resting(state, volume, VolumeVerb.Snapshot, now)) return null;
        // Those that were missed are not made up for.
        var next = schedule with { NextAt = now + schedule.Every };
        var begun = VolumeRequests.Snapshot(state, volume.Name, $"auto-{now.UtcDateTime:yyyyMMdd-HHmmss}", SnapshotOrigin.Schedule, id, now);
        if (begun.Outcome is not VolumeAnswer.Begun) return null;
        return begun with { Changes = begun.Changes.Insert(0, new ClusterChange.PutVolume(volume with { Schedule = next })) };
    }

    private static Decision<VolumeAnswer>? Pruned(ClusterState state, Volume volume, OperationId id, DateTimeOffset now)
    {
        if (volume.Schedule is not { } schedule || Resting(state, volume, VolumeVerb.Drop, now)) return null;
        // What the present data was made of stays while it is the present data.
        var over = volume.Snapshots.Items.Where(s => s.Origin == SnapshotOrigin.Schedule).OrderByDescending(s => s.TakenAt).Skip(schedule.Keep)
            .Where(s => VolumeSnapshots.OnNode(s.Name) != volume.Base && state.IsConnected(s.Node)).ToList();
        if (over.Count == 0) return null;
        var node = over[^1].Node;
        return VolumeRequests.Begin(new VolumeOperation(id, VolumeVerb.Drop, volume.Name, node, VolumeStage.Dropping, now) { Drops = over.Where(s => s.Node == node).Select(s => s.Name).ToEquatableList() });
    }

    private static Decision<VolumeAnswer>? Exported(ClusterState state, Volume volume, OperationId id, DateTimeOffset now)
    {
        if (volume.Snapshots.Items.FirstOrDefault(s => s.Origin == SnapshotOrigin.ForExport && now - s.TakenAt >= ExportKept && state.IsConnected(s.Node)) is not { } left || Resting(state, volume, VolumeVerb.Drop, now)) return null;
        return VolumeRequests.Begin(new VolumeOperation(id, VolumeVerb.Drop, volume.Name, left.Node, VolumeStage.Dropping, now) { Drops = [left.Name] });
    }

    /// <summary>A standby goes for its age, for its number or for space, provided that the primary is there to say that it has the data; never one that people's snapshots or a fork lie beside.</summary>
    private static Decision<VolumeAnswer>? Standby(ClusterState state, Volume volume, StandbyPolicy policy, OperationId id, DateTimeOffset now)
    {
        if (volume is not { Primary: { } primary, Initialized: true } || !state.IsConnected(primary) || Resting(state, volume, VolumeVerb.Prune, now)) return null;
        var newestFirst = volume.Standbys.Items.OrderByDescending(s => s.Since).ToImmutableArray();
        for (var i = newestFirst.Length - 1; i >= 0; i--)
        {
            var standby = newestFirst[i];
            if (standby.Node == primary || !state.IsConnected(standby.Node)) continue;
            if (volume.Snapshots.Items.Any(s => s.Node == standby.Node) || volume.Forks.Items.Any(f => f.Node == standby.Node)) continue;
            if (now - standby.Since < policy.Age && i < policy.Keep && !Full(state, standby.Node, policy)) continue;
            return VolumeRequests.Begin(new VolumeOperation(id, VolumeVerb.Prune, volume.Name, standby.Node, VolumeStage.Checking, now));
        }
        return null;
    }

    private static bool Full(ClusterState state, NodeId node, StandbyPolicy policy) =>
        state.Presence.GetValueOrDefault(node) is { PoolTotal.Bytes: > 0 } presence && presence.PoolFree.Bytes < presence.PoolTotal.Bytes * policy.LeastFree;

    private static bool Resting(ClusterState state, Volume volume, VolumeVerb verb, DateTimeOffset now) => state.Operations.Values
        .Where(o => o.Volume == volume.Name && o.Verb == verb && o.Ended).MaxBy(o => o.EndedAt) is { Stage: VolumeStage.Failed } last && last.EndedAt + Rest > now;
}
