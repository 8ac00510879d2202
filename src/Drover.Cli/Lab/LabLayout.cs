namespace Drover.Cli.Lab;

/// <summary>Where the parts of one lab are. All names follow from the lab's name, so that they are found without any record.</summary>
/// <remarks>Paths are short: a Unix socket's path has at most 107 bytes.</remarks>
public sealed class LabLayout(string name)
{
    public const string Root = "/var/lib/drover-lab";

    public string Name { get; } = name;
    public string Folder => $"{Root}/{Name}";
    public string StateFile => $"{Folder}/lab.json";
    public string LockFile => $"{Folder}/lock";
    public string Logs => $"{Folder}/logs";
    /// <summary>A private mount: only there can a mount namespace be kept under a name.</summary>
    public string Namespaces => $"{Folder}/ns";
    public string Cgroup => $"{Cgroups.Top}/{Name}";

    /// <summary>The link on this machine; its other end is in the switch.</summary>
    public string HostLink => $"drv-{Name}";
    /// <summary>Namespace that holds the bridge: in its own, no firewall of this machine stands between nodes.</summary>
    public string SwitchNet => NetFile("switch");
    public const string Bridge = "br0", HostPort = "host";

    public string NetFile(string machine) => $"{Namespaces}/{machine}.net";
    public string MountFile(string machine) => $"{Namespaces}/{machine}.mnt";
    public string Log(string machine, string role) => $"{Logs}/{machine}-{role}.log";
    public string CgroupOf(string machine, string process) => $"{Cgroup}/{machine}/{process}";

    public string Of(string machine) => $"{Folder}/{machine}";
    public string ControlData => $"{Of(LabPlan.Master)}/data";
    public string NodeCertificate(string node) => $"{AgentState(node)}/identity/node.pem";
    public string JoinToken(string node) => $"{Of(node)}/join-token";
    public string PoolFile(string node) => $"{Of(node)}/pool.img";
    public string Pool(string node) => $"{Of(node)}/pool";
    public string AgentState(string node) => $"{Of(node)}/agent";
    public string DockerData(string node) => $"{Of(node)}/docker";
    public string DockerSocket(string node) => $"{Of(node)}/docker.sock";
    public string DockerPidFile(string node) => $"{Of(node)}/docker.pid";
    public string DockerSettings(string node) => $"{Of(node)}/docker.json";
    public string ImagesLoaded(string node) => $"{Of(node)}/images";

    /// <summary>
    /// Folders of this machine that each node covers with one of its own. Made where they are missing,
    /// and removed again with the last lab.
    /// </summary>
    public static readonly IReadOnlyList<string> Covered = ["/run/docker", "/run/containerd", "/etc/docker", "/opt/containerd", "/flocker"];

    /// <summary>Names of the labs that have a folder here.</summary>
    public static IReadOnlyList<string> Existing() =>
        Directory.Exists(Root) ? [.. Directory.EnumerateDirectories(Root).Select(d => Path.GetFileName(d)!).Order(StringComparer.Ordinal)] : [];
}
