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
    private long _flipAt, _silentAt = long.MaxValue;
    private (Socket, Socket)? _current;
    private Task _work = Task.CompletedTask;
    private readonly TaskCompletionSource _silent = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private CuttingProxy(int server, long flipAt, long[] cuts) => (_server, _flipAt, _cuts) = (server, flipAt, new(cuts));

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;
    public int Connections { get; private set; }

    /// <summary>Ends when a link <see cref="FallingSilent"/> has fallen silent.</summary>
    public Task Silent => _silent.Task;

    /// <summary>A target that cannot be reached any more, once the cuts have been made.</summary>
    public bool CloseAfterCuts { get; init; }

    public static CuttingProxy Open(int server, params long[] cuts) => Started(new(server, long.MaxValue, cuts));

    public static CuttingProxy OpenOnce(int server, long cutAfter) => Started(new(server, long.MaxValue, [cutAfter]) { CloseAfterCuts = true });

    /// <summary>The first connection's link is cut after so many bytes: from then on nothing passes, either way, and nobody is told.</summary>
    public static CuttingProxy FallingSilent(int server, long at) => Started(new(server, long.MaxValue, []) { _silentAt = at });

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
                var (flip, silent) = (_flipAt, new Link(_silentAt, _silent));
                (_flipAt, _silentAt) = (long.MaxValue, long.MaxValue);
                open.Add(Pass(client, _cuts.TryDequeue(out var cut) ? cut : long.MaxValue, flip, silent));
            }
            _listener.Stop();
        }
        catch (OperationCanceledException) { /* the test is over */ }
        await Task.WhenAll(open);
    }

    private async Task Pass(TcpClient client, long cutAfter, long flipAt, Link link)
    {
        using (client)
        {
            using var there = new TcpClient();
            _current = (client.Client, there.Client);
            await there.ConnectAsync(IPAddress.Loopback, _server);
            // Whichever side ends first ends both, as one connection would.
            var ways = new[] { Forward(client, there, cutAfter, flipAt, link), Back(there, client, link), Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, _end.Token) };
            await Task.WhenAny(ways);
            client.Close();
            there.Close();
            await Task.WhenAll(ways[0], ways[1]);
        }
    }

    private async Task Forward(TcpClient client, TcpClient there, long cutAfter, long flipAt, Link link)
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
                if (passed > link.SilentAt) await link.Cut(_end.Token);
                await there.GetStream().WriteAsync(buffer.AsMemory(0, read));
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException) { /* one side went away: what the test wants to see is how the other takes it */ }
    }

    private async Task Back(TcpClient there, TcpClient client, Link link)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            int read;
            while ((read = await there.GetStream().ReadAsync(buffer)) > 0)
            {
                if (link.IsCut) await link.Cut(_end.Token);
                await client.GetStream().WriteAsync(buffer.AsMemory(0, read));
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException) { /* as above */ }
    }

    private sealed class Link(long silentAt, TaskCompletionSource silent)
    {
        private volatile bool _isCut;

        public long SilentAt => silentAt;
        public bool IsCut => _isCut;

        /// <summary>Never returns: the packets are lost, until the test is over.</summary>
        public async Task Cut(CancellationToken over)
        {
            _isCut = true;
            silent.TrySetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, over).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw new IOException("the test is over");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _work;
        _listener.Dispose();
        _end.Dispose();
    }
}
