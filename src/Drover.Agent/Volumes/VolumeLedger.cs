using System.Text.Json;
using System.Text.Json.Serialization;
using Drover.Core;

namespace Drover.Agent.Volumes;

/// <summary>What a node knows of a volume beside its data: <c>ledger.json</c>, the first file written in a volume's folder and the commit of every change of epoch.</summary>
/// <param name="Epoch">Epoch of the live data; 0: none yet.</param>
/// <param name="Live">Whether there should be live data of that epoch. False: never made, or put away for good.</param>
/// <param name="From">Snapshot the live data was made of; null: made empty.</param>
/// <param name="Floor">Orders for epochs below it are stale, whatever data is here.</param>
internal sealed record VolumeLedger(int Format, Epoch Epoch, bool Live, SnapshotName? From, Epoch Floor)
{
    public const string FileName = "ledger.json";
    private const int CurrentFormat = 1;

    public static readonly VolumeLedger Blank = new(CurrentFormat, Epoch.None, false, null, Epoch.None);

    /// <summary>Volume that <see cref="From"/> is a snapshot of; null: this one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public VolumeName? Source { get; init; }

    /// <summary>Whether the live data takes no writes: only where the data itself cannot say so.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Sealed { get; init; }

    /// <summary>What the live data of this epoch may grow to, in bytes; null: no limit.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Limit { get; init; }

    /// <summary>Snapshot that is here as live data made ready for an epoch to come: whole and on disk, but not the primary's and never mounted yet.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ReadySnapshot? Ready { get; init; }

    [JsonIgnore]
    public Epoch Known => Epoch > Floor ? Epoch : Floor;

    /// <summary>What an order comes to whose epoch's live data is here already.</summary>
    public VolumeOutcome MadeAlready(LiveOrder order)
    {
        var (source, from) = order switch
        {
            LiveOrder.CloneOf clone => (clone.Source, clone.From),
            LiveOrder.OfSnapshot of => ((VolumeName?)null, of.From),
            _ => ((VolumeName?)null, (SnapshotName?)null),
        };
        if (From == from && Source == source) return VolumeOutcome.Done;
        var made = From is null ? "nothing" : Source is null ? $"{From}" : $"{Source}/{From}";
        return VolumeOutcome.Conflict($"volume {order.Volume} has live data of epoch {order.Epoch} already, made of {made}: give the new data an epoch of its own");
    }

    /// <summary>Null when there is none.</summary>
    /// <exception cref="InvalidDataException">There is one that this version cannot read.</exception>
    public static VolumeLedger? Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return null;
        try
        {
            var ledger = JsonSerializer.Deserialize(File.ReadAllBytes(path), VolumeLedgerJson.Default.VolumeLedger);
            return ledger is { Format: CurrentFormat } ? ledger : throw new InvalidDataException($"{path} has format {ledger?.Format}, this agent reads {CurrentFormat}: install the version that wrote it");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is damaged ({e.Message}): the volume is left alone until it is repaired by hand", e);
        }
    }

    /// <summary>On disk when it returns. A crash leaves the old one or the new one, never a part.</summary>
    public void Write(string folder)
    {
        var path = Path.Combine(folder, FileName);
        var fresh = path + ".new";
        using (var file = new FileStream(fresh, FileMode.Create, FileAccess.Write))
        {
            JsonSerializer.Serialize(file, this, VolumeLedgerJson.Default.VolumeLedger);
            file.Flush(flushToDisk: true);
        }
        // Safe to overwrite: the new contents are whole and on disk, and rename swaps them in one step.
        File.Move(fresh, path, overwrite: true);
        Native.SyncFolder(folder);
    }
}

/// <param name="Identity">As <see cref="Core.Volumes.SnapshotView.Identity"/>.</param>
/// <param name="Epoch">Whose live data it would be.</param>
internal sealed record ReadySnapshot(SnapshotName Snapshot, Guid Identity, Epoch Epoch);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(VolumeLedger))]
internal sealed partial class VolumeLedgerJson : JsonSerializerContext;
