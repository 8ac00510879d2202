using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Networks;

/// <summary>Addresses on overlays: asked for by `WEAVE_CIDR`, leased to the app, following its copy.</summary>
public static class Addressing
{
    public const string Variable = "WEAVE_CIDR";
    public static readonly NetworkName Weave = new("weave");
    public const int FirstVni = 4096;
    private const int LastVni = 16777215;

    /// <summary>Reads `a.b.c.d/n`.</summary>
    /// <param name="problem">Reason and remedy when it is refused.</param>
    public static bool TryParse(string? text, out OverlayAttachment? attachment, out string? problem)
    {
        attachment = null;
        if (!TryRead(text, out var address, out var prefix))
        {
            problem = $"must be an IPv4 address with prefix length such as 10.255.0.10/24, not '{text}'";
            return false;
        }
        var mask = Mask(prefix);
        problem = prefix switch
        {
            < 8 or > 30 => $"the prefix length must be 8 to 30, not {prefix}",
            _ when (address & ~mask) == 0 => $"{Text(address)} is the address of its network {Text(address & mask)}/{prefix}: choose another",
            _ when (address & ~mask) == ~mask => $"{Text(address)} is the broadcast address of {Text(address & mask)}/{prefix}: choose another",
            _ when address >> 24 is 0 or 127 or >= 224 => $"{Text(address)} is not an address a machine can have",
            _ => null,
        };
        if (problem is not null) return false;
        attachment = new OverlayAttachment(Weave, $"{Text(address)}/{prefix}");
        return true;
    }

    /// <summary>Why the app cannot have the address it asks for; null: it can, or asks for none.</summary>
    public static FieldError? Refusal(ClusterState state, AppSpec spec)
    {
        if (spec.Container?.Overlay is not { } wanted) return null;
        const string path = $"/env/{Variable}";
        if (!TryParse(wanted.Cidr, out _, out var problem)) return new FieldError(path, problem!);
        if (spec.Instances > 1) return new FieldError(path, $"{Variable} gives one address: an app with it has at most one instance, not {spec.Instances}");
        if (!state.Networks.TryGetValue(wanted.Network, out var network)) return null;
        _ = TryRead(wanted.Cidr, out var address, out var prefix);
        if (SubnetOf(wanted.Cidr) != network.Subnet)
        {
            _ = TryRead(network.Subnet, out var first, out var length);
            if (prefix != length && (address & Mask(length)) == first)
                return new FieldError(path, $"{Text(address)} is in the subnet {network.Subnet} of network '{network.Name}', whose prefix length is {length}, not {prefix}: write {Text(address)}/{length}");
            return new FieldError(path, $"{Text(address)}/{prefix} is outside the subnet {network.Subnet} of network '{network.Name}': choose an address in it, with its prefix length");
        }
        var holder = network.Addresses.Items.FirstOrDefault(a => a.Address == Text(address));
        return holder is not null && holder.App != spec.Id ? new FieldError(path, $"address {Text(address)} is taken by app '{holder.App}': choose another") : null;
    }

    /// <summary>Leases the address to the app; makes the network at its first use.</summary>
    public static IEnumerable<ClusterChange> Lease(ClusterState state, AppSpec spec, DateTimeOffset now)
    {
        if (spec.Container?.Overlay is not { } wanted || !TryRead(wanted.Cidr, out var address, out _)) yield break;
        var network = state.Networks.GetValueOrDefault(wanted.Network) ?? new Network(wanted.Network, NextVni(state), SubnetOf(wanted.Cidr), now);
        var known = state.Networks.ContainsKey(wanted.Network);
        if (known && network.Addresses.Items.Any(a => a.Address == Text(address) && a.App == spec.Id)) yield break;
        yield return new ClusterChange.PutNetwork(network with { Addresses = network.Addresses.Add(new AddressLease(Text(address), Mac(address), spec.Id, null)) });
    }

    /// <summary>Gives back the addresses of this app that neither its spec nor any copy of it asks for.</summary>
    public static IEnumerable<ClusterChange> ReleaseUnused(ClusterState state, AppId app)
    {
        var specs = state.InstancesOf(app).Select(i => i.Spec);
        if (state.Apps.TryGetValue(app, out var known)) specs = specs.Append(known.Spec);
        var used = specs.Select(s => s.Container?.Overlay).OfType<OverlayAttachment>().Select(o => (o.Network, o.Cidr.Split('/')[0])).ToHashSet();
        foreach (var network in state.Networks.Values)
        {
            var kept = network.Addresses.Items.RemoveAll(a => a.App == app && !used.Contains((network.Name, a.Address)));
            if (kept.Length != network.Addresses.Count) yield return new ClusterChange.PutNetwork(network with { Addresses = new(kept) });
        }
    }

    /// <summary>Sets behind which node each address of the app answers, from where its copy is. To be committed with what changes a copy's node.</summary>
    public static IEnumerable<ClusterChange> Follow(ClusterState state, AppId app)
    {
        var at = state.InstancesOf(app).Where(i => i.Node is not null).OrderBy(i => i.Goal).Select(i => i.Node).FirstOrDefault();
        foreach (var network in state.Networks.Values)
        {
            var followed = network.Addresses.Items.Select(a => a.App == app && a.Node != at ? a with { Node = at } : a).ToEquatableList();
            if (followed != network.Addresses) yield return new ClusterChange.PutNetwork(network with { Addresses = followed });
        }
    }

    /// <summary>`02:dd` (locally administered) and the address's four bytes.</summary>
    public static string MacOf(string address) => Mac(Number(IPAddress.Parse(address)));

    private static int NextVni(ClusterState state)
    {
        var taken = state.Networks.Values.Select(n => n.Vni).ToImmutableHashSet();
        for (var vni = FirstVni; vni <= LastVni; vni++) if (!taken.Contains(vni)) return vni;
        throw new InvalidOperationException("all VXLAN network identifiers are in use: remove a network");
    }

    private static string SubnetOf(string cidr)
    {
        _ = TryRead(cidr, out var address, out var prefix);
        return $"{Text(address & Mask(prefix))}/{prefix}";
    }

    private static bool TryRead(string? text, out uint address, out int prefix)
    {
        (address, prefix) = (0, 0);
        if (text?.Split('/') is not [var left, var right] || left.Split('.').Length != 4) return false;
        if (!IPAddress.TryParse(left, out var parsed) || parsed.AddressFamily != AddressFamily.InterNetwork || parsed.ToString() != left) return false;
        if (!int.TryParse(right, NumberStyles.None, CultureInfo.InvariantCulture, out prefix) || prefix > 32) return false;
        address = Number(parsed);
        return true;
    }

    private static uint Mask(int prefix) => prefix == 0 ? 0 : uint.MaxValue << (32 - prefix);

    private static uint Number(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[4];
        _ = address.TryWriteBytes(bytes, out _);
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    private static string Text(uint a) => string.Create(CultureInfo.InvariantCulture, $"{a >> 24}.{(a >> 16) & 255}.{(a >> 8) & 255}.{a & 255}");

    private static string Mac(uint a) => string.Create(CultureInfo.InvariantCulture, $"02:dd:{a >> 24:x2}:{(a >> 16) & 255:x2}:{(a >> 8) & 255:x2}:{a & 255:x2}");
}
