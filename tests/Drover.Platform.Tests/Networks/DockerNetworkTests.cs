using Drover.Contracts.Agent;
using Drover.Core;
using Xunit;

namespace Drover.Platform.Tests.Networks;

/// <summary>Two real engines with the plugin, as two nodes.</summary>
[Trait("needs", "root")]
public sealed class DockerNetworkTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly Namespaces _names = new();
    private readonly EngineNode _one;
    private readonly EngineNode _two;

    public DockerNetworkTests() => (_one, _two) = (new(_names, "n1", "10.99.0.1"), new(_names, "n2", "10.99.0.2"));

    public async ValueTask InitializeAsync()
    {
        await _one.Start();
        await _two.Start();
    }

    public async ValueTask DisposeAsync()
    {
        await _one.DisposeAsync();
        await _two.DisposeAsync();
        await _names.DisposeAsync();
    }

    private async Task Tell(params (string Address, string Node)[] leases)
    {
        foreach (var node in new[] { _one, _two }) await Tell(node, leases);
    }

    private async Task Tell(EngineNode to, params (string Address, string Node)[] leases)
    {
        var network = new DesiredNetwork { Name = "weave", Vni = 4096, Subnet = "10.2.0.0/24" };
        network.Peers.Add(new OverlayPeer { Node = "n1", Address = _one.Address });
        network.Peers.Add(new OverlayPeer { Node = "n2", Address = _two.Address });
        foreach (var (address, node) in leases)
            network.Entries.Add(new OverlayEntry
            {
                Address = address, Mac = "02:dd:0a:02:00:" + int.Parse(address.AsSpan(7), System.Globalization.CultureInfo.InvariantCulture).ToString("x2", System.Globalization.CultureInfo.InvariantCulture),
                Node = node, NodeAddress = node == "n1" ? _one.Address : _two.Address,
            });
        await to.Overlay.Apply(network, None);
        await to.Networks.Ensure(network, None);
    }

    [Fact]
    public async Task Containers_keep_their_addresses_over_nodes_crashes_and_restarts()
    {
        await Tell(("10.2.0.1", "n1"), ("10.2.0.6", "n2"));
        await _one.Run("app", "10.2.0.1", "-p", "8080:80");
        await _two.Run("db", "10.2.0.6");

        // Across nodes, on the name and hardware address that are promised, the first address of the subnet included.
        Assert.True(await _one.Reaches("app", "10.2.0.6"));
        Assert.True(await _two.Reaches("db", "10.2.0.1"));
        var seen = await _two.Docker("exec", "db", "/bin/busybox", "ip", "addr");
        Assert.Matches(@"ethwe\d", seen);
        Assert.Contains("02:dd:0a:02:00:06", seen, StringComparison.Ordinal);
        // The way out and published ports are the default bridge's.
        Assert.Contains("default via 172.17.0.1", await _one.Docker("exec", "app", "/bin/busybox", "ip", "route"), StringComparison.Ordinal);
        Assert.Equal("n1", await Published());

        // The address goes to the other node: refused while it is leased elsewhere, reached by the first packet afterwards.
        await _two.Docker("rm", "-f", "db");
        var early = await Assert.ThrowsAsync<InvalidOperationException>(() => _one.Run("early", "10.2.0.6"));
        Assert.Contains("leased to node n2", early.Message, StringComparison.Ordinal);
        await _one.Docker("rm", "-f", "early");
        await Tell(("10.2.0.1", "n1"), ("10.2.0.6", "n1"), ("10.2.0.7", "n2"));
        await _one.Run("db", "10.2.0.6");
        await _two.Run("other", "10.2.0.7");
        Assert.True(await _one.Reaches("app", "10.2.0.6"));
        Assert.True(await _two.Reaches("other", "10.2.0.6"));

        // A crash of the engine: what it forgot to take down is cleared up, the same containers start again.
        await _one.KillEngine();
        await _one.StartEngine();
        await _one.Docker("restart", "-t", "0", "app");
        await _one.Docker("restart", "-t", "0", "db");
        Assert.True(await _one.Reaches("app", "10.2.0.7"));
        Assert.True(await _two.Reaches("other", "10.2.0.6"));
        Assert.Equal("n1", await Published());

        // A restart of the agent: running containers do not notice, others can be stopped and started before the control plane has spoken.
        await _one.StartAgent();
        Assert.True(await _one.Reaches("app", "10.2.0.7"));
        await _one.Docker("restart", "-t", "0", "db");
        Assert.True(await _two.Reaches("other", "10.2.0.6"));
        await Tell(_one, ("10.2.0.1", "n1"), ("10.2.0.6", "n1"), ("10.2.0.7", "n2"));
        Assert.True(await _one.Reaches("db", "10.2.0.7"));

        // Nothing is left when all is removed.
        foreach (var name in new[] { "app", "db" }) await _one.Docker("rm", "-f", name);
        await _one.Networks.Remove(new NetworkName("weave"), None);
        await _one.Overlay.Remove(new NetworkName("weave"), None);
        Assert.DoesNotMatch("d[bxvp][0-9a-f]+[:@]", await Namespaces.Run("ip", "-n", _names.Name("n1"), "-o", "link"));
    }

    [Fact]
    public async Task Words_of_the_plugin_reach_the_user()
    {
        await Tell();
        var (_, _, refused) = await _one.TryDocker("run", "--rm", "--network", "weave", "drover-networks:1", "/bin/busybox", "true");
        Assert.Contains("WEAVE_CIDR", refused, StringComparison.Ordinal);
        var (_, _, outside) = await _one.TryDocker("network", "create", "-d", "drover", "bare");
        Assert.NotEmpty(outside);
        await _one.Docker("network", "create", "other");
        var taken = await Assert.ThrowsAsync<InvalidOperationException>(() => _one.Networks.Ensure(new DesiredNetwork { Name = "other", Vni = 4097, Subnet = "10.3.0.0/24" }, None));
        Assert.Contains("docker network rm other", taken.Message, StringComparison.Ordinal);
        // An order that changed the subnet makes the network anew while nobody is on it.
        await _one.Networks.Ensure(new DesiredNetwork { Name = "weave", Vni = 4096, Subnet = "10.4.0.0/24" }, None);
        Assert.Contains("10.4.0.0/24", await _one.Docker("network", "inspect", "weave"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_network_of_a_name_whoever_asks_at_the_same_moment_and_of_two_the_used_one_stays()
    {
        DesiredNetwork Order(string name, int vni) => new() { Name = name, Vni = vni, Subnet = $"10.{vni - 4090}.0.0/24" };
        for (var round = 0; round < 5; round++)
        {
            var order = Order($"race{round}", 4097 + round);
            await _one.Overlay.Apply(order, None);
            await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => _one.Networks.Ensure(order, None))));
            Assert.Single(await Ids($"race{round}"));
        }

        // Two of one name, as an engine makes them that was asked twice: neither is found by the name.
        await Tell(("10.2.0.1", "n1"));
        await Twin("weave", "4096", "10.2.0.0/24");
        Assert.Equal(2, (await Ids("weave")).Length);
        await Tell(("10.2.0.1", "n1"));
        Assert.Single(await Ids("weave"));
        // One that is in use stays, whatever comes beside it.
        await _one.Run("app", "10.2.0.1");
        var used = Assert.Single(await Ids("weave"));
        await Twin("weave", "4096", "10.2.0.0/24");
        await Tell(("10.2.0.1", "n1"));
        Assert.Equal(used, Assert.Single(await Ids("weave")));
        Assert.True(await _one.Reaches("app", "10.2.0.1"));
        await _one.Docker("rm", "-f", "app");
    }

    private Task Twin(string name, string vni, string subnet) =>
        _one.CreateUnchecked($$$"""{"Name":"{{{name}}}","Driver":"drover","IPAM":{"Driver":"drover","Config":[{"Subnet":"{{{subnet}}}"}]},"Options":{"vni":"{{{vni}}}","network":"{{{name}}}"}}""");
    private async Task<string[]> Ids(string name) => (await _one.Docker("network", "ls", "--no-trunc", "-q", "--filter", $"name=^{name}$")).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private async Task<string> Published() => (await Namespaces.Run("nsenter", $"--net={_names.PathOf("n2")}", "busybox", "wget", "-q", "-O", "-", $"http://{_one.Address}:8080/index.html")).Trim();
}
