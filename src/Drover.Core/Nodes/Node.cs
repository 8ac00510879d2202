namespace Drover.Core.Nodes;

/// <summary>A machine as the control plane knows it. Durable: a node stays known while its agent is away.</summary>
/// <param name="Hostname">Name that APIs show and that the `hostname` constraint matches.</param>
/// <param name="Address">IPv4 address that other nodes and health checks use.</param>
/// <param name="TransferPort">TCP port on <paramref name="Address"/> where this agent takes bulk data.</param>
/// <param name="Attributes">Operator's words for the machine (`disk` → `ssd`); constraints match them.</param>
/// <param name="Resources">What the agent offers in total.</param>
/// <param name="Cordoned">True: keeps what it runs, gets nothing new.</param>
public sealed record Node(
    NodeId Id, string Hostname, string Address, int TransferPort, EquatableList<NodeAttribute> Attributes, Resources Resources,
    string VolumeDriver, string AgentVersion, bool Cordoned, DateTimeOffset RegisteredAt, DateTimeOffset ReregisteredAt)
{
    /// <summary>Which agent speaks for the node: another one with the same name is refused while this one may write.</summary>
    public string Seat { get; init; } = "";
    /// <summary>Longest lease that it may have: a control plane that starts again waits for its end.</summary>
    public TimeSpan Lease { get; init; }

    /// <summary>Bytes a second that all transfers out of it may take together, final rounds apart; null: as its agent was started.</summary>
    public long? TransferLimit { get; init; }

    /// <summary>What an operator last wished of emptying it; null: nothing.</summary>
    public NodeDrain? Drain { get; init; }

    public string? Attribute(string name)
    {
        foreach (var attribute in Attributes) if (attribute.Name == name) return attribute.Value;
        return null;
    }
}

/// <summary>An operator's wish that a node's apps go elsewhere. It outlives the control plane's process.</summary>
/// <param name="Limit">Moves at once.</param>
/// <param name="Apps">Apps it had when this began.</param>
public sealed record NodeDrain(DrainState State, int Limit, int Apps, DateTimeOffset StartedAt)
{
    public DateTimeOffset? EndedAt { get; init; }
    /// <summary>What holds it up; null: it makes progress.</summary>
    public string? WaitsFor { get; init; }
}

[System.Text.Json.Serialization.JsonConverter(typeof(System.Text.Json.Serialization.JsonStringEnumConverter<DrainState>))]
public enum DrainState { Draining, Stopped, Done }

public sealed record NodeAttribute(string Name, string Value);

/// <summary>What is true of a node only now: never stored, rebuilt as agents connect.</summary>
/// <param name="Since">When <paramref name="Connected"/> last changed.</param>
public sealed record NodePresence(NodeId Node, bool Connected, DateTimeOffset Since, ByteCount PoolTotal, ByteCount PoolFree, ByteCount AgentMemory);

/// <summary>An amount of a machine. CPUs in cores, memory and disk in MiB as Mesos and Marathon count them.</summary>
public sealed record Resources(double Cpus, double MemoryMiB, double DiskMiB, double Gpus, EquatableList<PortRange> Ports)
{
    public static readonly Resources None = new(0, 0, 0, 0, []);
}

/// <summary>Both ends inclusive, as in Mesos: `[31000-32000]`.</summary>
public readonly record struct PortRange(int Begin, int End)
{
    public bool Contains(int port) => port >= Begin && port <= End;
    public override string ToString() => $"{Begin}-{End}";
}
