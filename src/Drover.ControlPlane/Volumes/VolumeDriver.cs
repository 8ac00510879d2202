using System.Collections.Concurrent;
using Drover.ControlPlane.Agents;
using Drover.Core;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Volumes;

/// <summary>Takes every open operation on a volume forward. It remembers nothing that matters: each pass reads where the operation stands, has its step done and stores what came of it.
/// A step waits for its node over reconnects and restarts of the agent; where nothing is lost by it, not for longer than <see cref="Patience"/>.</summary>
public sealed class VolumeDriver(ICluster cluster, IAgentConnections agents, IChance chance, TimeProvider time, ILogger<VolumeDriver> log, VolumeStreams? streams = null) : BackgroundService
{
    /// <summary>With a node that is away, before what waits for it is given up.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>For how long a primary's word is enough to delete its standby.</summary>
    public static readonly TimeSpan WordHolds = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan StoreRetry = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<OperationId, bool> _driven = new();
    private readonly Dictionary<OperationId, (VolumeOperation Seen, NodeId Node, CancellationTokenSource Over)> _waiting = [];
    // Presence is not stored: who is not seen yet may just have had no time to come back.
    private readonly DateTimeOffset _knownSince = time.GetUtcNow();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var tasks = new List<Task>();
        var commits = cluster.Watch(stoppingToken);
        try
        {
            TakeUp(cluster.Current, tasks, stoppingToken);
            await foreach (var commit in commits)
            {
                TakeUp(commit.After, tasks, stoppingToken);
                if (!ReferenceEquals(commit.Before.Presence, commit.After.Presence) || !ReferenceEquals(commit.Before.Operations, commit.After.Operations)) Look();
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process ends; operations go on from what is stored.
        }
        await Task.WhenAll(tasks);
    }

    private void TakeUp(ClusterState state, List<Task> tasks, CancellationToken cancel)
    {
        tasks.RemoveAll(t => t.IsCompleted);
        foreach (var operation in state.OpenOperations)
            if (_driven.TryAdd(operation.Id, true)) tasks.Add(Task.Run(() => Keep(operation.Id, cancel), CancellationToken.None));
    }

    private async Task Keep(OperationId id, CancellationToken cancel)
    {
        try
        {
            while (!cancel.IsCancellationRequested)
            {
                try
                {
                    await Drive(id, cancel);
                    return;
                }
                catch (Exception failure) when (failure is not OperationCanceledException)
                {
                    log.LogError(failure, "operation {Operation}: a pass failed and is repeated in {Seconds} s", id, StoreRetry.TotalSeconds);
                    await Task.Delay(StoreRetry, time, cancel);
                }
            }
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // The process ends; the operation goes on from what is stored.
        }
        finally
        {
            _driven.TryRemove(id, out _);
        }
    }

    private async Task Drive(OperationId id, CancellationToken cancel)
    {
        // Remembered here alone: the word of a primary is worth nothing after this process' end.
        VolumeOperation? vouched = null;
        while (cluster.Current is var state && state.Operations.TryGetValue(id, out var operation) && !operation.Ended)
        {
            if (operation.NextAt - time.GetUtcNow() is { } left && left > TimeSpan.Zero)
            {
                await Task.Delay(left, time, cancel);
                continue;
            }
            var happened = VolumeMachine.Stays(state, operation, vouched) ?? Unsent(operation) ?? await Do(state, operation, VolumeMachine.Step(state, operation), cancel);
            var after = await cluster.Decide(now => VolumeMachine.Take(now, operation, happened, time.GetUtcNow()), cancel);
            vouched = operation.Stage == VolumeStage.Checking && happened is VolumeEvent.Done ? after : null;
            if (after is { Ended: true }) log.LogInformation("operation {Operation}: {Verb} of {Volume} is {Stage}{Failure}", id, after.Verb, after.Volume, after.Stage, after.Failure is null ? "" : $" ({after.Failure})");
        }
    }

    /// <summary>A file is held by the request that brings it, and by nothing that outlives this process.</summary>
    private VolumeEvent? Unsent(VolumeOperation operation) => operation.Stage != VolumeStage.Receiving || streams?.Knows(operation.Id.Value) == true ? null
        : new VolumeEvent.Failed(StepFailure.Operator, "its file is not being sent any more (its sender has gone, or the control plane was started again): send it again");

    private async Task<VolumeEvent> Do(ClusterState state, VolumeOperation operation, VolumeStep step, CancellationToken cancel)
    {
        var dropsStandby = operation is { Verb: VolumeVerb.Prune, Stage: VolumeStage.Dropping };
        using var over = new CancellationTokenSource(dropsStandby ? WordHolds : Timeout.InfiniteTimeSpan, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(over.Token, cancel);
        lock (_waiting) _waiting[operation.Id] = (operation, step.Node, over);
        Look();
        try
        {
            return VolumeOrders.Came(await agents.Run(step.Node, VolumeOrders.Of(state, operation, step, chance.NewGuid()), null, either.Token));
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            return dropsStandby ? VolumeMachine.WentAway : new VolumeEvent.Failed(StepFailure.Operator, $"node '{step.Node}' is away: nothing was changed, ask again when it is back");
        }
        finally
        {
            lock (_waiting) _waiting.Remove(operation.Id);
        }
    }

    /// <summary>Lets go of each step that nobody waits for any more (its node was removed, or a standby was promoted), and sets for each that waits when its node will have been away for too long.</summary>
    private void Look()
    {
        lock (_waiting)
        {
            var state = cluster.Current;
            foreach (var (seen, node, over) in _waiting.Values.ToList())
            {
                if (over.IsCancellationRequested) continue;
                if (!VolumeMachine.StandsWhere(state, seen)) { _ = over.CancelAsync(); continue; }
                if (!VolumeMachine.MayGiveUp(seen)) continue;
                if (MoveWatch.AwaySince(state, node, _knownSince) is not { } since) over.CancelAfter(Timeout.InfiniteTimeSpan);
                else if (since + Patience - time.GetUtcNow() is var left && left > TimeSpan.Zero) over.CancelAfter(left);
                else _ = over.CancelAsync();
            }
        }
    }
}
