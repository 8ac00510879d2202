using Drover.Contracts.Tracing;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.ControlPlane.Observability;

/// <summary>Spans of what commits bring to an end: states of moves, steps of deployments, waits for a place, and the whole of each. They are made of what is stored, so also after a restart.</summary>
public sealed class CommitTraces : ICommitMeter
{
    private readonly Dictionary<DeploymentId, DateTimeOffset> _stepped = [];

    public void Seen(Committed commit)
    {
        if (!Traces.On) return;
        var moves = new Followed<MoveId, Move>(commit.Before.Moves);
        var deployments = new Followed<DeploymentId, Deployment>(commit.Before.Deployments);
        var copies = new Followed<InstanceId, Instance>(commit.Before.Instances);
        foreach (var change in commit.Changes)
        {
            switch (change)
            {
                case ClusterChange.PutMove(var move): Moved(moves.Becomes(move.Id, move), move, commit.At); break;
                case ClusterChange.PutDeployment(var deployment): Stepped(deployments.Becomes(deployment.Id, deployment), deployment, commit.At); break;
                case ClusterChange.RemoveDeployment(var id): Ended(deployments.Becomes(id, null), commit); break;
                case ClusterChange.PutInstance(var copy): Placed(copies.Becomes(copy.Id, copy), copy, commit); break;
            }
        }
    }

    private static void Moved(Move? before, Move move, DateTimeOffset at)
    {
        if (move.Trace is null || before is null) return;
        for (var i = Math.Max(1, before.History.Count); i < move.History.Count; i++)
            Traces.Past($"move {move.History[i - 1].State}", move.Trace, move.History[i - 1].At, move.History[i].At, null, ("drover.move", move.Id.Value));
        if (move.Ended && !before.Ended)
            Traces.Past("move", move.Trace, move.RequestedAt, at, move.Failure, ("drover.move", move.Id.Value), ("drover.app", move.App.Value), ("drover.outcome", ClusterMeter.Word(move.State)),
                ("drover.rounds", move.Rounds.Count), ("drover.bytes", move.Rounds.Items.Sum(r => r.Bytes.Bytes)));
    }

    private void Stepped(Deployment? before, Deployment deployment, DateTimeOffset at)
    {
        if (deployment.Trace is null || before is null || deployment.CurrentStep <= before.CurrentStep) return;
        Traces.Past($"deployment step {deployment.CurrentStep}", deployment.Trace, _stepped.GetValueOrDefault(deployment.Id, deployment.StartedAt), at, null, ("drover.deployment", deployment.Id.Value));
        _stepped[deployment.Id] = at;
    }

    private void Ended(Deployment? deployment, Committed commit)
    {
        if (deployment is null) return;
        _stepped.Remove(deployment.Id);
        var outcome = commit.Events.FirstOrDefault(e => e.Deployment == deployment.Id && e.Kind is "deployment.done" or "deployment.failed" or "deployment.cancelled");
        Traces.Past("deployment", deployment.Trace, deployment.StartedAt, commit.At, outcome?.Kind == "deployment.failed" ? outcome.Text : null, ("drover.deployment", deployment.Id.Value), ("drover.outcome", outcome?.Kind["deployment.".Length..] ?? "cancelled"));
    }

    private static void Placed(Instance? before, Instance copy, Committed commit)
    {
        if (copy.Node is not { } node || before is not { Node: null }) return;
        Traces.Past("wait for a place", commit.After.DeploymentOf(copy.App)?.Trace, before.CreatedAt, commit.At, null, ("drover.instance", copy.Id.Value), ("drover.app", copy.App.Value), ("drover.node", node.Value));
    }
}
