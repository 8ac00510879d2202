using System.Collections.Immutable;
using Drover.Core.Networks;
using Drover.Core.Groups;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Apps;

/// <summary>Drives one deployment: looks at what is, and answers with the next changes. Steps in order, the actions of a step side by side.</summary>
public static class DeploymentMachine
{
    /// <summary>True: the deployment is over and forgotten.</summary>
    public static Decision<bool> Next(ClusterState state, DeploymentId id, DateTimeOffset now, DateTimeOffset knownSince, IChance chance)
    {
        if (!state.Deployments.TryGetValue(id, out var deployment)) return true;
        if (deployment.CurrentStep >= deployment.Steps.Count) return Finished(state, deployment);
        var acts = deployment.Steps[deployment.CurrentStep].Actions.Select(a => Act(state, a, now, knownSince, chance)).ToImmutableArray();
        if (acts.All(a => a.Done))
        {
            var advanced = deployment with { CurrentStep = deployment.CurrentStep + 1, WaitsFor = null };
            var step = AppChanges.Event("deployment.step", advanced, $"step {advanced.CurrentStep} of {advanced.Steps.Count} of deployment {id} is done");
            if (advanced.CurrentStep < advanced.Steps.Count) return Decision.Of(false, [new ClusterChange.PutDeployment(advanced)], step);
            var finished = Finished(state, advanced);
            return finished with { Events = [step, .. finished.Events] };
        }
        var changes = acts.SelectMany(a => a.Changes).ToImmutableArray();
        var waits = Waits(acts, deployment.Steps[deployment.CurrentStep].Actions);
        if (changes.IsEmpty && waits == deployment.WaitsFor) return false;
        if (waits != deployment.WaitsFor) changes = changes.Add(new ClusterChange.PutDeployment(deployment with { WaitsFor = waits }) { WordsAlone = true });
        return Decision.Of(false, changes, [.. acts.SelectMany(a => a.Events)]);
    }

    /// <summary>The step at work may come to its end by what happens to others than its own apps: to nodes and data, or to an app that is depended on.</summary>
    public static bool LooksOutward(ClusterState state, DeploymentId id) =>
        state.Deployments.TryGetValue(id, out var deployment) && deployment.CurrentStep < deployment.Steps.Count
        && deployment.Steps[deployment.CurrentStep].Actions.Items.Any(a => state.Apps.TryGetValue(a.App, out var app)
            && (Rollout.Exclusive(app.Spec) || state.InstancesOf(a.App).Any(i => Rollout.Exclusive(i.Spec)) || Missing(state, app) is not null));

    /// <summary>What the step waits for; of several apps the first is named.</summary>
    private static string? Waits(ImmutableArray<RolloutStep> acts, EquatableList<DeploymentAction> actions)
    {
        var waiting = Enumerable.Range(0, acts.Length).Where(i => acts[i].WaitsFor is not null).ToList();
        return waiting.Count switch
        {
            0 => null,
            _ when actions.Count == 1 => acts[0].WaitsFor,
            1 => $"{actions[waiting[0]].App}: {acts[waiting[0]].WaitsFor}",
            _ => $"{actions[waiting[0]].App}: {acts[waiting[0]].WaitsFor}; and {waiting.Count - 1} more of {actions.Count} apps",
        };
    }

    /// <summary>Apps that are gone while copies, volumes or addresses still name them and no deployment sees to that: their deletion was cancelled where it stood.</summary>
    public static IEnumerable<AppId> Orphans(ClusterState state) =>
        state.Instances.Values.Select(i => i.App)
            .Concat(state.Volumes.Values.Where(v => v.Holder is not null).Select(v => v.Holder!.Value))
            .Concat(state.Networks.Values.SelectMany(n => n.Addresses.Items.Select(a => a.App)))
            .Where(app => !state.Apps.ContainsKey(app)).Distinct().Where(app => state.DeploymentOf(app) is null);

    /// <summary>Stops what is left of an orphan, then frees what it held; the data stays.</summary>
    public static Decision<bool> EndOrphan(ClusterState state, AppId app)
    {
        if (state.Apps.ContainsKey(app) || state.DeploymentOf(app) is not null) return false;
        var step = Stop(state, app);
        return Decision.Of(step.Done, step.Done ? [.. VolumeClaims.ReleaseUnused(state, app), .. Addressing.ReleaseUnused(state, app)] : step.Changes, step.Events);
    }

    private static RolloutStep Act(ClusterState state, DeploymentAction action, DateTimeOffset now, DateTimeOffset knownSince, IChance chance)
    {
        var app = state.Apps.GetValueOrDefault(action.App);
        return action.Kind switch
        {
            DeploymentActionKind.StartApplication => new([], [], true, null),
            DeploymentActionKind.StopApplication => Stop(state, action.App),
            _ when app is null => new([], [], true, null),
            _ when Missing(state, app) is { } dependency => RolloutStep.Wait($"app '{dependency}', on which it depends, to serve"),
            DeploymentActionKind.RestartApplication => Rollout.Upgrade(state, app, now, knownSince, chance),
            _ => Rollout.Scale(state, app, now, knownSince, chance),
        };
    }

    /// <summary>An app that this one depends on and that does not serve, while this one has no copy yet. One that was scaled to nothing holds nobody up.</summary>
    private static AppId? Missing(ClusterState state, App app)
    {
        if (app.Spec.Instances == 0 || state.InstancesOf(app.Id).Any(i => i.Goal == InstanceGoal.Running)) return null;
        foreach (var dependency in new Dependencies(state).Of(app.Id))
        {
            if (dependency != app.Id && state.Apps[dependency].Spec.Instances > 0 && !state.InstancesOf(dependency).Any(i => i.Serves)) return dependency;
        }
        return null;
    }

    private static RolloutStep Stop(ClusterState state, AppId app)
    {
        var copies = state.InstancesOf(app).ToList();
        var running = copies.Where(i => i.Goal == InstanceGoal.Running).ToList();
        if (running.Count > 0) return Rollout.Kill(state, running);
        if (copies.Count > 0) return RolloutStep.Wait(KillLine.Wait(copies));
        return state.OpenMoveOf(app) is { } move ? RolloutStep.Wait($"move {move.Id}, which is {move.State}, to end") : new([], [], true, null);
    }

    private static Decision<bool> Finished(ClusterState state, Deployment deployment) => Decision.Of(true,
        [
            new ClusterChange.RemoveDeployment(deployment.Id),
            // Only the claims end here: what the volumes hold stays where it is.
            .. deployment.AffectedApps.Items.SelectMany(app => VolumeClaims.ReleaseUnused(state, app)),
            .. deployment.AffectedApps.Items.SelectMany(app => Addressing.ReleaseUnused(state, app)),
        ],
        AppChanges.Event("deployment.done", deployment, $"deployment {deployment.Id} is done"));
}
