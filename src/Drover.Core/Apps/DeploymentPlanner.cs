namespace Drover.Core.Apps;

/// <summary>Marathon's plan of steps for the change of one app.</summary>
public static class DeploymentPlanner
{
    /// <param name="before">null: the app is new.</param>
    /// <param name="after">null: the app is to go.</param>
    /// <param name="restart">Replace the copies though the configuration is the same.</param>
    /// <returns>No steps: nothing to do.</returns>
    public static EquatableList<DeploymentStep> Plan(AppSpec? before, AppSpec? after, bool restart = false) => (before, after) switch
    {
        (null, null) => [],
        (null, { } made) => [Step(DeploymentActionKind.StartApplication, made.Id, made), Step(DeploymentActionKind.ScaleApplication, made.Id, made)],
        ({ } gone, null) => [Step(DeploymentActionKind.StopApplication, gone.Id, null)],
        ({ } old, { } wanted) when !restart && old.SameConfiguration(wanted) =>
            old.Instances == wanted.Instances ? [] : [Step(DeploymentActionKind.ScaleApplication, wanted.Id, wanted)],
        (_, { Instances: 0 } none) => [Step(DeploymentActionKind.ScaleApplication, none.Id, none)],
        (_, { } wanted) => [Step(DeploymentActionKind.RestartApplication, wanted.Id, wanted)],
    };

    private static DeploymentStep Step(DeploymentActionKind kind, AppId app, AppSpec? target) => new([new DeploymentAction(kind, app, target)]);
}
