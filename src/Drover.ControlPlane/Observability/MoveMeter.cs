using System.Diagnostics.Metrics;
using Drover.Contracts.Metrics;
using Drover.Core;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.ControlPlane.Observability;

/// <summary>Moves: those under way, how they ended, what they carried and what they cost the apps.</summary>
public sealed class MoveMeter : ICommitMeter
{
    private static readonly IReadOnlyList<double> Counts = [1, 2, 3, 4, 5, 6, 8, 10, 15, 20];
    private readonly Counter<long> _ended, _bytes, _wire, _resent;
    private readonly Histogram<double> _rounds, _stop, _added, _whole;

    public MoveMeter(MetricBook book, ICluster cluster, TimeProvider time)
    {
        var slice = book.Slice("Drover.ControlPlane.Moves");
        _ended = slice.Counter("drover_moves_total", "Moves that ended; trigger: what asked for them; outcome: `done`, `undone`.", "trigger", "outcome");
        foreach (var trigger in Enum.GetValues<MoveTrigger>()) foreach (var outcome in new[] { "done", "undone" }) slice.Always("drover_moves_total", ClusterMeter.Word(trigger), outcome);
        _bytes = slice.Counter("drover_move_sent_bytes_total", "Bytes of volumes' streams that moves sent, all rounds.");
        _wire = slice.Counter("drover_move_wire_bytes_total", "The same as bytes on the wire: fewer where they were compressed.");
        _resent = slice.Counter("drover_move_resent_bytes_total", "Of the streams, bytes sent again because a connection broke.");
        _rounds = slice.Histogram("drover_move_rounds", "Rounds of a move that is done, the final one among them.", Counts);
        _stop = slice.Histogram("drover_move_stop_seconds", "From the request to stop the app until it serves again at the target, of moves that are done.", MetricSlice.Stops);
        _added = slice.Histogram("drover_move_added_cutover_seconds", "The same less the app's own stop and start: what the move itself added.", MetricSlice.Stops);
        _whole = slice.Histogram("drover_move_seconds", "From the request for a move to its end.", MetricSlice.Waits, "outcome");
        slice.Gauge("drover_moves_open", "Moves under way, by state.", () => ClusterMeter.Counted("state", cluster.Current.OpenMoves, m => ClusterMeter.Word(m.State)), "state");
        slice.Gauge("drover_move_longest_in_state_seconds", "For how long the move that makes no progress longest has been in its state, by state.", () => cluster.Current.OpenMoves.GroupBy(m => m.State)
            .Select(g => MetricSlice.Of(g.Max(m => (time.GetUtcNow() - (m.History.Count > 0 ? m.History[^1].At : m.RequestedAt)).TotalSeconds), "state", ClusterMeter.Word(g.Key))), "state");
    }

    public void Seen(Committed commit)
    {
        var moves = new Followed<MoveId, Move>(commit.Before.Moves);
        foreach (var change in commit.Changes)
        {
            if (change is not ClusterChange.PutMove(var move)) continue;
            var before = moves.Becomes(move.Id, move);
            foreach (var round in move.Rounds.Items.Skip(before?.Rounds.Count ?? 0)) Sent(round);
            if (move.Ended && before is not { Ended: true }) Ended(move, commit.At);
        }
    }

    private void Sent(Round round)
    {
        _bytes.Add(round.Bytes.Bytes);
        _wire.Add(round.WireBytes.Bytes);
        _resent.Add(round.ResentBytes.Bytes);
    }

    private void Ended(Move move, DateTimeOffset at)
    {
        var outcome = new KeyValuePair<string, object?>("outcome", ClusterMeter.Word(move.State));
        _ended.Add(1, new("trigger", ClusterMeter.Word(move.Trigger)), outcome);
        _whole.Record((at - move.RequestedAt).TotalSeconds, outcome);
        if (move.State != MoveState.Done) return;
        _rounds.Record(move.Rounds.Count);
        if (move.Timings.Cutover is { } stop) _stop.Record(stop.TotalSeconds);
        if (move.Timings.Added is { } added) _added.Record(Math.Max(0, added.TotalSeconds));
    }
}
