using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Drover.Cli.Lab;

/// <summary>An IPv4 network, `172.16.255.0/24`.</summary>
public readonly record struct Subnet(uint Network, int Prefix)
{
    /// <summary>The lab's networks are /24: its addresses end in fixed numbers.</summary>
    public static Subnet ParseLab(string text)
    {
        if (TryParse(text) is { Prefix: 24 } subnet && subnet.ToString() == text) return subnet;
        throw new LabException($"--subnet '{text}': not a network the lab can use; give a private IPv4 network of 24 bits that ends in .0, like 172.16.255.0/24");
    }

    public static Subnet? TryParse(string text)
    {
        var parts = text.Split('/');
        if (!IPAddress.TryParse(parts[0], out var address) || address.AddressFamily != AddressFamily.InterNetwork) return null;
        var prefix = 32;
        if (parts.Length > 2 || (parts.Length == 2 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out prefix)) || prefix > 32) return null;
        var bytes = address.GetAddressBytes();
        var number = ((uint)bytes[0] << 24) | ((uint)bytes[1] << 16) | ((uint)bytes[2] << 8) | bytes[3];
        return new(number & Mask(prefix), prefix);
    }

    public bool Overlaps(Subnet other)
    {
        var mask = Mask(Math.Min(Prefix, other.Prefix));
        return (Network & mask) == (other.Network & mask);
    }

    public string Address(int host) => Dotted(Network + (uint)host);

    public override string ToString() => $"{Dotted(Network)}/{Prefix}";

    private static uint Mask(int prefix) => prefix == 0 ? 0 : uint.MaxValue << (32 - prefix);

    private static string Dotted(uint a) => $"{a >> 24}.{(a >> 16) & 255}.{(a >> 8) & 255}.{a & 255}";
}
