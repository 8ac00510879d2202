using System.Collections.Immutable;
using System.Text.Json;
using Drover.Core;

namespace Drover.Agent.Networks.Vxlan;

/// <summary>Reads what `ip -d -j addr`, `bridge -j fdb` and `ip -j neigh` print. Pure.</summary>
public static class OverlayReading
{
    /// <summary>MTU of the interface that carries an address; null: none does.</summary>
    public static int? MtuOfAddress(JsonElement links, string address)
    {
        foreach (var link in links.EnumerateArray())
            if (link.TryGetProperty("addr_info", out var addresses))
                foreach (var one in addresses.EnumerateArray())
                    if (Text(one, "local") == address) return link.GetProperty("mtu").GetInt32();
        return null;
    }

    /// <summary>Our networks with their identifiers.</summary>
    public static ImmutableSortedDictionary<NetworkName, int> Networks(JsonElement links)
    {
        var found = ImmutableSortedDictionary.CreateBuilder<NetworkName, int>();
        foreach (var link in links.EnumerateArray())
            if (Text(link, "ifname") is { } name && name.StartsWith("db", StringComparison.Ordinal) && OverlayNames.NetworkOf(Text(link, "ifalias")) is { } network
                && int.TryParse(name.AsSpan(2), out var vni))
                found[new(network)] = vni;
        return found.ToImmutable();
    }

    /// <summary>Devices alone: the tables are empty.</summary>
    public static OverlayPresent Devices(JsonElement links, int vni)
    {
        BridgeDevice? bridge = null;
        TunnelDevice? tunnel = null;
        foreach (var link in links.EnumerateArray())
        {
            var name = Text(link, "ifname");
            if (name == OverlayNames.Bridge(vni)) bridge = new(IsUp(link), link.GetProperty("mtu").GetInt32(), Text(link, "ifalias"));
            if (name == OverlayNames.Tunnel(vni)) tunnel = ReadTunnel(link);
        }
        return OverlayPresent.Nothing with { Bridge = bridge, Tunnel = tunnel };
    }

    /// <summary>Adds the forwarding table (`bridge -j fdb show`) and permanent neighbours.</summary>
    public static OverlayPresent Tables(OverlayPresent present, int vni, JsonElement forwarding, JsonElement neighbours)
    {
        var (bridge, tunnel) = (OverlayNames.Bridge(vni), OverlayNames.Tunnel(vni));
        var flood = ImmutableSortedSet.CreateBuilder<string>();
        var remote = ImmutableSortedDictionary.CreateBuilder<string, string>();
        var behind = ImmutableSortedSet.CreateBuilder<string>();
        var here = ImmutableSortedSet.CreateBuilder<string>();
        foreach (var entry in forwarding.EnumerateArray())
        {
            var (link, mac, node) = (Text(entry, "ifname"), Text(entry, "mac"), Text(entry, "dst"));
            if (link is null || mac is null) continue;
            if (link == tunnel && node is not null)
            {
                if (mac == OverlayPlanner.Everyone) flood.Add(node);
                else remote[mac] = node;
            }
            else if (Text(entry, "master") == bridge && Text(entry, "state") == "static")
            {
                if (link == tunnel) behind.Add(mac);
                else if (OverlayNames.IsHostEnd(link)) here.Add(mac);
            }
        }
        var known = ImmutableSortedDictionary.CreateBuilder<string, string>();
        foreach (var neighbour in neighbours.EnumerateArray())
            if (Text(neighbour, "dev") == bridge && Text(neighbour, "dst") is { } address && Text(neighbour, "lladdr") is { } mac) known[address] = mac;
        return present with { Flood = flood.ToImmutable(), Remote = remote.ToImmutable(), BehindTunnel = behind.ToImmutable(), Here = here.ToImmutable(), Neighbours = known.ToImmutable() };
    }

    private static TunnelDevice ReadTunnel(JsonElement link)
    {
        var info = link.TryGetProperty("linkinfo", out var i) ? i : default;
        var data = info.ValueKind == JsonValueKind.Object && Text(info, "info_kind") == "vxlan" && info.TryGetProperty("info_data", out var d) ? d : default;
        var port = info.ValueKind == JsonValueKind.Object && info.TryGetProperty("info_slave_data", out var s) ? s : default;
        return new(
            Number(data, "id"), data.ValueKind == JsonValueKind.Object ? Text(data, "local") ?? "" : "", Number(data, "port"), Flag(data, "learning"),
            IsUp(link), link.GetProperty("mtu").GetInt32(), Text(link, "master"), Flag(port, "learning"), Flag(port, "neigh_suppress"));
    }

    private static bool IsUp(JsonElement link) => link.GetProperty("flags").EnumerateArray().Any(flag => flag.GetString() == "UP");

    private static string? Text(JsonElement of, string name) => of.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static int Number(JsonElement of, string name) => of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out var value) ? value.GetInt32() : 0;

    private static bool Flag(JsonElement of, string name) => of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;
}
