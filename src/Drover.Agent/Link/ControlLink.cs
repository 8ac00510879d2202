using System.Collections.Concurrent;
using Drover.Agent.Containers;
using Drover.Agent.Leases;
using Drover.Agent.Reconcile;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using TransferLimits = Drover.Agent.Transfers.TransferLimits;
using Drover.Core;
using Grpc.Core;
using Grpc.Net.Client;

namespace Drover.Agent.Link;

/// <summary>Who wants the cluster's key that signs transfer tickets.</summary>
public interface ITicketKeySink
{
    /// <summary>ECDSA P-256, SubjectPublicKeyInfo PEM; told at each new stream.</summary>
    void Learn(string publicKeyPem);
}

/// <summary>Keeps one stream to the control plane: orders down, observations up. Dials again for as long as the agent runs.</summary>
public sealed class ControlLink(
    AgentOptions options, AgentIdentity identity, Outbox outbox, Orders orders, Reconciler reconciler, StepExecutor steps, IVolumeDriver volumes, IContainerRuntime containers,
    IEnumerable<ITicketKeySink> ticketKeys, NodeFacts facts, NodeLease lease, TimeProvider time, IChance chance, HealthChecks health, ILogger<ControlLink> log, TransferLimits? limits = null,
    LinkMeters? meters = null) : BackgroundService
{
    /// <summary>Log streams that may be open at once, and chunks of each that may wait.</summary>
    private const int LogStreams = 32;
    private static readonly TimeSpan PingAfter = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan MeasureEvery = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<string, CancellationTokenSource> _logs = new();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var handler = new SocketsHttpHandler
        {
            SslOptions = identity.ForControl(), KeepAlivePingDelay = PingAfter, KeepAlivePingTimeout = PingAfter, ConnectTimeout = PingAfter, EnableMultipleHttp2Connections = false,
        };
        using var channel = GrpcChannel.ForAddress(options.Control, new GrpcChannelOptions { HttpHandler = handler, MaxReceiveMessageSize = 64 * 1024 * 1024 });
        var client = new AgentLink.AgentLinkClient(channel);
        await reconciler.Surveyed.WaitAsync(stoppingToken);
        for (var attempt = 0; !stoppingToken.IsCancellationRequested; attempt++)
        {
            try
            {
                await Converse(client, () => { attempt = 0; health.MayStop = true; }, stoppingToken);
                log.LogInformation("The control plane ended the stream: dialling again");
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                log.LogWarning("No stream to {Control} ({Error}): containers go on running, those with volumes until the lease ends; dialling again", options.Control, Words(e));
            }
            health.MayStop = false;
            await Task.Delay(Backoff.After(attempt, chance), time, stoppingToken);
        }
    }

    private static string Words(Exception e) => e is RpcException rpc ? $"{rpc.StatusCode}: {rpc.Status.Detail}" : e.Message;

    private async Task Converse(AgentLink.AgentLinkClient client, Action welcomed, CancellationToken cancel)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var call = client.Connect(cancellationToken: over.Token);
        outbox.BeginStream();
        reconciler.ForgetWhatWasTold();
        await call.RequestStream.WriteAsync(new FromAgent { Hello = await facts.Hello(over.Token) }, over.Token);
        if (!await call.ResponseStream.MoveNext(over.Token)) throw new InvalidOperationException("the control plane closed the stream before its Welcome");
        if (call.ResponseStream.Current.Welcome is not { } welcome) throw new InvalidOperationException("the control plane's first word was not Welcome: its version does not fit this agent's");
        welcomed();
        using var counted = meters?.Connected();
        foreach (var sink in ticketKeys) sink.Learn(welcome.TicketKeyPem);
        // What it said on the stream before may have been taken back since; if not, it is said again.
        limits?.Set(new Contracts.Agent.TransferLimits());
        log.LogInformation("Connected to {Control}, cluster {Cluster}", options.Control, welcome.Cluster);
        Task[] parts = [Read(call.ResponseStream, over.Token), Write(call.RequestStream, over.Token), Beat(TimeSpan.FromSeconds(Math.Max(1, welcome.HeartbeatSeconds)), over.Token), Measure(over.Token), Renew(over.Token)];
        var first = await Task.WhenAny(parts);
        await over.CancelAsync();
        foreach (var open in _logs.Values) await open.CancelAsync();
        await Task.WhenAll(parts).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await first;
    }

    private async Task Read(IAsyncStreamReader<ToAgent> from, CancellationToken cancel)
    {
        while (await from.MoveNext(cancel))
        {
            if (from.Current.KindCase == ToAgent.KindOneofCase.Lease) await lease.Take(from.Current.Lease, cancel);
            else Take(from.Current, cancel);
        }
    }

    private void Take(ToAgent said, CancellationToken cancel)
    {
        switch (said.KindCase)
        {
            case ToAgent.KindOneofCase.Desired: orders.Replace(said.Desired); break;
            case ToAgent.KindOneofCase.Change: orders.Apply(said.Change); break;
            case ToAgent.KindOneofCase.Step: steps.Accept(said.Step); break;
            case ToAgent.KindOneofCase.Cancel: steps.Cancel(said.Cancel.StepId); break;
            case ToAgent.KindOneofCase.TransferLimits: limits?.Set(said.TransferLimits); break;
            case ToAgent.KindOneofCase.Log: _ = SendLog(said.Log, cancel); break;
            case ToAgent.KindOneofCase.CancelLog:
                if (_logs.TryGetValue(said.CancelLog.RequestId, out var open)) open.Cancel();
                break;
            default: log.LogWarning("The control plane said something this agent does not know ({Kind}): update the agent", said.KindCase); break;
        }
    }

    private async Task Write(IClientStreamWriter<FromAgent> to, CancellationToken cancel)
    {
        while (true) await to.WriteAsync(await outbox.Take(cancel), cancel);
    }

    private async Task Beat(TimeSpan every, CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(every, time);
        while (await timer.WaitForNextTickAsync(cancel))
        {
            StreamBuffers.Shared.TrimIfIdle();
            var space = await volumes.Space(cancel);
            meters?.Beat(space);
            outbox.Tell(new FromAgent
            {
                Heartbeat = new Heartbeat { Pool = new() { TotalBytes = space.Total.Bytes, FreeBytes = space.Free.Bytes }, AgentMemoryBytes = Environment.WorkingSet },
            });
        }
    }

    private async Task Renew(CancellationToken cancel)
    {
        while (true)
        {
            outbox.Tell(new FromAgent { Lease = lease.Ask() });
            // Without one it asks often: control may have had a reason to wait.
            await Task.Delay(lease.MustStop ? AskAgain : lease.Held.Terms.RenewAfter, time, cancel);
        }
    }

    /// <summary>Sizes of volumes as they grow. Apart from the heartbeat: measuring a large volume that changes takes its time.</summary>
    private async Task Measure(CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(MeasureEvery, time);
        while (await timer.WaitForNextTickAsync(cancel))
            foreach (var changed in await facts.ChangedSizes(cancel)) outbox.Tell(new FromAgent { Volume = changed });
    }

    /// <summary>Why there is no output yet; null: it has a container, and the engine's own words count.</summary>
    private string? NotMade(string task) =>
        reconciler.Observed().FirstOrDefault(o => o.TaskId == task) is { ContainerId: "" } seen
            ? $"it has no container on this node yet: {seen.Condition.ToString().ToLowerInvariant()}{(seen.Message.Length > 0 ? $", {seen.Message}" : "")}"
            : null;

    private async Task SendLog(LogRequest request, CancellationToken cancel)
    {
        using var mine = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var error = "";
        if (_logs.Count >= LogStreams || !_logs.TryAdd(request.RequestId, mine))
        {
            outbox.Tell(new FromAgent { Log = new LogChunk { RequestId = request.RequestId, End = true, Error = $"this node streams {LogStreams} logs already: close one" } });
            return;
        }
        try
        {
            await foreach (var line in containers.Logs(new TaskId(request.TaskId), request.Follow, request.Tail, mine.Token))
            {
                // A slow stream slows the reading down instead of filling memory.
                while (outbox.Count > 256) await Task.Delay(TimeSpan.FromMilliseconds(20), time, mine.Token);
                outbox.Tell(new FromAgent { Log = new LogChunk { RequestId = request.RequestId, Data = Google.Protobuf.ByteString.CopyFrom(line.Data.Span), Stderr = line.StandardError } });
            }
        }
        catch (OperationCanceledException) { return; /* the reader left */ }
        catch (Exception e) { error = NotMade(request.TaskId) ?? e.Message; }
        finally { _logs.TryRemove(request.RequestId, out _); }
        outbox.Tell(new FromAgent { Log = new LogChunk { RequestId = request.RequestId, End = true, Error = error } });
    }
}
