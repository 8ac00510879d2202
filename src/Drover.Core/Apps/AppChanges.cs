using System.Collections.Immutable;
using Drover.Core.Groups;
using Drover.Core.Networks;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Apps;

/// <summary>Decides on requests to change apps: an accepted one is a new version of each app concerned and one deployment that leads there, in one commit.</summary>
public static class AppChanges
{
    /// <summary>Deployments that may run at once.</summary>
    public const int MaxDeployments = 100;

    public static Decision<AppOutcome> Create(ClusterState state, AppSpec asked, bool force, DateTimeOffset now, DeploymentId id)
    {
        if (state.Apps.ContainsKey(asked.Id)) return new AppOutcome.AlreadyExists(asked.Id);
        if (Locks(state, asked.Id, force) is { } locked) return new AppOutcome.Locked(locked);
        return OfOne(state, asked.Id, Change(state, new ChangeSet { Put = [asked] }, force, now, id));
    }

    public static Decision<AppOutcome> Update(ClusterState state, AppSpec asked, bool force, DateTimeOffset now, DeploymentId id, bool restart = false)
    {
        if (!state.Apps.ContainsKey(asked.Id)) return new AppOutcome.NotFound(asked.Id);
        if (Locks(state, asked.Id, force) is { } locked) return new AppOutcome.Locked(locked);
        return OfOne(state, asked.Id, Change(state, new ChangeSet { Put = [asked], Restart = restart ? [asked.Id] : [] }, force, now, id));
    }

    public static Decision<AppOutcome> Delete(ClusterState state, AppId app, bool force, DateTimeOffset now, DeploymentId id)
    {
        if (!state.Apps.ContainsKey(app)) return new AppOutcome.NotFound(app);
        return OfOne(state, app, Change(state, new ChangeSet { Remove = [app] }, force, now, id));
    }

    /// <summary>Leads the app back to a version of its own.</summary>
    public static Decision<ChangeOutcome> Rollback(ClusterState state, AppId app, DateTimeOffset version, bool force, DateTimeOffset now, DeploymentId id)
    {
        if (!state.Apps.ContainsKey(app)) return new ChangeOutcome.NoSuchApp(app);
        if (VersionOf(state, app, version) is not { } stood) return new ChangeOutcome.NoSuchVersion(app, version);
        if (Locks(state, app, force) is { } locked) return new ChangeOutcome.Locked(locked);
        return Change(state, new ChangeSet { Put = [stood.Spec] }, force, now, id);
    }

    /// <summary>The app as it was in that version; null: it is not known, or not kept any more.</summary>
    public static App? VersionOf(ClusterState state, AppId app, DateTimeOffset version) =>
        state.Apps.TryGetValue(app, out var newest) && newest.Version == version ? newest : state.Versions.GetValueOrDefault(app)?.GetValueOrDefault(version)?.App;

    /// <summary>Everything a request wants, or nothing of it.</summary>
    public static Decision<ChangeOutcome> Change(ClusterState state, ChangeSet set, bool force, DateTimeOffset now, DeploymentId id)
    {
        var work = new ChangeWork(state, set, force, now);
        if (work.Refused() is { } errors) return Refusal(set, new ChangeOutcome.Invalid(errors), errors[0].Message);
        var cancelled = work.Conflicts().ToList();
        if (cancelled.Count > 0 && !force) return new ChangeOutcome.Locked(cancelled.Select(d => d.Id).ToEquatableList());
        var left = work.LeftBy(cancelled).ToList();
        if (work.Circle() is { } circle)
        {
            var said = $"depend on each other in a circle: {string.Join(" → ", circle.Append(circle[0]))}; take one of these dependencies out";
            return Refusal(set, new ChangeOutcome.Invalid([new FieldError("/dependencies", said)]), said);
        }
        var steps = DeploymentPlanner.Plan(state, work.After, work.Planned.Concat(left));
        if (steps.Count > 0 && state.Deployments.Count - cancelled.Count >= MaxDeployments) return Refusal(set, new ChangeOutcome.TooMany(MaxDeployments), "too many deployments run");
        return Accepted(state, work, cancelled, steps, now, id);
    }

    /// <summary>A deployment leads back to what it changed, on top of all that is now; by force it stops where it stands.</summary>
    public static Decision<CancelOutcome> Cancel(ClusterState state, DeploymentId id, bool force, DateTimeOffset now, DeploymentId next)
    {
        if (!state.Deployments.TryGetValue(id, out var deployment)) return new CancelOutcome.NotFound(id);
        if (force)
        {
            return Decision.Of<CancelOutcome>(new CancelOutcome.Stopped(), [new ClusterChange.RemoveDeployment(id)],
                Event("deployment.cancelled", deployment, $"deployment {id} was stopped where it stood"));
        }
        var put = new List<AppSpec>();
        foreach (var (app, version) in deployment.Before.Where(b => b.Version is not null))
        {
            if (VersionOf(state, app, version!.Value) is { } stood) put.Add(stood.Spec);
            else return new CancelOutcome.NoWayBack([new FieldError("/", $"the version of app '{app}' before this deployment is not kept any more: stop it where it stands with ?force=true, and send what is wanted")]);
        }
        var back = Change(state, new ChangeSet
        {
            Put = [.. put],
            Remove = [.. deployment.Before.Where(b => b.Version is null && state.Apps.ContainsKey(b.App)).Select(b => b.App)],
            Groups = [.. deployment.GroupsBefore.Select(g => g.Was).OfType<AppGroup>()],
            RemoveGroups = [.. deployment.GroupsBefore.Where(g => g.Was is null && state.Groups.ContainsKey(g.Group)).Select(g => g.Group)],
        }, force: true, now, next);
        return back.Outcome switch
        {
            // Nothing is left to do there, as when all it did was to bring another's work to an end: then it only ends.
            ChangeOutcome.Accepted { Steps.Count: 0 } same => new Decision<CancelOutcome>(new CancelOutcome.Reverting(same.Deployment, same.Version), [.. back.Changes, new ClusterChange.RemoveDeployment(id)],
                [.. back.Events, Event("deployment.cancelled", deployment, $"deployment {id} was ended")]),
            ChangeOutcome.Accepted accepted => new Decision<CancelOutcome>(new CancelOutcome.Reverting(accepted.Deployment, accepted.Version), back.Changes, back.Events),
            ChangeOutcome.Invalid invalid => new CancelOutcome.NoWayBack(invalid.Errors),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
    }

    internal static ClusterEvent Event(string kind, Deployment deployment, string text) =>
        new(kind, deployment.Id.Value, text) { Deployment = deployment.Id, App = deployment.AffectedApps.Items.Select(a => (AppId?)a).FirstOrDefault() };

    /// <summary>Deployments that work on the app and are not to be overridden; null: none.</summary>
    internal static EquatableList<DeploymentId>? Locks(ClusterState state, AppId app, bool force)
    {
        var locks = state.DeploymentsOf(app).Select(d => d.Id).ToEquatableList();
        return force || locks.Count == 0 ? null : locks;
    }

    private static Decision<ChangeOutcome> Accepted(ClusterState state, ChangeWork work, List<Deployment> cancelled, EquatableList<DeploymentStep> steps, DateTimeOffset now, DeploymentId id)
    {
        var affected = steps.Items.SelectMany(s => s.Actions.Items).Select(a => a.App).Distinct().Order().ToEquatableList();
        var deployment = new Deployment(id, work.Version, affected, steps, 0, now) { Before = work.Before, GroupsBefore = work.GroupsBefore };
        var outcome = new ChangeOutcome.Accepted(id, work.Changes.Count > 0 ? work.Version : work.Unchanged ?? work.Version, steps);
        var runs = steps.Count > 0;
        return Decision.Of<ChangeOutcome>(outcome,
            [
                .. cancelled.Select(d => new ClusterChange.RemoveDeployment(d.Id)),
                .. work.Changes,
                .. runs ? (ClusterChange[])[new ClusterChange.PutDeployment(deployment)] : [],
            ],
            [
                .. cancelled.Select(d => Event("deployment.cancelled", d, $"deployment {d.Id} was replaced by {id}")),
                .. work.Events(id),
                .. runs ? (ClusterEvent[])[Event("deployment.started", deployment, $"deployment {id} of {Names(affected)} began")] : [],
            ]);
    }

    private static string Names(EquatableList<AppId> apps) => apps.Count <= 3 ? string.Join(", ", apps) : $"{apps[0]} and {apps.Count - 1} more apps";

    private static Decision<ChangeOutcome> Refusal(ChangeSet set, ChangeOutcome outcome, string why) => set.About is { } group
        ? Decision.Of(outcome, [], new ClusterEvent("group.refused", group.Value, $"group {group} was not changed: {why}")) : outcome;

    private static Decision<AppOutcome> OfOne(ClusterState state, AppId app, Decision<ChangeOutcome> decision)
    {
        AppOutcome outcome = decision.Outcome switch
        {
            ChangeOutcome.Accepted accepted => new AppOutcome.Accepted(
                decision.Changes.OfType<ClusterChange.PutApp>().LastOrDefault(c => c.App.Id == app)?.App ?? state.Apps[app], accepted.Deployment, accepted.Version),
            ChangeOutcome.Locked locked => new AppOutcome.Locked(locked.Deployments),
            ChangeOutcome.Invalid invalid => new AppOutcome.Invalid(invalid.Errors.Select(e => e with { App = null }).ToEquatableList()),
            ChangeOutcome.TooMany many => new AppOutcome.TooMany(many.Limit),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
        return new(outcome, decision.Changes, decision.Events);
    }
}
