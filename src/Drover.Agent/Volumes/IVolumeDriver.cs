using System.IO.Pipelines;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes;

/// <summary>One storage backend on one node: twelve verbs.</summary>
/// <remarks>
/// <para>Vocabulary. A <b>replica</b> is what one node holds of a volume: complete read-only <b>snapshots</b>, and on the primary also
/// the <b>live</b> data. Beside the data lies a <b>ledger</b> with the epoch the live data belongs to.</para>
/// <para>Laws. Every verb may be repeated with the same arguments; the second time changes nothing. A verb with an epoch older than
/// the ledger's answers <see cref="VolumeOutcome.Stale"/> and changes nothing. A snapshot that <see cref="List"/> shows is complete and on disk:
/// unfinished ones are never shown and are removed by <see cref="Recover"/>. Live data is never made of anything but a complete snapshot
/// (or empty, by <see cref="LiveOrder.Empty"/>, when no trace of the volume exists here).</para>
/// <para>Expected refusals are outcomes; a broken disk or a missing program is an exception. <see cref="VolumeVerbs"/> has the short names of what
/// <see cref="Make"/> and <see cref="Access"/> are asked for.</para>
/// </remarks>
public interface IVolumeDriver
{
    /// <summary>Referenced from configuration: `btrfs`.</summary>
    string Name { get; }

    /// <summary>What this driver can do here; known once <see cref="Recover"/> has looked, and the same from then on.</summary>
    VolumeAbilities Abilities { get; }

    /// <summary>Checks the pool and removes leftovers of attempts that a crash cut short. Called once, before anything else.</summary>
    /// <exception cref="InvalidOperationException">The pool is not there or not of this kind; the message says what to do.</exception>
    Task Recover(CancellationToken cancel);

    Task<PoolSpace> Space(CancellationToken cancel);

    /// <summary>What is really here.</summary>
    Task<IReadOnlyList<ReplicaView>> List(CancellationToken cancel);

    /// <summary>One volume as <see cref="List"/> shows it, but without measuring: sizes may be zero. Null when there is no trace of it.</summary>
    Task<ReplicaView?> Inspect(VolumeName volume, CancellationToken cancel);

    /// <summary>Makes live data for an epoch. Done already: nothing changes. <see cref="VolumeOutcomeKind.Conflict"/> when this epoch's live data was made otherwise,
    /// or when <see cref="LiveOrder.Empty"/> or <see cref="LiveOrder.CloneOf"/> meet any trace of the volume. <see cref="VolumeOutcomeKind.Missing"/> when the
    /// snapshot is not complete here. <see cref="VolumeOutcomeKind.Busy"/> while a process works in the older live data, which is put away and never written over.</summary>
    Task<VolumeOutcome> Make(LiveOrder order, CancellationToken cancel);

    /// <summary>Brings the live data into a state. <see cref="VolumeAccess"/> says what each means and when it is refused.</summary>
    /// <param name="epoch">Of the live data meant; not looked at for <see cref="VolumeAccess.Unmounted"/>.</param>
    Task<VolumeOutcome> Access(VolumeName volume, VolumeAccess wanted, Epoch epoch, CancellationToken cancel);

    /// <summary>Subvolume that the lease's guard makes read-only, without this driver, when this node may not write any more; <see cref="VolumeAccess"/> undoes it.
    /// Null: this driver has nothing like it, the guard only ends the containers.</summary>
    string? SealPath(VolumeName volume, Epoch epoch) => null;

    /// <summary>Limits what the live data may grow to; null: no limit. Takes hold at once, also while it is mounted.
    /// <see cref="VolumeOutcomeKind.Unable"/> without <see cref="VolumeAbilities.Quotas"/>. <see cref="VolumeOutcomeKind.Conflict"/> when it holds more already.</summary>
    Task<VolumeOutcome> Resize(VolumeName volume, ByteCount? limit, Epoch epoch, CancellationToken cancel);

    /// <summary>Takes a read-only snapshot of the live data, complete and on disk when it returns. One of that name that is here already is given as it is.
    /// Works on sealed data too. Without <see cref="VolumeAbilities.AtomicSnapshots"/> one of data in use does not show one moment.</summary>
    Task<VolumeOutcome<SnapshotView>> Snapshot(VolumeName volume, SnapshotName name, Epoch epoch, CancellationToken cancel);

    /// <summary>Writes the snapshot as a stream of one of <see cref="VolumeAbilities.Formats"/>; with <paramref name="from"/> only the difference. Deterministic: the same
    /// snapshot, base and format give the same bytes, so that one who has the first part of a stream needs only the rest.
    /// Completes the writer, with the exception when the stream is not whole, which is also thrown. A cancelled one leaves nothing running.</summary>
    /// <exception cref="ArgumentException">The format is none of this driver's.</exception>
    /// <exception cref="BaseUnusable"><paramref name="from"/> is not here.</exception>
    Task Send(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeWriter to, CancellationToken cancel);

    /// <summary>Reads a stream to its end into a place apart. Nothing is visible until <see cref="IIncoming.Accept"/>; disposing drops it.</summary>
    /// <exception cref="ArgumentException">The format is none of this driver's.</exception>
    /// <exception cref="BaseUnusable"><paramref name="from"/> is not here, or is not what the stream was made against: only a full stream helps.</exception>
    /// <exception cref="InvalidDataException">The stream is cut short or damaged. Nothing of it is left.</exception>
    /// <exception cref="IOException">The pool is full. Nothing of the stream is left.</exception>
    Task<IIncoming> Receive(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeReader stream, CancellationToken cancel);

    /// <summary>Removes snapshots, and with <see cref="Removal.Live"/> live data of an epoch older than <see cref="Removal.OlderThan"/>; never the last complete snapshot
    /// where no live data is left, unless <see cref="Removal.Everything"/>, which only a deleted volume or an undone first copy asks for. Epochs below
    /// <see cref="Removal.OlderThan"/> are stale here from then on.</summary>
    Task<VolumeOutcome> Remove(VolumeName volume, Removal what, CancellationToken cancel);

    /// <summary>Everything written so far to the pool is on disk when it returns.</summary>
    Task Sync(CancellationToken cancel);
}

/// <summary>A received snapshot that is complete by the driver's own checks, not yet visible.</summary>
public interface IIncoming : IAsyncDisposable
{
    /// <summary>As <see cref="SnapshotView.Identity"/> will be.</summary>
    string Identity { get; }

    /// <summary>Verifies, renames into place and syncs: after it the snapshot is listed. Idempotent.</summary>
    Task<SnapshotView> Accept(CancellationToken cancel);
}

/// <summary>The receiver cannot apply a difference to what it has: the sender begins again with everything.</summary>
public sealed class BaseUnusable(string message) : Exception(message);

public sealed record PoolSpace(ByteCount Total, ByteCount Free);

/// <param name="Epoch">Of the ledger; <see cref="Epoch.None"/> when there is no live data.</param>
/// <param name="MountPath">Where containers find the live data: stable, the same on every node.</param>
/// <param name="ForeignTrace">Set when something is here that this driver cannot explain; the volume is then left alone.</param>
public sealed record ReplicaView(
    VolumeName Name, Epoch Epoch, bool HasLive, bool Sealed, bool Mounted, string MountPath, ByteCount Used, IReadOnlyList<SnapshotView> Snapshots, string? ForeignTrace)
{
    /// <summary>Newest epoch this node ever learned of for this volume, also where it holds no live data: orders below it are stale.</summary>
    public Epoch Known { get; init; }

    /// <summary>What the live data may grow to; null: no limit.</summary>
    public ByteCount? Limit { get; init; }
}

public sealed record Removal(IReadOnlyList<SnapshotName> Snapshots, bool Live, Epoch OlderThan, bool Everything);

/// <summary>What a verb came to. <see cref="Message"/> says what to do about it.</summary>
public record VolumeOutcome(VolumeOutcomeKind Kind, string? Message)
{
    public static readonly VolumeOutcome Done = new(VolumeOutcomeKind.Done, null);
    public static VolumeOutcome Stale(Epoch asked, Epoch known) => new(VolumeOutcomeKind.Stale, $"order for epoch {asked} refused: this node knows epoch {known}");
    public static VolumeOutcome Missing(string message) => new(VolumeOutcomeKind.Missing, message);
    public static VolumeOutcome Conflict(string message) => new(VolumeOutcomeKind.Conflict, message);
    public static VolumeOutcome Busy(string message) => new(VolumeOutcomeKind.Busy, message);
    public static VolumeOutcome Unable(string message) => new(VolumeOutcomeKind.Unable, message);
    public bool Ok => Kind == VolumeOutcomeKind.Done;
}

public sealed record VolumeOutcome<T>(VolumeOutcomeKind Kind, string? Message, T? Value) : VolumeOutcome(Kind, Message) where T : class
{
    public static VolumeOutcome<T> Of(T value) => new(VolumeOutcomeKind.Done, null, value);
    public static VolumeOutcome<T> Of(VolumeOutcome refused) => new(refused.Kind, refused.Message, null);
}

/// <summary>Stale: older epoch. Missing: the data is not here. Conflict: here, but not as asked. Busy: in use just now, repeat later. Unable: never with this driver here.</summary>
public enum VolumeOutcomeKind { Done, Stale, Missing, Conflict, Busy, Unable }
