using System.Collections.Immutable;
using Names = System.Collections.Immutable.ImmutableSortedSet<string>;
using Table = System.Collections.Immutable.ImmutableSortedDictionary<string, string>;

namespace Drover.Agent.Networks.Vxlan;

/// <summary>What one network should look like on this node.</summary>
/// <param name="Local">This node's address: source of the tunnel.</param>
/// <param name="Peers">Addresses of the other nodes.</param>
/// <param name="Remote">Hardware address → node address, for what answers on other nodes.</param>
/// <param name="Neighbours">Address → hardware address, for what answers on other nodes.</param>
public sealed record OverlayWanted(string Network, int Vni, string Local, int Mtu, Names Peers, Table Remote, Table Neighbours);

/// <summary>What the kernel has of one network.</summary>
/// <param name="Flood">Nodes that broadcasts are copied to.</param>
/// <param name="Remote">The tunnel's table: hardware address → node address.</param>
/// <param name="BehindTunnel">Hardware addresses the bridge sends into the tunnel.</param>
/// <param name="Here">Hardware addresses of endpoints on this node.</param>
public sealed record OverlayPresent(BridgeDevice? Bridge, TunnelDevice? Tunnel, Names Flood, Table Remote, Names BehindTunnel, Table Neighbours, Names Here)
{
    public static readonly OverlayPresent Nothing = new(null, null, [], Table.Empty, [], Table.Empty, []);
}

public sealed record BridgeDevice(bool Up, int Mtu, string? Alias);

/// <param name="PortLearns">The bridge learns addresses from this port by itself.</param>
/// <param name="PortAnswers">The bridge answers ARP for neighbours behind this port by itself.</param>
public sealed record TunnelDevice(int Vni, string Local, int Port, bool Learns, bool Up, int Mtu, string? Master, bool PortLearns, bool PortAnswers);

/// <summary>Lines for `ip -batch` and, after them, for `bridge -batch`.</summary>
public sealed record OverlayPlan(ImmutableArray<string> Links, ImmutableArray<string> Forwarding)
{
    public bool IsEmpty => Links.IsEmpty && Forwarding.IsEmpty;
}

/// <summary>Tells the difference between what a network should be and what is there. Pure.</summary>
/// <remarks>Nothing is learned from traffic (RFC 7348 §4.1 leaves the mapping to a control plane): learning is off on every port,
/// so no stale entry can outlive a move, and what an endpoint is behind is said by the control plane alone. An endpoint that is
/// attached here wins over an entry that says it is elsewhere: the devices know it first.</remarks>
public static class OverlayPlanner
{
    /// <summary>IANA's port for VXLAN (RFC 7348 §5).</summary>
    public const int Port = 4789;
    /// <summary>Outer Ethernet, IPv4, UDP and VXLAN headers (RFC 7348 §5).</summary>
    public const int HeaderBytes = 50;
    public const string Everyone = "00:00:00:00:00:00";

    public static OverlayPlan Plan(OverlayWanted wanted, OverlayPresent present)
    {
        var links = ImmutableArray.CreateBuilder<string>();
        var forwarding = ImmutableArray.CreateBuilder<string>();
        var fresh = Devices(wanted, present, links);
        Neighbours(wanted, present, links);
        Tunnel(wanted, fresh ? present with { Flood = [], Remote = Table.Empty, BehindTunnel = [] } : present, forwarding);
        return new(links.ToImmutable(), forwarding.ToImmutable());
    }

    /// <summary>What is there once the plan was carried out.</summary>
    public static OverlayPresent After(OverlayWanted wanted, Names here) => new(
        new BridgeDevice(true, wanted.Mtu, OverlayNames.Alias(wanted.Network)),
        new TunnelDevice(wanted.Vni, wanted.Local, Port, false, true, wanted.Mtu, OverlayNames.Bridge(wanted.Vni), false, true),
        wanted.Peers, wanted.Remote, [.. wanted.Remote.Keys.Where(mac => !here.Contains(mac))], wanted.Neighbours, here);

    public static OverlayPlan PlanAttach(int vni, int mtu, string endpointId, string mac)
    {
        var (host, inside) = (OverlayNames.HostEnd(endpointId), OverlayNames.ContainerEnd(endpointId));
        return new(
            [
                $"link add name {host} mtu {mtu} master {OverlayNames.Bridge(vni)} type veth peer name {inside} mtu {mtu} address {mac}",
                $"link set dev {host} addrgenmode none",
                $"link set dev {host} type bridge_slave learning off",
                $"link set dev {host} up",
            ],
            PlanHere(endpointId, mac));
    }

    /// <summary>The bridge's own entry: without it a frame for an endpoint that has just come here would go back into the tunnel until the endpoint speaks.</summary>
    public static ImmutableArray<string> PlanHere(string endpointId, string mac) => [$"fdb replace {mac} dev {OverlayNames.HostEnd(endpointId)} master static"];

    private static bool Devices(OverlayWanted wanted, OverlayPresent present, ImmutableArray<string>.Builder lines)
    {
        var (bridge, tunnel) = (OverlayNames.Bridge(wanted.Vni), OverlayNames.Tunnel(wanted.Vni));
        var alias = OverlayNames.Alias(wanted.Network);
        if (present.Bridge is null)
        {
            lines.Add($"link add name {bridge} address {OverlayNames.BridgeMac(wanted.Vni)} mtu {wanted.Mtu} type bridge mcast_snooping 0");
            lines.Add($"link set dev {bridge} addrgenmode none");
        }
        else if (present.Bridge.Mtu != wanted.Mtu) lines.Add($"link set dev {bridge} mtu {wanted.Mtu}");
        if (present.Bridge?.Alias != alias) lines.Add($"link set dev {bridge} alias {alias}");
        if (present.Bridge is not { Up: true }) lines.Add($"link set dev {bridge} up");

        var fits = present.Tunnel is { } t && t.Vni == wanted.Vni && t.Local == wanted.Local && t.Port == Port && !t.Learns;
        // A tunnel's identity cannot be changed in place. It carries no endpoint: making it anew loses only entries that are set again below.
        if (!fits && present.Tunnel is not null) lines.Add($"link del dev {tunnel}");
        if (!fits)
        {
            lines.Add($"link add name {tunnel} mtu {wanted.Mtu} type vxlan id {wanted.Vni} local {wanted.Local} dstport {Port} nolearning");
            lines.Add($"link set dev {tunnel} addrgenmode none");
        }
        else if (present.Tunnel!.Mtu != wanted.Mtu) lines.Add($"link set dev {tunnel} mtu {wanted.Mtu}");
        if (!fits || present.Tunnel!.Master != bridge) lines.Add($"link set dev {tunnel} master {bridge}");
        if (!fits || present.Tunnel!.Master != bridge || present.Tunnel.PortLearns || !present.Tunnel.PortAnswers)
            lines.Add($"link set dev {tunnel} type bridge_slave learning off neigh_suppress on");
        if (!fits || !present.Tunnel!.Up) lines.Add($"link set dev {tunnel} up");
        return !fits;
    }

    private static void Neighbours(OverlayWanted wanted, OverlayPresent present, ImmutableArray<string>.Builder lines)
    {
        var bridge = OverlayNames.Bridge(wanted.Vni);
        var there = present.Bridge is null ? Table.Empty : present.Neighbours;
        foreach (var address in there.Keys.Where(address => !wanted.Neighbours.ContainsKey(address)))
            lines.Add($"neigh del {address} dev {bridge}");
        foreach (var (address, mac) in wanted.Neighbours)
            if (!there.TryGetValue(address, out var old) || old != mac) lines.Add($"neigh replace {address} lladdr {mac} dev {bridge} nud permanent");
    }

    private static void Tunnel(OverlayWanted wanted, OverlayPresent present, ImmutableArray<string>.Builder lines)
    {
        var tunnel = OverlayNames.Tunnel(wanted.Vni);
        foreach (var peer in present.Flood.Except(wanted.Peers)) lines.Add($"fdb del {Everyone} dev {tunnel} dst {peer} self");
        foreach (var peer in wanted.Peers.Except(present.Flood)) lines.Add($"fdb append {Everyone} dev {tunnel} dst {peer} self permanent");
        foreach (var (mac, node) in present.Remote)
            if (!wanted.Remote.ContainsKey(mac)) lines.Add($"fdb del {mac} dev {tunnel} dst {node} self");
        foreach (var (mac, node) in wanted.Remote)
            if (!present.Remote.TryGetValue(mac, out var old) || old != node) lines.Add($"fdb replace {mac} dev {tunnel} dst {node} self permanent");
        foreach (var mac in present.BehindTunnel)
            if (!wanted.Remote.ContainsKey(mac) && !present.Here.Contains(mac)) lines.Add($"fdb del {mac} dev {tunnel} master");
        foreach (var mac in wanted.Remote.Keys)
            if (!present.BehindTunnel.Contains(mac) && !present.Here.Contains(mac)) lines.Add($"fdb replace {mac} dev {tunnel} master static");
    }
}
