using System.Globalization;
using Drover.Core;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>
/// Where things lie on the pool: <c>volumes/NAME/</c> holds <c>ledger.json</c>, <c>live/EPOCH</c> (a writable subvolume),
/// <c>snapshots/SNAP/data</c> and <c>incoming/ATTEMPT/data</c> (read-only subvolumes). The live data of each epoch has a place of its own, so a change
/// of epoch writes over nothing and the ledger alone decides which one counts.
/// </summary>
internal sealed class VolumeFolder(string pool, VolumeName name)
{
    public const string DataName = "data";

    public VolumeName Name => name;
    public string Path { get; } = System.IO.Path.Combine(VolumesOf(pool), name.Value);
    public string Lives => System.IO.Path.Combine(Path, "live");
    public string Snapshots => System.IO.Path.Combine(Path, "snapshots");
    public string Incoming => System.IO.Path.Combine(Path, "incoming");

    public static string VolumesOf(string pool) => System.IO.Path.Combine(pool, "volumes");
    public static string RemovedOf(string pool) => System.IO.Path.Combine(pool, "removed");

    public static string LiveName(Epoch epoch) => epoch.ToString();
    public string Live(Epoch epoch) => System.IO.Path.Combine(Lives, LiveName(epoch));
    public string Snapshot(SnapshotName snapshot) => System.IO.Path.Combine(Snapshots, snapshot.Value);
    public string SnapshotData(SnapshotName snapshot) => System.IO.Path.Combine(Snapshot(snapshot), DataName);

    /// <summary>A snapshot counts as here only when it is whole: its folder appears by one rename, or its data by one call of the kernel.</summary>
    public SubvolumeInfo? FindSnapshot(SnapshotName snapshot) => Subvolume.Find(SnapshotData(snapshot)) is { IsReadOnly: true } info ? info : null;

    /// <summary>Complete ones, oldest first: which base is newest is read off their order.</summary>
    public IEnumerable<SnapshotName> SnapshotNames() =>
        NamesIn(Snapshots).Select(n => (Name: new SnapshotName(n), Info: FindSnapshot(new(n)))).Where(s => s.Info is not null)
            .OrderBy(s => s.Info!.Value.Created).ThenBy(s => s.Name.Value, StringComparer.Ordinal).Select(s => s.Name);

    public IEnumerable<Epoch> LiveEpochs() => NamesIn(Lives)
        .Select(n => long.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out var e) ? new Epoch(e) : Epoch.None).Where(e => e != Epoch.None);

    public VolumeLedger? ReadLedger() => VolumeLedger.Read(Path);

    /// <summary>The ledger comes before all else in a folder, so that data without one is never ours to touch.</summary>
    public VolumeLedger LedgerOrBlank()
    {
        if (ReadLedger() is { } known) return known;
        Directory.CreateDirectory(Path);
        VolumeLedger.Blank.Write(Path);
        Native.SyncFolder(System.IO.Path.GetDirectoryName(Path)!);
        return VolumeLedger.Blank;
    }

    /// <summary>Why this folder is not as this driver would have made it; null when all is well.</summary>
    public string? ForeignTrace()
    {
        try
        {
            if (ReadLedger() is { } ledger)
                return ledger.Live && Subvolume.Find(Live(ledger.Epoch)) is null ? $"the live data of epoch {ledger.Epoch} is gone from {Lives}: restore it, or make it anew of a snapshot that is left: `btrfs subvolume snapshot {Snapshots}/NAME/{DataName} {Live(ledger.Epoch)}`" : null;
            return NamesIn(Lives).Any() || NamesIn(Snapshots).Any() ? $"{Path} holds data without a {VolumeLedger.FileName}: move it away or restore the ledger" : null;
        }
        catch (InvalidDataException e)
        {
            return e.Message;
        }
    }

    public static void DeleteSubvolume(string parent, string name)
    {
        var error = Subvolume.Delete(parent, name);
        if (error is not (0 or Native.ErrorNoEntry)) throw Native.Failed("delete subvolume", $"{parent}/{name}", error);
    }

    public static IEnumerable<string> NamesIn(string folder) =>
        Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder).Select(p => System.IO.Path.GetFileName(p)!) : [];
}
