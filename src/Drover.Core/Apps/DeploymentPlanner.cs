using Drover.Core.Groups;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>What is to become of one app.</summary>
/// <param name="Before">null: the app is new.</param>
/// <param name="After">null: the app is to go.</param>
/// <param name="Restart">Replace the copies though the configuration is the same.</param>
public sealed record PlannedChange(AppId App, AppSpec? Before, AppSpec? After, bool Restart = false);

/// <summary>Marathon's plan of steps for a change of apps, and better than it in one thing: what is stopped is stopped in order too, dependents first.</summary>
public static class DeploymentPlanner
{
    /// <summary>First those that go or shrink to nothing, then all new ones (which starts no copy), then one step for each layer of dependencies.</summary>
    /// <returns>No steps: nothing to do.</returns>
    public static EquatableList<DeploymentStep> Plan(ClusterState before, ClusterState after, IEnumerable<PlannedChange> changes)
    {
        var actions = changes.Select(c => (Change: c, Kind: KindOf(c))).Where(a => a.Kind is not null).OrderBy(a => a.Change.App).ToList();
        var steps = new List<DeploymentStep>();
        var were = new Dependencies(before);
        foreach (var layer in actions.Where(a => Ends(a.Change)).GroupBy(a => were.Layer(a.Change.App)).OrderByDescending(g => g.Key))
            steps.Add(Step(layer.Select(a => new DeploymentAction(a.Kind!.Value, a.Change.App))));
        var made = actions.Where(a => a.Change.Before is null && a.Change.After is not null).Select(a => new DeploymentAction(DeploymentActionKind.StartApplication, a.Change.App)).ToList();
        if (made.Count > 0) steps.Add(Step(made));
        var are = new Dependencies(after);
        foreach (var layer in actions.Where(a => !Ends(a.Change)).GroupBy(a => are.Layer(a.Change.App)).OrderBy(g => g.Key))
            steps.Add(Step(layer.Select(a => new DeploymentAction(a.Kind!.Value, a.Change.App))));
        return steps.ToEquatableList();
    }

    private static bool Ends(PlannedChange change) => change is { Before: not null, After: null or { Instances: 0 } };

    /// <summary>null: nothing to do.</summary>
    private static DeploymentActionKind? KindOf(PlannedChange change) => change switch
    {
        (_, null, null, false) => null,
        (_, _, null, _) => DeploymentActionKind.StopApplication,
        (_, null, _, _) => DeploymentActionKind.ScaleApplication,
        (_, { } old, { } wanted, false) when old.SameConfiguration(wanted) => old.Instances == wanted.Instances ? null : DeploymentActionKind.ScaleApplication,
        (_, _, { Instances: 0 }, _) => DeploymentActionKind.ScaleApplication,
        _ => DeploymentActionKind.RestartApplication,
    };

    private static DeploymentStep Step(IEnumerable<DeploymentAction> actions) => new(actions.ToEquatableList());
}
