namespace Drover.Core.Apps;

/// <summary>An app as it stands: its newest spec and when that came to be.</summary>
/// <param name="Version">Time of the last change, the app's version in Marathon's sense (millisecond precision, UTC).</param>
public sealed record App(AppSpec Spec, DateTimeOffset Version, DateTimeOffset LastScalingAt, DateTimeOffset LastConfigChangeAt)
{
    public AppId Id => Spec.Id;
    public LaunchDelay? Delay { get; init; }
    public TaskFailure? LastTaskFailure { get; init; }
}

/// <summary>Marathon's backoff: no launch before <paramref name="Until"/>.</summary>
/// <param name="Failures">In a row, this one counted.</param>
public sealed record LaunchDelay(TimeSpan Current, DateTimeOffset Until, string Why, int Failures = 1);

public sealed record TaskFailure(TaskId Task, NodeId Node, string Host, string State, string Message, DateTimeOffset At, DateTimeOffset AppVersion);

/// <summary>One copy of an app, from the decision to run it until its container is known to be gone.</summary>
/// <param name="Spec">The spec this copy runs (a rolling upgrade has copies of two specs).</param>
/// <param name="Incarnation">Grows each time the container is made anew for this instance (restart in place, move).</param>
/// <param name="Node">Where it runs; null while it waits for a place.</param>
/// <param name="Ports">Host ports, one for each port mapping (bridge) or port definition (host); 0: not published.</param>
/// <param name="Goal">What the cluster wants of it.</param>
/// <param name="State">What its agent last said of it.</param>
public sealed record Instance(
    InstanceId Id, AppId App, AppSpec Spec, DateTimeOffset AppVersion, int Incarnation, NodeId? Node, EquatableList<int> Ports,
    InstanceGoal Goal, InstanceState State, DateTimeOffset CreatedAt)
{
    public DateTimeOffset? StagedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    /// <summary>null: no checks, or none has answered.</summary>
    public bool? Healthy { get; init; }
    public EquatableList<HealthResult> Health { get; init; } = [];
    /// <summary>One for each readiness check that has answered. What was ready once stays ready.</summary>
    public EquatableList<ReadinessResult> Readiness { get; init; } = [];
    public string? ContainerId { get; init; }
    /// <summary>From when on its way to its start is timed: when its image had come or its node had come back; null: from when it was staged.</summary>
    public DateTimeOffset? LaunchSince { get; init; }
    public bool Pulling { get; init; }
    /// <summary>It is to go, and waits for its turn: until then its container is left alone.</summary>
    public bool InLine { get; init; }
    /// <summary>Why it is not running yet, in words for people: an offer, data, a pull, a backoff.</summary>
    public string? WaitsFor { get; init; }
    public StartTimings? Start { get; init; }
    public TaskId Task => Id.Task(Incarnation);

    /// <summary>Waits for a place, for the one it had is gone for it.</summary>
    public Instance WithoutPlace() => this with
    {
        Node = null, Ports = [], State = InstanceState.Scheduled, Healthy = null, Health = [], Readiness = [], ContainerId = null, Start = null, StagedAt = null, StartedAt = null,
        Pulling = false, LaunchSince = null, WaitsFor = "an offer",
    };

    public bool Runs => State == InstanceState.Running;
    /// <summary>Running, and healthy where it has health checks.</summary>
    public bool Serves => Runs && (Spec.HealthChecks.Count == 0 || Healthy == true);
    /// <summary>All its readiness checks have said so.</summary>
    public bool Ready => Spec.ReadinessChecks.Count == 0 || (Readiness.Count >= Spec.ReadinessChecks.Count && !Readiness.Items.Any(r => !r.Ready));
    /// <summary>Serves and is ready: an old copy may go for it.</summary>
    public bool TakesOver => Serves && Ready;
}

/// <summary>What the agent measured of a start: live data made and mounted, container started, first healthy answer after that (zero without checks).</summary>
public sealed record StartTimings(TimeSpan Promote, TimeSpan Mount, TimeSpan ContainerStart, TimeSpan FirstAnswer);

public enum InstanceGoal { Running, Removed }

/// <summary>Scheduled: no node yet; with a node: its container ended while a move owned it, its place is kept. Staging: the agent prepares it. Gone: the container is known not to run any more.</summary>
public enum InstanceState { Scheduled, Staging, Starting, Running, Killing, Unreachable, Gone }

public sealed record HealthResult(
    bool Alive, int ConsecutiveFailures, DateTimeOffset? FirstSuccess, DateTimeOffset? LastSuccess, DateTimeOffset? LastFailure, string? LastFailureCause);

/// <param name="Answer">null: none came, or it is not to be kept.</param>
public sealed record ReadinessResult(string Name, bool Ready, ReadinessAnswer? Answer);

/// <param name="Body">Its first part.</param>
public sealed record ReadinessAnswer(int Status, string ContentType, string Body);

/// <summary>An app as it was until it was changed or deleted.</summary>
/// <param name="Until">When that happened; from <see cref="Apps.App.Version"/> up to here it stood.</param>
public sealed record FormerApp(App App, DateTimeOffset Until);

/// <summary>A change of apps in progress. Steps run in order, the actions of a step in parallel (as in Marathon).</summary>
/// <param name="CurrentStep">Index of the step at work; equal to the number of steps when done.</param>
public sealed record Deployment(
    DeploymentId Id, DateTimeOffset Version, EquatableList<AppId> AffectedApps, EquatableList<DeploymentStep> Steps, int CurrentStep, DateTimeOffset StartedAt)
{
    /// <summary>What the current step waits for; null while it makes progress.</summary>
    public string? WaitsFor { get; init; }
    /// <summary>The trace that it is, in W3C form; null: it is not traced.</summary>
    public string? Trace { get; init; }
    /// <summary>The apps it changed, as they were when it began: where a rollback leads. Apps it only brings to an end for a deployment it replaced are not among them.</summary>
    public EquatableList<AppBefore> Before { get; init; } = [];
    public EquatableList<GroupBefore> GroupsBefore { get; init; } = [];
}

/// <param name="Version">Version it had, kept in its history; null: there was none.</param>
public sealed record AppBefore(AppId App, DateTimeOffset? Version);

/// <param name="Was">null: it was not made explicitly.</param>
public sealed record GroupBefore(GroupId Group, Groups.AppGroup? Was);

public sealed record DeploymentStep(EquatableList<DeploymentAction> Actions);

public sealed record DeploymentAction(DeploymentActionKind Kind, AppId App);

public enum DeploymentActionKind { StartApplication, StopApplication, ScaleApplication, RestartApplication }
