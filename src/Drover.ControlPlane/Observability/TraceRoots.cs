using System.Collections.Immutable;
using Drover.Contracts.Agent;
using Drover.Contracts.Tracing;
using Drover.Core;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.ControlPlane.Observability;

/// <summary>Begins a trace with each deployment and each move, as part of the commit that makes it; a move that a deployment makes is in the deployment's. Where nobody listens nothing is done.</summary>
public static class TraceRoots
{
    public static ImmutableArray<ClusterChange> Given(ClusterState before, ImmutableArray<ClusterChange> changes, DateTimeOffset at)
    {
        if (!Traces.On || !changes.Any(c => c is ClusterChange.PutMove or ClusterChange.PutDeployment)) return changes;
        return [.. changes.Select(change => change switch
        {
            ClusterChange.PutMove({ Trace: null } move) when !before.Moves.ContainsKey(move.Id) => new ClusterChange.PutMove(move with { Trace = Of(before, move, at) }),
            ClusterChange.PutDeployment({ Trace: null } deployment) when !before.Deployments.ContainsKey(deployment.Id) => new ClusterChange.PutDeployment(deployment with
            {
                Trace = Traces.Root("deployment requested", null, at, ("drover.deployment", deployment.Id.Value), ("drover.apps", string.Join(' ', deployment.AffectedApps))),
            }),
            _ => change,
        })];
    }

    /// <summary>An order with the traces of the deployments that its copies are started for.</summary>
    public static ToAgent On(ToAgent order, ICluster cluster)
    {
        if (!Traces.On || order.Change is not { Instances.Count: > 0 }) return order;
        var state = cluster.Current;
        // What is being sent may be kept to be compared with what comes next.
        var traced = order.Clone();
        foreach (var copy in traced.Change.Instances) copy.TraceParent = state.DeploymentOf(new AppId(copy.AppId))?.Trace ?? "";
        return traced;
    }

    private static string? Of(ClusterState before, Move move, DateTimeOffset at) => Traces.Root("move requested", before.DeploymentOf(move.App)?.Trace, at,
        ("drover.move", move.Id.Value), ("drover.app", move.App.Value), ("drover.trigger", move.Trigger.ToString()), ("drover.source", move.Source.Value), ("drover.target", move.Target.Value));
}
