using Drover.Core.Networks;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Apps;

/// <summary>Decides on requests to change apps: an accepted one is a new version of the app and the deployment that leads there, in one commit.</summary>
public static class AppChanges
{
    public static Decision<AppOutcome> Create(ClusterState state, AppSpec asked, bool force, DateTimeOffset now, DeploymentId id)
    {
        if (state.Apps.ContainsKey(asked.Id)) return new AppOutcome.AlreadyExists(asked.Id);
        if (Locks(state, asked.Id, force) is { } locked) return new AppOutcome.Locked(locked);
        if (Refused(state, asked) is { } refused) return refused;
        var spec = ServicePorts.Assign(state, asked)!;
        var version = Version(now, null);
        // By force on top of its own deletion: copies that still run have the old configuration.
        var steps = state.InstancesOf(asked.Id).Any(i => i.Goal == InstanceGoal.Running) ? DeploymentPlanner.Plan(spec, spec, restart: true) : DeploymentPlanner.Plan(null, spec);
        return Accept(state, new App(spec, version, version, version), steps, id, now, null, "app.created", $"{spec.Id} was created");
    }

    public static Decision<AppOutcome> Update(ClusterState state, AppSpec asked, bool force, DateTimeOffset now, DeploymentId id, bool restart = false)
    {
        if (!state.Apps.TryGetValue(asked.Id, out var before)) return new AppOutcome.NotFound(asked.Id);
        if (Locks(state, asked.Id, force) is { } locked) return new AppOutcome.Locked(locked);
        if (Refused(state, asked) is { } refused) return refused;
        var spec = ServicePorts.Assign(state, asked)!;
        var changed = restart || !spec.SameConfiguration(before.Spec);
        var scaled = spec.Instances != before.Spec.Instances;
        // By force on top of an unfinished change: what was not reached yet is still to be reached.
        var unfinished = state.DeploymentOf(asked.Id) is not null;
        if (!changed && !scaled && !unfinished) return new AppOutcome.Accepted(before, id, before.Version);
        var steps = DeploymentPlanner.Plan(before.Spec, spec, restart: changed || unfinished);
        var version = Version(now, before);
        var app = before with
        {
            Spec = spec, Version = version,
            LastScalingAt = scaled ? version : before.LastScalingAt,
            LastConfigChangeAt = changed ? version : before.LastConfigChangeAt,
            Delay = changed ? null : before.Delay,
        };
        return Accept(state, app, steps, id, now, before, "app.changed", $"{app.Id} was {(restart ? "restarted" : changed ? "changed" : $"scaled to {spec.Instances}")}");
    }

    public static Decision<AppOutcome> Delete(ClusterState state, AppId app, bool force, DateTimeOffset now, DeploymentId id)
    {
        if (!state.Apps.TryGetValue(app, out var known)) return new AppOutcome.NotFound(app);
        if (Locks(state, app, force) is { } locked) return new AppOutcome.Locked(locked);
        var version = Version(now, known);
        var cancelled = Working(state, app);
        var deployment = new Deployment(id, version, [app], DeploymentPlanner.Plan(known.Spec, null), 0, now) { Before = known };
        return Decision.Of<AppOutcome>(new AppOutcome.Accepted(known, id, version),
            [.. cancelled.Select(d => new ClusterChange.RemoveDeployment(d.Id)), new ClusterChange.RemoveApp(app), new ClusterChange.PutDeployment(deployment)],
            [
                .. cancelled.Select(d => Event("deployment.cancelled", d, $"deployment {d.Id} was replaced by {id}")),
                new ClusterEvent("app.deleted", app.Value, $"{app} was deleted; its volumes stay") { App = app, Deployment = id },
                Event("deployment.started", deployment, $"deployment {id} stops {app}"),
            ]);
    }

    public static Decision<CancelOutcome> Cancel(ClusterState state, DeploymentId id, bool force, DateTimeOffset now, DeploymentId next)
    {
        if (!state.Deployments.TryGetValue(id, out var deployment)) return new CancelOutcome.NotFound(id);
        var app = deployment.AffectedApps[0];
        if (!force)
        {
            var back = (deployment.Before, state.Apps.ContainsKey(app)) switch
            {
                (null, _) => Delete(state, app, force: true, now, next),
                ({ } before, true) => Update(state, before.Spec, force: true, now, next),
                ({ } before, false) => Create(state, before.Spec, force: true, now, next),
            };
            if (back.Outcome is AppOutcome.Accepted accepted) return new(new CancelOutcome.Reverting(accepted.Deployment, accepted.Version), back.Changes, back.Events);
        }
        return Decision.Of<CancelOutcome>(new CancelOutcome.Stopped(), [new ClusterChange.RemoveDeployment(id)],
            Event("deployment.cancelled", deployment, $"deployment {id} was stopped where it stood"));
    }

    internal static ClusterEvent Event(string kind, Deployment deployment, string text) =>
        new(kind, deployment.Id.Value, text) { Deployment = deployment.Id, App = deployment.AffectedApps.Items.Select(a => (AppId?)a).FirstOrDefault() };

    /// <summary>Deployments that work on the app and are not to be overridden; null: none.</summary>
    internal static EquatableList<DeploymentId>? Locks(ClusterState state, AppId app, bool force)
    {
        var locks = Working(state, app).Select(d => d.Id).ToEquatableList();
        return force || locks.Count == 0 ? null : locks;
    }

    private static Decision<AppOutcome> Accept(
        ClusterState state, App app, EquatableList<DeploymentStep> steps, DeploymentId id, DateTimeOffset now, App? before, string kind, string text)
    {
        var deployment = new Deployment(id, app.Version, [app.Id], steps, 0, now) { Before = before };
        var cancelled = Working(state, app.Id);
        return Decision.Of<AppOutcome>(new AppOutcome.Accepted(app, id, app.Version),
            [
                .. cancelled.Select(d => new ClusterChange.RemoveDeployment(d.Id)),
                new ClusterChange.PutApp(app),
                .. VolumeClaims.Claim(state, app.Spec, now),
                .. Addressing.Lease(state, app.Spec, now),
                new ClusterChange.PutDeployment(deployment),
            ],
            [
                .. cancelled.Select(d => Event("deployment.cancelled", d, $"deployment {d.Id} was replaced by {id}")),
                new ClusterEvent(kind, app.Id.Value, text) { App = app.Id, Deployment = id },
                Event("deployment.started", deployment, $"deployment {id} of {app.Id} began"),
            ]);
    }

    private static AppOutcome.Invalid? Refused(ClusterState state, AppSpec spec)
    {
        var errors = new List<FieldError>();
        for (var i = 0; i < spec.Constraints.Count; i++)
        {
            if (Constraints.Problem(spec.Constraints[i]) is { } problem) errors.Add(new FieldError($"/constraints({i})", problem));
        }
        errors.AddRange(VolumeClaims.Refusals(state, spec));
        if (spec.Instances > 1 && spec.Volumes.Length > 0)
        {
            errors.Add(new FieldError("/instances", $"an app with a volume has at most one instance, not {spec.Instances}: its data is on one node"));
        }
        if (Addressing.Refusal(state, spec) is { } refusal) errors.Add(refusal);
        errors.AddRange(ServicePorts.Conflicts(state, spec));
        if (errors.Count == 0 && ServicePorts.Assign(state, spec) is null)
        {
            errors.Add(new FieldError("/", $"all service ports from {ServicePorts.First} to {ServicePorts.Last} are taken: delete an app, or name the ports"));
        }
        return errors.Count == 0 ? null : new AppOutcome.Invalid(errors.ToEquatableList());
    }

    private static List<Deployment> Working(ClusterState state, AppId app) => [.. state.Deployments.Values.Where(d => d.AffectedApps.Items.Contains(app)).OrderBy(d => d.StartedAt)];

    /// <summary>Versions have milliseconds, and each is later than the one before.</summary>
    private static DateTimeOffset Version(DateTimeOffset now, App? before)
    {
        var version = DateTimeOffset.FromUnixTimeMilliseconds(now.ToUnixTimeMilliseconds());
        return before is not null && version <= before.Version ? before.Version.AddMilliseconds(1) : version;
    }
}
