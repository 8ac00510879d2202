using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Apps;

/// <summary>Drives deployments to their end, keeps the number of copies of apps at rest, and draws the consequences of nodes that are away.</summary>
public sealed class DeploymentLoop(ICluster cluster, TimeProvider time, IChance chance, ILogger<DeploymentLoop> log) : WakingLoop(cluster, time, log)
{
    private readonly DateTimeOffset _since = time.GetUtcNow();

    protected override async Task<DateTimeOffset?> Pass(CancellationToken cancel)
    {
        // Deadlines are sought from here on: one that passes during this pass must not be overlooked.
        var begun = Time.GetUtcNow();
        await Act((state, now) => Absence.Fold(state, now, _since), cancel);
        await Act(LaunchTimeout.Fold, cancel);
        await Act((state, _) => KillLine.Next(state), cancel);
        await Act(InstanceLifecycle.Resume, cancel);
        foreach (var deployment in Cluster.Current.Deployments.Values.OrderBy(d => d.StartedAt).ThenBy(d => d.Id.Value, StringComparer.Ordinal))
        {
            if (await Act((state, now) => DeploymentMachine.Next(state, deployment.Id, now, _since, chance), cancel))
                log.LogInformation("Deployment {Deployment} of {Apps} is done", deployment.Id, deployment.AffectedApps);
        }
        foreach (var app in DeploymentMachine.Orphans(Cluster.Current)) await Act((state, _) => DeploymentMachine.EndOrphan(state, app), cancel);
        foreach (var app in Cluster.Current.Apps.Keys) await Act((state, now) => AtRest(state, app, now), cancel);
        var after = Cluster.Current;
        return Earliest([Absence.Deadline(after, begun, _since), LaunchTimeout.Deadline(after, begun), .. after.Apps.Values.SelectMany(app => (DateTimeOffset?[])[MoveRetry.HeldUntil(after, app, begun)?.At, LaunchBackoff.Holding(app, begun)?.Until])]);
    }

    internal static DateTimeOffset? Earliest(IEnumerable<DateTimeOffset?> moments) => moments.Min();

    /// <summary>An app without a deployment: copies that were killed or lost are replaced, those that came back too many go.</summary>
    private Decision<bool> AtRest(ClusterState state, AppId id, DateTimeOffset now)
    {
        if (!state.Apps.TryGetValue(id, out var app) || state.DeploymentOf(id) is not null) return false;
        var step = Rollout.Scale(state, app, now, _since, chance);
        return Decision.Of(false, step.Changes, step.Events);
    }

    /// <summary>Decides on the state at hand first: most passes find nothing to do, and then nobody's turn is taken.</summary>
    private async Task<T> Act<T>(Func<ClusterState, DateTimeOffset, Decision<T>> decide, CancellationToken cancel)
    {
        var probe = decide(Cluster.Current, Time.GetUtcNow());
        if (probe.Changes.IsDefaultOrEmpty && probe.Events.IsDefaultOrEmpty) return probe.Outcome;
        return await Cluster.Decide(state => decide(state, Time.GetUtcNow()), cancel);
    }
}
