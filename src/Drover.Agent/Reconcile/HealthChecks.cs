using System.Collections.Concurrent;
using Drover.Agent.Containers;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>Asks a task once whether it is well.</summary>
public interface IHealthProbe
{
    /// <summary>Null: well. Otherwise the cause, for people.</summary>
    Task<string?> Ask(DesiredInstance instance, HealthCheck check, ContainerView container, CancellationToken cancel);
}

/// <summary>Keeps asking the tasks that run here, each check in a loop of its own, a bounded number at once.</summary>
public sealed class HealthChecks(IHealthProbe probe, TimeProvider time, ILogger<HealthChecks> log) : IAsyncDisposable
{
    private const int ProbesAtOnce = 16;
    private readonly ConcurrentDictionary<InstanceId, Watched> _watched = new();
    private readonly SemaphoreSlim _free = new(ProbesAtOnce);

    /// <summary>Something to tell of the instance; true: also something to do (a check reached its limit).</summary>
    public event Action<InstanceId, bool>? Changed;

    private sealed record Watched(DesiredInstance Instance, ContainerView Container, TaskNotes Notes, HealthState[] States, CancellationTokenSource Stop);

    /// <summary>Begins, or goes on where the same task is watched by the same checks already.</summary>
    public void Watch(DesiredInstance instance, ContainerView container, TaskNotes notes)
    {
        var id = new InstanceId(instance.InstanceId);
        if (_watched.TryGetValue(id, out var there))
        {
            if (there.Container.ContainerId == container.ContainerId && there.Container.StartedAt == container.StartedAt && there.Instance.HealthChecks.Equals(instance.HealthChecks)) return;
            Leave(id);
        }
        if (instance.HealthChecks.Count == 0) { notes.FirstAnswer ??= TimeSpan.Zero; return; }
        var states = new HealthState[instance.HealthChecks.Count];
        Array.Fill(states, HealthState.Unknown);
        var watched = new Watched(instance, container, notes, states, new());
        _watched[id] = watched;
        for (var n = 0; n < states.Length; n++)
        {
            var index = n;
            _ = Task.Run(() => Loop(id, watched, index, watched.Stop.Token), CancellationToken.None);
        }
    }

    public void Leave(InstanceId instance)
    {
        if (_watched.TryRemove(instance, out var watched)) watched.Stop.Cancel();
    }

    public IReadOnlyList<HealthObserved> Of(InstanceId instance, DesiredInstance? wanted)
    {
        if (wanted is null || !_watched.TryGetValue(instance, out var watched) || watched.Instance.TaskId != wanted.TaskId) return [];
        lock (watched.States) return [.. watched.States.Select(Message)];
    }

    /// <summary>Why its first healthy answer is still waited for; null: it came, or nothing has failed yet.</summary>
    public string? Silence(InstanceId instance, DesiredInstance? wanted)
    {
        if (wanted is null || !_watched.TryGetValue(instance, out var watched) || watched.Instance.TaskId != wanted.TaskId) return null;
        lock (watched.States)
        {
            var index = Array.FindIndex(watched.States, s => s is { FirstSuccess: null, Cause: not null });
            return index < 0 ? null : $"a first healthy answer; health check {index}: {watched.States[index].Cause}";
        }
    }

    private async Task Loop(InstanceId id, Watched watched, int index, CancellationToken cancel)
    {
        var check = watched.Instance.HealthChecks[index];
        try
        {
            while (!cancel.IsCancellationRequested)
            {
                var cause = await Ask(watched, check, cancel);
                if (Record(id, watched, index, check, cause)) return;
                await Task.Delay(HealthMachine.Gap(watched.States[index], check), time, cancel);
            }
        }
        catch (OperationCanceledException) { /* no longer watched */ }
    }

    private async Task<string?> Ask(Watched watched, HealthCheck check, CancellationToken cancel)
    {
        await _free.WaitAsync(cancel);
        try
        {
            return await probe.Ask(watched.Instance, check, watched.Container, cancel);
        }
        catch (Exception e) when (e is not OperationCanceledException) { return e.Message; }
        finally { _free.Release(); }
    }

    /// <summary>True: the task is to be stopped; nothing more to ask.</summary>
    private bool Record(InstanceId id, Watched watched, int index, HealthCheck check, string? cause)
    {
        var now = time.GetUtcNow();
        bool kill, tell;
        lock (watched.States)
        {
            var before = watched.States[index];
            (var next, kill) = HealthMachine.After(before, check, watched.Container.StartedAt ?? now, cause, now);
            watched.States[index] = next;
            // The first cause at once, later ones with what else is told: quick early probes would tell it fifty times a second.
            tell = (next.FirstSuccess is null && before.Cause is null && cause is not null) || next.Known != before.Known || next.Alive != before.Alive || next.Failures != before.Failures;
            if (watched.Notes is { FirstAnswer: null, StartedTicks: { } started } && watched.States.All(s => s.Alive)) watched.Notes.FirstAnswer = time.GetElapsedTime(started);
        }
        if (kill && !watched.Stop.IsCancellationRequested)
        {
            log.LogWarning("{Task}: health check {Index} failed {Limit} times in a row ({Cause}): stopping it", watched.Instance.TaskId, index, check.MaxConsecutiveFailures, cause);
            watched.Notes.KillCause = $"health check {index} failed {check.MaxConsecutiveFailures} times in a row, which is its limit: {cause}";
            watched.Notes.Kill = true;
        }
        if (tell) Changed?.Invoke(id, kill);
        return kill;
    }

    private static HealthObserved Message(HealthState state) => new()
    {
        Known = state.Known, Alive = state.Alive, ConsecutiveFailures = state.Failures, FirstSuccessUnixMs = Ms(state.FirstSuccess), LastSuccessUnixMs = 0 < state.Failures ? Ms(state.LastSuccess) : Ms(state.FirstSuccess),
        LastFailureUnixMs = state.Failures > 0 ? Ms(state.LastFailure) : 0, LastFailureCause = state.Failures > 0 ? state.Cause ?? "" : "",
    };

    private static long Ms(DateTimeOffset? moment) => moment?.ToUnixTimeMilliseconds() ?? 0;

    public ValueTask DisposeAsync()
    {
        foreach (var id in _watched.Keys) Leave(id);
        return ValueTask.CompletedTask;
    }
}
