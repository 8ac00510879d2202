using Drover.Core;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>
/// Where things lie. In the pool's folder <c>volumes/NAME/</c> holds <c>ledger.json</c> and the places where datasets are mounted. Below the pool's dataset,
/// <c>volumes/NAME/live-EPOCH</c> is the live data of an epoch, and <c>volumes/NAME/c-ID</c> carries received snapshots. A snapshot may lie in either: its name counts, not
/// its place.
/// </summary>
internal sealed class ZfsPlaces(string pool, string dataset, VolumeName name)
{
    public const string LivePrefix = "live-", Arriving = "in:";

    private static readonly string[] s_kinds = ["live", "incoming", "views"];

    public VolumeName Name => name;
    public string Path { get; } = System.IO.Path.Combine(VolumesOf(pool), name.Value);
    public string Root { get; } = $"{VolumesOf(dataset)}/{name}";

    public static string VolumesOf(string parent) => parent + "/volumes";
    public static string RemovedOf(string parent) => parent + "/removed";

    public string LivePath(Epoch epoch) => System.IO.Path.Combine(Path, "live", epoch.ToString());
    public string LiveDataset(Epoch epoch) => $"{Root}/{LivePrefix}{epoch}";
    public string Carrier(string id) => $"{Root}/c-{id}";
    public string IncomingPath(string id) => System.IO.Path.Combine(Path, "incoming", id);
    public string ViewPath(string id) => System.IO.Path.Combine(Path, "views", id);
    public string View(string id) => $"{Root}/v-{id}";

    public VolumeLedger? ReadLedger() => VolumeLedger.Read(Path);

    /// <summary>Where the ledger is once everything of this volume was ordered to go: its data goes whatever happens.</summary>
    public string? Grave() => NamesIn(RemovedOf(pool)).Where(n => VolumeOfGrave(n) == name).Select(n => System.IO.Path.Combine(RemovedOf(pool), n)).FirstOrDefault();

    public static VolumeName? VolumeOfGrave(string folder)
    {
        const int idLength = 33;
        return folder.Length > idLength && Core.Volumes.VolumeNames.TryParse(folder[..^idLength], out var volume) ? volume : null;
    }

    /// <summary>Live data whose epoch was put away: what is left of it carries snapshots like any other dataset. It keeps its name, for a renaming takes the mounts of clones away.</summary>
    public static bool IsPutAway(ZfsDataset dataset, VolumeLedger ledger) => dataset.Live is { } epoch && epoch < ledger.Floor && epoch <= ledger.Epoch && !(ledger.Live && epoch == ledger.Epoch);

    /// <summary>The ledger comes before all else, so that data without one is never ours to touch.</summary>
    public void KeepLedger()
    {
        if (ReadLedger() is not null) return;
        Native.MakePrivateFolder(Path);
        VolumeLedger.Blank.Write(Path);
        Native.SyncFolder(System.IO.Path.GetDirectoryName(Path)!);
    }

    /// <summary>A place to mount a dataset at; only root may come near.</summary>
    public static void MakeMountPoint(string path)
    {
        Native.MakePrivateFolder(System.IO.Path.GetDirectoryName(path)!);
        Native.MakePrivateFolder(path);
    }

    /// <summary>Takes a dataset's mount and the folder it was at away. False while a process works in it.</summary>
    public static bool Leave(string path)
    {
        if (!Mounts.Unmount(path)) return false;
        // Safe: only an empty folder goes, and where something is still mounted the kernel refuses.
        try { Directory.Delete(path); }
        catch (DirectoryNotFoundException) { }
        catch (IOException) { }
        return true;
    }

    /// <summary>Everything of this volume that may be mounted.</summary>
    public IEnumerable<string> MountPoints() => s_kinds.SelectMany(kind => NamesIn(System.IO.Path.Combine(Path, kind)).Select(n => System.IO.Path.Combine(Path, kind, n)));

    /// <summary>Why this is not as the driver would have made it; null when all is well.</summary>
    public string? ForeignTrace(ZfsVolume here)
    {
        try
        {
            if (ReadLedger() is { } ledger)
                return Newer(here, ledger) is { } newer ? newer : ledger.Live && here.Live(ledger.Epoch) is null ? $"the live data of epoch {ledger.Epoch} is gone from the pool: `zfs list -r -t all {Root}` shows what is left; `zfs clone -o mountpoint={LivePath(ledger.Epoch)} SNAPSHOT {LiveDataset(ledger.Epoch)}` makes it anew" : null;
            if (Grave() is not null) return null;
            if (here.Strange.Count > 0) return NotOurs(here);
            return here.Datasets.Any(d => d.Live is not null) || here.Visible.Any() ? $"{Root} holds data, and {Path} no {VolumeLedger.FileName}: rename the dataset or restore the ledger" : null;
        }
        catch (InvalidDataException e) { return e.Message; }
    }

    /// <summary>Why not everything there may be destroyed; null when all of it is the driver's.</summary>
    public string? Unexplained(ZfsVolume here) =>
        here.Strange.Count > 0 ? NotOurs(here) : ReadLedger() is { } ledger ? Newer(here, ledger) : null;

    private static string NotOurs(ZfsVolume here) => $"{here.Strange[0]} lies in a volume's dataset and is not of this driver: move it away, or destroy it if nobody needs it";

    /// <summary>Live data that this node's ledger has never heard of, and that no attempt of the driver left.</summary>
    public string? Newer(ZfsVolume here, VolumeLedger ledger) => here.Datasets.FirstOrDefault(d => d.Live > ledger.Epoch && !d.IsAttempt) is { } newer
        ? $"{newer.Path} is newer than {Path}/{VolumeLedger.FileName}, which knows epoch {ledger.Epoch}: restore the ledger that belongs to it, or rename the dataset" : null;

    public static IEnumerable<string> NamesIn(string folder) =>
        Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder).Select(p => System.IO.Path.GetFileName(p)!) : [];
}
