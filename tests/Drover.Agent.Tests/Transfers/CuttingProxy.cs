using System.Net;
using System.Net.Sockets;

#pragma warning disable RS0030 // a bad network, made of sockets

namespace Drover.Agent.Tests.Transfers;

/// <summary>Passes one connection on, and does harm to what goes towards the server after so many bytes.</summary>
internal sealed class CuttingProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private Task _work = Task.CompletedTask;

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public static Task<CuttingProxy> Open(int server, long cutAfter = long.MaxValue, long flipAt = long.MaxValue)
    {
        var proxy = new CuttingProxy();
        proxy._listener.Start();
        proxy._work = proxy.Pass(server, cutAfter, flipAt);
        return Task.FromResult(proxy);
    }

    private async Task Pass(int server, long cutAfter, long flipAt)
    {
        using var client = await _listener.AcceptTcpClientAsync();
        using var there = new TcpClient();
        await there.ConnectAsync(IPAddress.Loopback, server);
        // Whichever side ends first ends both, as one connection would.
        var ways = new[] { Forward(client, there, cutAfter, flipAt), Back(there, client) };
        await Task.WhenAny(ways);
        client.Close();
        there.Close();
        await Task.WhenAll(ways);
    }

    private static async Task Forward(TcpClient client, TcpClient there, long cutAfter, long flipAt)
    {
        var buffer = new byte[16 * 1024];
        long passed = 0;
        try
        {
            int read;
            while ((read = await client.GetStream().ReadAsync(buffer)) > 0)
            {
                if (passed + read > flipAt && passed <= flipAt) buffer[flipAt - passed] ^= 1;
                passed += read;
                if (passed > cutAfter) return;
                await there.GetStream().WriteAsync(buffer.AsMemory(0, read));
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException) { /* one side went away: what the test wants to see is how the other takes it */ }
    }

    private static async Task Back(TcpClient there, TcpClient client)
    {
        try { await there.GetStream().CopyToAsync(client.GetStream()); }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException) { /* as above */ }
    }

    public async ValueTask DisposeAsync()
    {
        await _work;
        _listener.Dispose();
    }
}
