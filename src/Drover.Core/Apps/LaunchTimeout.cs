using System.Collections.Immutable;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>A copy that does not come to start is given up and counts as a failure. The time its image is being pulled does not count: that takes what it takes.</summary>
public static class LaunchTimeout
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(300);

    /// <summary>Null: it is not on its way, or its image still comes.</summary>
    internal static DateTimeOffset? DueAt(Instance copy) =>
        copy is { Goal: InstanceGoal.Running, State: InstanceState.Staging, Pulling: false, Node: not null } ? (copy.LaunchSince ?? copy.StagedAt) + Limit : null;

    public static Decision<int> Fold(ClusterState state, DateTimeOffset now)
    {
        var late = Late(state, now).ToList();
        if (late.Count == 0) return 0;
        var next = state;
        var changes = ImmutableArray.CreateBuilder<ClusterChange>();
        var events = ImmutableArray.CreateBuilder<ClusterEvent>();
        foreach (var copy in late)
        {
            var node = copy.Node!.Value;
            var cause = $"it was not started {Limit.TotalSeconds:0} s after it was placed; it waited for {copy.WaitsFor ?? "its agent"}";
            var (stopped, told) = KillLine.Stop(next, [copy]);
            var blamed = InstanceLifecycle.Blame(next, copy, node, "TASK_FAILED", cause, now);
            ImmutableArray<ClusterChange> these = blamed is null ? stopped : [.. stopped, new ClusterChange.PutApp(blamed)];
            changes.AddRange(these);
            events.AddRange(InstanceLifecycle.Failed(blamed, copy, node, "TASK_FAILED", cause, now));
            events.AddRange(told);
            next = next.Apply(these);
        }
        return Decision.Of(late.Count, changes, events.ToImmutable());
    }

    /// <summary>Next moment at which <see cref="Fold"/> answers differently though nothing has changed.</summary>
    public static DateTimeOffset? Deadline(ClusterState state, DateTimeOffset now)
    {
        foreach (var due in state.Copies.Due) if (due.At > now.UtcTicks) return new DateTimeOffset(due.At, TimeSpan.Zero);
        return null;
    }

    // A move or a restore takes its time, and a node that is away cannot say what it does.
    private static IEnumerable<Instance> Late(ClusterState state, DateTimeOffset now) => state.Copies.Due.TakeWhile(due => due.At <= now.UtcTicks).Select(due => state.Instances[due.Id])
        .Where(i => state.IsConnected(i.Node!.Value) && InstanceLifecycle.OwningMove(state, i) is null && Volumes.VolumeHold.Of(state, i) is null);
}
