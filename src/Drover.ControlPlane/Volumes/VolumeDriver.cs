using System.Collections.Concurrent;
using Drover.ControlPlane.Agents;
using Drover.Core;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Volumes;

/// <summary>Takes every open operation on a volume forward. It remembers nothing that matters: each pass reads where the operation stands, has its step done and stores what came of it.
/// A step waits for its node over reconnects and restarts of the agent.</summary>
public sealed class VolumeDriver(ICluster cluster, IAgentConnections agents, TimeProvider time, ILogger<VolumeDriver> log) : BackgroundService
{
    private static readonly TimeSpan StoreRetry = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<OperationId, bool> _driven = new();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var tasks = new List<Task>();
        var commits = cluster.Watch(stoppingToken);
        try
        {
            TakeUp(cluster.Current, tasks, stoppingToken);
            await foreach (var commit in commits) TakeUp(commit.After, tasks, stoppingToken);
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
        while (cluster.Current is var state && state.Operations.TryGetValue(id, out var operation) && !operation.Ended)
        {
            if (operation.NextAt - time.GetUtcNow() is { } left && left > TimeSpan.Zero) await Task.Delay(left, time, cancel);
            var step = VolumeMachine.Step(state, operation);
            var result = await agents.Run(step.Node, VolumeOrders.Of(state, operation, step), null, cancel);
            var after = await cluster.Decide(now => VolumeMachine.Take(now, operation, VolumeOrders.Came(result), time.GetUtcNow()), cancel);
            if (after is { Ended: true }) log.LogInformation("operation {Operation}: {Verb} of {Volume} is {Stage}{Failure}", id, after.Verb, after.Volume, after.Stage, after.Failure is null ? "" : $" ({after.Failure})");
        }
    }
}
