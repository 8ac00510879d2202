using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.Core.Offers;

/// <summary>Carries out what a framework does with an offer, against the state as it is now: an offer is a promise, the check is here.</summary>
public static class OfferOperations
{
    public static Decision<OperationOutcome> Apply(ClusterState state, NodeId node, OfferOperation operation, DateTimeOffset now, IChance chance) => operation switch
    {
        OfferOperation.Launch(var id) => Launch(state, node, id, now),
        OfferOperation.Relocate(var id) => Relocate(state, node, id, now, chance),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static Decision<OperationOutcome> Launch(ClusterState state, NodeId node, InstanceId id, DateTimeOffset now)
    {
        if (Waiting(state, id, now, out var copy) is { } refused) return refused;
        var verdict = Placement.Judge(state, copy!.Spec, node, copy);
        if (!verdict.Fits) return new OperationOutcome.Refused(id, $"{node}: {string.Join(", ", verdict.Reasons)}");
        if (Sources(state, copy.Spec).Any(source => source != node)) return new OperationOutcome.Refused(id, $"its data is not on {node}: it needs a move, not a launch");
        return Launching.On<OperationOutcome>(state, copy, verdict, now, new OperationOutcome.Launched(id, id.Task(copy.Incarnation + 1), node));
    }

    private static Decision<OperationOutcome> Relocate(ClusterState state, NodeId node, InstanceId id, DateTimeOffset now, IChance chance)
    {
        if (Waiting(state, id, now, out var copy) is { } refused) return refused;
        var verdict = Placement.Judge(state, copy!.Spec, node, copy);
        if (!verdict.Fits) return new OperationOutcome.Refused(id, $"{node}: {string.Join(", ", verdict.Reasons)}");
        var sources = Sources(state, copy.Spec).Where(s => s != node).ToList();
        if (sources.Count != 1) return new OperationOutcome.Refused(id, sources.Count == 0 ? $"its data is on {node} already: launch it there" : "its volumes are on several nodes: bring them to one node first");
        if (!state.Apps.TryGetValue(copy.App, out var app)) return new OperationOutcome.Refused(id, $"there is no app {copy.App}");
        if (MoveRetry.HeldUntil(state, app, now) is { } held) return new OperationOutcome.Refused(id, held.Why);
        // A copy that never ran is there because of the request that made this version: the cutover is measured from it.
        var requested = copy.Incarnation == 0 && copy.AppVersion == app.Version ? app.Version : now;
        var move = MovePlanner.Plan(state, copy.Spec, copy, sources[0], node, verdict.Ports, MoveTrigger.Redeploy, MoveSettings.Of(copy.Spec), MoveRetry.NewId(chance), requested);
        return Decision.Of<OperationOutcome>(new OperationOutcome.Moving(id, move.Id, node),
            [new ClusterChange.PutMove(move), new ClusterChange.PutInstance(copy with { WaitsFor = $"move {move.Id}, which brings its data from {sources[0]} to {node}" })],
            MoveEvents.Planned(move));
    }

    private static OperationOutcome.Refused? Waiting(ClusterState state, InstanceId id, DateTimeOffset now, out Instance? copy)
    {
        if (!state.Instances.TryGetValue(id, out copy)) return new(id, $"there is no instance {id}");
        if (copy is not { Node: null, Goal: InstanceGoal.Running }) return new(id, $"{id} does not wait for a place");
        return Launching.Block(state, copy, now) is { } block ? new(id, $"it waits for {block}") : null;
    }

    /// <summary>Nodes that hold the app's data.</summary>
    public static IEnumerable<NodeId> Sources(ClusterState state, AppSpec spec) =>
        spec.Volumes.Select(m => state.Volumes.GetValueOrDefault(m.Name)?.Primary).Where(p => p is not null).Select(p => p!.Value).Distinct();
}
