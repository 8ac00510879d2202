namespace Drover.Core.Moves;

/// <summary>Whether what a move will write at its target fits there. Pure: of what both nodes said while it prepared.</summary>
public static class MoveSpace
{
    /// <summary>A receive of less than this is not stopped by the reserve either.</summary>
    private static readonly ByteCount Small = ByteCount.MiB(8);

    /// <summary>Null: it fits.</summary>
    public static string? Refusal(Move move, MoveEvent.Prepared prepared)
    {
        if (move.Volumes.Count == 0) return null;
        var (written, copied) = (Written(move, prepared), Copied(move, prepared));
        var kept = written + copied > Small && prepared.TargetReserve > MoveMachine.Slack ? prepared.TargetReserve : MoveMachine.Slack;
        var needed = written + copied + kept;
        return prepared.TargetFree >= needed ? null
            : $"node '{move.Target}' has {prepared.TargetFree} free and the data needs {needed}: {written} that it does not have yet{(copied > ByteCount.Zero ? $", {copied} for the copy that the app works in" : "")}, and {kept} that stay free; free some there or choose another node";
    }

    /// <summary>Everything where there is no base; otherwise what the source does not share with it, as far as its driver can tell.</summary>
    public static ByteCount Written(Move move, MoveEvent.Prepared prepared) => move.Volumes.Items.Aggregate(ByteCount.Zero, (sum, v) => sum + (v.Base is null ? v.Used
        : prepared.Source.Items.FirstOrDefault(r => r.Volume == v.Name)?.Snapshots.Items.FirstOrDefault(s => s.Name == v.Base)?.Changed ?? ByteCount.Zero));

    private static ByteCount Copied(Move move, MoveEvent.Prepared prepared) =>
        prepared.LiveIsCopied ? move.Volumes.Items.Aggregate(ByteCount.Zero, (sum, v) => sum + v.Used) : ByteCount.Zero;
}
