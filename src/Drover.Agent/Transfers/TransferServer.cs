using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Drover.Agent.Reconcile;
using Drover.Agent.Volumes;
using Drover.Core;

#pragma warning disable RS0030 // the adapter that owns the transfer protocol's sockets

namespace Drover.Agent.Transfers;

/// <summary>What is arriving at this node.</summary>
public interface IArrivals
{
    /// <summary>Ends what arrives for this volume, with a connection or waiting for one; nothing unfinished is left when it returns.</summary>
    Task CallOff(VolumeName volume, CancellationToken cancel);
}

/// <summary>Receives snapshots from other agents, on this node's address and transfer port, by <c>proto/drover/agent/v1/transfer.md</c>.</summary>
public sealed class TransferServer(AgentOptions options, IVolumeDriver driver, TicketKey key, IObservations observations, TimeProvider time, ILogger<TransferServer> log, TransferLimits? nodeLimits = null, TransferMeters? meters = null)
    : BackgroundService, IArrivals
{
    private const int MostTransfers = 32, MostParked = 8, MostAtDoor = 256, MostAtDoorOfOne = 64;
    /// <summary>How long what arrived is kept for its sender to come back after the connection broke.</summary>
    public static readonly TimeSpan ParkFor = TimeSpan.FromSeconds(120);
    /// <summary>How long a connection may take to show its certificate.</summary>
    public static readonly TimeSpan GreetingTime = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AcceptAgain = TimeSpan.FromSeconds(1);
    private readonly ClusterIdentity _identity = new(options.Certificates);
    private readonly ReceivingParts _parts = new(
        driver, new TicketDesk(key, options.Node, new UsedTickets(Path.Combine(options.StateFolder, "used-tickets"), time), time), new VolumeTurns(),
        new Receptions(time, ParkFor, MostParked, log), new RefusalReports(observations, time), (nodeLimits ?? new(options, time)).Incoming,
        new(MostTransfers, MostTransfers), time, log) { Meters = meters };
    private readonly Doorway _door = new(MostAtDoor, MostAtDoorOfOne, GreetingTime, time);
    private readonly HashSet<Task> _serving = [];
    private readonly TaskCompletionSource<int> _port = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Port listened on, once it is: asked for as 0, any free one.</summary>
    public Task<int> Port => _port.Task;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var listener = Open();
        var port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        log.LogInformation("transfers are received on {Address}:{Port}", options.Address, port);
        _port.TrySetResult(port);
        try
        {
            while (true)
                if (await Accepted(listener, stoppingToken) is { } stream) Begin(stream, stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested) { /* told to stop */ }
        // No transfer is left that could still write.
        await Task.WhenAll(Serving());
        await _parts.Receptions.DisposeAsync();
        _parts.Places.Dispose();
    }

    internal Receptions Receptions => _parts.Receptions;
    internal Doorway Door => _door;

    private Task[] Serving() { lock (_serving) return [.. _serving]; }

    private void Begin(NetworkStream stream, CancellationToken stopping)
    {
        var visit = _door.Enter(((IPEndPoint)stream.Socket.RemoteEndPoint!).Address, stopping);
        var serving = Serve(stream, visit, stopping);
        lock (_serving) _serving.Add(serving);
        // After it was added: one that ended at once goes too.
        _ = serving.ContinueWith(done => { lock (_serving) _serving.Remove(done); }, TaskScheduler.Default);
    }

    public async Task CallOff(VolumeName volume, CancellationToken cancel)
    {
        using var turn = await _parts.Turns.Take(volume, cancel);
        await _parts.Receptions.Drop(volume, new IOException("the move was undone"));
    }

    private Socket Open()
    {
        try { return Wire.Listen(options.Address, options.TransferPort); }
        catch (SocketException e)
        {
            var failure = new InvalidOperationException($"cannot listen on {options.Address}:{options.TransferPort} ({e.Message}): set --address to one of this machine's addresses and --transfer-port to a free port", e);
            _port.TrySetException(failure);
            throw failure;
        }
    }

    /// <summary>Null when none came about: out of files, or gone before it was taken. The next may do better, a moment later.</summary>
    private async Task<NetworkStream?> Accepted(Socket listener, CancellationToken stopping)
    {
        try { return await Wire.Accepted(listener, stopping); }
        catch (SocketException e)
        {
            log.LogWarning("a transfer could not be accepted ({Error}): going on listening", e.Message);
            await Task.Delay(AcceptAgain, time, stopping);
            return null;
        }
    }

    private async Task Serve(NetworkStream stream, Doorway.Visit visit, CancellationToken stopping)
    {
        var from = visit.From;
        using var atDoor = visit;
        try
        {
            await using var tls = new SslStream(new WideStream(stream));
            await tls.AuthenticateAsServerAsync(_identity.Server(), visit.Ended);
            var peer = ClusterIdentity.NameOf(tls.RemoteCertificate) ?? throw new AuthenticationException("no certificate");
            visit.Recognise();
            using var channel = new FrameChannel(tls);
            await new IncomingTransfer(channel, peer, _parts).Run(visit, stopping);
            await tls.ShutdownAsync();
        }
        catch (Exception e) when (e is IOException or AuthenticationException or InvalidDataException or OperationCanceledException or SocketException)
        {
            if (!visit.IsStranger) log.LogWarning("transfer from {From} ended: {Why}", from, e.Message);
            else if (!stopping.IsCancellationRequested && _door.MayTell(out var untold))
                log.LogWarning("a connection from {From} was closed before it came to a transfer: {Why} ({Untold} more since the last such line)", from, visit.Ended.IsCancellationRequested ? visit.Why : e.Message, untold);
            if (e is AuthenticationException) _parts.Reports.Tell("certificate", from.ToString(), e.Message);
        }
        catch (Exception e)
        {
            log.LogError(e, "transfer from {From} failed", from);
        }
    }
}
