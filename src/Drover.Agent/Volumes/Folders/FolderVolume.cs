using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Folders;

/// <summary>
/// Where things lie in the pool: <c>volumes/NAME/</c> holds <c>ledger.json</c>, <c>live/EPOCH</c> (the writable folder of that epoch),
/// <c>snapshots/SNAP/{data,snapshot.json}</c> and <c>incoming/ATTEMPT</c>, which becomes a snapshot by one rename. Files of snapshots are shared between them by
/// further names and are never written; live data shares none.
/// </summary>
internal sealed class FolderVolume(string pool, VolumeName name)
{
    public const string DataName = "data";

    public VolumeName Name => name;
    public string Path { get; } = System.IO.Path.Combine(VolumesOf(pool), name.Value);
    public string Lives => System.IO.Path.Combine(Path, "live");
    public string Snapshots => System.IO.Path.Combine(Path, "snapshots");
    public string Incoming => System.IO.Path.Combine(Path, "incoming");

    public static string VolumesOf(string pool) => System.IO.Path.Combine(pool, "volumes");
    public static string RemovedOf(string pool) => System.IO.Path.Combine(pool, "removed");

    public string Live(Epoch epoch) => System.IO.Path.Combine(Lives, epoch.ToString());
    public string Snapshot(SnapshotName snapshot) => System.IO.Path.Combine(Snapshots, snapshot.Value);
    public string SnapshotData(SnapshotName snapshot) => System.IO.Path.Combine(Snapshot(snapshot), DataName);

    /// <summary>Its folder appears by one rename when it is whole.</summary>
    public SnapshotFacts? FindSnapshot(SnapshotName snapshot) => VolumeNames.TryParse(snapshot.Value, out _) ? SnapshotFacts.Read(Snapshot(snapshot)) : null;

    /// <summary>Complete ones, oldest first.</summary>
    public IReadOnlyList<(SnapshotName Name, SnapshotFacts Facts)> AllSnapshots() =>
        [.. NamesIn(Snapshots).Select(n => (Name: new SnapshotName(n), Facts: FindSnapshot(new(n)))).Where(s => s.Facts is not null).Select(s => (s.Name, s.Facts!))
            .OrderBy(s => s.Item2.Made).ThenBy(s => s.Name.Value, StringComparer.Ordinal)];

    public IEnumerable<Epoch> LiveEpochs() => NamesIn(Lives)
        .Select(n => long.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out var e) ? new Epoch(e) : Epoch.None).Where(e => e != Epoch.None);

    public VolumeLedger? ReadLedger() => VolumeLedger.Read(Path);

    /// <summary>The ledger comes before all else in a folder, so that data without one is never ours to touch.</summary>
    public VolumeLedger LedgerOrBlank()
    {
        if (ReadLedger() is { } known) return known;
        Native.MakePrivateFolder(Path);
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
                return ledger.Live && !Directory.Exists(Live(ledger.Epoch)) ? $"the live data of epoch {ledger.Epoch} is gone from {Lives}: restore it, or copy it from a snapshot that is left: `cp -a {Snapshots}/NAME/{DataName} {Live(ledger.Epoch)}`" : null;
            return NamesIn(Lives).Any() || NamesIn(Snapshots).Any() ? $"{Path} holds data without a {VolumeLedger.FileName}: move it away or restore the ledger" : null;
        }
        catch (InvalidDataException e) { return e.Message; }
    }

    public static IEnumerable<string> NamesIn(string folder) =>
        Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder).Select(p => System.IO.Path.GetFileName(p)!) : [];
}

/// <summary>What is known of a snapshot beside its data: <c>snapshot.json</c>.</summary>
/// <param name="Identity">Same on every node that holds these contents.</param>
/// <param name="Made">Grows with each snapshot that came to be in this volume here.</param>
internal sealed record SnapshotFacts(Guid Identity, long Made, long Bytes)
{
    private const string FileName = "snapshot.json";

    /// <summary>Null when there is none.</summary>
    public static SnapshotFacts? Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), SnapshotJson.Default.SnapshotFacts);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException) { return null; }
        catch (JsonException e) { throw new InvalidDataException($"{path} is damaged ({e.Message}): remove this snapshot by hand if another one is left", e); }
    }

    public void Write(string folder)
    {
        using var file = new FileStream(Path.Combine(folder, FileName), FileMode.Create, FileAccess.Write);
        JsonSerializer.Serialize(file, this, SnapshotJson.Default.SnapshotFacts);
        file.Flush(flushToDisk: true);
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(SnapshotFacts))]
internal sealed partial class SnapshotJson : JsonSerializerContext;
