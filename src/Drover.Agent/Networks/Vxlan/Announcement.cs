using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;

namespace Drover.Agent.Networks.Vxlan;

/// <summary>ARP announcement: a request whose sender and target address are the same (RFC 5227 §3, RFC 826).</summary>
public static class Announcement
{
    private const int EthernetMinimum = 60;

    /// <exception cref="FormatException">Not an IPv4 address or not a hardware address of six bytes.</exception>
    public static byte[] Frame(string address, string mac)
    {
        var ip = IPAddress.Parse(address).GetAddressBytes();
        var hardware = PhysicalAddress.Parse(mac).GetAddressBytes();
        if (ip.Length != 4) throw new FormatException($"'{address}' is not an IPv4 address");
        if (hardware.Length != 6) throw new FormatException($"'{mac}' is not a hardware address of six bytes");
        var frame = new byte[EthernetMinimum];
        var at = frame.AsSpan();
        at[..6].Fill(0xff);
        hardware.CopyTo(at[6..]);
        BinaryPrimitives.WriteUInt16BigEndian(at[12..], 0x0806);
        BinaryPrimitives.WriteUInt16BigEndian(at[14..], 1);
        BinaryPrimitives.WriteUInt16BigEndian(at[16..], 0x0800);
        at[18] = 6;
        at[19] = 4;
        BinaryPrimitives.WriteUInt16BigEndian(at[20..], 1);
        hardware.CopyTo(at[22..]);
        ip.CopyTo(at[28..]);
        ip.CopyTo(at[38..]);
        return frame;
    }
}
