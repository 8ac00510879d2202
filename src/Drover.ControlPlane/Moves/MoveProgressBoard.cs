using System.Collections.Concurrent;
using Drover.Contracts.Agent;
using Drover.Contracts.Api;
using Drover.Core;
using Drover.Core.Moves;

namespace Drover.ControlPlane.Moves;

/// <summary>What agents say of transfers under way. In memory alone: after a restart it fills again with the next word of an agent. One entry for each open move.</summary>
public sealed class MoveProgressBoard
{
    private readonly ConcurrentDictionary<MoveId, ImmutableProgress> _moves = new();

    /// <summary>Raised after each word of an agent, on the thread that brought it.</summary>
    public event Action<MoveId>? Changed;

    public void Report(MoveId move, StepProgress said)
    {
        _moves.AddOrUpdate(move, _ => ImmutableProgress.None.With(said), (_, known) => known.With(said));
        Changed?.Invoke(move);
    }

    public void Forget(MoveId move) => _moves.TryRemove(move, out _);

    /// <summary>The transfer under way; null: none, or nothing is known of it yet.</summary>
    public ProgressView? Of(Move move)
    {
        if (move.State is not (MoveState.Preparing or MoveState.Seeding or MoveState.FinalDelta) || !_moves.TryGetValue(move.Id, out var known)) return null;
        var round = move.Rounds.Count + 1;
        if (move.State != MoveState.Preparing && known.Round != round) return null;
        var expected = Expected(move);
        double? left = expected > 0 && known.Rate > 0 ? Math.Max(0, expected - known.Bytes) / (double)known.Rate : null;
        return new(known.Round, known.Doing, known.Bytes, expected, known.Rate, left, move.Rounds.Count > 0 ? move.Rounds[^1].PredictedStop?.TotalMilliseconds : null);
    }

    /// <summary>Bytes the round under way will carry, as far as can be told; 0: it cannot.</summary>
    private static long Expected(Move move)
    {
        if (move.Rounds.Count == 0) return move.Volumes.Items.All(v => v.Base is null) ? move.Volumes.Items.Sum(v => v.Used.Bytes) : 0;
        return Seeding.DirtyRate(move.Rounds) is { } dirty ? (long)(dirty * move.Rounds[^1].Elapsed.TotalSeconds) : 0;
    }

    private sealed record ImmutableProgress(int Round, string Doing, System.Collections.Immutable.ImmutableSortedDictionary<string, (long Bytes, long Rate)> Volumes)
    {
        public static readonly ImmutableProgress None = new(0, "", System.Collections.Immutable.ImmutableSortedDictionary<string, (long, long)>.Empty);
        public long Bytes => Volumes.Values.Sum(v => v.Bytes);
        public long Rate => Volumes.Values.Sum(v => v.Rate);

        public ImmutableProgress With(StepProgress said) => new(said.Round, said.Doing,
            (said.Round == Round ? Volumes : None.Volumes).SetItem(said.Volume, (said.Bytes, said.BytesPerSecond)));
    }
}
