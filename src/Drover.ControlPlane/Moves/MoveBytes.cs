using Drover.Contracts.Api;
using Drover.Core.Moves;

namespace Drover.ControlPlane.Moves;

/// <summary>How far the data of an open move is, for whoever waits for it.</summary>
/// <param name="Total">As far as can be told; grows while the app goes on writing.</param>
/// <param name="Done">Sent so far, over all rounds.</param>
/// <param name="SecondsLeft">null: nothing has been sent yet by which to tell.</param>
public sealed record MoveBytes(long Total, long Done, double? SecondsLeft)
{
    public static MoveBytes Of(Move move, ProgressView? progress)
    {
        var sent = move.Rounds.Items.Sum(r => r.Bytes.Bytes);
        if (move.Committed || move.State == MoveState.Verified || move.State == MoveState.Unwinding || move.Ended) return new(sent, sent, 0);
        var now = progress?.Bytes ?? 0;
        var ahead = Math.Max(now, progress is { BytesExpected: > 0 } told ? told.BytesExpected : Ahead(move));
        var rate = progress is { BytesPerSecond: > 0 } going ? going.BytesPerSecond : Seeding.Rate(move.Policy, move.Rounds) ?? move.Policy.BytesPerSecond;
        return new(sent + ahead, sent + now, progress?.SecondsLeft ?? (ahead == now && move.Rounds.Count > 0 ? 0 : rate > 0 ? (ahead - now) / (double)rate : null));
    }

    /// <summary>Of the round to come: all of a volume the target has nothing of, later what is written meanwhile.</summary>
    private static long Ahead(Move move) =>
        move.Rounds.Count == 0 ? move.Volumes.Items.Where(v => v.Base is null).Sum(v => v.Used.Bytes) : Seeding.DeltaBytes(move.Rounds) ?? 0;
}
