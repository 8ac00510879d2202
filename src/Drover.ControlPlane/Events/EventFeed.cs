using System.Collections.Concurrent;
using System.Globalization;
using Drover.Contracts.Api;
using Drover.ControlPlane.Marathon;
using Drover.ControlPlane.Moves;
using Drover.Core;
using Drover.Core.State;

namespace Drover.ControlPlane.Events;

/// <summary>Takes what commits say and what agents say of transfers into the ring. Progress of one move at most four times a second.</summary>
public sealed class EventFeed(ICluster cluster, EventRing ring, MoveProgressBoard board, TimeProvider time, ILogger<EventFeed> log) : IHostedService, IDisposable
{
    private static readonly TimeSpan ProgressPause = TimeSpan.FromMilliseconds(250);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<MoveId, DateTimeOffset> _told = new();
    private Task _reading = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        // Watching begins before this returns: nothing that is decided after the start goes untold.
        var commits = cluster.Watch(_stop.Token);
        board.Changed += Progressed;
        var again = !cluster.Current.Nodes.IsEmpty || !cluster.Current.Apps.IsEmpty;
        ring.Put(sequence => new(Views.Of(sequence, time.GetUtcNow(), new("control.started", "", "the control plane began")), [MarathonEvents.Registered("drover", again, time.GetUtcNow())]));
        _reading = Task.Run(() => Read(commits), CancellationToken.None);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        board.Changed -= Progressed;
        await _stop.CancelAsync();
        await _reading.WaitAsync(cancellationToken);
        ring.Put(sequence => new(Views.Of(sequence, time.GetUtcNow(), new("control.stopping", "", "the control plane stops")), [MarathonEvents.Disconnected(time.GetUtcNow())]));
    }

    public void Dispose() => _stop.Dispose();

    private async Task Read(IAsyncEnumerable<Committed> commits)
    {
        try
        {
            await foreach (var commit in commits) Take(commit);
        }
        catch (OperationCanceledException)
        {
            // The process stops.
        }
        catch (Exception fault)
        {
            log.LogError(fault, "events are not told any more; restart the control plane to have them again");
        }
    }

    private void Take(Committed commit)
    {
        if (commit.Missed)
            ring.Put(sequence => new(Views.Of(sequence, commit.At, new("events.missed", "", "more happened than could be told; read the state again")), []));
        foreach (var happened in commit.Events.Concat(DerivedEvents.Of(commit)))
            ring.Put(sequence => new(Views.Of(sequence, commit.At, happened), MarathonEvents.Of(happened, commit)));
        foreach (var change in commit.Changes)
        {
            if (change is ClusterChange.PutMove { Move.Ended: true } ended) _told.TryRemove(ended.Move.Id, out _);
        }
    }

    private void Progressed(MoveId id)
    {
        var now = time.GetUtcNow();
        if (_told.TryGetValue(id, out var last) && now - last < ProgressPause) return;
        if (!cluster.Current.Moves.TryGetValue(id, out var move) || move.Ended || board.Of(move) is not { } progress) return;
        _told[id] = now;
        var text = string.Create(CultureInfo.InvariantCulture, $"{move.App}: {progress.Doing}, {new ByteCount(progress.Bytes)} of round {progress.Round}");
        var happened = new ClusterEvent("move.changed", id.Value, text) { App = move.App, Instance = move.Instance, Node = move.Target, Move = id, State = move.State.ToString() };
        ring.Put(sequence => new(Views.Of(sequence, now, happened), []), keep: false);
    }

    private static class Views
    {
        public static EventView Of(long sequence, DateTimeOffset at, ClusterEvent e) =>
            new(sequence, at, e.Kind, e.Subject, e.Text, e.App?.Value, e.Instance?.Value, e.Node?.Value, e.Volume?.Value, e.Move?.Value, e.Deployment?.Value, e.State);
    }
}
