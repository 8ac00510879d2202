using Drover.Core;

namespace Drover.Agent.Volumes;

/// <summary>What a driver can do on its node: what a plan says of a move's speed, and which format two drivers agree on.</summary>
/// <param name="Formats">Streams that it sends and receives, the best first.</param>
/// <param name="Incremental">It sends differences.</param>
/// <param name="Quotas">It can limit a volume's size.</param>
/// <param name="CheapSnapshots">A snapshot, and live data made of one, cost no time or space that grows with the data.</param>
/// <param name="AtomicSnapshots">A snapshot of data in use shows one moment. Where not, only one of sealed data does.</param>
public sealed record VolumeAbilities(IReadOnlyList<StreamFormat> Formats, bool Incremental, bool Quotas, bool CheapSnapshots, bool AtomicSnapshots)
{
    /// <summary>It takes <see cref="LiveOrder.Ahead"/>: live data is ready by the time its last difference has arrived.</summary>
    public bool Ahead { get; init; }

    /// <exception cref="ArgumentException">It is none of <see cref="Formats"/>.</exception>
    public void Require(StreamFormat format, string driver)
    {
        if (!Formats.Contains(format))
            throw new ArgumentException($"the {driver} driver of this node knows no stream format '{format}': it knows {string.Join(", ", Formats)}", nameof(format));
    }
}

/// <summary>Of a driver that needs to get ready for limits, or that sets one faster where nobody asks whether it fits.</summary>
public interface ICarriesSizes
{
    /// <summary>A limit will be set soon: what takes long is done when this returns.</summary>
    Task<VolumeOutcome> Expect(CancellationToken cancel);

    /// <summary>As <see cref="IVolumeDriver.Resize"/>, but also where the data holds more already: it then takes no more until it holds less. For live data that nobody writes yet.</summary>
    Task<VolumeOutcome> Carry(VolumeName volume, ByteCount? limit, Epoch epoch, CancellationToken cancel);
}

/// <summary>Of a driver that knows what live data does not share with a snapshot.</summary>
public interface IMeasuresChanges
{
    /// <summary>Bytes written to the live data since, as of the last commit; null: one of the two is not here.</summary>
    Task<ByteCount?> ChangedSince(VolumeName volume, SnapshotName snapshot, CancellationToken cancel);
}

/// <summary>A way to write a snapshot as bytes. Drivers of different kinds exchange volumes in one that both know.</summary>
public readonly record struct StreamFormat(string Name)
{
    /// <summary>`btrfs send --proto 2`.</summary>
    public static readonly StreamFormat BtrfsSend1 = new("btrfs-send-1");

    /// <summary>`zfs send`, in pieces with hashes: <see cref="Zfs.ZfsStream"/>. Every version of ZFS reads it.</summary>
    public static readonly StreamFormat ZfsSend1 = new("zfs-send-1");

    /// <summary>`zfs send -L -c`: large and compressed blocks go as they lie on disk.</summary>
    public static readonly StreamFormat ZfsSend2 = new("zfs-send-2");

    /// <summary>A tree of files, written by us: docs/tree-1.md.</summary>
    public static readonly StreamFormat Tree1 = new("tree-1");

    public override string ToString() => Name;
}
