using System.Net;
using System.Net.Sockets;

#pragma warning disable RS0030 // somebody who knocks and says nothing, made of sockets

namespace Drover.Testing.Transfers;

/// <summary>Connections that are opened and then say nothing.</summary>
public sealed class SilentConnections : IDisposable
{
    private readonly List<Socket> _open = [];

    /// <param name="from">A loopback address: each of 127.0.0.0/8 is somebody else.</param>
    public async Task Open(int port, int count, string from = "127.0.0.1")
    {
        for (var i = 0; i < count; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _open.Add(socket);
            socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
            await socket.ConnectAsync(IPAddress.Loopback, port);
        }
    }

    /// <summary>Until the other side has closed this one.</summary>
    public async Task Closed(int which, CancellationToken cancel)
    {
        var nothing = new byte[1];
        try { while (await _open[which].ReceiveAsync(nothing, cancel) > 0) { } }
        catch (SocketException) { /* closed the hard way */ }
    }

    public void Dispose()
    {
        foreach (var socket in _open) socket.Dispose();
    }
}
