using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace Drover.Core.Volumes;

/// <summary>Named data that outlives containers; on exactly one node writable.</summary>
/// <param name="Primary">The node whose replica is writable; null until the first placement.</param>
/// <param name="Epoch">Number of this ownership; 0 before the first. {Primary, Epoch} change together, by one compare-and-swap.</param>
/// <param name="Initialized">True once an agent said the first, empty replica exists. From then on it is never created empty again.</param>
/// <param name="Base">Snapshot the primary of this epoch was promoted from; null for the first primary, which was made empty.</param>
/// <param name="Holder">App that has it in use: one at a time; null: free.</param>
public sealed record Volume(
    VolumeName Name, NodeId? Primary, Epoch Epoch, bool Initialized, SnapshotName? Base, AppId? Holder, DateTimeOffset CreatedAt)
{
    public EquatableList<Standby> Standbys { get; init; } = [];
    /// <summary>What nodes wrote that were lost as primary, and nobody else has.</summary>
    public EquatableList<Fork> Forks { get; init; } = [];
    /// <summary>Bytes referenced by the primary, as last reported by its agent.</summary>
    public ByteCount Used { get; init; }
    /// <summary>What it may grow to; null: as far as its node's pool goes.</summary>
    public ByteCount? Size { get; init; }
    /// <summary>Those that people and the schedule took, oldest first. A move's own are not among them.</summary>
    public EquatableList<VolumeSnapshot> Snapshots { get; init; } = [];
    public SnapshotSchedule? Schedule { get; init; }
    /// <summary>Set: it was deleted and its data is kept until <see cref="PurgeAt"/>.</summary>
    public DateTimeOffset? DeletedAt { get; init; }
    public DateTimeOffset? PurgeAt { get; init; }
    /// <summary>Set: its data was to be a copy and never came, and why. It is on no node, counts as known, and so is never made empty for an app that names it; a clone or a create of its name takes its place.</summary>
    public string? Missing { get; init; }
}

/// <summary>A read-only base of a volume on a node that is not its primary: makes the way there incremental.</summary>
public sealed record Standby(NodeId Node, SnapshotName Snapshot, Epoch Epoch, DateTimeOffset Since);

/// <summary>One complete read-only snapshot of a volume on one node.</summary>
/// <param name="Identity">Same string on every node that holds the same contents: on btrfs the uuid of the original.</param>
public sealed record SnapshotView(SnapshotName Name, string Identity, ByteCount Size)
{
    /// <summary>What the live data beside it does not share with it; null: not measured.</summary>
    public ByteCount? Changed { get; init; }
}

/// <summary>Which names a volume may have: one path segment, no tricks.</summary>
public static partial class VolumeNames
{
    public const string Rule = "1 to 63 characters: letters, digits, '_', '.', '-', the first a letter or digit";

    [GeneratedRegex("^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
    private static partial Regex Shape();

    public static bool TryParse(string? text, [NotNullWhen(true)] out VolumeName? name)
    {
        name = text is not null && Shape().IsMatch(text) && !text.EndsWith('\n') ? new VolumeName(text) : null;
        return name is not null;
    }
}
