using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Drover.Agent.Containers;
using Drover.Core;

namespace Drover.Testing.Agents;

/// <summary>An engine in memory. A container's command `exit N` ends at once with that code; any other runs until it is stopped or <see cref="End"/>ed.</summary>
public sealed class FakeContainerRuntime(TimeProvider time) : IContainerRuntime
{
    private readonly Lock _gate = new();
    private readonly Dictionary<TaskId, Made> _made = [];
    private readonly List<Channel<ContainerEvent>> _readers = [];
    private int _ids;

    public ConcurrentBag<string> Images { get; } = ["app"];
    /// <summary>What was done, in order: `create t`, `start t`, `stop t`, `remove t`, `pull image`.</summary>
    public ConcurrentQueue<string> Calls { get; } = [];
    public MountOwner Owner { get; set; } = new(999, 999, 0b111_101_101);
    /// <summary>Answers a health command.</summary>
    public Func<TaskId, IReadOnlyList<string>, ExecOutcome> OnExec { get; set; } = (_, _) => new(false, 0, "");
    /// <summary>Runs before the named verb does anything: a test can wait, count or throw here.</summary>
    public Func<string, TaskId, Task> Before { get; set; } = (_, _) => Task.CompletedTask;
    public ContainerOutcome? FailStart { get; set; }

    private sealed record Made(ContainerOrder Order, string Hash, string Id, ContainerState State, int? ExitCode, DateTimeOffset? Started, DateTimeOffset? Finished, List<LogLine> Log, bool OutOfMemory)
    {
        public bool Frozen { get; init; }
        public int Throttled { get; init; }
    }

    public IReadOnlyList<TaskId> Running { get { lock (_gate) return [.. _made.Where(m => m.Value.State == ContainerState.Running).Select(m => m.Key)]; } }

    public Task<string> Probe(CancellationToken cancel) => Task.FromResult("fake 1");

    public Task<IReadOnlyList<ContainerView>> List(CancellationToken cancel)
    {
        lock (_gate) return Task.FromResult<IReadOnlyList<ContainerView>>([.. _made.Values.Select(View)]);
    }

    public Task<ContainerView?> Inspect(TaskId task, CancellationToken cancel)
    {
        lock (_gate) return Task.FromResult(_made.TryGetValue(task, out var made) ? View(made) : null);
    }

    public async Task<ContainerOutcome> Pull(string image, bool force, CancellationToken cancel)
    {
        await Before("pull", default);
        cancel.ThrowIfCancellationRequested();
        if (Images.Contains(image)) return ContainerOutcome.Done;
        Calls.Enqueue($"pull {image}");
        return new(ContainerOutcomeKind.NoImage, $"image '{image}' is not on this node and cannot be pulled: the fake has no registry");
    }

    public async Task<ContainerOutcome> Create(ContainerOrder order, CancellationToken cancel)
    {
        var task = new TaskId(order.Instance.TaskId);
        await Before("create", task);
        if (!Images.Contains(order.Instance.Container.Image)) return new(ContainerOutcomeKind.NoImage, $"No such image: {order.Instance.Container.Image}");
        var unknown = order.Instance.Container.Parameters.FirstOrDefault(p => p.Key == "no-such-option");
        if (unknown is not null) return new(ContainerOutcomeKind.Failed, $"docker parameter '{unknown.Key}' is not known: remove it");
        var hash = OrderHash.Of(order);
        lock (_gate)
        {
            if (_made.TryGetValue(task, out var there))
                return there.Hash == hash ? ContainerOutcome.Done : new(ContainerOutcomeKind.Conflict, $"container {ContainerNames.Of(task.Value)} exists already with another configuration");
            Calls.Enqueue($"create {task}");
            _made[task] = new(order, hash, $"c{++_ids}", ContainerState.Created, null, null, null, [], false);
            Tell(new(task, ContainerEventKind.Created, null));
        }
        return ContainerOutcome.Done;
    }

    public Task<MountOwner> OwnerOf(TaskId task, string path, CancellationToken cancel) => Task.FromResult(Owner);

    public async Task<ContainerOutcome> Start(TaskId task, CancellationToken cancel)
    {
        await Before("start", task);
        lock (_gate)
        {
            if (!_made.TryGetValue(task, out var made)) return new(ContainerOutcomeKind.NoContainer, $"No such container: {task}");
            if (made.State == ContainerState.Running) return ContainerOutcome.Done;
            if (FailStart is { } failure) return failure;
            Calls.Enqueue($"start {task}");
            _made[task] = made with { State = ContainerState.Running, Started = time.GetUtcNow(), ExitCode = null, Finished = null };
            Tell(new(task, ContainerEventKind.Started, null));
            var command = made.Order.Instance.Container.Command;
            if (command.StartsWith("echo ", StringComparison.Ordinal)) made.Log.Add(new(System.Text.Encoding.UTF8.GetBytes(command[5..].Split(';')[0] + "\n"), false));
            var exit = command.Split(';')[^1].Trim();
            if (exit.StartsWith("exit ", StringComparison.Ordinal)) EndLocked(task, int.Parse(exit[5..], System.Globalization.CultureInfo.InvariantCulture), false);
        }
        return ContainerOutcome.Done;
    }

    public async Task<StopOutcome> Stop(TaskId task, TimeSpan grace, CancellationToken cancel)
    {
        await Before("stop", task);
        lock (_gate)
        {
            if (!_made.TryGetValue(task, out var made) || made.State != ContainerState.Running) return new(false, TimeSpan.Zero, made?.ExitCode, false);
            Calls.Enqueue($"stop {task}");
            EndLocked(task, made.Frozen ? 137 : 0, false);
            return new(true, TimeSpan.FromMilliseconds(5), made.Frozen ? 137 : 0, made.Frozen);
        }
    }

    public Task<ContainerOutcome> Freeze(TaskId task, CancellationToken cancel) => Change("freeze", task, made => made with { Frozen = true });

    public Task<ContainerOutcome> Thaw(TaskId task, CancellationToken cancel) => Change("thaw", task, made => made with { Frozen = false });

    public Task<ContainerOutcome> Throttle(TaskId task, CancellationToken cancel) => Change("throttle", task, made => made with { Throttled = made.Throttled + 1 });

    public Task<ContainerOutcome> Unthrottle(TaskId task, CancellationToken cancel) => Change("unthrottle", task, made => made with { Throttled = 0 });

    private async Task<ContainerOutcome> Change(string verb, TaskId task, Func<Made, Made> change)
    {
        await Before(verb, task);
        lock (_gate)
        {
            if (!_made.TryGetValue(task, out var made)) return new(ContainerOutcomeKind.NoContainer, $"No such container: {task}");
            if (made.State != ContainerState.Running) return verb is "freeze" or "throttle" ? new(ContainerOutcomeKind.Failed, $"Container {task} is not running") : ContainerOutcome.Done;
            var next = change(made);
            if (next == made) return ContainerOutcome.Done;
            Calls.Enqueue($"{verb} {task}");
            _made[task] = next;
            return ContainerOutcome.Done;
        }
    }

    public async Task<ContainerOutcome> Remove(TaskId task, CancellationToken cancel)
    {
        await Before("remove", task);
        lock (_gate)
        {
            if (!_made.TryGetValue(task, out var made)) return ContainerOutcome.Done;
            if (made.State == ContainerState.Running) return new(ContainerOutcomeKind.Conflict, "You cannot remove a running container");
            Calls.Enqueue($"remove {task}");
            _made.Remove(task);
            Tell(new(task, ContainerEventKind.Removed, null));
        }
        return ContainerOutcome.Done;
    }

    public Task<ExecOutcome> Exec(TaskId task, IReadOnlyList<string> command, TimeSpan timeout, CancellationToken cancel)
    {
        if (command is ["/bin/sh", "-c", var line] && line.StartsWith("exit ", StringComparison.Ordinal))
            return Task.FromResult(new ExecOutcome(false, int.Parse(line[5..], System.Globalization.CultureInfo.InvariantCulture), ""));
        return Task.FromResult(OnExec(task, command));
    }

    public async IAsyncEnumerable<LogLine> Logs(TaskId task, bool follow, int tail, [EnumeratorCancellation] CancellationToken cancel)
    {
        List<LogLine> lines;
        lock (_gate) lines = _made.TryGetValue(task, out var made) ? [.. made.Log] : [];
        foreach (var line in tail > 0 ? lines.TakeLast(tail) : lines) yield return line;
        await Task.CompletedTask;
    }

    public async IAsyncEnumerable<ContainerEvent> Watch([EnumeratorCancellation] CancellationToken cancel)
    {
        var reader = Channel.CreateBounded<ContainerEvent>(1024);
        lock (_gate) _readers.Add(reader);
        try
        {
            await foreach (var seen in reader.Reader.ReadAllAsync(cancel)) yield return seen;
        }
        finally
        {
            lock (_gate) _readers.Remove(reader);
        }
    }

    /// <summary>Waits until this was done.</summary>
    public async Task Until(string call)
    {
        for (var looks = 0; !Calls.Contains(call); looks++)
        {
            if (looks > 3000) throw new TimeoutException($"never came: {call}; there was: {string.Join(", ", Calls)}");
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        }
    }

    /// <summary>The container's program ends by itself.</summary>
    public void End(TaskId task, int exitCode, bool outOfMemory = false)
    {
        lock (_gate) EndLocked(task, exitCode, outOfMemory);
    }

    /// <summary>Somebody removed it behind the agent's back.</summary>
    public void Vanish(TaskId task)
    {
        lock (_gate)
        {
            _made.Remove(task);
            Tell(new(task, ContainerEventKind.Removed, null));
        }
    }

    private void EndLocked(TaskId task, int exitCode, bool outOfMemory)
    {
        _made[task] = _made[task] with { State = ContainerState.Exited, ExitCode = exitCode, Finished = time.GetUtcNow(), OutOfMemory = outOfMemory, Frozen = false };
        Tell(new(task, ContainerEventKind.Died, exitCode));
    }

    private void Tell(ContainerEvent seen)
    {
        foreach (var reader in _readers)
            if (!reader.Writer.TryWrite(seen)) throw new InvalidOperationException("a reader of the fake engine's events lags by 1024");
    }

    private static ContainerView View(Made made)
    {
        var instance = made.Order.Instance;
        var labels = new Dictionary<string, string>(instance.Container.Labels)
        {
            [ContainerLabels.App] = instance.AppId, [ContainerLabels.Instance] = instance.InstanceId, [ContainerLabels.Task] = instance.TaskId,
            [ContainerLabels.Epochs] = ContainerEpochs.Format(instance.Volumes), [ContainerLabels.Order] = made.Hash,
            [ContainerLabels.Grace] = instance.StopGraceMs.ToString(System.Globalization.CultureInfo.InvariantCulture),
        };
        return new(new(instance.TaskId), new(instance.InstanceId), new(instance.AppId), made.Id, made.State, made.ExitCode, null, made.Started, made.Finished,
            made.State == ContainerState.Running ? "127.0.0.1" : null, labels, made.OutOfMemory) { Ipv6Address = made.State == ContainerState.Running ? "::1" : null, Frozen = made.Frozen, Throttled = made.Throttled > 0 };
    }
}
