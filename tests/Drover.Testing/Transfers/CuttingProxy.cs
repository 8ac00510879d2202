using System.Net;
using System.Net.Sockets;

#pragma warning disable RS0030 // a bad network, made of sockets

namespace Drover.Testing.Transfers;

/// <summary>Passes connections on, and does harm to what goes towards the server: the first one is cut after so many bytes, the next after the next number; when they run out nothing is done.</summary>
public sealed class CuttingProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly int _server;
    private readonly Queue<long> _cuts;
    private long _flipAt;
    private (Socket, Socket)? _current;
    private Task _work = Task.CompletedTask;

    private CuttingProxy(int server, long flipAt, long[] cuts) => (_server, _flipAt, _cuts) = (server, flipAt, new(cuts));

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;
    public int Connections { get; private set; }

    /// <summary>A target that cannot be reached any more, once the cuts have been made.</summary>
    public bool CloseAfterCuts { get; init; }

    public static CuttingProxy Open(int server, params long[] cuts) => Started(new(server, long.MaxValue, cuts));

    public static CuttingProxy OpenOnce(int server, long cutAfter) => Started(new(server, long.MaxValue, [cutAfter]) { CloseAfterCuts = true });

    public static CuttingProxy Flipping(int server, long at) => Started(new(server, at, []));

    private static CuttingProxy Started(CuttingProxy proxy)
    {
        proxy._listener.Start();
        proxy._work = proxy.PassAll();
        return proxy;
    }

    /// <summary>Cuts the newest connection now.</summary>
    public void Cut()
    {
        var (client, there) = _current!.Value;
        client.Close(0);
        there.Close(0);
    }

    private async Task PassAll()
    {
        var open = new List<Task>();
        try
        {
            while (!CloseAfterCuts || _cuts.Count > 0)
            {
                var client = await _listener.AcceptTcpClientAsync(_end.Token);
                Connections++;
                var flip = _flipAt;
                _flipAt = long.MaxValue;
                open.Add(Pass(client, _cuts.TryDequeue(out var cut) ? cut : long.MaxValue, flip));
            }
            _listener.Stop();
        }
        catch (OperationCanceledException) { /* the test is over */ }
        await Task.WhenAll(open);
    }

    private async Task Pass(TcpClient client, long cutAfter, long flipAt)
    {
        using (client)
        {
            using var there = new TcpClient();
            _current = (client.Client, there.Client);
            await there.ConnectAsync(IPAddress.Loopback, _server);
            // Whichever side ends first ends both, as one connection would.
            var ways = new[] { Forward(client, there, cutAfter, flipAt), Back(there, client), Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, _end.Token) };
            await Task.WhenAny(ways);
            client.Close();
            there.Close();
            await Task.WhenAll(ways[0], ways[1]);
        }
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
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException) { /* one side went away: what the test wants to see is how the other takes it */ }
    }

    private static async Task Back(TcpClient there, TcpClient client)
    {
        try { await there.GetStream().CopyToAsync(client.GetStream()); }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException) { /* as above */ }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _work;
        _listener.Dispose();
        _end.Dispose();
    }
}
