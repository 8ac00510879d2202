using System.Collections.Concurrent;
using Drover.Agent.Containers;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>Keeps asking the tasks that run here, each check in a loop of its own, a bounded number at once.</summary>
public sealed class HealthChecks : IAsyncDisposable
{
    private readonly ConcurrentDictionary<InstanceId, Watched> _watched = new();
    private readonly IHealthProbe _probe;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly ProbeTurns _turns = new();
    private readonly ReadinessChecks _readiness;

    public HealthChecks(IHealthProbe probe, TimeProvider time, ILogger<HealthChecks> log)
    {
        (_probe, _time, _log) = (probe, time, log);
        _readiness = new(probe, _turns, time, id => Changed?.Invoke(id, false));
    }

    /// <summary>False while control cannot be reached: nobody could start a copy elsewhere, so none is stopped for its health. It is as soon as control is back and it is still unwell.</summary>
    public bool MayStop { get; set; } = true;

    /// <summary>Something to tell of the instance; true: also something to do (a check reached its limit).</summary>
    public event Action<InstanceId, bool>? Changed;

    private sealed record Watched(DesiredInstance Instance, ContainerView Container, TaskNotes Notes, HealthState[] States, CancellationTokenSource Stop);

    /// <summary>Begins, or goes on where the same task is watched by the same checks already.</summary>
    public void Watch(DesiredInstance instance, ContainerView container, TaskNotes notes)
    {
        var id = new InstanceId(instance.InstanceId);
        _readiness.Watch(instance, container);
        if (_watched.TryGetValue(id, out var there))
        {
            if (there.Container.ContainerId == container.ContainerId && there.Container.StartedAt == container.StartedAt && there.Instance.HealthChecks.Equals(instance.HealthChecks)) return;
            LeaveHealth(id);
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
        _readiness.Leave(instance);
        LeaveHealth(instance);
    }

    public IEnumerable<ReadinessObserved> ReadinessOf(InstanceId instance, DesiredInstance? wanted) => wanted is null ? [] : _readiness.Of(instance, wanted);

    private void LeaveHealth(InstanceId instance)
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
                var answer = await Ask(watched, check, cancel);
                if (!answer.Says) Count(watched, index);
                else if (Record(id, watched, index, check, answer.Cause)) return;
                await Task.Delay(HealthMachine.Gap(watched.States[index], check), _time, cancel);
            }
        }
        catch (OperationCanceledException) { /* no longer watched */ }
    }

    // It was asked: the gaps grow, nothing else changes.
    private static void Count(Watched watched, int index)
    {
        lock (watched.States) watched.States[index] = watched.States[index] with { Probes = Math.Min(watched.States[index].Probes + 1, 1_000_000) };
    }

    private async Task<ProbeAnswer> Ask(Watched watched, HealthCheck check, CancellationToken cancel)
    {
        try
        {
            return await _turns.Take(check.Protocol == HealthProtocol.Command, () => _probe.Ask(watched.Instance, check, watched.Container, cancel), cancel);
        }
        catch (Exception e) when (e is not OperationCanceledException) { return ProbeAnswer.Unwell(e.Message); }
    }

    /// <summary>True: the task is to be stopped; nothing more to ask.</summary>
    private bool Record(InstanceId id, Watched watched, int index, HealthCheck check, string? cause)
    {
        var now = _time.GetUtcNow();
        bool kill, tell;
        lock (watched.States)
        {
            var before = watched.States[index];
            (var next, kill) = HealthMachine.After(before, check, watched.Container.StartedAt ?? now, cause, now);
            watched.States[index] = next;
            kill &= MayStop;
            // The first cause at once, later ones with what else is told: quick early probes would tell it fifty times a second.
            tell = (next.FirstSuccess is null && before.Cause is null && cause is not null) || next.Known != before.Known || next.Alive != before.Alive || next.Failures != before.Failures;
            if (watched.Notes is { FirstAnswer: null, StartedTicks: { } started } && watched.States.All(s => s.Alive)) watched.Notes.FirstAnswer = _time.GetElapsedTime(started);
        }
        if (kill && !watched.Stop.IsCancellationRequested)
        {
            _log.LogWarning("{Task}: health check {Index} failed {Limit} times in a row ({Cause}): stopping it", watched.Instance.TaskId, index, check.MaxConsecutiveFailures, cause);
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
