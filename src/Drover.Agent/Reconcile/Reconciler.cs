using System.Collections.Concurrent;
using System.Collections.Immutable;
using Drover.Agent.Containers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Contracts.Tracing;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>Makes this node what it should be: one worker an instance, woken by orders, container events and volumes; each looks, plans, does.</summary>
public sealed class Reconciler(
    Orders orders, NodeBook book, IContainerRuntime containers, InstanceWork work, HealthChecks health, KeyedLocks locks, IObservations observations, TimeProvider time,
    ILogger<Reconciler> log) : BackgroundService
{
    /// <summary>Instances worked on at once: starts are heavy on a node's disk.</summary>
    private const int WorkersAtOnce = 16;
    private const int RoundsOfOneVisit = 8;
    private static readonly TimeSpan ShortestRetry = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<InstanceId, Visit> _visits = new();
    private readonly ConcurrentDictionary<InstanceId, InstanceObserved> _told = new();
    private readonly Lock _telling = new();
    private readonly SemaphoreSlim _workers = new(WorkersAtOnce);
    private readonly TaskCompletionSource _surveyed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationToken _stopping;

    private sealed class Visit
    {
        public bool AtWork;
        public bool Again;
    }

    /// <summary>Done once everything that runs here is known: only then can Hello tell the truth.</summary>
    public Task Surveyed => _surveyed.Task;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        _stopping = stoppingToken;
        orders.Changed += OnOrders;
        health.Changed += OnHealth;
        try
        {
            for (var failures = 0; !stoppingToken.IsCancellationRequested; failures++)
            {
                try
                {
                    await Follow(() => failures = 0, stoppingToken);
                    log.LogWarning("The container engine closed its stream of events: opening it again");
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    log.LogError("The container engine does not answer ({Error}): trying again", e.Message);
                }
                await Task.Delay(Retry(failures), time, stoppingToken);
            }
        }
        finally
        {
            orders.Changed -= OnOrders;
            health.Changed -= OnHealth;
        }
    }

    /// <summary>Subscribes first, then looks at everything: nothing is missed in between.</summary>
    private async Task Follow(Action answered, CancellationToken cancel)
    {
        await using var events = containers.Watch(cancel).GetAsyncEnumerator(cancel);
        var next = events.MoveNextAsync().AsTask();
        await book.Survey(cancel);
        answered();
        _surveyed.TrySetResult();
        WakeAll();
        while (await next)
        {
            await Seen(events.Current, cancel);
            next = events.MoveNextAsync().AsTask();
        }
    }

    private async Task Seen(ContainerEvent seen, CancellationToken cancel)
    {
        var before = book.Container(seen.Task);
        var view = await book.Refresh(seen.Task, cancel) ?? before;
        if (view is null) return;
        Wake(view.Instance);
        if (seen.Kind is not (ContainerEventKind.Died or ContainerEventKind.Removed)) return;
        // Somebody else may wait for the volumes it had.
        var freed = ContainerEpochs.Parse(view.Labels.GetValueOrDefault(ContainerLabels.Epochs)).Keys.Select(v => v.Value).ToHashSet();
        foreach (var (id, wanted) in orders.Current.Instances)
            if (wanted.Volumes.Any(v => freed.Contains(v.Name))) Wake(id);
    }

    private void OnOrders(NodeDesired before, NodeDesired after)
    {
        foreach (var id in after.ChangedSince(before))
        {
            _told.TryRemove(id, out _); // control asked anew: it is told again even when nothing changed here
            Wake(id);
        }
        if (ReferenceEquals(before, NodeDesired.None)) WakeAll();
    }

    private void OnHealth(InstanceId instance, bool act)
    {
        // One that ended is told by its visit, which reads its last words first.
        if (act || book.Of(instance).Any(c => c.State == ContainerState.Exited)) Wake(instance);
        else Tell(instance);
    }

    /// <summary>A new stream to control: it is told everything, by Hello and by what comes after.</summary>
    public void ForgetWhatWasTold() => _told.Clear();

    public void WakeAll()
    {
        foreach (var id in orders.Current.Instances.Keys.Union(book.Containers.Select(c => c.Instance))) Wake(id);
    }

    /// <summary>Has the instance looked at, soon; many calls are one.</summary>
    public void Wake(InstanceId instance)
    {
        var visit = _visits.GetOrAdd(instance, static _ => new());
        lock (visit)
        {
            visit.Again = true;
            if (visit.AtWork || _stopping.IsCancellationRequested) return;
            visit.AtWork = true;
        }
        _ = Task.Run(() => Attend(instance, visit), CancellationToken.None);
    }

    private async Task Attend(InstanceId instance, Visit visit)
    {
        while (true)
        {
            lock (visit)
            {
                if (!visit.Again || _stopping.IsCancellationRequested) { visit.AtWork = false; return; }
                visit.Again = false;
            }
            try
            {
                await _workers.WaitAsync(_stopping);
                try { await Converge(instance, _stopping); }
                finally { _workers.Release(); }
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested) { /* the agent ends: what is open is found again at the next start */ }
            catch (Exception e)
            {
                log.LogError("Instance {Instance}: {Error}", instance, e.Message);
                SayWaiting(instance, e.Message);
                Later(instance);
            }
        }
    }

    private async Task Converge(InstanceId instance, CancellationToken cancel)
    {
        await _surveyed.Task.WaitAsync(cancel);
        using var held = await locks.Take(Keys(instance), cancel);
        for (var round = 0; round < RoundsOfOneVisit; round++)
        {
            var wanted = orders.Current.Instances.GetValueOrDefault(instance);
            var sight = await work.Look(instance, wanted, cancel);
            // Until control has spoken, what runs goes on running: nothing is started or stopped out of memory.
            var plan = orders.Fresh || AgentPlanner.Unchecked ? AgentPlanner.Plan(sight) : [];
            if (plan.Length == 0) { await Settled(instance, wanted, sight, cancel); return; }
            using var span = Traces.Begin(string.Join(", ", plan.Select(s => s.GetType().Name)), wanted?.TraceParent);
            span?.SetTag("drover.instance", instance.Value).SetTag("drover.task", wanted?.TaskId).SetTag("drover.app", wanted?.AppId);
            var outcome = await work.Do(sight, plan, () => Tell(instance), cancel);
            await ReadLastWords(wanted, cancel); // told once: a program that ended at once must not lose its reason
            Tell(instance);
            if (outcome == WorkOutcome.Waits) { Watch(instance, wanted); Later(instance); return; }
        }
        Later(instance);
    }

    private async Task Settled(InstanceId instance, DesiredInstance? wanted, InstanceSight sight, CancellationToken cancel)
    {
        await ReadLastWords(wanted, cancel);
        if (wanted is { Wish: InstanceWish.Remove } && book.Container(new(wanted.TaskId)) is null)
        {
            // Nothing of it is left: that it failed or vanished before no longer matters.
            book.Forget(new(wanted.TaskId));
        }
        else if (wanted is not null)
        {
            var notes = book.Notes(new(wanted.TaskId));
            (notes.Doing, notes.Attempts) = (null, 0);
            if (!sight.Spent) notes.WaitsFor = null;
        }
        Watch(instance, wanted);
        Tell(instance);
        if (wanted is null && sight.Containers.IsEmpty) _visits.TryRemove(instance, out _);
    }

    private async Task ReadLastWords(DesiredInstance? wanted, CancellationToken cancel)
    {
        if (wanted is { Wish: InstanceWish.Run } && book.Container(new(wanted.TaskId)) is { State: ContainerState.Exited } ended) await work.ReadLastWords(ended, cancel);
    }

    private void Watch(InstanceId instance, DesiredInstance? wanted)
    {
        if (wanted is { Wish: InstanceWish.Run or InstanceWish.Hold } && book.Container(new(wanted.TaskId)) is { State: ContainerState.Running, Frozen: false } running) health.Watch(wanted, running, book.Notes(running.Task));
        else health.Leave(instance);
    }

    private IEnumerable<string> Keys(InstanceId instance)
    {
        yield return KeyedLocks.Instance(instance.Value);
        foreach (var volume in orders.Current.Instances.GetValueOrDefault(instance)?.Volumes.Select(v => v.Name) ?? []) yield return KeyedLocks.Volume(volume);
        foreach (var container in book.Of(instance))
            foreach (var volume in ContainerEpochs.Parse(container.Labels.GetValueOrDefault(ContainerLabels.Epochs)).Keys) yield return KeyedLocks.Volume(volume.Value);
    }

    private void SayWaiting(InstanceId instance, string message)
    {
        if (orders.Current.Instances.GetValueOrDefault(instance) is not { } wanted) return;
        var notes = book.Notes(new(wanted.TaskId));
        (notes.Doing, notes.WaitsFor) = (null, message);
        Tell(instance);
    }

    private void Later(InstanceId instance)
    {
        var wanted = orders.Current.Instances.GetValueOrDefault(instance);
        var attempts = wanted is null ? 3 : book.Notes(new(wanted.TaskId)).Attempts++;
        _ = WakeAfter(instance, Retry(attempts));
    }

    private async Task WakeAfter(InstanceId instance, TimeSpan delay)
    {
        try { await Task.Delay(delay, time, _stopping); }
        catch (OperationCanceledException) { return; /* the agent ends */ }
        Wake(instance);
    }

    private static TimeSpan Retry(int attempts) => TimeSpan.FromMilliseconds(Math.Min(LongestRetry.TotalMilliseconds, ShortestRetry.TotalMilliseconds * Math.Pow(2, Math.Min(attempts, 10))));

    /// <summary>Everything of all instances, for Hello.</summary>
    public IReadOnlyList<InstanceObserved> Observed() =>
        [.. orders.Current.Instances.Keys.Union(book.Containers.Select(c => c.Instance)).SelectMany(ObservedOf)];

    private IEnumerable<InstanceObserved> ObservedOf(InstanceId instance)
    {
        var wanted = orders.Current.Instances.GetValueOrDefault(instance);
        // An order that has left no trace here is nothing seen: control must learn that it is missing.
        if (wanted is not null && (orders.Fresh || book.Container(new(wanted.TaskId)) is not null)) yield return Observe(instance, wanted, new(wanted.TaskId));
        foreach (var other in book.Of(instance).Where(c => c.Task.Value != wanted?.TaskId)) yield return Observe(instance, null, other.Task);
    }

    private InstanceObserved Observe(InstanceId instance, DesiredInstance? wanted, TaskId task)
    {
        var seen = Observation.Of(wanted, book.Container(task), book.Notes(task), health.Of(instance, wanted), instance, task);
        if (seen.Condition == InstanceCondition.Running) seen.Readiness.AddRange(health.ReadinessOf(instance, wanted));
        if (seen is { Condition: InstanceCondition.Running, Message: "" }) seen.Message = health.Silence(instance, wanted) ?? "";
        return seen;
    }

    private void Tell(InstanceId instance)
    {
        if (orders.Current.Instances.GetValueOrDefault(instance) is not { } wanted) { _told.TryRemove(instance, out _); return; }
        lock (_telling) // what was seen later is told later
        {
            var seen = Observe(instance, wanted, new(wanted.TaskId));
            if (_told.TryGetValue(instance, out var before) && before.Equals(seen)) return;
            _told[instance] = seen;
            observations.Tell(new FromAgent { Instance = seen });
        }
    }
}
