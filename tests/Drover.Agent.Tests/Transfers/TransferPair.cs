using System.Collections.Concurrent;
using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Contracts.Metrics;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Agents;
using Drover.Testing.Volumes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Drover.Agent.Tests.Transfers;

/// <summary>Two agents' transfer parts on loopback, with fake pools, over real TLS.</summary>
internal sealed class TransferPair : IAsyncDisposable
{
    public static readonly VolumeName Db = new("db");
    private readonly TemporaryFolder _state = new();
    private readonly TicketKey _key = new();
    private readonly TimeProvider _time;
    private TransferServer _server;
    private int _nonce;

    public TestCertificates Cluster { get; } = new();
    public FakeVolumeDriver Source { get; }
    public FakeVolumeDriver Target { get; }
    public ConcurrentQueue<StepProgress> Progress { get; } = new();
    public RoundSender Sender { get; private set; }
    public int Port { get; set; }

    private TransferPair(TimeProvider? time, StreamFormat[] sends, StreamFormat[] receives)
    {
        Source = Pool(1, sends);
        Target = Pool(2, receives);
        _time = time ?? TimeProvider.System;
        _key.Set(Cluster.TicketKeyPem);
        _server = NewServer();
        Sender = NewSender();
    }

    public MetricBook Metrics { get; } = new(TimeProvider.System);
    private TransferMeters Meters => field ??= new(Metrics);
    public ToldObservations Told { get; } = new();
    public TransferServer Server => _server;

    private TransferServer NewServer() => new(Options("node2", Cluster.Of("node2")), Target, _key, Told, _time, NullLogger<TransferServer>.Instance, meters: Meters);

    private RoundSender NewSender() => new(Options("node1", Cluster.Of("node1")), Source, _time, NullLogger<RoundSender>.Instance);

    /// <summary>The sender's agent starts again: it knows nothing of what it sent.</summary>
    public void RestartSource() => Sender = NewSender();

    /// <summary>The target's agent starts again; its pool and its state folder are as they were.</summary>
    public async Task RestartTarget()
    {
        await _server.StopAsync(default);
        _server.Dispose();
        _server = NewServer();
        await _server.StartAsync(default);
        Port = await _server.Port;
    }

    private static FakeVolumeDriver Pool(int seed, StreamFormat[] formats) =>
        new(new FakePool(), new SeededChance(seed)) { Abilities = new(formats, Incremental: true, Quotas: true, CheapSnapshots: true, AtomicSnapshots: true) };

    public static Task<TransferPair> Open(TimeProvider? time = null) => Open(time, [StreamFormat.BtrfsSend1, StreamFormat.Tree1], [StreamFormat.BtrfsSend1, StreamFormat.Tree1]);

    /// <param name="sends">What the source's driver can write, the best first.</param>
    /// <param name="receives">What the target's can read.</param>
    public static async Task<TransferPair> Open(TimeProvider? time, StreamFormat[] sends, StreamFormat[] receives)
    {
        var pair = new TransferPair(time, sends, receives);
        await pair._server.StartAsync(default);
        pair.Port = await pair._server.Port;
        await pair.Source.CreateEmpty(Db, new(1), default);
        await pair.Source.Mount(Db, new(1), default);
        pair.Source.Write(Db, "a", [1, 2, 3]);
        return pair;
    }

    public void SendAs(string node, string certificates) => Sender = new(Options(node, certificates), Source, TimeProvider.System, NullLogger<RoundSender>.Instance);

    public AgentOptions Options(string node, string certificates) => new()
    {
        Node = node, Control = new("https://127.0.0.1:1"), Address = "127.0.0.1", TransferPort = 0, Certificates = certificates, Pool = "/nowhere", StateFolder = _state.File(node),
    };

    public string Ticket(string snapshot, string volume = "db", long epoch = 1, string source = "node1", string target = "node2", long? notAfter = null, string? nonce = null) =>
        Cluster.Ticket($$"""
            {"move":"m1","volume":"{{volume}}","epoch":{{epoch}},"snapshot":"{{snapshot}}","source":"{{source}}","target":"{{target}}","notAfter":{{notAfter ?? _time.GetUtcNow().ToUnixTimeSeconds() + 600}},"nonce":"{{nonce ?? $"n{++_nonce}"}}"}
            """);

    public SendRound Round(string snapshot, string basis = "", string? ticket = null, bool final = false, long bytesPerSecond = 0)
    {
        var round = new SendRound { Number = 1, Final = final, TargetAddress = "127.0.0.1", TargetPort = Port, TargetNode = "node2", BytesPerSecond = bytesPerSecond };
        round.Volumes.Add(new RoundVolume { Name = "db", Epoch = 1, Snapshot = snapshot, Base = basis, Ticket = ticket ?? Ticket(snapshot) });
        return round;
    }

    public Task<RoundOutcome> Send(SendRound round, CancellationToken cancel = default) => Sender.Send(round, "m1", Progress.Enqueue, cancel);

    /// <summary>Until so many receives at the target have no connection, or so many are there at all.</summary>
    public async Task Until(Func<Drover.Agent.Transfers.Receptions, bool> state)
    {
        var there = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var receptions = Server.Receptions;
        void Look() { if (state(receptions)) there.TrySetResult(); }
        receptions.Changed += Look;
        Look();
        await there.Task;
        receptions.Changed -= Look;
    }

    public async Task<string[]> Arrived() => (await Target.Inspect(Db, default))?.Snapshots.Select(s => s.Name.Value).ToArray() ?? [];

    public async ValueTask DisposeAsync()
    {
        await _server.StopAsync(default);
        _server.Dispose();
        Metrics.Dispose();
        Cluster.Dispose();
        _state.Dispose();
    }
}
