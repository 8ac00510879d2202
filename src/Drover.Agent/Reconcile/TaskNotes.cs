using Drover.Agent.Containers;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>What this agent's process knows of one task beside what the engine tells: what it is doing, what failed, what it measured.</summary>
public sealed class TaskNotes
{
    /// <summary>Set while a step is at work; null: the container's own state says it.</summary>
    public InstanceCondition? Doing { get; set; }
    /// <summary>Why it waits; null: it does not.</summary>
    public string? WaitsFor { get; set; }
    /// <summary>Why it can never run under this task id.</summary>
    public string? Failure { get; set; }
    /// <summary>It ran here, as far as this process saw.</summary>
    public bool Ran { get; set; }
    public bool StoppedByUs { get; set; }
    /// <summary>Why, where nobody ordered it.</summary>
    public string? StoppedBecause { get; set; }
    public bool Kill { get; set; }
    /// <summary>Which check failed and how, in words; null unless <see cref="Kill"/>.</summary>
    public string? KillCause { get; set; }
    /// <summary>Last lines of output of one that ended by itself.</summary>
    public string? LastWords { get; set; }
    public int Attempts { get; set; }

    public TimeSpan Promote { get; set; }
    public TimeSpan Mount { get; set; }
    public TimeSpan Start { get; set; }
    public TimeSpan? FirstAnswer { get; set; }
    /// <summary>When the start returned, on the agent's clock of ticks; null: started before this process.</summary>
    public long? StartedTicks { get; set; }
}

/// <summary>The wire's form of what is known of an instance. Pure.</summary>
public static class Observation
{
    public static InstanceObserved Of(DesiredInstance? wanted, ContainerView? container, TaskNotes notes, IReadOnlyList<HealthObserved> health, InstanceId instance, TaskId task)
    {
        var (condition, message) = Condition(wanted, container, notes);
        var seen = new InstanceObserved
        {
            InstanceId = instance.Value, TaskId = task.Value, AppId = wanted?.AppId ?? container?.App.Value ?? "", Condition = condition, Message = message ?? "",
            ContainerId = container?.ContainerId ?? "", ExitCode = container?.ExitCode ?? 0,
            StartedAtUnixMs = container?.StartedAt?.ToUnixTimeMilliseconds() ?? 0, FinishedAtUnixMs = container?.FinishedAt?.ToUnixTimeMilliseconds() ?? 0,
        };
        seen.Health.AddRange(health);
        if (notes.Kill) foreach (var check in seen.Health) check.Kill = !check.Alive;
        if (notes.StartedTicks is not null)
        {
            seen.Start = new StartTimings
            {
                PromoteUs = (long)notes.Promote.TotalMicroseconds, MountUs = (long)notes.Mount.TotalMicroseconds, StartUs = (long)notes.Start.TotalMicroseconds,
                FirstAnswerUs = (long)(notes.FirstAnswer ?? TimeSpan.Zero).TotalMicroseconds,
            };
        }
        return seen;
    }

    private static (InstanceCondition, string?) Condition(DesiredInstance? wanted, ContainerView? container, TaskNotes notes)
    {
        if (notes.Doing is { } doing) return (doing, notes.WaitsFor);
        if (container is { State: ContainerState.Exited }) return Ended(container, notes);
        if (container is { State: ContainerState.Running }) return (InstanceCondition.Running, notes.WaitsFor);
        if (notes.Failure is { } failure) return (InstanceCondition.Failed, failure);
        if (notes.WaitsFor is { } wait) return (InstanceCondition.Waiting, wait);
        if (container is not null) return (InstanceCondition.Created, null);
        if (notes.Ran) return (InstanceCondition.Failed, "its container was removed on this node, not by Drover");
        return wanted is null or { Wish: InstanceWish.Remove } ? (InstanceCondition.Gone, null) : (InstanceCondition.Waiting, "its container is not made yet");
    }

    private static (InstanceCondition, string?) Ended(ContainerView container, TaskNotes notes)
    {
        if (notes.Kill) return (InstanceCondition.Failed, $"stopped: {notes.KillCause ?? "a health check failed as often as its limit allows"}");
        if (notes.StoppedByUs) return (InstanceCondition.Stopped, notes.StoppedBecause);
        var why = container.OutOfMemory ? $"exited with code {container.ExitCode}: it used more than its memory limit; give it more `mem`"
            : container.Error is { } error ? $"exited with code {container.ExitCode}: {error}"
            : $"exited with code {container.ExitCode}";
        if (notes.LastWords is { Length: > 0 } words) why += $"; its last output: {words}";
        return (container.ExitCode == 0 ? InstanceCondition.Stopped : InstanceCondition.Failed, why);
    }
}
