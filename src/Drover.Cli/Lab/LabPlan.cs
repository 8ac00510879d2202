using System.Globalization;

namespace Drover.Cli.Lab;

/// <summary>What a lab is to be: everything else follows from it.</summary>
/// <param name="Name">Lower-case letters and digits, at most 9: it is part of link names, which the kernel limits to 15 bytes.</param>
/// <param name="PoolGiB">Size of each node's volume pool. The file is sparse: it takes what is written.</param>
public sealed record LabPlan(string Name, string Subnet, int PoolGiB, IReadOnlyList<LabNode> Nodes)
{
    /// <summary>For how long a node may write without hearing from the control plane.</summary>
    public int LeaseSeconds { get; init; } = DefaultLease;

    public const int DefaultLease = 60;
    public const string DefaultName = "lab", DefaultSubnet = "172.16.255.0/24", Master = "master";
    public const string Btrfs = "btrfs", Zfs = "zfs", Directory = "directory";
    public const int DefaultPoolGiB = 20, MostNodes = 32;
    private const int HostNumber = 1, MasterNumber = 250;

    public string HostAddress => Drover.Cli.Lab.Subnet.ParseLab(Subnet).Address(HostNumber);
    public string MasterAddress => Drover.Cli.Lab.Subnet.ParseLab(Subnet).Address(MasterNumber);
    public string ControlUrl => $"http://{MasterAddress}:8080";

    public IEnumerable<string> Machines => Nodes.Select(n => n.Name).Prepend(Master);

    public string AddressOf(string machine) => machine == Master ? MasterAddress : Node(machine).Address;

    public LabNode Node(string name) => Nodes.FirstOrDefault(n => n.Name == name)
        ?? throw new LabException($"lab '{Name}' has no machine '{name}'; it has {string.Join(", ", Machines)}");

    /// <param name="attributes">`node2=disk:ssd,rack:b,node1=disk:spinning`; empty for the demo's: odd nodes spinning, even ones ssd.</param>
    public static LabPlan Make(string name, string subnet, int poolGiB, int nodes, string attributes)
    {
        CheckName(name);
        var network = Drover.Cli.Lab.Subnet.ParseLab(subnet);
        if (nodes is < 1 or > MostNodes) throw new LabException($"--nodes {nodes}: the lab has 1 to {MostNodes} nodes");
        var names = Enumerable.Range(1, nodes).Select(i => string.Create(CultureInfo.InvariantCulture, $"node{i}")).ToList();
        var given = ParseAttributes(attributes, names);
        return new(name, network.ToString(), poolGiB, [.. names.Select((n, i) => new LabNode(n, network.Address(NodeNumber(i + 1)),
            given.TryGetValue(n, out var own) ? own : new Dictionary<string, string> { ["disk"] = i % 2 == 0 ? "spinning" : "ssd" }))]);
    }

    /// <summary>Each node's volume driver.</summary>
    /// <param name="drivers">`node2=zfs,node3=directory`, or `directory` for all; empty: btrfs.</param>
    public LabPlan WithDrivers(string drivers)
    {
        var plan = this;
        foreach (var part in drivers.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            var (node, driver) = (equals < 0 ? null : part[..equals], part[(equals + 1)..]);
            if (driver is not (Btrfs or Zfs or Directory)) throw new LabException($"--volume-driver '{part}': there are {Btrfs}, {Zfs} and {Directory}; write it as node2={Directory}");
            if (node is not null && Nodes.All(n => n.Name != node)) throw new LabException($"--volume-driver '{part}': this lab has no '{node}'; it has {string.Join(", ", Nodes.Select(n => n.Name))}");
            plan = plan with { Nodes = [.. plan.Nodes.Select(n => node is null || n.Name == node ? n with { VolumeDriver = driver } : n)] };
        }
        return plan;
    }

    /// <summary>`8`, `8G` and `8GiB` are the same.</summary>
    public static int ParsePool(string text)
    {
        var number = text.EndsWith("GiB", StringComparison.Ordinal) ? text[..^3] : text.EndsWith('G') ? text[..^1] : text;
        return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var size) && size is >= 1 and <= 4096
            ? size
            : throw new LabException($"--pool-size '{text}': give 1GiB to 4096GiB");
    }

    public static void CheckName(string name)
    {
        if (name.Length is < 1 or > 9 || !char.IsAsciiLetterLower(name[0]) || !name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c)))
            throw new LabException($"--name '{name}': give 1 to 9 lower-case letters and digits, beginning with a letter");
    }

    /// <summary>node1 to node4 are .251 to .254 as in the demo; there is no room above, so node5 is .10 and so on.</summary>
    private static int NodeNumber(int node) => node <= 4 ? MasterNumber + node : 5 + node;

    private static Dictionary<string, Dictionary<string, string>> ParseAttributes(string text, List<string> nodes)
    {
        var all = new Dictionary<string, Dictionary<string, string>>();
        string? node = null;
        foreach (var part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals >= 0) node = part[..equals];
            var pair = part[(equals + 1)..].Split(':');
            if (node is null || pair.Length != 2 || pair[0].Length == 0 || pair[1].Length == 0)
                throw new LabException($"--attributes '{part}': write it as node2=disk:ssd,rack:b,node1=disk:spinning");
            if (!nodes.Contains(node)) throw new LabException($"--attributes '{part}': this lab has no '{node}'; it has {string.Join(", ", nodes)}");
            if (!all.TryGetValue(node, out var own)) all[node] = own = [];
            own[pair[0]] = pair[1];
        }
        return all;
    }
}

/// <param name="Address">IPv4, without prefix.</param>
public sealed record LabNode(string Name, string Address, IReadOnlyDictionary<string, string> Attributes)
{
    /// <summary>As the agent's `--volume-driver`.</summary>
    public string VolumeDriver { get; init; } = LabPlan.Btrfs;
}
