using System.Diagnostics;
using Drover.ControlPlane.Agents;
using Drover.Contracts.Agent;
using Drover.Contracts.Tracing;
using Drover.Core;
using Drover.Core.Moves;

namespace Drover.ControlPlane.Moves;

/// <summary>Has agents do the steps of a move's state, side by side, and says what came of them as one event.</summary>
public sealed class MoveStepRunner(ICluster cluster, IAgentConnections agents, MoveOrders orders, MoveProgressBoard board, TimeProvider time, ILogger<MoveStepRunner> log)
{
    /// <summary>Longest wait for a connected target to clean up after an undone move: the source serves already.</summary>
    public static readonly TimeSpan CleanUpLimit = TimeSpan.FromMinutes(1);

    /// <summary>Longest wait for a target's word before the commit: the app stands still.</summary>
    public static readonly TimeSpan AttendLimit = TimeSpan.FromSeconds(3);

    /// <summary>Never ends by itself where the state has no steps: then only the cluster's word takes the move on.</summary>
    public async Task<MoveEvent> Run(Move move, DateTimeOffset since, CancellationToken cancel)
    {
        await Task.Delay(MoveMachine.Delay(move), time, cancel);
        var steps = MoveMachine.Steps(cluster.Current, move);
        switch (move.State)
        {
            case MoveState.Retiring when steps.Count == 0:
                return new MoveEvent.Retired();
            case MoveState.Unwinding:
                return await Unwind(move, steps, since, cancel);
            case var _ when steps.Count == 0:
                await Task.Delay(Timeout.InfiniteTimeSpan, time, cancel);
                throw new System.Diagnostics.UnreachableException();
            default:
                var outcome = await SideBySide(move, steps, cancel);
                return move.State == MoveState.FinalDelta && outcome is MoveEvent.RoundSent ? await Attended(move, outcome, cancel) : outcome;
        }
    }

    /// <summary>After the commit there is no way back: a target that nobody reaches any more would keep the app down for as long as that lasts. So it says a word before.</summary>
    private async Task<MoveEvent> Attended(Move move, MoveEvent sent, CancellationToken cancel)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var word = agents.Run(move.Target, new Step { MoveId = move.Id.Value, StepId = $"{move.Id}-attend-{move.Attempts}", Attend = new() }, null, limited.Token);
        var patience = Task.Delay(AttendLimit, time, limited.Token);
        var first = await Task.WhenAny(word, patience);
        await limited.CancelAsync();
        await Silence([word, patience]);
        cancel.ThrowIfCancellationRequested();
        // Whatever it says: an agent of before does not know the question, and answers that.
        return first == word ? sent : new MoveEvent.StepFailed(move.State, move.Rounds.Count, move.Attempts, StepFailure.Refused,
            $"node '{move.Target}' has all data and does not answer the control plane: the app was not to wait longer; move again when it is back");
    }

    private async Task<MoveEvent> SideBySide(Move move, EquatableList<MoveStep> steps, CancellationToken cancel)
    {
        using var together = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var running = steps.Select(step => One(move, step, together.Token)).ToList();
        var open = new List<Task<StepResult>>(running);
        while (open.Count > 0)
        {
            var ended = await Task.WhenAny(open);
            open.Remove(ended);
            var result = await ended;
            if (result.Error.Length == 0) continue;
            await together.CancelAsync();
            await Silence(open);
            return Failed(move, result);
        }
        return Done(move, steps, [.. running.Select(t => t.Result)]);
    }

    private static MoveEvent Done(Move move, EquatableList<MoveStep> steps, IReadOnlyList<StepResult> results)
    {
        switch (steps[0])
        {
            case MoveStep.PrepareTarget:
                var source = results.Count > 1 ? results[1].Volumes.Select(MoveOrders.Seen).ToEquatableList() : [];
                return new MoveEvent.Prepared(source, results[0].Volumes.Select(MoveOrders.Seen).ToEquatableList(), new ByteCount(results[0].PoolFreeBytes))
                {
                    TargetReserve = new ByteCount(results[0].PoolReserveBytes), LiveIsCopied = results[0].LiveIsCopied,
                };
            case MoveStep.SendRound round when results[0].Round is { } outcome:
                return new MoveEvent.RoundSent(MoveOrders.Measured(round, outcome));
            case MoveStep.SendRound:
                return new MoveEvent.StepFailed(move.State, move.Rounds.Count, move.Attempts, StepFailure.Operator, $"the agent on '{move.Source}' ended a round without its measures: its version does not fit this control plane's");
            case MoveStep.RunPreStop when results[0].PreStop is { } ended:
                return new MoveEvent.PreStopped(ended.Ok, ended.Said.Length > 0 ? ended.Said : null);
            case MoveStep.RunPreStop:
                return new MoveEvent.StepFailed(move.State, move.Rounds.Count, move.Attempts, StepFailure.Operator, $"the agent on '{move.Source}' ended the preStop command without its outcome: its version does not fit this control plane's");
            case MoveStep.ThrottleInstance throttle:
                return new MoveEvent.Throttled(throttle.Level);
            case MoveStep.StopInstance:
                return new MoveEvent.Stopped(MoveOrders.Micros(results[0].AppStopUs)) { SinceRequest = results[0].SinceStopUs > 0 ? MoveOrders.Micros(results[0].SinceStopUs) : null };
            default:
                return new MoveEvent.Retired();
        }
    }

    /// <summary>The source must be given back, however long that takes; the target is cleaned up if it can be.</summary>
    private async Task<MoveEvent> Unwind(Move move, EquatableList<MoveStep> steps, DateTimeOffset since, CancellationToken cancel)
    {
        using var together = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var target = CleanTarget(move, steps.Items.OfType<MoveStep.UnwindTarget>().Single(), since, together.Token);
        var source = await One(move, steps.Items.OfType<MoveStep.UnwindSource>().Single(), cancel);
        if (source.Error.Length > 0)
        {
            await together.CancelAsync();
            await Silence([target]);
            return Failed(move, source);
        }
        var (result, left) = await target;
        if (left is not null) return new MoveEvent.Unwound(left);
        var again = result!.Error.Length > 0 && MoveOrders.Failure(result.ErrorKind) == StepFailure.Retry && move.Attempts < MoveMachine.AttemptLimit(move);
        return again ? Failed(move, result) : new MoveEvent.Unwound(result.Error.Length > 0 ? result.Error : null);
    }

    private async Task<(StepResult? Result, string? Left)> CleanTarget(Move move, MoveStep.UnwindTarget step, DateTimeOffset since, CancellationToken cancel)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var work = One(move, step, limited.Token);
        var patience = Task.Delay(agents.IsConnected(move.Target) ? CleanUpLimit : Left(move, since), time, limited.Token);
        var first = await Task.WhenAny(work, patience);
        if (first == work) return (await work, null);
        await limited.CancelAsync();
        await Silence([work, patience]);
        cancel.ThrowIfCancellationRequested();
        return (null, $"node '{move.Target}' did not answer");
    }

    private TimeSpan Left(Move move, DateTimeOffset since) =>
        MoveWatch.IsLost(cluster.Current, move, move.Target, time.GetUtcNow(), since) ? TimeSpan.Zero : MoveMachine.AwayLimit(move);

    private async Task<StepResult> One(Move move, MoveStep step, CancellationToken cancel)
    {
        try
        {
            var (node, order) = orders.Of(cluster.Current, move, step, time.GetUtcNow());
            using var span = Traces.Begin($"order {order.WorkCase}", move.Trace, ActivityKind.Client);
            span?.SetTag("drover.move", move.Id.Value).SetTag("drover.node", node.Value).SetTag("drover.step", order.StepId);
            order.TraceParent = span?.Id ?? "";
            var result = await agents.Run(node, order, said => board.Report(move.Id, said), cancel);
            if (result.Error.Length > 0) span.Failed(result.Error);
            return result;
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            log.LogWarning(failure, "move {Move}: step {Step} could not be ordered", move.Id, step.GetType().Name);
            return new StepResult { MoveId = move.Id.Value, Error = failure.Message, ErrorKind = StepErrorKind.Retry };
        }
    }

    private static MoveEvent.StepFailed Failed(Move move, StepResult result) =>
        new(move.State, move.Rounds.Count, move.Attempts, MoveOrders.Failure(result.ErrorKind), result.Error);

    /// <summary>Lets steps that were cancelled come to their end; their outcome does not matter any more.</summary>
    private static async Task Silence(IEnumerable<Task> cancelled)
    {
        foreach (var task in cancelled)
        {
            try
            {
                await task;
            }
            catch (OperationCanceledException)
            {
                // As asked.
            }
        }
    }
}
