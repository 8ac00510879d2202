using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Drover.Contracts.Agent;

namespace Drover.Agent.Networks.Vxlan;

/// <summary>What a network must be before any of it is written into a batch of commands.</summary>
public static class OverlayRules
{
    private const int VniMaximum = (1 << 24) - 1;
    private const int NameMaximum = 200;

    /// <exception cref="ArgumentException">Names the field, the value and what it must be.</exception>
    public static void Check(DesiredNetwork network)
    {
        if (network.Name.Length is 0 or > NameMaximum || network.Name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.')))
            throw new ArgumentException($"network name '{network.Name}': letters, digits, '-', '_' and '.' only, at most {NameMaximum}");
        if (network.Vni is < 1 or > VniMaximum) throw new ArgumentException($"vni {network.Vni} of network {network.Name}: must be 1 to {VniMaximum}");
        if (!IPNetwork.TryParse(network.Subnet, out var subnet) || subnet.BaseAddress.AddressFamily != AddressFamily.InterNetwork)
            throw new ArgumentException($"subnet '{network.Subnet}' of network {network.Name}: must be an IPv4 network such as 10.2.0.0/24");
        foreach (var peer in network.Peers) CheckAddress(peer.Address, $"address of peer {peer.Node}");
        foreach (var entry in network.Entries)
        {
            CheckEndpoint(entry.Address, entry.Mac);
            if (entry.NodeAddress.Length > 0) CheckAddress(entry.NodeAddress, $"node address of {entry.Address}");
        }
    }

    public static void CheckEndpoint(string address, string mac)
    {
        CheckAddress(address, "address of an endpoint");
        if (mac.Length != 17 || !PhysicalAddress.TryParse(mac, out _) || mac.Any(char.IsAsciiLetterUpper) || mac.Count(c => c == ':') != 5)
            throw new ArgumentException($"hardware address '{mac}' of {address}: must be six lower-case bytes such as 02:dd:0a:02:00:05");
    }

    public static OverlayWanted Wanted(DesiredNetwork network, AgentOptions options, int mtu)
    {
        var elsewhere = network.Entries.Where(entry => entry.Node != options.Node && entry.NodeAddress.Length > 0 && entry.NodeAddress != options.Address).ToArray();
        return new(
            network.Name, network.Vni, options.Address, mtu,
            [.. network.Peers.Where(peer => peer.Node != options.Node && peer.Address != options.Address).Select(peer => peer.Address)],
            ByKey(elsewhere.Select(entry => (entry.Mac, entry.NodeAddress))), ByKey(elsewhere.Select(entry => (entry.Address, entry.Mac))));
    }

    private static ImmutableSortedDictionary<string, string> ByKey(IEnumerable<(string Key, string Value)> pairs)
    {
        var table = ImmutableSortedDictionary.CreateBuilder<string, string>();
        foreach (var (key, value) in pairs) table[key] = value;
        return table.ToImmutable();
    }

    private static void CheckAddress(string address, string what)
    {
        // Round trip: the parser alone would take "10.1" as well.
        if (!IPAddress.TryParse(address, out var parsed) || parsed.AddressFamily != AddressFamily.InterNetwork || parsed.ToString() != address)
            throw new ArgumentException($"{what}: '{address}' is not an IPv4 address");
    }
}
