using Drover.Core;
using Drover.Core.Apps;
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

    public Task<bool> ResetDelay(AppId app, CancellationToken cancel) => cluster.Decide(
        state => state.Apps.TryGetValue(app, out var known) ? Decision.Of(true, known.Delay is null ? [] : [new ClusterChange.PutApp(known with { Delay = null })]) : false, cancel);

    private Decision<AppOutcome> Changed(ClusterState state, AppId app, Func<AppSpec, AppSpec> change, bool force, DateTimeOffset now, bool restart) =>
        state.Apps.TryGetValue(app, out var known) ? AppChanges.Update(state, change(known.Spec), force, now, NewId(), restart) : new AppOutcome.NotFound(app);

    private DeploymentId NewId() => new(chance.NewGuid().ToString("d"));
}
