using System.Globalization;
using System.Net.Security;
using System.Threading.Channels;
using Drover.Contracts.Agent;
using Grpc.Core;
using Grpc.Net.Client;

namespace Drover.Bench.Scheduler;

/// <summary>An agent without containers: greets, takes orders, says at once that what it is to run runs and that what is to go is gone, asks for its lease and beats as a real one does.</summary>
internal sealed class SimulatedNode(int index, Uri control, SslClientAuthenticationOptions identity, Fleet fleet)
{
    private static readonly TimeSpan LeaseEvery = TimeSpan.FromSeconds(20);
    private readonly string _seat = Guid.NewGuid().ToString("N");
    private readonly Dictionary<string, InstanceObserved> _running = new(StringComparer.Ordinal);
    private readonly Random _chance = new(index);

    public static string NameOf(int index) => string.Create(CultureInfo.InvariantCulture, $"n{index:00000}");
    public int Running { get { lock (_running) return _running.Count; } }

    public async Task Run(CancellationToken cancel)
    {
        while (!cancel.IsCancellationRequested)
        {
            try
            {
                await Converse(cancel);
            }
            catch (Exception e) when (e is RpcException or IOException or HttpRequestException or OperationCanceledException)
            {
                // The control plane is away or this run ends: dial again below, or leave.
            }
            if (cancel.IsCancellationRequested) return;
            await Task.Delay(TimeSpan.FromMilliseconds(200 + _chance.Next(800)), cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task Converse(CancellationToken cancel)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var handler = new SocketsHttpHandler { SslOptions = identity, ConnectTimeout = TimeSpan.FromSeconds(30), EnableMultipleHttp2Connections = false };
        using var channel = GrpcChannel.ForAddress(control, new GrpcChannelOptions { HttpHandler = handler, MaxReceiveMessageSize = 64 * 1024 * 1024 });
        // Through the door before it dials: a call begins with the handshake.
        var door = await fleet.Door(over.Token);
        using var call = new AgentLink.AgentLinkClient(channel).Connect(cancellationToken: over.Token);
        try
        {
            await call.RequestStream.WriteAsync(new FromAgent { Hello = Greeting() }, over.Token);
            if (!await call.ResponseStream.MoveNext(over.Token)) return;
        }
        finally
        {
            door.Dispose();
        }
        var heartbeat = TimeSpan.FromSeconds(call.ResponseStream.Current.Welcome.HeartbeatSeconds);
        var outbox = Channel.CreateUnbounded<FromAgent>(new UnboundedChannelOptions { SingleReader = true });
        Task[] parts = [Read(call.ResponseStream, outbox.Writer, over.Token), Write(call.RequestStream, outbox.Reader, over.Token), Beat(outbox.Writer, heartbeat, over.Token)];
        await Task.WhenAny(parts);
        await over.CancelAsync();
        await Task.WhenAll(parts).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private Hello Greeting()
    {
        var hello = new Hello
        {
            Node = NameOf(index), Hostname = $"{NameOf(index)}.bench", Address = "127.0.0.1", TransferPort = 4525, Cpus = 16, MemoryMib = 65536, DiskMib = 500000, VolumeDriver = "btrfs", AgentVersion = "bench", Seat = _seat,
            Ports = { new PortRange { Begin = 31000, End = 32000 } }, Pool = new PoolSpace { TotalBytes = 1L << 40, FreeBytes = 1L << 39 },
        };
        hello.Attributes["rack"] = string.Create(CultureInfo.InvariantCulture, $"r{index % 20:00}");
        hello.Attributes["disk"] = index % 3 == 0 ? "ssd" : "spinning";
        lock (_running) hello.Instances.AddRange(_running.Values);
        return hello;
    }

    private async Task Read(IAsyncStreamReader<ToAgent> from, ChannelWriter<FromAgent> outbox, CancellationToken cancel)
    {
        var ordered = false;
        try
        {
            while (await from.MoveNext(cancel))
            {
                var said = from.Current;
                if (said.Desired is { } whole)
                {
                    lock (_running) foreach (var gone in _running.Keys.Except(whole.Instances.Select(i => i.InstanceId)).ToList()) _running.Remove(gone);
                    Take(whole.Instances, outbox);
                    if (!ordered) fleet.Came();
                    ordered = true;
                }
                else if (said.Change is { } change)
                {
                    lock (_running) foreach (var gone in change.RemovedInstances) _running.Remove(gone);
                    Take(change.Instances, outbox);
                }
            }
        }
        finally
        {
            if (ordered) fleet.Went();
        }
    }

    private void Take(IEnumerable<DesiredInstance> orders, ChannelWriter<FromAgent> outbox)
    {
        var fresh = 0;
        foreach (var order in orders)
        {
            var seen = new InstanceObserved { InstanceId = order.InstanceId, TaskId = order.TaskId, AppId = order.AppId };
            lock (_running)
            {
                if (order.Wish == InstanceWish.Remove)
                {
                    _running.Remove(order.InstanceId);
                    seen.Condition = InstanceCondition.Gone;
                }
                else if (_running.TryGetValue(order.InstanceId, out var known) && known.TaskId == order.TaskId) continue;
                else
                {
                    fresh++;
                    seen.Condition = InstanceCondition.Running;
                    seen.ContainerId = Convert.ToHexStringLower(Guid.NewGuid().ToByteArray()) + Convert.ToHexStringLower(Guid.NewGuid().ToByteArray());
                    seen.StartedAtUnixMs = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
                    _running[order.InstanceId] = seen;
                }
            }
            outbox.TryWrite(new FromAgent { Instance = seen });
        }
        if (fresh > 0) fleet.Took(fresh);
    }

    private static async Task Write(IClientStreamWriter<FromAgent> to, ChannelReader<FromAgent> outbox, CancellationToken cancel)
    {
        await foreach (var message in outbox.ReadAllAsync(cancel)) await to.WriteAsync(message, cancel);
    }

    /// <summary>Memory differs a little each time, as it does in life.</summary>
    private async Task Beat(ChannelWriter<FromAgent> outbox, TimeSpan every, CancellationToken cancel)
    {
        await Task.Delay(every * _chance.NextDouble(), cancel);
        using var timer = new PeriodicTimer(every);
        for (var beats = 0; ; beats++)
        {
            outbox.TryWrite(new FromAgent { Heartbeat = new Heartbeat { Pool = new() { TotalBytes = 1L << 40, FreeBytes = 1L << 39 }, AgentMemoryBytes = (60L << 20) + _chance.Next(1 << 20) } });
            if (beats % (int)(LeaseEvery / every) == 0) outbox.TryWrite(new FromAgent { Lease = new LeaseRequest { AskedAtUs = beats } });
            if (!await timer.WaitForNextTickAsync(cancel)) return;
        }
    }
}
