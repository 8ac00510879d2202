namespace Drover.Core.Apps;

/// <summary>What a request to change an app came to.</summary>
public abstract record AppOutcome
{
    private AppOutcome() { }

    /// <param name="App">The app as it stands now; for a deletion, as it last stood.</param>
    /// <param name="Deployment">The change in progress; already over when nothing had to change.</param>
    public sealed record Accepted(App App, DeploymentId Deployment, DateTimeOffset Version) : AppOutcome;
    public sealed record AlreadyExists(AppId App) : AppOutcome;
    public sealed record NotFound(AppId App) : AppOutcome;
    /// <summary>These deployments work on the app; `force` cancels them.</summary>
    public sealed record Locked(EquatableList<DeploymentId> Deployments) : AppOutcome;
    public sealed record Invalid(EquatableList<FieldError> Errors) : AppOutcome;
    /// <summary>As many deployments run as may at once.</summary>
    public sealed record TooMany(int Limit) : AppOutcome;
}

/// <summary>What a request to change several apps and groups came to.</summary>
public abstract record ChangeOutcome
{
    private ChangeOutcome() { }

    /// <param name="Steps">Empty: nothing had to be done, and the deployment is over already.</param>
    public sealed record Accepted(DeploymentId Deployment, DateTimeOffset Version, EquatableList<DeploymentStep> Steps) : ChangeOutcome;
    public sealed record NoSuchApp(AppId App) : ChangeOutcome;
    /// <param name="At">null: now.</param>
    public sealed record NoSuchGroup(GroupId Group, DateTimeOffset? At = null) : ChangeOutcome;
    public sealed record NoSuchVersion(AppId App, DateTimeOffset Version) : ChangeOutcome;
    public sealed record GroupExists(GroupId Group) : ChangeOutcome;
    public sealed record AppHasPath(AppId App) : ChangeOutcome;
    /// <summary>These deployments work on the apps; `force` cancels them.</summary>
    public sealed record Locked(EquatableList<DeploymentId> Deployments) : ChangeOutcome;
    /// <summary>Each error names its app, where it is about one.</summary>
    public sealed record Invalid(EquatableList<FieldError> Errors) : ChangeOutcome;
    /// <summary>As many deployments run as may at once.</summary>
    public sealed record TooMany(int Limit) : ChangeOutcome;
}

/// <param name="Path">Field in Marathon's form: `/container/volumes(0)/hostPath`; `/` for the whole.</param>
/// <param name="Message">Reason and remedy.</param>
public sealed record FieldError(string Path, string Message)
{
    /// <summary>The app whose field it is, where a request is about several.</summary>
    public AppId? App { get; init; }
}

/// <summary>What a request to kill copies came to.</summary>
public abstract record KillOutcome
{
    private KillOutcome() { }

    /// <summary>Being stopped; others take their place.</summary>
    public sealed record Killed(EquatableList<Instance> Instances) : KillOutcome;
    /// <summary>Being stopped, and the apps scaled down by as many.</summary>
    public sealed record Scaled(EquatableList<Instance> Instances, DeploymentId Deployment, DateTimeOffset Version) : KillOutcome;
    public sealed record NoSuchApp(AppId App) : KillOutcome;
    public sealed record NoSuchTask(string Task) : KillOutcome;
    public sealed record Locked(EquatableList<DeploymentId> Deployments) : KillOutcome;
    /// <summary>As many deployments run as may at once.</summary>
    public sealed record TooMany(int Limit) : KillOutcome;
    /// <summary>A move owns this copy: it may be killed when the move has ended.</summary>
    public sealed record Moving(InstanceId Instance, MoveId Move) : KillOutcome;
}

/// <summary>What a request to stop a deployment came to.</summary>
public abstract record CancelOutcome
{
    private CancelOutcome() { }

    /// <summary>Stopped where it stood.</summary>
    public sealed record Stopped : CancelOutcome;
    /// <summary>Replaced by a deployment that leads back to what was before.</summary>
    public sealed record Reverting(DeploymentId Deployment, DateTimeOffset Version) : CancelOutcome;
    public sealed record NotFound(DeploymentId Deployment) : CancelOutcome;
    /// <summary>There is no way back to what was: nothing was changed.</summary>
    public sealed record NoWayBack(EquatableList<FieldError> Errors) : CancelOutcome;
}
