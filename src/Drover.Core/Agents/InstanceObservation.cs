using Drover.Core.Apps;

namespace Drover.Core.Agents;

/// <summary>What an agent said of one instance: the domain's form of the wire's InstanceObserved.</summary>
/// <param name="Message">Why it waits or failed, with what to do; null when all is well.</param>
/// <param name="KilledForHealth">The agent stopped it since a health check reached its limit of failures.</param>
public sealed record InstanceObservation(
    InstanceId Instance, TaskId Task, AppId App, InstanceCondition Condition, string? ContainerId, string? Message, int? ExitCode,
    EquatableList<HealthResult?> Health, bool KilledForHealth, DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt, StartTimings? Start)
{
    public EquatableList<ReadinessResult> Readiness { get; init; } = [];
}

public enum InstanceCondition { Pulling, Creating, Created, Starting, Running, Stopping, Stopped, Failed, Gone, Waiting }
