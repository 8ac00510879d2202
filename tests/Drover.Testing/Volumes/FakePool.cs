using Drover.Core;

namespace Drover.Testing.Volumes;

/// <summary>The disk under a <see cref="FakeVolumeDriver"/>: outlives the driver, as a pool outlives an agent.</summary>
/// <param name="bytes">How much fits; null: <see cref="TotalBytes"/>.</param>
public sealed class FakePool(long? bytes = null)
{
    public const long TotalBytes = 100L << 30;

    /// <summary>What it may hold; tests fill pools by making it smaller.</summary>
    public long Size { get; set; } = bytes ?? TotalBytes;

    internal long Free => Size - 1 - Volumes.Values.Sum(v => v.Lives.Values.Sum(l => l.Bytes) + v.Snapshots.Values.Select(s => s.Tree.Bytes).DefaultIfEmpty().Max());

    internal Lock Gate { get; } = new();
    internal Dictionary<VolumeName, FakeVolume> Volumes { get; } = [];
    internal HashSet<VolumeName> Mounted { get; } = [];

    /// <summary>Syncs asked for so far.</summary>
    public int Syncs { get; internal set; }

    /// <summary>Snapshots accepted so far, each with its own sync.</summary>
    public int Accepted { get; internal set; }
}

/// <summary>Files by path. A copy shares the bytes, which are never changed in place.</summary>
internal sealed class FakeTree(SortedDictionary<string, byte[]> files)
{
    public SortedDictionary<string, byte[]> Files { get; } = files;
    public int OpenForWriting { get; set; }
    public bool Sealed { get; set; }
    public static FakeTree Empty() => new(new SortedDictionary<string, byte[]>(StringComparer.Ordinal));
    public FakeTree Copy() => new(new SortedDictionary<string, byte[]>(Files, StringComparer.Ordinal));
    public long Bytes => Files.Values.Sum(f => (long)f.Length);
}

internal sealed record FakeSnapshot(string Identity, FakeTree Tree)
{
    /// <summary>Its place among those that came to this node.</summary>
    public int Made { get; init; }
}

internal sealed class FakeVolume
{
    public Epoch Epoch { get; set; }
    public Epoch Floor { get; set; }
    public bool Live { get; set; }
    public SnapshotName? From { get; set; }
    public VolumeName Source { get; set; }
    public ByteCount? Limit { get; set; }
    public Dictionary<Epoch, FakeTree> Lives { get; } = [];
    public Dictionary<SnapshotName, FakeSnapshot> Snapshots { get; } = [];
    public int NextMade => Snapshots.Values.Select(s => s.Made).DefaultIfEmpty().Max() + 1;
    public Epoch Known => Epoch > Floor ? Epoch : Floor;
    public FakeTree? Current => Live ? Lives.GetValueOrDefault(Epoch) : null;
}
