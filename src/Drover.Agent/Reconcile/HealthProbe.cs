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
    private const int MostOfAnAnswer = 1024;
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

    public async Task<ProbeAnswer> Ask(DesiredInstance instance, HealthCheck check, ContainerView container, CancellationToken cancel)
    {
        var timeout = TimeSpan.FromMilliseconds(check.TimeoutMs > 0 ? check.TimeoutMs : 20_000);
        if (check.Protocol == HealthProtocol.Command) return await Command(container.Task, check.Command, timeout, cancel) is { } failed ? ProbeAnswer.Unwell(failed) : ProbeAnswer.Well;
        if (Where(instance, check, container) is not var (host, port)) return ProbeAnswer.Unwell("the container has no IPv6 address on its network: take ipProtocol out, or give the engine's network IPv6");
        var answer = ProbeAnswer.Well;
        var cause = await Limited(timeout, host, port, async limit => answer = check.Protocol == HealthProtocol.Tcp ? await Tcp(host, port, limit) : await Http(check, host, port, limit), cancel);
        return cause is null ? answer : ProbeAnswer.Unwell(cause);
    }

    public async Task<ReadinessObserved> AskReady(DesiredInstance instance, ReadinessCheck check, ContainerView container, CancellationToken cancel)
    {
        var seen = new ReadinessObserved { Name = check.Name };
        var timeout = TimeSpan.FromMilliseconds(check.TimeoutMs > 0 ? check.TimeoutMs : 10_000);
        var asked = new HealthCheck { Protocol = check.Https ? HealthProtocol.Https : HealthProtocol.Http, Path = check.Path, Port = check.Port, ContainerPort = check.ContainerPort };
        var (host, port) = Where(instance, asked, container)!.Value;
        var cause = await Limited(timeout, host, port, async limit =>
        {
            using var answer = await Get(asked, host, port, limit);
            seen.Ready = check.ReadyCodes.Contains((int)answer.StatusCode);
            if (check.KeepAnswer) (seen.Status, seen.ContentType, seen.Body) = ((int)answer.StatusCode, answer.Content.Headers.ContentType?.MediaType ?? "", await Beginning(answer, limit));
        }, cancel);
        if (cause is not null) seen.Ready = false;
        return seen;
    }

    /// <summary>Null: it came to its end. Otherwise why not.</summary>
    private async Task<string?> Limited(TimeSpan timeout, string host, int port, Func<CancellationToken, Task> ask, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            await ask(either.Token);
            return null;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { return $"no answer within {timeout.TotalSeconds:0.###} s from {host}:{port}"; }
        catch (SocketException e) { return $"{host}:{port}: {e.Message}"; }
        catch (HttpRequestException e) { return $"{host}:{port}: {e.InnerException?.Message ?? e.Message}"; }
        catch (IOException e) { return $"{host}:{port}: {e.Message}"; }
    }

    /// <summary>A TCP check of a published port asks the container itself: the engine's proxy would accept for it. Null: asked by an address that it has not.</summary>
    private (string Host, int Port)? Where(DesiredInstance instance, HealthCheck check, ContainerView container)
    {
        // What the node publishes it publishes for itself too.
        var node = check.Ipv6 ? "::1" : _nodeAddress;
        if (instance.Container.Network == "host" || container.IpAddress is null) return (node, check.Port);
        var own = check.Ipv6 ? container.Ipv6Address : container.IpAddress;
        if (check.ContainerPort) return own is null ? null : (own, check.Port);
        var published = instance.Container.Ports.FirstOrDefault(p => p.HostPort == check.Port);
        return check.Protocol == HealthProtocol.Tcp && published is not null && own is not null ? (own, published.ContainerPort) : (node, check.Port);
    }

    private async Task<ProbeAnswer> Tcp(string host, int port, CancellationToken cancel)
    {
        using var socket = await Dialled(host, port, cancel);
        return ProbeAnswer.Well;
    }

    /// <summary>Dials anew while a first packet stays unanswered. It goes to this very machine, where an answer takes microseconds; but one sent while
    /// the engine sets up a container's address is lost, and the kernel sends the next only after a second, which a start or a move would then wait for.</summary>
    private async Task<Socket> Dialled(string host, int port, CancellationToken cancel)
    {
        for (var patience = FirstPatience; ; patience = Min(patience * 2, LongestPatience))
        {
            using var limit = new CancellationTokenSource(patience, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
            var socket = new Socket(host.Contains(':', StringComparison.Ordinal) ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
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

    private async Task<ProbeAnswer> Http(HealthCheck check, string host, int port, CancellationToken cancel)
    {
        using var answer = await Get(check, host, port, cancel);
        var status = (int)answer.StatusCode;
        if (status is >= 200 and < 400) return ProbeAnswer.Well;
        return status < 200 && check.IgnoreHttp1Xx ? ProbeAnswer.Nothing : ProbeAnswer.Unwell($"{UriOf(check, host, port)} answered {status}");
    }

    private Task<HttpResponseMessage> Get(HealthCheck check, string host, int port, CancellationToken cancel) => _http.GetAsync(UriOf(check, host, port), HttpCompletionOption.ResponseHeadersRead, cancel);

    private static Uri UriOf(HealthCheck check, string host, int port)
    {
        var scheme = check.Protocol == HealthProtocol.Https ? "https" : "http";
        var path = check.Path.Length == 0 ? "/" : check.Path[0] == '/' ? check.Path : "/" + check.Path;
        return new Uri($"{scheme}://{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}:{port}{path}");
    }

    private static async Task<string> Beginning(HttpResponseMessage answer, CancellationToken cancel)
    {
        using var body = await answer.Content.ReadAsStreamAsync(cancel);
        var buffer = new byte[MostOfAnAnswer];
        var read = await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancel);
        return System.Text.Encoding.UTF8.GetString(buffer, 0, read);
    }

    private async Task<string?> Command(TaskId task, string command, TimeSpan timeout, CancellationToken cancel)
    {
        var end = await _containers.Exec(task, ["/bin/sh", "-c", command], timeout, cancel);
        if (end.TimedOut) return $"command {end.Output}";
        return end.ExitCode == 0 ? null : $"command exited with {end.ExitCode}: {end.Output.Trim()}";
    }
}
