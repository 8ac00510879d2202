namespace Drover.Core.Volumes;

/// <summary>A snapshot that is kept until somebody, or the schedule that took it, lets it go. It stays on the node where it was taken.</summary>
/// <param name="Name">As people say it; see <see cref="VolumeSnapshots.OnNode"/>.</param>
/// <param name="Epoch">Of the live data it shows.</param>
public sealed record VolumeSnapshot(SnapshotName Name, NodeId Node, Epoch Epoch, DateTimeOffset TakenAt, ByteCount Size, SnapshotOrigin Origin);

public enum SnapshotOrigin
{
    /// <summary>Asked for by somebody.</summary>
    Asked,
    /// <summary>By the volume's schedule, which also prunes it.</summary>
    Schedule,
    /// <summary>What was live when a restore began: it undoes the restore.</summary>
    BeforeRestore,
    /// <summary>What a clone was made of.</summary>
    ForClone,
    /// <summary>What an export reads; it goes when that has ended.</summary>
    ForExport,
}

/// <summary>One snapshot each <paramref name="Every"/>, of which the newest <paramref name="Keep"/> stay.</summary>
public sealed record SnapshotSchedule(TimeSpan Every, int Keep, DateTimeOffset NextAt)
{
    public static readonly TimeSpan Shortest = TimeSpan.FromMinutes(1), Longest = TimeSpan.FromDays(366);
    public const int Most = 1000;
}

public static class VolumeSnapshots
{
    /// <summary>Longest name people may give: the prefix must fit as well.</summary>
    public const int MaxLength = 61;

    // Moves name theirs m…; what they clean up must never be mistaken for these.
    private const string Prefix = "s-";

    public static SnapshotName OnNode(SnapshotName name) => new(Prefix + name.Value);

    public static bool IsKept(SnapshotName onNode) => onNode.Value.StartsWith(Prefix, StringComparison.Ordinal);
}
