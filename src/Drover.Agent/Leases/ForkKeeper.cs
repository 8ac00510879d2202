using Drover.Agent.Reconcile;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Leases;

/// <summary>Keeps what this node wrote and its successor never got: as a snapshot, before the node becomes a standby of the new primary.</summary>
public sealed class ForkKeeper(Orders orders, NodeBook book, IVolumeDriver volumes, KeyedLocks locks, IObservations observations, ILogger<ForkKeeper> log) : BackgroundService
{
    private static readonly TimeSpan Again = TimeSpan.FromSeconds(1);
    private readonly SemaphoreSlim _ordered = new(0, 1);

    public override void Dispose()
    {
        _ordered.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        orders.Changed += OnOrders;
        try
        {
            while (true)
            {
                var open = orders.Fresh && await KeepAll(stoppingToken);
                // Orders wake it; what could not be done is tried again.
                await _ordered.WaitAsync(open ? Again : Timeout.InfiniteTimeSpan, stoppingToken);
            }
        }
        finally { orders.Changed -= OnOrders; }
    }

    private void OnOrders(NodeDesired before, NodeDesired after)
    {
        lock (_ordered) if (_ordered.CurrentCount == 0) _ordered.Release();
    }

    /// <summary>True: something is left to do.</summary>
    private async Task<bool> KeepAll(CancellationToken cancel)
    {
        var open = false;
        foreach (var order in orders.Current.Volumes.Values.Where(v => v.ForkEpoch > 0 && v.Role == VolumeRole.Standby))
        {
            try { open |= await Keep(order, cancel) is { } waits && Say(order, waits); }
            catch (Exception e) when (e is not OperationCanceledException) { open = Say(order, e.Message); }
        }
        return open;
    }

    private bool Say(DesiredVolume order, string waits)
    {
        log.LogWarning("Volume {Volume}: what this node wrote at epoch {Epoch} is not yet kept: {Waits}", order.Name, order.ForkEpoch, waits);
        return true;
    }

    /// <summary>Null: it is kept, and told.</summary>
    public async Task<string?> Keep(DesiredVolume order, CancellationToken cancel)
    {
        var (name, epoch) = (new VolumeName(order.Name), new Epoch(order.ForkEpoch));
        using var held = await locks.Take([KeyedLocks.Volume(order.Name)], cancel);
        if (await book.Replica(name, cancel) is { HasLive: true } live && live.Epoch == epoch)
        {
            if (await book.RunningWith(name, except: null, cancel) is { } user) return $"container of task {user} still runs with it";
            if (await volumes.Unmount(name, cancel) is { Ok: false } mounted) return mounted.Message;
            if (await volumes.Seal(name, true, epoch, cancel) is { Ok: false } busy) return busy.Message;
            var fork = await volumes.Snapshot(name, Promotion.ForkName(epoch), epoch, cancel);
            if (!fork.Ok) return fork.Message;
            log.LogWarning("Volume {Volume}: another node was promoted; what this node wrote is kept as snapshot {Snapshot}", order.Name, fork.Value!.Name);
            // Safe: all of it is in the snapshot just taken, which is complete and on disk and which no move removes.
            if (await volumes.Remove(name, new Removal([], Live: true, new(order.Epoch), Everything: false), cancel) is { Ok: false } kept) return kept.Message;
        }
        if (await book.Replica(name, cancel) is { } replica) observations.Tell(new FromAgent { Volume = NodeBook.Observed(replica, order) });
        return null;
    }
}
