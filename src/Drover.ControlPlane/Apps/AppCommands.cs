using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.State;

namespace Drover.ControlPlane.Apps;

/// <inheritdoc cref="IAppCommands"/>
public sealed class AppCommands(ICluster cluster, IChance chance) : IAppCommands
{
    public Task<AppOutcome> Create(AppSpec spec, bool force, DateTimeOffset now, CancellationToken cancel) =>
        cluster.Decide(state => AppChanges.Create(state, spec, force, now, NewId()), cancel);

    public Task<AppOutcome> Update(AppSpec spec, bool force, DateTimeOffset now, CancellationToken cancel) =>
        cluster.Decide(state => AppChanges.Update(state, spec, force, now, NewId()), cancel);

    public Task<AppOutcome> Delete(AppId app, bool force, DateTimeOffset now, CancellationToken cancel) =>
        cluster.Decide(state => AppChanges.Delete(state, app, force, now, NewId()), cancel);

    public Task<AppOutcome> Restart(AppId app, bool force, DateTimeOffset now, CancellationToken cancel) =>
        cluster.Decide(state => Changed(state, app, spec => spec, force, now, restart: true), cancel);

    public Task<AppOutcome> Scale(AppId app, int instances, bool force, DateTimeOffset now, CancellationToken cancel) =>
        cluster.Decide(state => Changed(state, app, spec => spec with { Instances = instances }, force, now, restart: false), cancel);

    public Task<KillOutcome> KillTasks(IReadOnlyCollection<string> tasks, bool scale, bool force, DateTimeOffset now, CancellationToken cancel) =>
        cluster.Decide(state => KillDecisions.Tasks(state, tasks, scale, force, now, NewId()), cancel);

    public Task<KillOutcome> KillAll(AppId app, string? host, bool scale, bool force, DateTimeOffset now, CancellationToken cancel) =>
        cluster.Decide(state => KillDecisions.App(state, app, host, scale, force, now, NewId()), cancel);

    public Task<CancelOutcome> CancelDeployment(DeploymentId deployment, bool force, DateTimeOffset now, CancellationToken cancel) =>
        cluster.Decide(state => AppChanges.Cancel(state, deployment, force, now, NewId()), cancel);

    public async Task<ChangeOutcome> Change(GroupChange change, bool force, bool dryRun, DateTimeOffset now, CancellationToken cancel) =>
        dryRun ? Decided(cluster.Current, change, force, now).Outcome : await cluster.Decide(state => Decided(state, change, force, now), cancel);

    public Task<bool> ResetDelay(AppId app, CancellationToken cancel) => cluster.Decide(
        state => state.Apps.TryGetValue(app, out var known) ? Decision.Of(true, known.Delay is null ? [] : [new ClusterChange.PutApp(known with { Delay = null })]) : false, cancel);

    private Decision<ChangeOutcome> Decided(ClusterState state, GroupChange change, bool force, DateTimeOffset now) => change switch
    {
        GroupChange.Apps(var set) => AppChanges.Change(state, set, force, now, NewId()),
        GroupChange.AppRollback(var app, var version) => AppChanges.Rollback(state, app, version, force, now, NewId()),
        GroupChange.Create(var wish) => GroupChanges.Create(state, wish, force, now, NewId()),
        GroupChange.Put(var wish) => GroupChanges.Put(state, wish, force, now, NewId()),
        GroupChange.Scale(var group, var factor) => GroupChanges.Scale(state, group, factor, force, now, NewId()),
        GroupChange.Rollback(var group, var version) => GroupChanges.Rollback(state, group, version, force, now, NewId()),
        GroupChange.Enforce(var group, var role) => GroupChanges.Enforce(state, group, role, now, NewId()),
        GroupChange.Delete(var group) => GroupChanges.Delete(state, group, force, now, NewId()),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private Decision<AppOutcome> Changed(ClusterState state, AppId app, Func<AppSpec, AppSpec> change, bool force, DateTimeOffset now, bool restart) =>
        state.Apps.TryGetValue(app, out var known) ? AppChanges.Update(state, change(known.Spec), force, now, NewId(), restart) : new AppOutcome.NotFound(app);

    private DeploymentId NewId() => new(chance.NewGuid().ToString("d"));
}
