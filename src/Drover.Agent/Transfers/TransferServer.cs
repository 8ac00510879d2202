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
public sealed class TransferServer(AgentOptions options, IVolumeDriver driver, TicketKey key, IObservations observations, TimeProvider time, ILogger<TransferServer> log, TransferLimits? nodeLimits = null)
    : BackgroundService, IArrivals
{
    private const int MostConnections = 32, MostParked = 8;
    /// <summary>How long what arrived is kept for its sender to come back after the connection broke.</summary>
    public static readonly TimeSpan ParkFor = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan HandshakeTime = TimeSpan.FromSeconds(10), AcceptAgain = TimeSpan.FromSeconds(1);
    private readonly ClusterIdentity _identity = new(options.Certificates);
    private readonly ReceivingParts _parts = new(
        driver, new TicketDesk(key, options.Node, new UsedTickets(Path.Combine(options.StateFolder, "used-tickets"), time), time), new VolumeTurns(),
        new Receptions(time, ParkFor, MostParked, log), new RefusalReports(observations, time), (nodeLimits ?? new(options, time)).Incoming, time, log);
    private readonly SemaphoreSlim _slots = new(MostConnections, MostConnections);
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
            {
                await _slots.WaitAsync(stoppingToken);
                if (await Accepted(listener, stoppingToken) is { } stream) _ = Serve(stream, stoppingToken);
                else _slots.Release();
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested) { /* told to stop */ }
        // Every slot free again: no transfer is left that could still write.
        for (var i = 0; i < MostConnections - 1; i++) await _slots.WaitAsync(CancellationToken.None);
        await _parts.Receptions.DisposeAsync();
    }

    internal Receptions Receptions => _parts.Receptions;

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

    private async Task Serve(NetworkStream stream, CancellationToken stopping)
    {
        var from = stream.Socket.RemoteEndPoint;
        try
        {
            var wide = new WideStream(stream);
            await using var tls = new SslStream(wide);
            using (var limit = new CancellationTokenSource(HandshakeTime, time))
            using (var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping))
                await tls.AuthenticateAsServerAsync(_identity.Server(), both.Token);
            var peer = ClusterIdentity.NameOf(tls.RemoteCertificate) ?? throw new AuthenticationException("no certificate");
            using var channel = new FrameChannel(tls);
            await new IncomingTransfer(channel, peer, _parts).Run(stopping);
            await tls.ShutdownAsync();
        }
        catch (Exception e) when (e is IOException or AuthenticationException or InvalidDataException or OperationCanceledException or SocketException)
        {
            log.LogWarning("transfer from {From} ended: {Why}", from, e.Message);
            if (e is AuthenticationException) _parts.Reports.Tell("certificate", ((from as IPEndPoint)?.Address ?? IPAddress.None).ToString(), e.Message);
        }
        catch (Exception e)
        {
            log.LogError(e, "transfer from {From} failed", from);
        }
        finally { _slots.Release(); }
    }
}
