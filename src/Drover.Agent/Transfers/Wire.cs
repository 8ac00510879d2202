using System.Net;
using System.Net.Sockets;

#pragma warning disable RS0030 // the adapter that owns the transfer protocol's sockets

namespace Drover.Agent.Transfers;

internal static class Wire
{
    public static async Task<NetworkStream> Dial(string address, int port, CancellationToken cancel)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(IPAddress.Parse(address), port, cancel);
            return Tuned(socket);
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
        socket.Listen(16);
        return socket;
    }

    public static async Task<NetworkStream> Accepted(Socket listener, CancellationToken cancel) => Tuned(await listener.AcceptAsync(cancel));

    /// <summary>A send may be silent for minutes while it walks an unchanged tree, so a dead peer is found by keep-alive (25 s), not by silence.</summary>
    private static NetworkStream Tuned(Socket socket)
    {
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 10);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
        return new NetworkStream(socket, ownsSocket: true);
    }
}
