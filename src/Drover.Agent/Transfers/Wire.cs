using System.Net;
using System.Net.Sockets;

#pragma warning disable RS0030 // the adapter that owns the transfer protocol's sockets

namespace Drover.Agent.Transfers;

internal static class Wire
{
    // From linux/tcp.h: .NET has no name for it.
    private const int TcpLevel = 6, TcpUserTimeout = 18;
    /// <summary>A target whose disk stands still stops reading, which counts too: so the patient one where nobody waits for the end.</summary>
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60), Urgent = TimeSpan.FromSeconds(8);

    /// <param name="urgent">The app stands still meanwhile: a dead link is given up soon.</param>
    public static async Task<NetworkStream> Dial(string address, int port, bool urgent, CancellationToken cancel)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(IPAddress.Parse(address), port, cancel);
            return Tuned(socket, urgent ? Urgent : Patient);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public static Socket Listen(string address, int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), port));
        // Whom it does not take in at once, the kernel lets try again after a second: many at once must not cost a move that.
        socket.Listen(256);
        return socket;
    }

    public static async Task<NetworkStream> Accepted(Socket listener, CancellationToken cancel) => Tuned(await listener.AcceptAsync(cancel), Patient);

    /// <summary>A send may be silent for minutes while it walks an unchanged tree, so a dead peer is found by keep-alive (25 s), not by silence.</summary>
    private static NetworkStream Tuned(Socket socket, TimeSpan unacknowledged)
    {
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 10);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
        // Sent data that is not acknowledged for so long: the link is dead. The kernel alone would try for a quarter of an hour, with the app down.
        socket.SetRawSocketOption(TcpLevel, TcpUserTimeout, BitConverter.GetBytes((int)unacknowledged.TotalMilliseconds));
        return new NetworkStream(socket, ownsSocket: true);
    }
}
