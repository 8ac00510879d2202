using Drover.Agent.Containers;
using Drover.Agent.Reconcile;
using Drover.Agent.Volumes;
using Drover.Core;

namespace Drover.Agent.Leases;

/// <summary>Keeps a guard running and its list short, and stops this node's writers gently before the lease ends; the guard does it hard where this could not.</summary>
public sealed class LeaseKeeper(NodeLease lease, NodeBook book, Reconciler reconciler, IContainerRuntime containers, IVolumeDriver volumes, KeyedLocks locks, TimeProvider time,
    ILogger<LeaseKeeper> log, LeaseMeters? meters = null)
    : BackgroundService
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(30);
    private const int LooksBetweenTidying = 60;
    private bool _stopped, _counted;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The guard first: what runs from before must be guarded also while this agent still looks around.
        await Look(stoppingToken);
        await reconciler.Surveyed.WaitAsync(stoppingToken);
        var (running, ids) = Writers(c => c.State == ContainerState.Running);
        lease.Adopt(running, ids);
        lease.Gained += reconciler.WakeAll;
        try
        {
            using var timer = new PeriodicTimer(LookEvery, time);
            for (var looks = 1; await timer.WaitForNextTickAsync(stoppingToken); looks++)
            {
                await Look(stoppingToken);
                if (looks % LooksBetweenTidying == 0) TidyUp();
            }
        }
        finally { lease.Gained -= reconciler.WakeAll; }
    }

    private void TidyUp()
    {
        try { Tidy(); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { log.LogWarning("The guard's list could not be shortened, which is tried again: {Error}", e.Message); }
    }

    /// <summary>One look: the guard lives, and no writer runs past its time.</summary>
    public async Task Look(CancellationToken cancel)
    {
        try
        {
            if (!await lease.Guarded(cancel)) log.LogError("No guard runs: containers with volumes are not started until one does");
            if (!lease.MustStop) { _stopped = _counted = false; return; }
            if (!reconciler.Surveyed.IsCompleted) return;
            if (!lease.BeginStop()) return;
            // One that never had a lease has lost none.
            if (!_counted && lease.Held.AskedAt is not null) meters?.Lost();
            _counted = true;
            // An engine that does not answer must not keep this from looking at the guard again.
            using var patience = new CancellationTokenSource(StopPatience, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, patience.Token);
            if (await StopWriters(either.Token)) _stopped = true;
        }
        catch (Exception e) when (!cancel.IsCancellationRequested) { log.LogError("Writers could not be stopped, the guard will: {Error}", e.Message); }
    }

    /// <summary>True: none runs any more and all is sealed.</summary>
    private async Task<bool> StopWriters(CancellationToken cancel)
    {
        var running = book.Containers.Where(c => c.State == ContainerState.Running && Epochs(c).Count > 0).ToList();
        if (running.Count == 0 && _stopped) return true;
        if (running.Count > 0)
            log.LogWarning("No word from the control plane for the time of the lease: stopping {Count} containers with volumes, their data is sealed until the lease is renewed", running.Count);
        await Task.WhenAll(running.Select(c => Stop(c, cancel)));
        var sealedAll = true;
        foreach (var replica in await volumes.List(cancel))
        {
            if (replica is not { HasLive: true, Sealed: false }) continue;
            using var held = await locks.Take([KeyedLocks.Volume(replica.Name.Value)], cancel);
            if (!lease.MustStop) return false;
            if (await book.RunningWith(replica.Name, except: null, cancel) is not null) { sealedAll = false; continue; }
            // Safe at any time: sealing takes nothing away, and is undone when the lease is renewed.
            sealedAll &= (await volumes.Seal(replica.Name, true, replica.Epoch, cancel)).Ok;
        }
        return sealedAll;
    }

    private async Task Stop(ContainerView container, CancellationToken cancel)
    {
        var grace = lease.Held.EndsAt is { } end && end - lease.Now is { } left && left > TimeSpan.Zero ? left : TimeSpan.Zero;
        var own = AgentPlanner.Grace(container);
        var notes = book.Notes(container.Task);
        (notes.StoppedByUs, notes.StoppedBecause) = (true, "its node could not reach the control plane for the time of its lease: stopped, its data sealed");
        await containers.Stop(container.Task, own < grace ? own : grace, cancel);
        await book.Refresh(container.Task, cancel);
    }

    private void Tidy()
    {
        var (known, ids) = Writers(c => c.State != ContainerState.Exited);
        lease.Keep(known, ids);
    }

    private (IReadOnlySet<(VolumeName, Epoch)> Volumes, IReadOnlySet<string> Containers) Writers(Func<ContainerView, bool> which)
    {
        var chosen = book.Containers.Where(c => which(c) && Epochs(c).Count > 0).ToList();
        return (chosen.SelectMany(c => Epochs(c).Select(e => (e.Key, e.Value))).ToHashSet(), chosen.Select(c => c.ContainerId).ToHashSet());
    }

    private static IReadOnlyDictionary<VolumeName, Epoch> Epochs(ContainerView container) => ContainerEpochs.Parse(container.Labels.GetValueOrDefault(ContainerLabels.Epochs));
}
