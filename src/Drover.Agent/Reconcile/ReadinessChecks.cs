using System.Collections.Concurrent;
using Drover.Agent.Containers;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>Asks tasks that have just begun to run until each of their readiness checks has said yes once, and then no more.</summary>
internal sealed class ReadinessChecks(IHealthProbe probe, ProbeTurns turns, TimeProvider time, Action<InstanceId> changed)
{
    private readonly ConcurrentDictionary<InstanceId, Watched> _watched = new();

    private sealed record Watched(DesiredInstance Instance, ContainerView Container, ReadinessObserved?[] Answers, CancellationTokenSource Stop);

    public void Watch(DesiredInstance instance, ContainerView container)
    {
        var id = new InstanceId(instance.InstanceId);
        if (_watched.TryGetValue(id, out var there))
        {
            if (there.Container.ContainerId == container.ContainerId && there.Container.StartedAt == container.StartedAt && there.Instance.ReadinessChecks.Equals(instance.ReadinessChecks)) return;
            Leave(id);
        }
        if (instance.ReadinessChecks.Count == 0) return;
        var watched = _watched[id] = new(instance, container, new ReadinessObserved?[instance.ReadinessChecks.Count], new());
        for (var n = 0; n < watched.Answers.Length; n++)
        {
            var index = n;
            _ = Task.Run(() => Loop(id, watched, index, watched.Stop.Token), CancellationToken.None);
        }
    }

    public void Leave(InstanceId instance)
    {
        if (_watched.TryRemove(instance, out var watched)) watched.Stop.Cancel();
    }

    public IEnumerable<ReadinessObserved> Of(InstanceId instance, DesiredInstance wanted)
    {
        if (!_watched.TryGetValue(instance, out var watched) || watched.Instance.TaskId != wanted.TaskId) return [];
        lock (watched.Answers) return [.. watched.Answers.OfType<ReadinessObserved>()];
    }

    private async Task Loop(InstanceId id, Watched watched, int index, CancellationToken cancel)
    {
        var check = watched.Instance.ReadinessChecks[index];
        try
        {
            for (var probes = 1; ; probes++)
            {
                var answer = await Ask(watched, check, cancel);
                bool tell;
                lock (watched.Answers)
                {
                    tell = !answer.Equals(watched.Answers[index]);
                    watched.Answers[index] = answer;
                }
                if (tell) changed(id);
                if (answer.Ready) return;
                await Task.Delay(HealthMachine.EarlyGap(probes, TimeSpan.FromMilliseconds(Math.Max(100, check.IntervalMs))), time, cancel);
            }
        }
        catch (OperationCanceledException) { /* no longer watched */ }
    }

    private async Task<ReadinessObserved> Ask(Watched watched, ReadinessCheck check, CancellationToken cancel)
    {
        try
        {
            return await turns.Take(heavy: false, () => probe.AskReady(watched.Instance, check, watched.Container, cancel), cancel);
        }
        catch (Exception e) when (e is not OperationCanceledException) { return new() { Name = check.Name }; }
    }
}

/// <summary>So many are asked at once: a node with a thousand copies must not dial a thousand sockets in one moment. A check that waits for its turn fails nothing.</summary>
#pragma warning disable CA1001 // without its wait handle a semaphore holds nothing to let go of, and late answers still give their turns back
public sealed class ProbeTurns
#pragma warning restore CA1001
{
    public const int AtOnce = 256, CommandsAtOnce = 8;
    private readonly SemaphoreSlim _free = new(AtOnce);
    // A command is a process of its own, started through the engine.
    private readonly SemaphoreSlim _freeForCommands = new(CommandsAtOnce);

    public async Task<T> Take<T>(bool heavy, Func<Task<T>> ask, CancellationToken cancel)
    {
        var turns = heavy ? _freeForCommands : _free;
        await turns.WaitAsync(cancel);
        try { return await ask(); }
        finally { turns.Release(); }
    }
}
