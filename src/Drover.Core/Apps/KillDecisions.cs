using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Decides on requests to kill copies.</summary>
public static class KillDecisions
{
    /// <param name="tasks">Task ids of running copies, or instance ids.</param>
    public static Decision<KillOutcome> Tasks(ClusterState state, IReadOnlyCollection<string> tasks, bool scale, bool force, DateTimeOffset now, DeploymentId id)
    {
        var copies = new Dictionary<InstanceId, Instance>();
        foreach (var task in tasks)
        {
            if (Find(state, task) is not { } copy) return new KillOutcome.NoSuchTask(task);
            copies[copy.Id] = copy;
        }
        return Kill(state, [.. copies.Values], scale, force, now, id);
    }

    public static Decision<KillOutcome> App(ClusterState state, AppId app, string? host, bool scale, bool force, DateTimeOffset now, DeploymentId id)
    {
        if (!state.Apps.ContainsKey(app)) return new KillOutcome.NoSuchApp(app);
        var copies = state.InstancesOf(app).Where(i => i.Goal == InstanceGoal.Running
            && (host is null or "*" || (i.Node is { } node && state.Nodes.TryGetValue(node, out var known) && (known.Hostname == host || node.Value == host || known.Address == host))));
        return Kill(state, [.. copies], scale, force, now, id);
    }

    private static Instance? Find(ClusterState state, string task)
    {
        if (state.Instances.TryGetValue(new InstanceId(task), out var byInstance)) return byInstance;
        var end = task.LastIndexOf("._app.", StringComparison.Ordinal);
        return end > 0 && state.Instances.TryGetValue(new InstanceId(task[..end]), out var copy) && copy.Task.Value == task ? copy : null;
    }

    private static Decision<KillOutcome> Kill(ClusterState state, List<Instance> copies, bool scale, bool force, DateTimeOffset now, DeploymentId id)
    {
        var killed = copies.Where(i => i.Goal == InstanceGoal.Running).OrderBy(i => i.Id).ToList();
        foreach (var copy in killed) if (InstanceLifecycle.OwningMove(state, copy) is { } move) return new KillOutcome.Moving(copy.Id, move.Id);
        if (!scale) return Decision.Of<KillOutcome>(new KillOutcome.Killed(killed.ToEquatableList()), killed.Select(Rollout.Stopped), [.. killed.Select(Rollout.StoppedEvent)]);
        foreach (var app in killed.Select(i => i.App).Distinct()) if (AppChanges.Locks(state, app, force) is { } locks) return new KillOutcome.Locked(locks);
        return Shrink(state, killed, now, id);
    }

    /// <summary>One deployment over all apps concerned; which copies go is said already, so that the scaling finds the right number left.</summary>
    private static Decision<KillOutcome> Shrink(ClusterState state, List<Instance> killed, DateTimeOffset now, DeploymentId id)
    {
        var changes = killed.Select(Rollout.Stopped).ToList();
        var actions = new List<DeploymentAction>();
        var version = DateTimeOffset.FromUnixTimeMilliseconds(now.ToUnixTimeMilliseconds());
        App? first = null;
        foreach (var group in killed.GroupBy(i => i.App).Where(g => state.Apps.ContainsKey(g.Key)).OrderBy(g => g.Key))
        {
            var before = state.Apps[group.Key];
            first ??= before;
            var at = version > before.Version ? version : before.Version.AddMilliseconds(1);
            var app = before with { Spec = before.Spec with { Instances = Math.Max(0, before.Spec.Instances - group.Count()) }, Version = at, LastScalingAt = at };
            changes.Add(new ClusterChange.PutApp(app));
            changes.AddRange(state.Deployments.Values.Where(d => d.AffectedApps.Items.Contains(app.Id)).Select(d => new ClusterChange.RemoveDeployment(d.Id)));
            // The full rollout: a forced scaling may have cut an upgrade short.
            actions.Add(new DeploymentAction(DeploymentActionKind.RestartApplication, app.Id, app.Spec));
        }
        if (actions.Count == 0) return new KillOutcome.Killed([]);
        var plain = state.Deployments.Values.All(d => !actions.Exists(a => d.AffectedApps.Items.Contains(a.App)));
        if (plain) actions = [.. actions.Select(a => a with { Kind = DeploymentActionKind.ScaleApplication })];
        var deployment = new Deployment(id, version, actions.Select(a => a.App).ToEquatableList(), [new DeploymentStep(actions.ToEquatableList())], 0, now)
        {
            Before = actions.Count == 1 ? first : null,
        };
        changes.Add(new ClusterChange.PutDeployment(deployment));
        return Decision.Of<KillOutcome>(new KillOutcome.Scaled(killed.ToEquatableList(), id, version), changes,
            [.. killed.Select(Rollout.StoppedEvent), AppChanges.Event("deployment.started", deployment, $"deployment {id} scales {string.Join(", ", deployment.AffectedApps)} down")]);
    }
}
