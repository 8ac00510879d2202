using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Drover.Agent.Networks.Vxlan;

/// <summary>Linux: `if_nametoindex(3)` and packet sockets (`packet(7)`).</summary>
public sealed partial class PacketLinks : ILinks
{
    private const int AfPacket = 17;
    private const int SockRawCloseOnExec = 3 | 0x80000;

    public int IndexOf(string name) => (int)IfNameToIndex(name);

    public void Send(string name, ReadOnlySpan<byte> frame)
    {
        var index = IndexOf(name);
        if (index == 0) throw new InvalidOperationException($"there is no interface {name}: the network has not been set up on this node yet");
        // Protocol 0: this socket only sends, the kernel must not queue anything for it.
        var socket = OpenSocket(AfPacket, SockRawCloseOnExec, 0);
        if (socket < 0) throw Failed("a packet socket cannot be opened", "the agent needs CAP_NET_RAW (run it as root)");
        try
        {
            Span<byte> to = stackalloc byte[20]; // struct sockaddr_ll
            to.Clear();
            BinaryPrimitives.WriteUInt16LittleEndian(to, AfPacket);
            frame.Slice(12, 2).CopyTo(to[2..]);
            MemoryMarshal.Write(to[4..], index);
            to[11] = 6;
            frame[..6].CopyTo(to[12..]);
            if (SendTo(socket, frame, (nuint)frame.Length, 0, to, (uint)to.Length) < 0) throw Failed($"a frame cannot be sent on {name}", "see `ip link show` for its state");
        }
        finally
        {
            _ = Close(socket);
        }
    }

    private static InvalidOperationException Failed(string what, string remedy) => new($"{what}: {Marshal.GetLastPInvokeErrorMessage()}; {remedy}");

    [LibraryImport("libc", EntryPoint = "if_nametoindex", StringMarshalling = StringMarshalling.Utf8)]
    private static partial uint IfNameToIndex(string name);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int OpenSocket(int domain, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "sendto", SetLastError = true)]
    private static partial nint SendTo(int socket, ReadOnlySpan<byte> data, nuint length, int flags, ReadOnlySpan<byte> address, uint addressLength);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
