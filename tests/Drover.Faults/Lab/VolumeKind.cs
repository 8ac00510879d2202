using System.Globalization;
using Drover.Cli.Lab;

namespace Drover.Faults.Lab;

/// <summary>What a fault and its judges must know of a node's volume driver.</summary>
/// <param name="Program">What sends and receives; null: the agent itself.</param>
public sealed record VolumeKind(string Name, string? Program)
{
    /// <summary>All that the table runs on.</summary>
    public static readonly IReadOnlyList<VolumeKind> All = [new(LabPlan.Btrfs, "btrfs"), new(LabPlan.Directory, null), new(LabPlan.Zfs, "zfs")];

    public static VolumeKind Named(string name) => All.FirstOrDefault(k => k.Name == name) ?? throw new FormatException($"--drivers {name}: there are {string.Join(", ", All.Select(k => k.Name))}");

    /// <summary>As the lab's `--volume-driver`: one for all, or the first for the first node and so on.</summary>
    public static string ForNodes(string drivers, int nodes)
    {
        if (drivers.Contains('=', StringComparison.Ordinal)) return drivers;
        var each = drivers.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (var name in each) Named(name);
        return each.Length == 1 ? each[0] : each.Length == nodes ? string.Join(',', each.Select((d, i) => string.Create(CultureInfo.InvariantCulture, $"node{i + 1}={d}")))
            : throw new FormatException($"--drivers {drivers}: give one, or {nodes}");
    }

    /// <summary>Whether a test can take all of a pool's room at once. ZFS knows no fallocate.</summary>
    public bool CanBeFilled => Name != LabPlan.Zfs;

    /// <summary>What root can still take: folders lie on a file system that keeps a part back for root.</summary>
    public long Left(DriveInfo pool) => Name == LabPlan.Btrfs ? pool.AvailableFreeSpace : pool.TotalFreeSpace;

    /// <summary>Folder of the live data.</summary>
    public string Live(string pool, string volume, long epoch) => string.Create(CultureInfo.InvariantCulture, $"{pool}/volumes/{volume}/live/{epoch}");

    /// <summary>Every copy of a volume that the driver would let anyone use: live data and complete snapshots.</summary>
    public IEnumerable<(string Name, string Folder)> Copies(string pool, string volume)
    {
        var folder = $"{pool}/volumes/{volume}";
        return FaultLab.In($"{folder}/live").Select(e => ($"live/{e}", $"{folder}/live/{e}")).Concat(FaultLab.In($"{folder}/snapshots").Select(s => (s, $"{folder}/snapshots/{s}/data")));
    }
}
