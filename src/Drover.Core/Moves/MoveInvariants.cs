using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Moves;

/// <summary>What must hold of any stored state, whatever failed: checkable at every step of every test.</summary>
public static class MoveInvariants
{
    /// <returns>One sentence for each breach; none when all is well.</returns>
    public static IEnumerable<string> Breaches(ClusterState state) =>
        [.. OneMoveEach(state), .. Ownership(state), .. Writers(state), .. Standbys(state), .. Histories(state)];

    private static IEnumerable<string> OneMoveEach(ClusterState state)
    {
        var open = state.OpenMoves.ToList();
        foreach (var app in open.GroupBy(m => m.App).Where(g => g.Count() > 1)) yield return $"app '{app.Key}' has {app.Count()} open moves";
        foreach (var volume in open.SelectMany(m => m.Volumes).GroupBy(v => v.Name).Where(g => g.Count() > 1)) yield return $"volume '{volume.Key}' has {volume.Count()} open moves";
    }

    /// <summary>{primary, epoch} changes at the commit point and nowhere else.</summary>
    private static IEnumerable<string> Ownership(ClusterState state) =>
        from move in state.OpenMoves
        from moved in move.Volumes
        let volume = state.Volumes.GetValueOrDefault(moved.Name)
        let owner = move.Committed ? move.Target : move.Source
        let epoch = move.Committed ? moved.Epoch.Next : moved.Epoch
        where volume is null || volume.Primary != owner || volume.Epoch != epoch || (move.Committed && volume.Base != moved.Last)
        select $"move {move.Id} in {move.State} wants volume '{moved.Name}' owned by '{owner}' at epoch {epoch}; it is owned by '{volume?.Primary}' at epoch {volume?.Epoch}";

    private static IEnumerable<string> Writers(ClusterState state) =>
        from instance in state.Instances.Values
        where instance.Node is not null && instance.State is not InstanceState.Gone && instance.Goal == InstanceGoal.Running
        from mount in instance.Spec.Volumes
        where !mount.ReadOnly && state.Volumes.TryGetValue(mount.Name, out var volume) && volume.Primary is { } primary && primary != instance.Node
        select $"instance '{instance.Id}' would write volume '{mount.Name}' on '{instance.Node}', whose primary is '{state.Volumes[mount.Name].Primary}'";

    private static IEnumerable<string> Standbys(ClusterState state) =>
        from volume in state.Volumes.Values
        from standby in volume.Standbys
        where standby.Node == volume.Primary || standby.Epoch > volume.Epoch
        select $"volume '{volume.Name}' at epoch {volume.Epoch} has a standby on '{standby.Node}' at epoch {standby.Epoch} beside its primary '{volume.Primary}'";

    private static IEnumerable<string> Histories(ClusterState state)
    {
        foreach (var move in state.Moves.Values)
        {
            if (move.History.Count == 0 || move.History[^1].State != move.State) yield return $"move {move.Id} in {move.State} has another last entry in its history";
            var committed = move.History.Items.Any(t => t.State == MoveState.CutOver);
            if (committed && move.History.Items.Any(t => t.State is MoveState.Unwinding or MoveState.Undone)) yield return $"move {move.Id} went back after its commit point";
            if (committed != move.Committed) yield return $"move {move.Id} is in {move.State} and its history says otherwise of the commit point";
        }
    }
}
