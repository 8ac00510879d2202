using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Drover.Agent.Networks.Vxlan;

/// <summary>Names of the kernel's devices. At most 15 characters (IFNAMSIZ); they are found again by name after a restart.</summary>
public static class OverlayNames
{
    private const string AliasPrefix = "drover:";
    private const int EndpointCharacters = 12;

    public static string Bridge(int vni) => "db" + vni.ToString(CultureInfo.InvariantCulture);
    public static string Tunnel(int vni) => "dx" + vni.ToString(CultureInfo.InvariantCulture);

    /// <summary>End of an endpoint's pair that stays on the bridge.</summary>
    public static string HostEnd(string endpointId) => "dv" + Short(endpointId);

    /// <summary>End that the engine moves into the container.</summary>
    public static string ContainerEnd(string endpointId) => "dp" + Short(endpointId);

    public static bool IsHostEnd(string link) => link.StartsWith("dv", StringComparison.Ordinal);

    /// <summary>Hardware address of the bridge. Fixed, because the kernel drops all neighbours of a bridge whose address changes with its ports.</summary>
    public static string BridgeMac(int vni) =>
        string.Create(CultureInfo.InvariantCulture, $"02:db:00:{(vni >> 16) & 0xff:x2}:{(vni >> 8) & 0xff:x2}:{vni & 0xff:x2}");

    /// <summary>The network's name is kept with the device, so that a restarted agent knows what it finds.</summary>
    public static string Alias(string network) => AliasPrefix + network;

    public static string? NetworkOf(string? alias) =>
        alias is not null && alias.StartsWith(AliasPrefix, StringComparison.Ordinal) ? alias[AliasPrefix.Length..] : null;

    private static string Short(string endpointId) =>
        endpointId.Length >= EndpointCharacters && endpointId.Take(EndpointCharacters).All(char.IsAsciiHexDigitLower)
            ? endpointId[..EndpointCharacters]
            : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(endpointId)))[..EndpointCharacters];
}
