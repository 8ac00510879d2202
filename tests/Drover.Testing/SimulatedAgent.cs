using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Drover.Contracts.Agent;
using Grpc.Core;
using Grpc.Net.Client;

namespace Drover.Testing;

/// <summary>An agent that does only what a test tells it, over the real stream and real mutual TLS.</summary>
public sealed class SimulatedAgent : IAsyncDisposable
{
    private readonly GrpcChannel _channel;
    private readonly AsyncDuplexStreamingCall<FromAgent, ToAgent> _call;
    private readonly CancellationTokenSource _limit;

    private SimulatedAgent(GrpcChannel channel, TimeSpan patience)
    {
        _channel = channel;
        _limit = new CancellationTokenSource(patience);
        _call = new AgentLink.AgentLinkClient(channel).Connect(cancellationToken: _limit.Token);
    }

    /// <summary>Opens the stream; nothing is said yet.</summary>
    /// <param name="patience">How long the stream may last; null: as long as one test waits for anything.</param>
    public static SimulatedAgent Dial(IPEndPoint control, string authorityPem, string certificatePem, string keyPem, TimeSpan? patience = null)
    {
        var authority = X509Certificate2.CreateFromPem(authorityPem);
        var own = X509Certificate2.CreateFromPem(certificatePem, keyPem);
        var handler = new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions
            {
                ClientCertificates = [own],
                LocalCertificateSelectionCallback = (_, _, _, _, _) => own,
                CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { authority }, RevocationMode = X509RevocationMode.NoCheck },
            },
        };
        return new SimulatedAgent(GrpcChannel.ForAddress($"https://{control}", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true }), patience ?? TestCluster.Patience);
    }

    public static Hello Greeting(string node) => new()
    {
        Node = node, Hostname = $"{node}.lab", Address = "127.0.0.1", TransferPort = 4525, Cpus = 4, MemoryMib = 4096, DiskMib = 10000, VolumeDriver = "btrfs", AgentVersion = "0.1.0",
        Ports = { new PortRange { Begin = 31000, End = 32000 } }, Pool = new PoolSpace { TotalBytes = 1000, FreeBytes = 900 },
    };

    public Task Say(FromAgent message) => _call.RequestStream.WriteAsync(message, _limit.Token);

    public Task Say(Hello hello) => Say(new FromAgent { Hello = hello });

    /// <summary>The next message, which must be of this kind. Fails when the control plane ended the stream, with its status.</summary>
    public async Task<ToAgent> Hear(ToAgent.KindOneofCase kind)
    {
        if (!await _call.ResponseStream.MoveNext(_limit.Token)) throw new InvalidOperationException($"the stream ended before a {kind}");
        var heard = _call.ResponseStream.Current;
        return heard.KindCase == kind ? heard : throw new InvalidOperationException($"expected {kind}, heard {heard}");
    }

    /// <summary>The next message of whatever kind; null: the stream ended.</summary>
    public async Task<ToAgent?> Next() => await _call.ResponseStream.MoveNext(_limit.Token) ? _call.ResponseStream.Current : null;

    /// <summary>Greets and takes the first orders.</summary>
    public async Task<Desired> Join(Hello hello)
    {
        await Say(hello);
        await Hear(ToAgent.KindOneofCase.Welcome);
        return (await Hear(ToAgent.KindOneofCase.Desired)).Desired;
    }

    /// <summary>As when the process dies: the connection is cut.</summary>
    public async ValueTask DisposeAsync()
    {
        _call.Dispose();
        _channel.Dispose();
        await _limit.CancelAsync();
        _limit.Dispose();
    }
}
