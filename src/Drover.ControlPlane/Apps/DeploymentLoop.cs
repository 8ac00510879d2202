using System.Collections.Concurrent;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Apps;

/// <summary>Drives deployments to their end, keeps the number of copies of apps at rest, and draws the consequences of nodes that are away.</summary>
/// <remarks>Looks at the apps that commits touched since the last pass, at those whose time has come, and at deployments that wait for what lies beyond their own apps; never at all of them, but
/// at the start and where commits were missed. What it remembers saves looking, nothing else: after a crash everything is looked at.</remarks>
public sealed class DeploymentLoop(ICluster cluster, TimeProvider time, IChance chance, ILogger<DeploymentLoop> log) : WakingLoop(cluster, time, log)
{
    private readonly DateTimeOffset _since = time.GetUtcNow();
    private readonly TouchedApps _touched = new();
    private readonly Deadlines _deadlines = new();
    // Deployments that wait for a node, for data or for another app.
    private readonly HashSet<DeploymentId> _outward = [];
    private DateTimeOffset? _absence;

    /// <summary>Apps looked at since the start.</summary>
    internal long Looked { get; private set; }

    protected override bool Concerns(Committed commit) => _touched.Add(commit) || (_outward.Count > 0 && !commit.Changes.IsEmpty);

    protected override async Task<DateTimeOffset?> Pass(CancellationToken cancel)
    {
        // Deadlines are sought from here on: one that passes during this pass must not be overlooked.
        var begun = Time.GetUtcNow();
        var (all, nodes, touched) = _touched.Take();
        try
        {
            var away = await Away(all || nodes, touched, begun, cancel);
            await Act(LaunchTimeout.Fold, cancel);
            await Act((at, _) => KillLine.Next(at), cancel);
            await Act(InstanceLifecycle.Resume, cancel);
            var state = Cluster.Current;
            var apps = touched.Concat(away).Concat(_deadlines.Due(begun)).Concat(all ? state.Apps.Keys.Concat(DeploymentMachine.Orphans(state)) : []).ToHashSet();
            await Deploy(state, apps, all, cancel);
            await Together(apps, (at, app, now) => at.Apps.ContainsKey(app) ? AtRest(at, app, now) : DeploymentMachine.EndOrphan(at, app), cancel);
            Looked += apps.Count;
            var after = Cluster.Current;
            foreach (var app in apps)
                _deadlines.Set(app, after.Apps.TryGetValue(app, out var known) ? Earliest([MoveRetry.HeldUntil(after, known, begun)?.At, LaunchBackoff.Holding(known, begun)?.Until]) : null);
            return Earliest([_absence, LaunchTimeout.Deadline(after, begun), _deadlines.Next]);
        }
        catch
        {
            // What of it was done is not known: everything is looked at with the next pass.
            _touched.Everything();
            throw;
        }
    }

    internal static DateTimeOffset? Earliest(IEnumerable<DateTimeOffset?> moments) => moments.Min();

    /// <summary>Copies on nodes whose agent is away. Looked at when a node comes or goes, when such a copy changes, and when the next moment of one of them has come.</summary>
    /// <returns>Apps for which time alone may have changed something.</returns>
    private async Task<IReadOnlyCollection<AppId>> Away(bool nodes, IReadOnlyCollection<AppId> touched, DateTimeOffset begun, CancellationToken cancel)
    {
        var state = Cluster.Current;
        var due = _absence <= begun;
        if (!Absence.Any(state)) _absence = null;
        else if (nodes || due || touched.Any(app => state.InstancesOf(app).Any(copy => copy.Node is { } node && !state.IsConnected(node))))
        {
            await Act((at, now) => Absence.Fold(at, now, _since), cancel);
            _absence = Absence.Deadline(Cluster.Current, begun, _since);
        }
        return due ? [.. Absence.Apps(state)] : [];
    }

    private async Task Deploy(ClusterState state, HashSet<AppId> apps, bool all, CancellationToken cancel)
    {
        var due = all ? state.Deployments.Values : apps.SelectMany(state.DeploymentsOf).Concat(_outward.Select(id => state.Deployments.GetValueOrDefault(id)).OfType<Deployment>());
        var looked = due.DistinctBy(d => d.Id).OrderBy(d => d.StartedAt).ThenBy(d => d.Id.Value, StringComparer.Ordinal).ToList();
        // Asked of each state that is decided on: what was waited for may have come already by the end of this pass, and then nothing else would lead back here.
        var outward = new ConcurrentDictionary<DeploymentId, bool>();
        var done = await Together(looked, (at, deployment, now) =>
        {
            if (DeploymentMachine.LooksOutward(at, deployment.Id)) outward[deployment.Id] = true;
            return DeploymentMachine.Next(at, deployment.Id, now, _since, chance);
        }, cancel);
        foreach (var (deployment, ended) in looked.Zip(done)) if (ended) log.LogInformation("Deployment {Deployment} of {Apps} is done", deployment.Id, deployment.AffectedApps);
        _outward.ExceptWith(looked.Select(d => d.Id));
        _outward.UnionWith(outward.Keys.Where(Cluster.Current.Deployments.ContainsKey));
        _outward.RemoveWhere(id => !Cluster.Current.Deployments.ContainsKey(id));
    }

    /// <summary>An app without a deployment: copies that were killed or lost are replaced, those that came back too many go.</summary>
    private Decision<bool> AtRest(ClusterState state, AppId id, DateTimeOffset now)
    {
        if (!state.Apps.TryGetValue(id, out var app) || state.DeploymentOf(id) is not null) return false;
        var step = Rollout.Scale(state, app, now, _since, chance);
        return Decision.Of(false, step.Changes, step.Events);
    }

    /// <summary>One decision for each, in order; they are waited for together, so that they are written together.</summary>
    private async Task<IReadOnlyList<T>> Together<T, TItem>(IEnumerable<TItem> items, Func<ClusterState, TItem, DateTimeOffset, Decision<T>> decide, CancellationToken cancel) =>
        await Task.WhenAll(items.Select(item => Act((state, now) => decide(state, item, now), cancel)).ToList());

    /// <summary>Decides on the state at hand first: most passes find nothing to do, and then nobody's turn is taken.</summary>
    private Task<T> Act<T>(Func<ClusterState, DateTimeOffset, Decision<T>> decide, CancellationToken cancel)
    {
        var probe = decide(Cluster.Current, Time.GetUtcNow());
        if (probe.Changes.IsDefaultOrEmpty && probe.Events.IsDefaultOrEmpty) return Task.FromResult(probe.Outcome);
        return Cluster.Decide(state => decide(state, Time.GetUtcNow()), cancel);
    }
}
