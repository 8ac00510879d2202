using Drover.Core;

namespace Drover.Agent;

/// <summary>Settings of one agent: command line, environment (`DROVER_…`) or `/etc/drover/agent.json`.</summary>
public sealed class AgentOptions
{
    /// <summary>Name this node joined with; must equal the certificate's common name.</summary>
    public required string Node { get; init; }
    public string Hostname { get; init; } = "";
    /// <summary>`https://172.16.255.250:4524`</summary>
    public required Uri Control { get; init; }
    /// <summary>IPv4 address that other nodes reach; transfers listen only on it.</summary>
    public required string Address { get; init; }
    public int TransferPort { get; init; } = 4525;
    /// <summary>Bytes a second that all moves out of this node may take together; 0: no limit.</summary>
    public long TransferLimit { get; init; }
    /// <summary>Folder of the node's identity: `ca.pem`, `node.pem`, as `drover-agent join` leaves them.</summary>
    public required string Certificates { get; init; }
    /// <summary>Mount point of the btrfs pool (its top level), or the directory driver's folder.</summary>
    public required string Pool { get; init; }
    /// <summary>One of <see cref="Volumes.VolumesSetup.Drivers"/>.</summary>
    public string VolumeDriver { get; init; } = Volumes.VolumesSetup.Btrfs;
    /// <summary>Where live volumes are mounted for containers: one folder a volume.</summary>
    public string MountRoot { get; init; } = "/flocker";
    /// <summary>Agent's own state: ledger of orders, nothing of the user's data.</summary>
    public string StateFolder { get; init; } = "/var/lib/drover/agent";
    /// <summary>Where metrics are read; null: nowhere.</summary>
    public System.Net.IPEndPoint? Metrics { get; init; }
    /// <summary>The log as one JSON object a line.</summary>
    public bool JsonLog { get; init; }
    public string DockerSocket { get; init; } = "/var/run/docker.sock";
    /// <summary>Folder where Docker looks for plugins.</summary>
    public string PluginFolder { get; init; } = "/run/docker/plugins";
    /// <summary>Cgroup that containers are put under; empty: Docker's own.</summary>
    public string CgroupParent { get; init; } = "";
    public IReadOnlyDictionary<string, string> Attributes { get; init; } = new Dictionary<string, string>();
    public double Cpus { get; init; }
    public double MemoryMiB { get; init; }
    /// <summary>`7000-9000`</summary>
    public string Ports { get; init; } = "31000-32000";

    public NodeId NodeId => new(Node);
}
