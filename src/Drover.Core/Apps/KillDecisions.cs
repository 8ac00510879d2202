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
        return Kill(state, [.. Copies(state, app, host)], scale, force, now, id);
    }

    /// <param name="host">null or `*`: wherever they are.</param>
    public static IEnumerable<Instance> Copies(ClusterState state, AppId app, string? host) => state.InstancesOf(app).Where(i =>
        host is null or "*" || (i.Node is { } node && state.Nodes.TryGetValue(node, out var known) && (known.Hostname == host || node.Value == host || known.Address == host)));

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
        var (changes, events) = KillLine.Stop(state, killed);
        if (!scale) return new Decision<KillOutcome>(new KillOutcome.Killed(killed.ToEquatableList()), changes, events);
        foreach (var app in killed.Select(i => i.App).Distinct()) if (AppChanges.Locks(state, app, force) is { } locks) return new KillOutcome.Locked(locks);
        return Shrink(state, killed, now, id);
    }

    /// <summary>One deployment over all apps concerned; which copies go is said already, so that the scaling finds the right number left.</summary>
    private static Decision<KillOutcome> Shrink(ClusterState state, List<Instance> killed, DateTimeOffset now, DeploymentId id)
    {
        var specs = killed.GroupBy(i => i.App).Where(g => state.Apps.ContainsKey(g.Key)).OrderBy(g => g.Key)
            .Select(g => Less(state.Apps[g.Key].Spec, g.Count()));
        var set = new ChangeSet { Put = [.. specs], Judged = false };
        if (set.Put.IsEmpty) return new KillOutcome.Killed([]);
        // Locks were looked at: what is overridden here may be.
        var scaled = AppChanges.Change(state, set, force: true, now, id);
        var (changes, events) = KillLine.Stop(state, killed);
        return scaled.Outcome switch
        {
            ChangeOutcome.Accepted accepted => new Decision<KillOutcome>(new KillOutcome.Scaled(killed.ToEquatableList(), id, accepted.Version),
                [.. changes, .. scaled.Changes], [.. events, .. scaled.Events]),
            ChangeOutcome.TooMany many => new KillOutcome.TooMany(many.Limit),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
    }

    private static AppSpec Less(AppSpec spec, int by) => spec with { Instances = Math.Max(0, spec.Instances - by) };
}
