using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Drover.Agent.Networks;
using Drover.Agent.Networks.Vxlan;
using Drover.Agent.Plugins;
using Drover.Agent.Plugins.DockerNetwork;
using Drover.Contracts.Agent;
using Drover.Testing;
using Drover.Testing.Networks;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

#pragma warning disable RS0030 // speaks to the plugin as the daemon does, byte by byte

namespace Drover.Agent.Tests.Plugins;

/// <summary>The plugin over its socket, called as the daemon calls it: HTTP/1.1 without Content-Type, often without a body.</summary>
public sealed class DockerNetworkPluginTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TemporaryFolder _folder = new();
    private readonly FakeOverlay _overlay = new FakeFabric().Overlay("n1", "10.99.0.1");
    private readonly FakeLinks _links = new();
    private readonly LeaseBook _leases = new();
    private readonly AgentOptions _options;
    private PluginServer _server = null!;

    public DockerNetworkPluginTests() => _options = new()
    {
        Node = "n1", Control = new("https://10.99.0.250:4524"), Address = "10.99.0.1", Certificates = "/nowhere", Pool = "/nowhere",
        StateFolder = _folder.File("state"), PluginFolder = _folder.File("plugins"),
    };

    public async ValueTask InitializeAsync()
    {
        var weave = new DesiredNetwork { Name = "weave", Vni = 7, Subnet = "10.2.0.0/24" };
        weave.Entries.Add(new OverlayEntry { Address = "10.2.0.9", Mac = "02:dd:0a:02:00:09", Node = "n2", NodeAddress = "10.99.0.2" });
        _leases.Note(weave);
        await _overlay.Apply(weave, None);
        await Restart();
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    private async Task Restart()
    {
        if (_server is not null) await _server.DisposeAsync();
        var register = new EndpointRegister(_options, NullLogger<EndpointRegister>.Instance);
        _server = new([new NetworkDriver(_overlay, _links, _leases, register, _options), new IpamDriver()], _options, NullLoggerFactory.Instance);
        await _server.StartAsync(None);
    }

    private async Task<(int Status, JsonElement Body)> Call(string method, string body = "", string host = "plugin.moby.localhost")
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_server.SocketPath), None);
        await using var stream = new NetworkStream(socket);
        var request = $"POST /{method} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nAccept: application/vnd.docker.plugins.v1.2+json\r\nConnection: close\r\n\r\n{body}";
        await stream.WriteAsync(Encoding.UTF8.GetBytes(request), None);
        using var reader = new StreamReader(stream);
        var answer = await reader.ReadToEndAsync(None);
        var at = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        return (int.Parse(answer.AsSpan(9, 3), System.Globalization.CultureInfo.InvariantCulture), JsonDocument.Parse(answer[(at + 4)..]).RootElement);
    }

    private async Task<string> Error(string method, string body)
    {
        var (status, answer) = await Call(method, body);
        Assert.NotEqual(200, status);
        return answer.GetProperty("Err").GetString()!;
    }

    private async Task<string> Answer(string method, string body)
    {
        var (status, answer) = await Call(method, body);
        Assert.True(status == 200, answer.ToString());
        return answer.ToString();
    }

    private Task<string> Create() => Answer("NetworkDriver.CreateNetwork", """{"NetworkID":"net1","Options":{"com.docker.network.enable_ipv6":false,"com.docker.network.generic":{"vni":"7"}},"IPv4Data":[{"AddressSpace":"drover","Pool":"10.2.0.0/24"}],"IPv6Data":[]}""");

    private Task<string> Endpoint(string id, string address) =>
        Answer("NetworkDriver.CreateEndpoint", $$$"""{"NetworkID":"net1","EndpointID":"{{{id}}}","Interface":{"Address":"{{{address}}}/24","AddressIPv6":"","MacAddress":""},"Options":{}}""");

    [Theory, InlineData(""), InlineData("plugin.moby.localhost"), InlineData("docker:2375")]
    public async Task It_activates_with_whatever_host_the_daemon_writes(string host)
    {
        var (status, answer) = await Call("Plugin.Activate", host: host);
        Assert.Equal(200, status);
        Assert.Equal("""{"Implements":["NetworkDriver","IpamDriver"]}""", answer.ToString());
        Assert.Equal("""{"Scope":"local","ConnectivityScope":"global"}""", (await Call("NetworkDriver.GetCapabilities", host: host)).Body.ToString());
    }

    [Theory, InlineData("NetworkDriver.ProgramExternalConnectivity"), InlineData("VolumeDriver.Create"), InlineData("NetworkDriver"), InlineData("favicon.ico")]
    public async Task An_unknown_call_is_not_found(string call) => Assert.Equal(404, (await Call(call, "{}")).Status);

    [Fact]
    public async Task An_endpoint_gets_the_hardware_address_of_its_address_and_joins_without_a_gateway()
    {
        await Create();
        Assert.Equal("""{"Interface":{"MacAddress":"02:dd:0a:02:00:05"}}""", await Endpoint("0123456789abcdef", "10.2.0.5"));
        Assert.Equal("""{"Interface":{"MacAddress":"02:dd:0a:02:00:05"}}""", await Endpoint("0123456789abcdef", "10.2.0.5"));
        const string ids = """{"NetworkID":"net1","EndpointID":"0123456789abcdef","SandboxKey":"/var/run/docker/netns/1","Options":{}}""";
        const string joined = """{"InterfaceName":{"SrcName":"dp0123456789ab","DstPrefix":"ethwe"},"DisableGatewayService":true}""";
        Assert.Equal(joined, await Answer("NetworkDriver.Join", ids));
        Assert.Equal(joined, await Answer("NetworkDriver.Join", ids));
        Assert.Equal(["10.2.0.5 at n1", "10.2.0.5 at n1"], _overlay.Announced);
        Assert.Equal("""{"Value":{}}""", await Answer("NetworkDriver.EndpointOperInfo", ids));
        Assert.Equal("{}", await Answer("NetworkDriver.Leave", ids));
        Assert.Equal("{}", await Answer("NetworkDriver.DeleteEndpoint", ids));
        Assert.Contains("0123456789abcdef", await Error("NetworkDriver.Join", ids), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hardware_address_that_is_asked_for_comes_back_empty()
    {
        await Create();
        Assert.Equal("""{"Interface":{}}""", await Answer("NetworkDriver.CreateEndpoint", """{"NetworkID":"net1","EndpointID":"e1","Interface":{"Address":"10.2.0.5/24","MacAddress":"02:42:0A:02:00:05"}}"""));
    }

    [Fact]
    public async Task Networks_and_endpoints_are_known_after_a_restart()
    {
        await Create();
        await Endpoint("e1", "10.2.0.5");
        await Restart();
        Assert.Contains("ethwe", await Answer("NetworkDriver.Join", """{"NetworkID":"net1","EndpointID":"e1"}"""), StringComparison.Ordinal);
        await Answer("NetworkDriver.DeleteNetwork", """{"NetworkID":"net1"}""");
        await Restart();
        Assert.Contains("net1", await Error("NetworkDriver.Join", """{"NetworkID":"net1","EndpointID":"e1"}"""), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_broken_register_does_not_stop_the_agent()
    {
        Directory.CreateDirectory(_options.StateFolder);
        await File.WriteAllTextAsync(Path.Combine(_options.StateFolder, "docker-networks.json"), "{\"Networ", None);
        await Restart();
        Assert.Equal("{}", await Create());
    }

    [Theory]
    [InlineData("NetworkDriver.Leave"), InlineData("NetworkDriver.DeleteEndpoint"), InlineData("NetworkDriver.DeleteNetwork"), InlineData("NetworkDriver.DiscoverNew"), InlineData("IpamDriver.ReleaseAddress"), InlineData("IpamDriver.ReleasePool")]
    public async Task What_is_unknown_or_empty_is_cleared_up_without_a_word(string call)
    {
        Assert.Equal("{}", await Answer(call, """{"NetworkID":"gone","EndpointID":"gone"}"""));
        Assert.Equal("{}", await Answer(call, ""));
    }

    [Fact]
    public async Task An_address_leased_elsewhere_is_refused_and_one_nobody_knows_is_not()
    {
        await Create();
        Assert.Contains("leased to node n2", await Error("NetworkDriver.CreateEndpoint", """{"NetworkID":"net1","EndpointID":"e1","Interface":{"Address":"10.2.0.9/24"}}"""), StringComparison.Ordinal);
        await Endpoint("e1", "10.2.0.77");
    }

    [Fact]
    public async Task An_address_in_use_on_this_node_is_refused_until_its_interfaces_are_gone()
    {
        await Create();
        await Endpoint("e1", "10.2.0.5");
        _links.Names.Add(OverlayNames.HostEnd("e1"));
        Assert.Contains("in use", await Error("NetworkDriver.CreateEndpoint", """{"NetworkID":"net1","EndpointID":"e2","Interface":{"Address":"10.2.0.5/24"}}"""), StringComparison.Ordinal);
        _links.Names.Clear();
        await Endpoint("e2", "10.2.0.5");
    }

    [Theory]
    [InlineData("NetworkDriver.CreateNetwork", """{"NetworkID":"net2","Options":{}}""", "vni")]
    [InlineData("NetworkDriver.CreateNetwork", """{"NetworkID":"net2","Options":{"com.docker.network.generic":{"vni":"16777216"}}}""", "16777215")]
    [InlineData("NetworkDriver.CreateNetwork", "", "NetworkID")]
    [InlineData("NetworkDriver.CreateEndpoint", """{"NetworkID":"net1","EndpointID":"e1","Interface":{}}""", "--ip")]
    [InlineData("NetworkDriver.CreateEndpoint", """{"NetworkID":"other","EndpointID":"e1","Interface":{"Address":"10.2.0.5/24"}}""", "other")]
    [InlineData("NetworkDriver.CreateEndpoint", "not JSON", "body")]
    [InlineData("IpamDriver.RequestAddress", """{"PoolID":"10.2.0.0/24","Address":""}""", "--ip")]
    [InlineData("IpamDriver.RequestAddress", """{"PoolID":"10.2.0.0/24","Address":"10.3.0.1"}""", "outside")]
    [InlineData("IpamDriver.RequestPool", """{"AddressSpace":"drover","Pool":""}""", "--subnet")]
    public async Task A_refusal_names_what_is_wrong(string call, string body, string word)
    {
        await Create();
        Assert.Contains(word, await Error(call, body), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Addresses_are_granted_as_asked_and_the_first_one_is_not_kept_for_a_gateway()
    {
        Assert.Contains("\"PoolID\":\"10.2.0.0/24\"", await Answer("IpamDriver.RequestPool", """{"AddressSpace":"drover","Pool":"10.2.0.0/24","SubPool":"","Options":{},"V6":false}"""), StringComparison.Ordinal);
        foreach (var address in new[] { "10.2.0.1", "10.2.0.254", "10.2.0.1" })
            Assert.Equal($$"""{"Address":"{{address}}/24"}""", await Answer("IpamDriver.RequestAddress", $$$"""{"PoolID":"10.2.0.0/24","Address":"{{{address}}}","Options":{}}"""));
    }
}
