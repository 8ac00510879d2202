using System.Net;
using Drover.Agent.Containers;
using Drover.Agent.Reconcile;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing.Agents;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Agent.Tests.Reconcile;

/// <summary>Each kind of check against real sockets.</summary>
public sealed class HealthProbeTests : IDisposable
{
    private static readonly IReadOnlyDictionary<string, string> NoLabels = new Dictionary<string, string>();
    private readonly FakeTimeProvider _time = new();
    private readonly FakeContainerRuntime _docker;
    private readonly HealthProbe _probe;

    public HealthProbeTests()
    {
        _docker = new(_time);
        _probe = new(_docker, "127.0.0.1", _time);
    }

    public void Dispose() => _probe.Dispose();

    [Theory]
    [InlineData(200, true)]
    [InlineData(204, true)]
    [InlineData(302, true)]
    [InlineData(399, true)]
    [InlineData(400, false)]
    [InlineData(404, false)]
    [InlineData(500, false)]
    [InlineData(503, false)]
    public async Task Http_is_well_from_200_to_399(int status, bool well)
    {
        await using var server = new TinyServer(TinyServer.Http(status));
        var answer = await Ask(new() { Protocol = HealthProtocol.Http, Path = "/health?deep=1", Port = server.Port });
        Assert.Equal("GET /health?deep=1 HTTP/1.1", await server.Asked);
        Assert.Equal(well ? null : $"http://127.0.0.1:{server.Port}/health?deep=1 answered {status}", answer.Cause);
    }

    [Theory]
    [InlineData(200, true)]
    [InlineData(500, false)]
    public async Task Https_takes_any_certificate_and_looks_at_the_answer(int status, bool well)
    {
        await using var server = new TinyServer(TinyServer.Http(status), tls: true);
        var answer = await Ask(new() { Protocol = HealthProtocol.Https, Port = server.Port });
        Assert.Equal("GET / HTTP/1.1", await server.Asked);
        Assert.Equal(well, answer.Cause is null);
    }

    [Theory]
    [InlineData(true, false, true)]
    [InlineData(false, true, false)]
    public async Task An_informational_answer_says_nothing_where_it_is_to_be_ignored_and_is_unwell_elsewhere(bool ignore, bool says, bool without)
    {
        await using var server = new TinyServer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        var answer = await Ask(new() { Protocol = HealthProtocol.Http, Port = server.Port, IgnoreHttp1Xx = ignore });
        Assert.Equal((says, without), (answer.Says, answer.Cause is null));
    }

    [Fact]
    public async Task Tcp_is_well_when_the_connection_is_taken_though_nothing_is_said()
    {
        await using var server = new TinyServer(null);
        Assert.Null((await Ask(new() { Protocol = HealthProtocol.Tcp, Port = server.Port })).Cause);
    }

    [Theory]
    [InlineData(HealthProtocol.Tcp)]
    [InlineData(HealthProtocol.Http)]
    [InlineData(HealthProtocol.Https)]
    public async Task Nobody_listening_is_unwell_and_names_the_address(HealthProtocol protocol)
    {
        var port = TinyServer.FreePort();
        Assert.StartsWith($"127.0.0.1:{port}: ", (await Ask(new() { Protocol = protocol, Port = port })).Cause, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(HealthProtocol.Http)]
    [InlineData(HealthProtocol.Https)]
    public async Task Silence_is_unwell_when_the_timeout_is_over_and_not_before(HealthProtocol protocol)
    {
        await using var server = new TinyServer(null, tls: protocol == HealthProtocol.Https);
        var asking = Ask(new() { Protocol = protocol, Port = server.Port, TimeoutMs = 5000 });
        await server.Asked;
        _time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(asking.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.Equal($"no answer within 5 s from 127.0.0.1:{server.Port}", (await asking).Cause);
    }

    [Theory]
    [InlineData("exit 0", null)]
    [InlineData("exit 3", "command exited with 3: ")]
    public async Task A_command_is_run_inside_the_container_by_a_shell(string command, string? cause) =>
        Assert.Equal(cause, (await Ask(new() { Protocol = HealthProtocol.Command, Command = command })).Cause);

    [Fact]
    public async Task A_command_that_takes_too_long_is_unwell()
    {
        _docker.OnExec = (_, command) => new(true, 0, $"'{command[^1]}' took longer than its timeout");
        Assert.Equal("command 'sleep 99' took longer than its timeout", (await Ask(new() { Protocol = HealthProtocol.Command, Command = "sleep 99", TimeoutMs = 10 })).Cause);
    }

    [Theory]
    [InlineData(HealthProtocol.Http)]
    [InlineData(HealthProtocol.Tcp)]
    public async Task Over_IPv6_it_is_asked_at_the_containers_own_IPv6_address(HealthProtocol protocol)
    {
        await using var server = new TinyServer(TinyServer.Http(200), at: IPAddress.IPv6Loopback);
        var check = new HealthCheck { Protocol = protocol, Port = server.Port, ContainerPort = true, Ipv6 = true };
        Assert.Null((await Ask(check)).Cause);
        Assert.NotNull((await Ask(new(check) { Ipv6 = false })).Cause);
    }

    [Fact]
    public async Task A_container_without_IPv6_asked_for_it_says_so_and_what_to_do()
    {
        var cause = (await _probe.Ask(NodeRig.Instance(), new() { Protocol = HealthProtocol.Tcp, Port = 80, ContainerPort = true, Ipv6 = true }, Container(ipv6: null), default)).Cause;
        Assert.Contains("no IPv6 address", cause, StringComparison.Ordinal);
        Assert.Contains("take ipProtocol out", cause, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_published_port_of_a_tcp_check_is_asked_at_the_container_since_the_engine_would_answer_for_it()
    {
        await using var server = new TinyServer(null);
        var instance = NodeRig.Instance();
        instance.Container.Ports.Add(new PublishedPort { HostPort = TinyServer.FreePort(), ContainerPort = server.Port, Protocol = "tcp" });
        Assert.Null((await _probe.Ask(instance, new() { Protocol = HealthProtocol.Tcp, Port = instance.Container.Ports[0].HostPort }, Container(), default)).Cause);
    }

    [Theory]
    [InlineData(200, false, true)]
    [InlineData(503, false, false)]
    [InlineData(302, true, true)]
    [InlineData(200, true, false)]
    public async Task A_readiness_check_is_ready_at_its_status_codes_alone(int status, bool only302, bool ready)
    {
        await using var server = new TinyServer(TinyServer.Http(status, "warming up"));
        var check = new ReadinessCheck { Name = "warm", Path = "/ready", Port = server.Port };
        if (only302) check.ReadyCodes.Add(302);
        else check.ReadyCodes.Add(200);
        var seen = await _probe.AskReady(NodeRig.Instance(), check, Container(), default);
        Assert.Equal(("warm", ready, 0, ""), (seen.Name, seen.Ready, seen.Status, seen.Body));
        Assert.Equal("GET /ready HTTP/1.1", await server.Asked);
    }

    [Fact]
    public async Task Its_last_answer_is_told_where_it_is_to_be_kept_and_no_more_than_its_beginning()
    {
        await using var server = new TinyServer(TinyServer.Http(503, new string('x', 5000), "application/json"));
        var seen = await _probe.AskReady(NodeRig.Instance(), new() { Name = "warm", Port = server.Port, ReadyCodes = { 200 }, KeepAnswer = true }, Container(), default);
        Assert.Equal((false, 503, "application/json", new string('x', 1024)), (seen.Ready, seen.Status, seen.ContentType, seen.Body));
    }

    [Fact]
    public async Task A_readiness_check_nobody_answers_is_not_ready()
    {
        var seen = await _probe.AskReady(NodeRig.Instance(), new() { Name = "warm", Port = TinyServer.FreePort(), ReadyCodes = { 200 }, KeepAnswer = true }, Container(), default);
        Assert.Equal((false, 0), (seen.Ready, seen.Status));
    }

    private Task<ProbeAnswer> Ask(HealthCheck check) => _probe.Ask(NodeRig.Instance(), check, Container(), default);

    private static ContainerView Container(string? ipv6 = "::1") =>
        new(new(NodeRig.Task(1)), new("db.instance-1"), new("/db"), "c1", ContainerState.Running, null, null, DateTimeOffset.UnixEpoch, null, "127.0.0.1", NoLabels, false) { Ipv6Address = ipv6 };
}
