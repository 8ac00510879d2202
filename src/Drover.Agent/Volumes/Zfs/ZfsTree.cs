using System.Globalization;
using System.Text.RegularExpressions;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Zfs;

/// <param name="Name">Behind the `@`.</param>
/// <param name="Order">Transaction that brought it here: grows with time on one pool.</param>
/// <param name="Taken">Seconds since 1970, by the clock of the node that took it.</param>
/// <param name="Told">Identity, where it is another than its guid says: it came as a tree.</param>
/// <param name="IsGoing">Removed, but a clone needs it still: nobody sees it any more.</param>
internal sealed record ZfsSnapshot(string Dataset, string Name, ulong Guid, long Order, long Taken, long Bytes, Guid? Told, bool IsGoing = false)
{
    public string Path => $"{Dataset}@{Name}";

    /// <summary>No snapshot that anybody may see has a name with a colon.</summary>
    public bool IsArriving => Name.StartsWith(ZfsPlaces.Arriving, StringComparison.Ordinal);
    public SnapshotName? Visible => !IsGoing && VolumeNames.TryParse(Name, out _) ? new(Name) : null;

    /// <summary>Same on every node: the guid stays with a snapshot wherever it is sent.</summary>
    public Guid Identity => Told ?? IdentityOf(Guid);

    public static Guid IdentityOf(ulong guid) => new(0x7a667300, 0, 0, [.. BitConverter.GetBytes(guid).Reverse()]);
}

/// <param name="IsAttempt">Made for a ledger that was not written yet when it was.</param>
internal sealed record ZfsDataset(string Path, string? Origin, long Bytes, IReadOnlyList<ZfsSnapshot> Snapshots, bool IsAttempt = false)
{
    public string Name => Path[(Path.LastIndexOf('/') + 1)..];
    public ZfsSnapshot? Newest => Snapshots.Count == 0 ? null : Snapshots[^1];

    /// <summary>Null unless it is the live data of an epoch.</summary>
    public Epoch? Live => Name.StartsWith(ZfsPlaces.LivePrefix, StringComparison.Ordinal)
        && long.TryParse(Name.AsSpan(ZfsPlaces.LivePrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var epoch) && epoch > 0 ? new Epoch(epoch) : null;
}

/// <summary>What a volume has in the pool. Which dataset a snapshot lies in says nothing: promotions move them.</summary>
/// <param name="Exists">Its own dataset is there, under which all others lie.</param>
/// <param name="Datasets">Those that this driver makes, by their names.</param>
/// <param name="Strange">What lies there and is none of them: never touched.</param>
internal sealed record ZfsVolume(string Root, bool Exists, IReadOnlyList<ZfsDataset> Datasets, IReadOnlyList<string> Strange)
{
    public IReadOnlyList<ZfsSnapshot> Snapshots { get; } = [.. Datasets.SelectMany(d => d.Snapshots).OrderBy(s => s.Order).ThenBy(s => s.Name, StringComparer.Ordinal)];

    /// <summary>Complete ones, oldest first.</summary>
    public IEnumerable<ZfsSnapshot> Visible => Snapshots.Where(s => s.Visible is not null);

    /// <summary>That dataset or snapshot lies in this volume.</summary>
    public bool IsOver(string path) => path.StartsWith(Root + "/", StringComparison.Ordinal);

    public ZfsSnapshot? Find(SnapshotName name) => Visible.FirstOrDefault(s => s.Name == name.Value);
    public ZfsDataset? Live(Epoch epoch) => Datasets.FirstOrDefault(d => d.Live == epoch);
    public ZfsDataset Of(ZfsSnapshot snapshot) => Datasets.First(d => d.Path == snapshot.Dataset);
}

/// <summary>Reads what `zfs get` tells of a part of the pool.</summary>
internal static partial class ZfsTree
{
    public const string Ours = "drover:", Identity = Ours + "identity", Going = Ours + "going", Attempt = Ours + "attempt", Properties = "type,guid,createtxg,creation,referenced,origin," + Identity + "," + Going + "," + Attempt;

    [GeneratedRegex("^[^/@#]+(/[^@#]+)?(@[^@#]+)?$")]
    private static partial Regex Known();

    /// <summary>Of lines "name TAB property TAB value TAB source". What is ours counts only where it was set: not what a stream brought or what is above it has. Bookmarks, and what `zfs` itself hides while it receives, are left out.</summary>
    public static IReadOnlyList<ZfsDataset> Parse(string text)
    {
        var all = new Dictionary<string, Dictionary<string, string>>();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Split('\t') is not [var name, var property, var value, var source] || (property.StartsWith(Ours, StringComparison.Ordinal) && source != "local") || !Known().IsMatch(name) || name.Contains('%', StringComparison.Ordinal)) continue;
            if (!all.TryGetValue(name, out var values)) all[name] = values = [];
            values[property] = value;
        }
        var snapshots = all.Where(e => e.Key.Contains('@', StringComparison.Ordinal)).Select(e => Snapshot(e.Key, e.Value)).ToLookup(s => s.Dataset);
        return [.. all.Where(e => !e.Key.Contains('@', StringComparison.Ordinal)).Select(e => new ZfsDataset(
            e.Key, Text(e.Value, "origin"), Number(e.Value, "referenced"), [.. snapshots[e.Key].OrderBy(s => s.Order)], Text(e.Value, Attempt) is not null))];
    }

    private static ZfsSnapshot Snapshot(string path, Dictionary<string, string> values)
    {
        var at = path.IndexOf('@', StringComparison.Ordinal);
        return new(path[..at], path[(at + 1)..], ulong.Parse(values.GetValueOrDefault("guid", "0"), CultureInfo.InvariantCulture), Number(values, "createtxg"), Number(values, "creation"),
            Number(values, "referenced"), Guid.TryParse(Text(values, Identity), out var told) ? told : null, Text(values, Going) is not null);
    }

    private static string? Text(Dictionary<string, string> values, string property) => values.GetValueOrDefault(property) is { } value && value is not ("-" or "") ? value : null;
    private static long Number(Dictionary<string, string> values, string property) => long.TryParse(Text(values, property), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    /// <summary>The part of it that is one volume.</summary>
    public static ZfsVolume Volume(IReadOnlyList<ZfsDataset> all, string root)
    {
        var (own, below) = (all.Where(d => d.Path == root).ToList(), all.Where(d => d.Path.StartsWith(root + "/", StringComparison.Ordinal)).ToLookup(d => Made().IsMatch(d.Path.AsSpan(root.Length + 1))));
        return new(root, own.Count > 0, [.. below[true]], [.. below[false].Select(d => d.Path), .. own.SelectMany(d => d.Snapshots).Select(s => s.Path)]);
    }

    /// <summary>Names that this driver gives, directly below a volume's own dataset.</summary>
    [GeneratedRegex("^(live-[1-9][0-9]{0,18}|[cv]-[0-9a-f]{32})$", RegexOptions.CultureInvariant)]
    private static partial Regex Made();
}
