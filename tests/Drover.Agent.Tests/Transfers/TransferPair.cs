using System.Collections.Concurrent;
using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Volumes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Drover.Agent.Tests.Transfers;

/// <summary>Two agents' transfer parts on loopback, with fake pools, over real TLS.</summary>
internal sealed class TransferPair : IAsyncDisposable
{
    public static readonly VolumeName Db = new("db");
    private readonly TransferServer _server;
    private int _nonce;

    public TestCertificates Cluster { get; } = new();
    public FakeVolumeDriver Source { get; } = new(new FakePool(), new SeededChance(1));
    public FakeVolumeDriver Target { get; } = new(new FakePool(), new SeededChance(2));
    public ConcurrentQueue<StepProgress> Progress { get; } = new();
    public RoundSender Sender { get; private set; }
    public int Port { get; set; }

    private TransferPair(TimeProvider? time)
    {
        var key = new TicketKey();
        key.Set(Cluster.TicketKeyPem);
        _server = new(Options("node2", Cluster.Of("node2")), Target, key, TimeProvider.System, NullLogger<TransferServer>.Instance);
        Sender = new(Options("node1", Cluster.Of("node1")), Source, time ?? TimeProvider.System, NullLogger<RoundSender>.Instance);
    }

    public static async Task<TransferPair> Open(TimeProvider? time = null)
    {
        var pair = new TransferPair(time);
        await pair._server.StartAsync(default);
        pair.Port = await pair._server.Port;
        await pair.Source.CreateEmpty(Db, new(1), default);
        await pair.Source.Mount(Db, new(1), default);
        pair.Source.Write(Db, "a", [1, 2, 3]);
        return pair;
    }

    public void SendAs(string node, string certificates) => Sender = new(Options(node, certificates), Source, TimeProvider.System, NullLogger<RoundSender>.Instance);

    public static AgentOptions Options(string node, string certificates) => new()
    {
        Node = node, Control = new("https://127.0.0.1:1"), Address = "127.0.0.1", TransferPort = 0, Certificates = certificates, Pool = "/nowhere",
    };

    public string Ticket(string snapshot, string volume = "db", long epoch = 1, string source = "node1", string target = "node2", long? notAfter = null, string? nonce = null) =>
        Cluster.Ticket($$"""
            {"move":"m1","volume":"{{volume}}","epoch":{{epoch}},"snapshot":"{{snapshot}}","source":"{{source}}","target":"{{target}}","notAfter":{{notAfter ?? TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() + 600}},"nonce":"{{nonce ?? $"n{++_nonce}"}}"}
            """);

    public SendRound Round(string snapshot, string basis = "", string? ticket = null, bool final = false, long bytesPerSecond = 0)
    {
        var round = new SendRound { Number = 1, Final = final, TargetAddress = "127.0.0.1", TargetPort = Port, TargetNode = "node2", BytesPerSecond = bytesPerSecond };
        round.Volumes.Add(new RoundVolume { Name = "db", Epoch = 1, Snapshot = snapshot, Base = basis, Ticket = ticket ?? Ticket(snapshot) });
        return round;
    }

    public Task<RoundOutcome> Send(SendRound round, CancellationToken cancel = default) => Sender.Send(round, "m1", Progress.Enqueue, cancel);

    public async Task<string[]> Arrived() => (await Target.Inspect(Db, default))?.Snapshots.Select(s => s.Name.Value).ToArray() ?? [];

    public async ValueTask DisposeAsync()
    {
        await _server.StopAsync(default);
        _server.Dispose();
        Cluster.Dispose();
    }
}
