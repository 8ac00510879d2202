using System.Collections.Immutable;
using Drover.Core.Networks;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Marathon's `wipe` for copies whose node is away: the cluster stops waiting for word of them.</summary>
public static class Wiping
{
    /// <summary>Forgets those of these copies that were killed and whose node cannot say that they are gone. Others go the way of every killed copy.</summary>
    public static Decision<EquatableList<Instance>> Forget(ClusterState state, IEnumerable<InstanceId> copies)
    {
        var forgotten = copies.Select(id => state.Instances.GetValueOrDefault(id)).OfType<Instance>().DistinctBy(i => i.Id)
            .Where(i => i is { Goal: InstanceGoal.Removed, Node: { } node } && !state.IsConnected(node) && InstanceLifecycle.OwningMove(state, i) is null).OrderBy(i => i.Id).ToList();
        var changes = ImmutableArray.CreateBuilder<ClusterChange>();
        var next = state;
        foreach (var copy in forgotten)
        {
            // Only the record goes, no data: volumes stay where they are and whose they are, so that the next copy waits for the same node, or for a promotion that the lease allows.
            // An agent that comes back is not told to run the old container, and removes it before another may write.
            var gone = new ClusterChange.RemoveInstance(copy.Id);
            next = next.Apply(gone);
            var follow = Addressing.Follow(next, copy.App).ToList();
            next = next.Apply(follow);
            changes.Add(gone);
            changes.AddRange(follow);
        }
        return Decision.Of(forgotten.ToEquatableList(), changes,
            [.. forgotten.Select(copy => InstanceLifecycle.Event("instance.gone", copy, copy.Node, "TASK_GONE_BY_OPERATOR", $"{copy.Task} was wiped while {copy.Node} is away; its volumes stay"))]);
    }
}
