namespace Drover.Core.Networks;

/// <summary>An overlay across the nodes.</summary>
/// <param name="Vni">VXLAN network identifier, 1 to 16777215 (RFC 7348).</param>
/// <param name="Subnet">CIDR the addresses come from.</param>
public sealed record Network(NetworkName Name, int Vni, string Subnet, DateTimeOffset CreatedAt)
{
    public EquatableList<AddressLease> Addresses { get; init; } = [];
}

/// <summary>An address that follows the app. The hardware address is derived from it, so that it stays the same after a move.</summary>
/// <param name="Address">IPv4 without prefix length.</param>
/// <param name="Mac">`02:` and the bytes that make it unique on this overlay.</param>
/// <param name="Node">Node behind which it answers now; null while nothing runs.</param>
public sealed record AddressLease(string Address, string Mac, AppId App, NodeId? Node);
