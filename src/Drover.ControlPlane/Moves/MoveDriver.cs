using System.Collections.Concurrent;
using System.Threading.Channels;
using Drover.Contracts.Hosting;
using Drover.Core;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.ControlPlane.Moves;

/// <summary>Takes every open move forward. It remembers nothing that matters: each pass reads where the move stands, does that state's steps, and stores what came of them.</summary>
public sealed class MoveDriver(ICluster cluster, MoveStepRunner runner, MoveProgressBoard board, TimeProvider time, ILogger<MoveDriver> log) : BackgroundService
{
    private static readonly TimeSpan StoreRetry = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<MoveId, Channel<bool>> _driven = new();
    private DateTimeOffset _since;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        _since = time.GetUtcNow();
        var tasks = new List<Task>();
        var commits = cluster.Watch(stoppingToken);
        try
        {
            TakeUp(cluster.Current, tasks, stoppingToken);
            await foreach (var commit in commits)
            {
                TakeUp(commit.After, tasks, stoppingToken);
                foreach (var pulse in _driven.Values) pulse.Writer.TryWrite(true);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process ends; moves go on from what is stored.
        }
        await Task.WhenAll(tasks);
    }

    private void TakeUp(ClusterState state, List<Task> tasks, CancellationToken cancel)
    {
        tasks.RemoveAll(t => t.IsCompleted);
        foreach (var move in state.OpenMoves)
        {
            // One pulse is enough: whoever reads it looks at everything.
            var pulse = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
            if (_driven.TryAdd(move.Id, pulse)) tasks.Add(Task.Run(() => Keep(move.Id, pulse.Reader, cancel), CancellationToken.None));
        }
    }

    /// <summary>Drives one move to its end, over failures of the store and of this code.</summary>
    private async Task Keep(MoveId id, ChannelReader<bool> pulse, CancellationToken cancel)
    {
        try
        {
            while (!cancel.IsCancellationRequested)
            {
                try
                {
                    await Drive(id, pulse, cancel);
                    return;
                }
                catch (Exception failure) when (failure is not OperationCanceledException)
                {
                    log.LogError(failure, "move {Move}: a pass failed and is repeated in {Seconds} s", id, StoreRetry.TotalSeconds);
                    await Task.Delay(StoreRetry, time, cancel);
                }
            }
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // The process ends; the move goes on from what is stored.
        }
        finally
        {
            board.Forget(id);
            _driven.TryRemove(id, out _);
        }
    }

    private async Task Drive(MoveId id, ChannelReader<bool> pulse, CancellationToken cancel)
    {
        while (cluster.Current.Moves.TryGetValue(id, out var move) && !move.Ended)
        {
            var happened = MoveWatch.Look(cluster.Current, move, time.GetUtcNow(), _since) ?? await WorkOrHear(move, pulse, cancel);
            if (move.State == MoveState.FinalDelta && happened is MoveEvent.RoundSent) Failpoints.Reach("commit.begin");
            var after = await Take(move, happened, cancel);
            Failpoints.Reach($"{after?.State}.stored");
            using var trace = JsonLines.Within(log, move.Trace);
            if (after is not null && after.State != move.State)
                log.LogInformation("move {Move} of {App} from {Source} to {Target}: {State}{Failure}", id, after.App, after.Source, after.Target, after.State,
                    after.Failure is null ? "" : $" ({after.Failure})");
        }
    }

    /// <summary>Does the state's steps; what the cluster says meanwhile comes first, for then the steps have lost their purpose.</summary>
    private async Task<MoveEvent> WorkOrHear(Move move, ChannelReader<bool> pulse, CancellationToken cancel)
    {
        using var round = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var work = runner.Run(move, _since, round.Token);
        var hear = Hear(move, pulse, round.Token);
        var first = await Task.WhenAny(work, hear);
        await round.CancelAsync();
        try
        {
            await Task.WhenAll(work, hear);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            // The one that lost was cancelled.
        }
        // Both may have come to an end at the same time: work that is done is not thrown away.
        return work.IsCompletedSuccessfully ? await work : await first;
    }

    private async Task<MoveEvent> Hear(Move move, ChannelReader<bool> pulse, CancellationToken cancel)
    {
        while (true)
        {
            var state = cluster.Current;
            var current = state.Moves.GetValueOrDefault(move.Id) ?? move;
            // An operator's word has taken it elsewhere: the steps at work have lost their purpose, and folding this event changes nothing.
            if (!MoveDecisions.SamePlace(current, move)) return new MoveEvent.Waits(current.WaitsFor);
            switch (MoveWatch.Look(state, current, time.GetUtcNow(), _since))
            {
                // Said while the steps go on.
                case MoveEvent.Waits waits:
                    await Take(current, waits, cancel);
                    continue;
                case { } happened:
                    return happened;
            }
            await PulseOrDeadline(MoveWatch.Deadline(state, current, _since), pulse, cancel);
        }
    }

    private async Task PulseOrDeadline(DateTimeOffset? deadline, ChannelReader<bool> pulse, CancellationToken cancel)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var pulsed = pulse.ReadAsync(either.Token).AsTask();
        var left = deadline - time.GetUtcNow();
        var due = Task.Delay(left is { } span && span > TimeSpan.Zero ? span : Timeout.InfiniteTimeSpan, time, either.Token);
        var first = await Task.WhenAny(pulsed, due);
        await either.CancelAsync();
        // A pulse taken by a reader that was cancelled in the same moment is not lost: the caller looks at everything anyway.
        await first;
    }

    private Task<Move?> Take(Move move, MoveEvent happened, CancellationToken cancel) =>
        cluster.Decide(state => MoveDecisions.Take(state, move, happened, time.GetUtcNow()), cancel);
}
