using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using Drover.Agent.Containers;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Reconcile;

#pragma warning disable RS0030 // the adapter that opens the sockets of health checks

/// <summary>HTTP, HTTPS (any certificate), TCP and commands inside the container.</summary>
public sealed class HealthProbe : IHealthProbe, IDisposable
{
    private static readonly TimeSpan FirstPatience = TimeSpan.FromMilliseconds(50), LongestPatience = TimeSpan.FromSeconds(3);
    private readonly IContainerRuntime _containers;
    private readonly string _nodeAddress;
    private readonly TimeProvider _time;
    private readonly HttpClient _http;

    public HealthProbe(IContainerRuntime containers, string nodeAddress, TimeProvider time)
    {
        (_containers, _nodeAddress, _time) = (containers, nodeAddress, time);
        // A check asks whether it answers, not who it is: Marathon does not verify either.
#pragma warning disable CA5359
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false, UseProxy = false, UseCookies = false, PooledConnectionLifetime = TimeSpan.Zero,
            ConnectCallback = async (dial, cancel) => new NetworkStream(await Dialled(dial.DnsEndPoint.Host, dial.DnsEndPoint.Port, cancel), ownsSocket: true),
            SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = static (_, _, _, _) => true },
        };
#pragma warning restore CA5359
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("drover-agent", null));
    }

    public void Dispose() => _http.Dispose();

    public async Task<string?> Ask(DesiredInstance instance, HealthCheck check, ContainerView container, CancellationToken cancel)
    {
        var timeout = TimeSpan.FromMilliseconds(check.TimeoutMs > 0 ? check.TimeoutMs : 20_000);
        if (check.Protocol == HealthProtocol.Command) return await Command(container.Task, check.Command, timeout, cancel);
        using var limit = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        var (host, port) = Where(instance, check, container);
        try
        {
            return check.Protocol == HealthProtocol.Tcp ? await Tcp(host, port, either.Token) : await Http(check, host, port, either.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { return $"no answer within {timeout.TotalSeconds:0.###} s from {host}:{port}"; }
        catch (SocketException e) { return $"{host}:{port}: {e.Message}"; }
        catch (HttpRequestException e) { return $"{host}:{port}: {e.InnerException?.Message ?? e.Message}"; }
    }

    /// <summary>A TCP check of a published port asks the container itself: the engine's proxy would accept for it.</summary>
    private (string Host, int Port) Where(DesiredInstance instance, HealthCheck check, ContainerView container)
    {
        if (instance.Container.Network == "host" || container.IpAddress is not { } address) return (_nodeAddress, check.Port);
        if (check.ContainerPort) return (address, check.Port);
        var published = instance.Container.Ports.FirstOrDefault(p => p.HostPort == check.Port);
        return check.Protocol == HealthProtocol.Tcp && published is not null ? (address, published.ContainerPort) : (_nodeAddress, check.Port);
    }

    private async Task<string?> Tcp(string host, int port, CancellationToken cancel)
    {
        using var socket = await Dialled(host, port, cancel);
        return null;
    }

    /// <summary>Dials anew while a first packet stays unanswered. It goes to this very machine, where an answer takes microseconds; but one sent while
    /// the engine sets up a container's address is lost, and the kernel sends the next only after a second, which a start or a move would then wait for.</summary>
    private async Task<Socket> Dialled(string host, int port, CancellationToken cancel)
    {
        for (var patience = FirstPatience; ; patience = Min(patience * 2, LongestPatience))
        {
            using var limit = new CancellationTokenSource(patience, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(host, port, either.Token);
                return socket;
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { socket.Dispose(); }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private async Task<string?> Http(HealthCheck check, string host, int port, CancellationToken cancel)
    {
        var scheme = check.Protocol == HealthProtocol.Https ? "https" : "http";
        var path = check.Path.Length == 0 ? "/" : check.Path[0] == '/' ? check.Path : "/" + check.Path;
        using var answer = await _http.GetAsync(new Uri($"{scheme}://{host}:{port}{path}"), HttpCompletionOption.ResponseHeadersRead, cancel);
        var status = (int)answer.StatusCode;
        return status is >= 200 and < 400 ? null : $"{scheme}://{host}:{port}{path} answered {status}";
    }

    private async Task<string?> Command(TaskId task, string command, TimeSpan timeout, CancellationToken cancel)
    {
        var end = await _containers.Exec(task, ["/bin/sh", "-c", command], timeout, cancel);
        if (end.TimedOut) return $"command {end.Output}";
        return end.ExitCode == 0 ? null : $"command exited with {end.ExitCode}: {end.Output.Trim()}";
    }
}
