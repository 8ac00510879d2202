using Drover.Agent;
using Drover.Agent.Host;
using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Agents;
using Microsoft.Extensions.Logging.Abstractions;

namespace Drover.Platform.Tests.Volumes;

/// <summary>Two real pools and the transfer parts of two agents between them, over TLS on loopback.</summary>
internal sealed class BtrfsPair : IAsyncDisposable
{
    public static readonly VolumeName Db = new("db");
    private readonly TestCertificates _cluster = new();
    private readonly TemporaryFolder _state = new();
    private TransferServer _server = null!;
    private int _nonce;

    public LoopPool Source { get; private set; } = null!;
    public LoopPool Target { get; private set; } = null!;
    public RoundSender Sender { get; private set; } = null!;
    public int Port { get; set; }

    public static async Task<BtrfsPair> Open(long mebibytes = 512, IHostCommands? sourceCommands = null, long? targetMebibytes = null)
    {
        var pair = new BtrfsPair { Source = await LoopPool.Make(mebibytes, sourceCommands), Target = await LoopPool.Make(targetMebibytes ?? mebibytes) };
        await pair.Source.Driver.Recover(default);
        await pair.Target.Driver.Recover(default);
        var key = new TicketKey();
        key.Set(pair._cluster.TicketKeyPem);
        pair._server = new(pair.Options("node2"), pair.Target.Driver, key, new ToldObservations(), TimeProvider.System, NullLogger<TransferServer>.Instance);
        pair.RestartSource();
        await pair._server.StartAsync(default);
        pair.Port = await pair._server.Port;
        await pair.Source.Driver.CreateEmpty(Db, new(1), default);
        await pair.Source.Driver.Mount(Db, new(1), default);
        return pair;
    }

    /// <summary>The sender's agent starts again: it knows nothing of what it sent.</summary>
    public void RestartSource() => Sender = new(Options("node1"), Source.Driver, TimeProvider.System, NullLogger<RoundSender>.Instance);

    public Task<RoundOutcome> Send(string snapshot, string basis = "", bool final = false, Action<StepProgress>? progress = null, CancellationToken cancel = default)
    {
        var round = new SendRound { Number = 1, Final = final, TargetAddress = "127.0.0.1", TargetPort = Port, TargetNode = "node2" };
        var end = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() + 600;
        var ticket = _cluster.Ticket($$"""{"move":"m1","volume":"db","epoch":1,"snapshot":"{{snapshot}}","source":"node1","target":"node2","notAfter":{{end}},"nonce":"n{{++_nonce}}"}""");
        round.Volumes.Add(new RoundVolume { Name = "db", Epoch = 1, Snapshot = snapshot, Base = basis, Ticket = ticket });
        return Sender.Send(round, "m1", progress ?? (_ => { }), cancel);
    }

    private AgentOptions Options(string node) => new()
    {
        Node = node, Control = new("https://127.0.0.1:1"), Address = "127.0.0.1", TransferPort = 0, Certificates = _cluster.Of(node), Pool = "/nowhere", StateFolder = _state.File(node),
    };

    public async ValueTask DisposeAsync()
    {
        await _server.StopAsync(default);
        _server.Dispose();
        await Source.DisposeAsync();
        await Target.DisposeAsync();
        _cluster.Dispose();
        _state.Dispose();
    }
}

/// <summary>Kills the first `btrfs send` once it has given its first bytes.</summary>
internal sealed class KillingCommands : IHostCommands
{
    private readonly HostCommands _real = new();
    public int Killed { get; private set; }

    public Task<CommandResult> Run(HostCommand command, CancellationToken cancel) => _real.Run(command, cancel);

    public IRunningCommand Start(HostCommand command)
    {
        var running = _real.Start(command);
        if (command.Arguments[0] != "send" || Killed++ > 0) return running;
        // The pipe holds less than the stream, so it cannot have ended by itself.
        running.Kill();
        return running;
    }
}
