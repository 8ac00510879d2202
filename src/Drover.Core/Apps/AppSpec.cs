using System.Collections.Immutable;

namespace Drover.Core.Apps;

/// <summary>What a user asked to keep running, in canonical form: façades translate their dialects to and from this.</summary>
/// <remarks>Defaults are Marathon's (1.10). Compare with <see cref="SameConfiguration"/>: two specs that differ only in
/// <see cref="Instances"/> are the same configuration.</remarks>
public sealed record AppSpec
{
    public required AppId Id { get; init; }
    /// <summary>Run by `/bin/sh -c`; null when <see cref="Args"/> or the image's own command is used.</summary>
    public string? Command { get; init; }
    public EquatableList<string> Args { get; init; } = [];
    public double Cpus { get; init; } = 1;
    public double MemoryMiB { get; init; } = 128;
    public double DiskMiB { get; init; }
    public double Gpus { get; init; }
    public int Instances { get; init; } = 1;
    public ContainerSpec? Container { get; init; }
    public EquatableList<Constraint> Constraints { get; init; } = [];
    /// <summary>Wishes: a node that meets more of them is taken before others that fit; none is kept from a copy by them.</summary>
    public EquatableList<Preference> Preferences { get; init; } = [];
    /// <summary>Apps that no node should have together with this one; it holds both ways, whichever is placed first.</summary>
    public EquatableList<Apart> Apart { get; init; } = [];
    public EquatableList<EnvVar> Env { get; init; } = [];
    public EquatableList<Label> Labels { get; init; } = [];
    public EquatableList<PortDefinition> Ports { get; init; } = [];
    public bool RequirePorts { get; init; }
    public EquatableList<HealthCheck> HealthChecks { get; init; } = [];
    public EquatableList<ReadinessCheck> ReadinessChecks { get; init; } = [];
    public Backoff Backoff { get; init; } = new(TimeSpan.FromSeconds(1), 1.15, TimeSpan.FromSeconds(300));
    public UpgradeStrategy Upgrade { get; init; } = new(1, 1);
    public KillSelection KillSelection { get; init; } = KillSelection.YoungestFirst;
    public UnreachableStrategy? Unreachable { get; init; } = new(TimeSpan.Zero, TimeSpan.Zero);
    public TimeSpan? KillGrace { get; init; }
    public EquatableList<AppId> Dependencies { get; init; } = [];
    public string? User { get; init; }
    public string Executor { get; init; } = "";
    /// <summary>A terminal for the container's process.</summary>
    public bool Tty { get; init; }
    /// <summary>null: cpus and memory are the limits themselves.</summary>
    public ResourceLimits? Limits { get; init; }
    /// <summary>As the user wrote it; it changes nothing since a volume decides where its app runs.</summary>
    public Residency? Residency { get; init; }
    public EquatableList<string> AcceptedRoles { get; init; } = [];
    public string Role { get; init; } = "*";

    public bool SameConfiguration(AppSpec other) => this with { Instances = 0 } == other with { Instances = 0 };

    /// <summary>Names of the volumes that travel with this app, in order of appearance.</summary>
    public ImmutableArray<VolumeMount> Volumes => Container is null ? [] : [.. Container.Volumes.OfType<VolumeMount>()];
}

public sealed record ContainerSpec
{
    public required string Image { get; init; }
    /// <summary>The app named a command and no image: it runs in the one the control plane was started with.</summary>
    public bool ImageImplied { get; init; }
    public ContainerNetwork Network { get; init; } = ContainerNetwork.Bridge;
    /// <summary>The network the user named beside container mode, joined by <see cref="Overlay"/>; null: bridge mode.</summary>
    public string? NetworkName { get; init; }
    public EquatableList<PortMapping> PortMappings { get; init; } = [];
    public EquatableList<Mount> Volumes { get; init; } = [];
    /// <summary>`docker run` options passed through, those that name volumes already taken out.</summary>
    public EquatableList<DockerParameter> Parameters { get; init; } = [];
    public bool ForcePull { get; init; }
    public bool Privileged { get; init; }
    /// <summary>Overlay the container joins beside its first network; null: none.</summary>
    public OverlayAttachment? Overlay { get; init; }
}

public enum ContainerNetwork { Bridge, Host, None }

/// <summary>Asks for this address on this overlay (`WEAVE_CIDR=10.255.0.10/24`).</summary>
/// <param name="Cidr">Address with prefix length.</param>
public sealed record OverlayAttachment(NetworkName Network, string Cidr);

/// <param name="HostPort">0: any free port from the node's range; null: not published.</param>
/// <param name="ServicePort">Cluster-wide port for load balancers; 0 until assigned.</param>
/// <param name="Protocol">`tcp`, `udp` or `udp,tcp`.</param>
public sealed record PortMapping(int ContainerPort, int? HostPort, int ServicePort, string Protocol, string? Name, EquatableList<Label> Labels);

/// <param name="Port">Service port; with <see cref="AppSpec.RequirePorts"/> also the host port. 0: any.</param>
public sealed record PortDefinition(int Port, string Protocol, string? Name, EquatableList<Label> Labels);

[System.Text.Json.Serialization.JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[System.Text.Json.Serialization.JsonDerivedType(typeof(VolumeMount), "volume")]
[System.Text.Json.Serialization.JsonDerivedType(typeof(HostMount), "host")]
public abstract record Mount(string ContainerPath, bool ReadOnly);

/// <summary>A volume of ours. Source keeps how the user named it, so that the API answers as it was asked.</summary>
public sealed record VolumeMount(VolumeName Name, string ContainerPath, bool ReadOnly, VolumeNaming Naming, double? SizeGiB = null) : Mount(ContainerPath, ReadOnly)
{
    /// <summary>Driver or provider as the user wrote it (`flocker`, `drover`, `dvdi`); null where the naming has none.</summary>
    public string? Driver { get; init; }
    /// <summary>Options of an external volume as they were written, the driver's name among them.</summary>
    public EquatableList<DockerParameter> Options { get; init; } = [];
    /// <summary>What was asked for as a persistent volume of Mesos; null: it was named in another way.</summary>
    public PersistentAsk? Persistent { get; init; }
}

/// <summary>A persistent volume as the app's definition has it.</summary>
/// <param name="Path">Its containerPath, relative to the sandbox.</param>
/// <param name="Kind">`root`, `path` or `mount`.</param>
/// <param name="Linked">A second entry, with the path as its hostPath, says where the container sees it.</param>
public sealed record PersistentAsk(string Path, string Kind, double SizeMiB, double? MostMiB, bool Linked);

/// <summary>A plain directory of the host: stays behind when the app moves.</summary>
public sealed record HostMount(string HostPath, string ContainerPath, bool ReadOnly) : Mount(ContainerPath, ReadOnly);

/// <summary>The ways to name a volume; all lead to the same thing.</summary>
public enum VolumeNaming { HostPath, DockerParameter, External, Persistent }

public sealed record DockerParameter(string Key, string Value);
public sealed record EnvVar(string Name, string Value);
public sealed record Label(string Name, string Value);

/// <summary>What a container may use beyond what is set aside for it. null: no more than that; <see cref="Unlimited"/>: as much as there is.</summary>
public sealed record ResourceLimits(double? Cpus, double? MemoryMiB)
{
    public const double Unlimited = -1;
}

/// <param name="OnLoss">`WAIT_FOREVER` or `RELAUNCH_AFTER_TIMEOUT`.</param>
public sealed record Residency(TimeSpan Escalation, string OnLoss);

/// <param name="Field">`hostname`, `@hostname`, `@zone`, `@region` or an attribute's name.</param>
public sealed record Constraint(string Field, ConstraintOperator Operator, string? Value);

/// <param name="Weight">1 to 100: how much it counts beside other wishes of the app.</param>
public sealed record Preference(Constraint Constraint, int Weight)
{
    public const int Most = 100;
}

/// <summary>Apps to keep away from: the one named, or those that have all the labels. An app is never kept apart from itself: that is UNIQUE or MAX_PER.</summary>
/// <param name="App">null: by <paramref name="Labels"/>.</param>
/// <param name="Labels">Each must be there with this value; empty with an <paramref name="App"/>.</param>
/// <param name="Weight">null: never on one node. 1 to 100: a wish that counts as much as a preference of this weight.</param>
public sealed record Apart(AppId? App, EquatableList<Label> Labels, int? Weight)
{
    public bool Means(AppSpec other) => App is { } app ? other.Id == app : Labels.Count > 0 && Labels.Items.All(label => other.Labels.Items.Contains(label));
}

public enum ConstraintOperator { Unique, Cluster, GroupBy, Like, Unlike, MaxPer, Is }

/// <param name="Initial">Delay after the first failure.</param>
public sealed record Backoff(TimeSpan Initial, double Factor, TimeSpan Max);
public sealed record UpgradeStrategy(double MinimumHealthCapacity, double MaximumOverCapacity);
public enum KillSelection { YoungestFirst, OldestFirst }
public sealed record UnreachableStrategy(TimeSpan InactiveAfter, TimeSpan ExpungeAfter);

public enum HealthProtocol { Http, Https, Tcp, Command, MesosHttp, MesosHttps, MesosTcp }

/// <param name="PortIndex">Index into port mappings (or definitions); <paramref name="Port"/> wins where both are given.</param>
/// <param name="MaxConsecutiveFailures">0: never killed; of Mesos' checks: killed at the first failure.</param>
public sealed record HealthCheck(
    HealthProtocol Protocol, string? Path, int? PortIndex, int? Port, string? Command, TimeSpan Grace, TimeSpan Interval, TimeSpan Timeout,
    int MaxConsecutiveFailures, TimeSpan Delay, bool IgnoreHttp1xx)
{
    public IpProtocol IpProtocol { get; init; }
    /// <summary>Mesos' own kinds: asked inside the container's network.</summary>
    public bool IsMesos => Protocol is HealthProtocol.MesosHttp or HealthProtocol.MesosHttps or HealthProtocol.MesosTcp;
}

public enum IpProtocol { IPv4, IPv6 }

/// <summary>Asked of a new copy until it says once that it is ready; until then an upgrade keeps an old copy for it.</summary>
/// <param name="Protocol">HTTP or HTTPS.</param>
/// <param name="PortName">Name of a port mapping or definition.</param>
/// <param name="KeepsAnswer">Whether the last answer is shown.</param>
public sealed record ReadinessCheck(
    string Name, HealthProtocol Protocol, string Path, string PortName, TimeSpan Interval, TimeSpan Timeout, EquatableList<int> ReadyStatusCodes, bool KeepsAnswer);
