using Drover.Core;

namespace Drover.Agent.Volumes;

/// <summary>What live data is to be made of, and for which epoch.</summary>
public abstract record LiveOrder(VolumeName Volume, Epoch Epoch)
{
    /// <summary>First replica ever: nothing in it.</summary>
    public sealed record Empty(VolumeName Volume, Epoch Epoch) : LiveOrder(Volume, Epoch);

    /// <summary>Of a snapshot of the same volume: what a move promotes, and what a restore goes back to. For a newer epoch than the live data here, which is put away.</summary>
    public sealed record OfSnapshot(VolumeName Volume, Epoch Epoch, SnapshotName From) : LiveOrder(Volume, Epoch);

    /// <summary>Of a snapshot that is still to come, made against this one: where the driver has <see cref="VolumeAbilities.Ahead"/>, what costs time is done now, while nobody waits.
    /// Nothing of it is visible, and another order for the epoch takes its place.</summary>
    public sealed record Ahead(VolumeName Volume, Epoch Epoch, SnapshotName Basis) : LiveOrder(Volume, Epoch);

    /// <summary>A new volume of another one's snapshot. The two share nothing that either could change.</summary>
    public sealed record CloneOf(VolumeName Volume, Epoch Epoch, VolumeName Source, SnapshotName From) : LiveOrder(Volume, Epoch);
}

/// <summary>What may be done with live data just now.</summary>
public enum VolumeAccess
{
    /// <summary>Takes no writes. <see cref="VolumeOutcomeKind.Busy"/>, and not sealed, when a process has a file of it open for writing through a mount, its
    /// container's own too: what it wrote after the seal would be lost silently.</summary>
    Sealed,

    /// <summary>Takes writes again.</summary>
    Unsealed,

    /// <summary>Visible at <see cref="ReplicaView.MountPath"/>. Refused when sealed or of another epoch.</summary>
    Mounted,

    /// <summary><see cref="VolumeOutcomeKind.Busy"/> while a process works in it. A volume that is not mounted, or not here, is unmounted already.</summary>
    Unmounted,
}

/// <summary>Short names of what <see cref="IVolumeDriver.Make"/> and <see cref="IVolumeDriver.Access"/> are asked for.</summary>
public static class VolumeVerbs
{
    public static Task<VolumeOutcome> CreateEmpty(this IVolumeDriver driver, VolumeName volume, Epoch epoch, CancellationToken cancel) =>
        driver.Make(new LiveOrder.Empty(volume, epoch), cancel);

    public static Task<VolumeOutcome> Promote(this IVolumeDriver driver, VolumeName volume, SnapshotName from, Epoch epoch, CancellationToken cancel) =>
        driver.Make(new LiveOrder.OfSnapshot(volume, epoch, from), cancel);

    public static Task<VolumeOutcome> Seal(this IVolumeDriver driver, VolumeName volume, bool isSealed, Epoch epoch, CancellationToken cancel) =>
        driver.Access(volume, isSealed ? VolumeAccess.Sealed : VolumeAccess.Unsealed, epoch, cancel);

    public static Task<VolumeOutcome> Mount(this IVolumeDriver driver, VolumeName volume, Epoch epoch, CancellationToken cancel) =>
        driver.Access(volume, VolumeAccess.Mounted, epoch, cancel);

    /// <summary>The size that its volume has, for live data of a new epoch: the driver's own way where it has one.</summary>
    public static Task<VolumeOutcome> Carry(this IVolumeDriver driver, VolumeName volume, ByteCount? limit, Epoch epoch, CancellationToken cancel) =>
        driver is ICarriesSizes sizes ? sizes.Carry(volume, limit, epoch, cancel) : driver.Resize(volume, limit, epoch, cancel);

    public static Task<VolumeOutcome> Unmount(this IVolumeDriver driver, VolumeName volume, CancellationToken cancel) =>
        driver.Access(volume, VolumeAccess.Unmounted, Epoch.None, cancel);
}
