using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Containers;

/// <summary>Runs containers on this node. The real one is Docker's Engine API.</summary>
/// <remarks>Only containers this agent made are seen and touched: they carry the label <see cref="ContainerLabels.Instance"/>.
/// Names are `drover-` and the task id. The restart policy is always `no`: every start passes the agent's epoch check.
/// Every verb may be repeated: creating what exists, starting what runs, stopping what ended, removing what is gone all succeed.</remarks>
public interface IContainerRuntime
{
    /// <summary>Engine and version for people (`docker 20.10.24`).</summary>
    Task<string> Probe(CancellationToken cancel);

    Task<IReadOnlyList<ContainerView>> List(CancellationToken cancel);

    Task<ContainerView?> Inspect(TaskId task, CancellationToken cancel);

    /// <summary>Has the image here when it returns. <paramref name="force"/>: asks the registry even if it is here.
    /// <see cref="ContainerOutcomeKind.NoImage"/> with the engine's words when there is none to be had.</summary>
    Task<ContainerOutcome> Pull(string image, bool force, CancellationToken cancel);

    /// <summary>Creates, does not start. A container of the same task with another configuration is left alone: <see cref="ContainerOutcomeKind.Conflict"/>.</summary>
    Task<ContainerOutcome> Create(ContainerOrder order, CancellationToken cancel);

    /// <summary>Who must own a fresh volume mounted at <paramref name="path"/> so that the image's user can write: read from the image's own directory or its user.</summary>
    Task<MountOwner> OwnerOf(TaskId task, string path, CancellationToken cancel);

    Task<ContainerOutcome> Start(TaskId task, CancellationToken cancel);

    /// <summary>SIGTERM (or the image's stop signal), after <paramref name="grace"/> SIGKILL. Returns when it has ended. A frozen one is killed at once and none of its processes runs again.</summary>
    Task<StopOutcome> Stop(TaskId task, TimeSpan grace, CancellationToken cancel);

    /// <summary>All its processes stand still when it returns, none of them within a system call. A container that does not run: <see cref="ContainerOutcomeKind.Failed"/>.</summary>
    Task<ContainerOutcome> Freeze(TaskId task, CancellationToken cancel);

    /// <summary>A frozen one goes on where it stood; one that runs goes on running.</summary>
    Task<ContainerOutcome> Thaw(TaskId task, CancellationToken cancel);

    /// <summary>Gives it half of the processor time it uses now, whatever its order allows. Each call halves anew.</summary>
    Task<ContainerOutcome> Throttle(TaskId task, CancellationToken cancel);

    /// <summary>Gives it what its order allows, whoever slowed it down.</summary>
    Task<ContainerOutcome> Unthrottle(TaskId task, CancellationToken cancel);

    /// <summary>Removes a container that does not run.</summary>
    Task<ContainerOutcome> Remove(TaskId task, CancellationToken cancel);

    /// <summary>Runs a command inside; never through a shell of the host.</summary>
    Task<ExecOutcome> Exec(TaskId task, IReadOnlyList<string> command, TimeSpan timeout, CancellationToken cancel);

    /// <summary>The container's output so far and, with <paramref name="follow"/>, as it comes.</summary>
    IAsyncEnumerable<LogLine> Logs(TaskId task, bool follow, int tail, CancellationToken cancel);

    /// <summary>Starts and ends as the engine tells them; ends when the connection does. A reader lists after subscribing.</summary>
    IAsyncEnumerable<ContainerEvent> Watch(CancellationToken cancel);
}

public static class ContainerLabels
{
    public const string App = "drover.app";
    public const string Instance = "drover.instance";
    public const string Task = "drover.task";
    public const string Incarnation = "drover.incarnation";
    /// <summary>`name=epoch,…` of the volumes: what the epoch check of a re-adopted container compares.</summary>
    public const string Epochs = "drover.epochs";
    /// <summary>Milliseconds between signal and kill: how a container that is no longer wanted is stopped.</summary>
    public const string Grace = "drover.grace";
    /// <summary>Hash of the order, to tell a repeated create from a different one.</summary>
    public const string Order = "drover.order";
    /// <summary>Quota of processor time its order allows, as the engine has it; -1: none. What a throttle is taken off to.</summary>
    public const string Quota = "drover.cpu-quota";
    public const string Marathon = "MESOS_TASK_ID";
}

/// <param name="Binds">Host paths of volumes and host mounts; volume paths need not be mounted yet when the container is created.</param>
public sealed record ContainerOrder(DesiredInstance Instance, IReadOnlyList<Bind> Binds, string CgroupParent);

public sealed record Bind(string HostPath, string ContainerPath, bool ReadOnly);

public sealed record ContainerView(
    TaskId Task, InstanceId Instance, AppId App, string ContainerId, ContainerState State, int? ExitCode, string? Error, DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt,
    string? IpAddress, IReadOnlyDictionary<string, string> Labels, bool OutOfMemory)
{
    /// <summary>null: it has none.</summary>
    public string? Ipv6Address { get; init; }
    /// <summary>It runs and stands still.</summary>
    public bool Frozen { get; init; }
    /// <summary>It gets less processor time than its order allows.</summary>
    public bool Throttled { get; init; }
}

public enum ContainerState { Created, Running, Exited }

public sealed record ContainerOutcome(ContainerOutcomeKind Kind, string? Message)
{
    public static readonly ContainerOutcome Done = new(ContainerOutcomeKind.Done, null);
    public bool Ok => Kind == ContainerOutcomeKind.Done;
}

public enum ContainerOutcomeKind { Done, NoImage, NoContainer, Conflict, PortTaken, Failed }

/// <param name="Elapsed">From the signal to the end.</param>
public sealed record StopOutcome(bool WasRunning, TimeSpan Elapsed, int? ExitCode, bool Killed);

public sealed record ExecOutcome(bool TimedOut, int ExitCode, string Output);

public sealed record MountOwner(int Uid, int Gid, int Mode);

public sealed record LogLine(ReadOnlyMemory<byte> Data, bool StandardError);

public sealed record ContainerEvent(TaskId Task, ContainerEventKind Kind, int? ExitCode);

public enum ContainerEventKind { Created, Started, Died, Removed, OutOfMemory }
