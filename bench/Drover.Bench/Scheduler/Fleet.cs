using System.Diagnostics;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Drover.Bench.Scheduler;

/// <summary>Certificates of many nodes, signed by the cluster's own authority as joining signs them; they share one key, for making thousands would measure nothing.</summary>
internal sealed class NodeCertificates : IDisposable
{
    private readonly X509Certificate2 _authority;
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public NodeCertificates(string data) => _authority = X509Certificate2.CreateFromPemFile(Path.Combine(data, "ca.pem"), Path.Combine(data, "ca.key"));

    public SslClientAuthenticationOptions For(string node)
    {
        var request = new CertificateRequest($"CN={node}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.2")], critical: false));
        using var signed = request.Create(_authority, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1), RandomNumberGenerator.GetBytes(16));
        return new()
        {
            TargetHost = "drover-control",
            EnabledSslProtocols = SslProtocols.Tls13,
            ClientCertificateContext = SslStreamCertificateContext.Create(signed.CopyWithPrivateKey(_key), null, offline: true),
            // The server's is the only process on its port here; what a client's check costs is not what is measured.
            RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null,
        };
    }

    public void Dispose()
    {
        _key.Dispose();
        _authority.Dispose();
    }
}

/// <summary>All simulated agents, in this one process, and what they count together.</summary>
internal sealed class Fleet : IAsyncDisposable
{
    private const int Greeting = 64;
    private readonly CancellationTokenSource _end = new();
    private readonly List<SimulatedNode> _nodes = [];
    private readonly List<Task> _running = [];
    private readonly SemaphoreSlim _door = new(Greeting);
    private int _connected;
    private long _placed;
    private long _lastAt;

    /// <summary>Agents that have their orders.</summary>
    public int Connected => Volatile.Read(ref _connected);
    /// <summary>Orders to run something new, in agents' hands.</summary>
    public long Placed => Volatile.Read(ref _placed);
    /// <summary>When the last of them came (Stopwatch).</summary>
    public long LastAt => Volatile.Read(ref _lastAt);
    public int Running => _nodes.Sum(n => n.Running);

    public void Start(int agents, Uri control, NodeCertificates certificates)
    {
        for (var i = 0; i < agents; i++)
        {
            var node = new SimulatedNode(i, control, certificates.For(SimulatedNode.NameOf(i)), this);
            _nodes.Add(node);
            _running.Add(Task.Run(() => node.Run(_end.Token)));
        }
    }

    public Task<bool> AllConnected(TimeSpan limit) => Until(() => Connected == _nodes.Count, limit);

    public static async Task<bool> Until(Func<bool> holds, TimeSpan limit)
    {
        var since = Stopwatch.GetTimestamp();
        while (!holds())
        {
            if (Stopwatch.GetElapsedTime(since) > limit) return false;
            await Task.Delay(20);
        }
        return true;
    }

    internal void Came() => Interlocked.Increment(ref _connected);
    internal void Went() => Interlocked.Decrement(ref _connected);

    internal void Took(int orders)
    {
        Interlocked.Add(ref _placed, orders);
        Volatile.Write(ref _lastAt, Stopwatch.GetTimestamp());
    }

    /// <summary>As agents' first dials are spread over time: not all handshakes at once.</summary>
    internal async Task<IDisposable> Door(CancellationToken cancel)
    {
        await _door.WaitAsync(cancel);
        return new Through(_door);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _end.Dispose();
        _door.Dispose();
    }

    private sealed class Through(SemaphoreSlim door) : IDisposable
    {
        public void Dispose() => door.Release();
    }
}
