using Drover.Agent.Networks;
using Drover.Contracts.Agent;
using Drover.Core;
using Xunit;

namespace Drover.Conformance;

/// <summary>Two nodes, with an overlay each, and places to put endpoints into.</summary>
public interface IOverlayWorld : IAsyncDisposable
{
    /// <summary>Addresses of the nodes `n1` and `n2`.</summary>
    string AddressOf(string node);

    /// <summary>An overlay over what the node has; asked again, as after the agent's restart.</summary>
    IOverlay Agent(string node);

    /// <summary>Puts an attached interface into a container of its own.</summary>
    Task<string> Place(string node, string link, string address);

    /// <summary>One try, one packet.</summary>
    Task<bool> Reaches(string container, string address);
}

/// <summary>What every overlay must do: run on the fake and on the kernel's, so that the fake cannot lie.</summary>
public abstract class OverlaySuite : IAsyncLifetime
{
    private const string One = "10.2.0.5";
    private const string Two = "10.2.0.6";
    protected static readonly NetworkName Weave = new("weave");
    protected static readonly CancellationToken None = CancellationToken.None;

    protected IOverlayWorld World { get; private set; } = null!;

    protected abstract Task<IOverlayWorld> Open();

    public async ValueTask InitializeAsync() => World = await Open();

    public async ValueTask DisposeAsync()
    {
        if (World is not null) await World.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    protected static string Mac(string address) => "02:dd:" + string.Join(':', address.Split('.').Select(part => int.Parse(part, System.Globalization.CultureInfo.InvariantCulture).ToString("x2", System.Globalization.CultureInfo.InvariantCulture)));

    protected DesiredNetwork Network(params (string Address, string Node)[] leases)
    {
        var network = new DesiredNetwork { Name = "weave", Vni = 4096, Subnet = "10.2.0.0/24" };
        foreach (var node in new[] { "n1", "n2" }) network.Peers.Add(new OverlayPeer { Node = node, Address = World.AddressOf(node) });
        foreach (var (address, node) in leases) network.Entries.Add(new OverlayEntry { Address = address, Mac = Mac(address), Node = node, NodeAddress = World.AddressOf(node) });
        return network;
    }

    protected async Task<(IOverlay First, IOverlay Second)> Applied(params (string Address, string Node)[] leases)
    {
        var (first, second) = (World.Agent("n1"), World.Agent("n2"));
        await first.Apply(Network(leases), None);
        await second.Apply(Network(leases), None);
        return (first, second);
    }

    protected async Task<string> Start(IOverlay overlay, string node, string endpoint, string address)
    {
        var container = await World.Place(node, await overlay.Attach(Weave, endpoint, address, Mac(address), None), address);
        await overlay.Announce(Weave, address, Mac(address), None);
        return container;
    }

    [Fact]
    public async Task Endpoints_on_two_nodes_reach_each_other()
    {
        var (first, second) = await Applied((One, "n1"), (Two, "n2"));
        var one = await Start(first, "n1", "e1", One);
        var two = await Start(second, "n2", "e2", Two);
        Assert.True(await World.Reaches(one, Two));
        Assert.True(await World.Reaches(two, One));
    }

    [Fact]
    public async Task Endpoints_reach_each_other_before_their_entries_are_told()
    {
        var (first, second) = await Applied();
        var one = await Start(first, "n1", "e1", One);
        await Start(second, "n2", "e2", Two);
        Assert.True(await World.Reaches(one, Two));
    }

    [Fact]
    public async Task Endpoints_on_one_node_reach_each_other()
    {
        var (first, _) = await Applied((One, "n1"), (Two, "n1"));
        var one = await Start(first, "n1", "e1", One);
        await Start(first, "n1", "e2", Two);
        Assert.True(await World.Reaches(one, Two));
    }

    [Fact]
    public async Task An_address_that_moves_is_reached_by_the_first_packet_and_back_again()
    {
        var (first, second) = await Applied((One, "n1"), (Two, "n2"));
        var one = await Start(first, "n1", "e1", One);
        await Start(second, "n2", "e2", Two);
        Assert.True(await World.Reaches(one, Two));

        await second.Detach(Weave, "e2", None);
        await first.Apply(Network((One, "n1"), (Two, "n1")), None);
        await second.Apply(Network((One, "n1"), (Two, "n1")), None);
        await Start(first, "n1", "e3", Two);
        Assert.True(await World.Reaches(one, Two));
        var three = await Start(second, "n2", "e4", "10.2.0.7");
        Assert.True(await World.Reaches(three, Two));

        await first.Detach(Weave, "e3", None);
        await first.Apply(Network((One, "n1"), (Two, "n2")), None);
        await second.Apply(Network((One, "n1"), (Two, "n2")), None);
        await Start(second, "n2", "e5", Two);
        Assert.True(await World.Reaches(one, Two));
        Assert.True(await World.Reaches(three, Two));
    }

    [Fact]
    public async Task What_is_attached_here_wins_over_an_entry_that_is_late()
    {
        var (first, _) = await Applied((One, "n1"), (Two, "n2"));
        var one = await Start(first, "n1", "e1", One);
        await Start(first, "n1", "e2", Two);
        await first.Apply(Network((One, "n1"), (Two, "n2"), ("10.2.0.9", "n2")), None);
        Assert.True(await World.Reaches(one, Two));
    }

    [Fact]
    public async Task Every_verb_may_be_repeated()
    {
        var (first, second) = await Applied((One, "n1"), (Two, "n2"));
        await first.Apply(Network((One, "n1"), (Two, "n2")), None);
        var link = await first.Attach(Weave, "e1", One, Mac(One), None);
        Assert.Equal(link, await first.Attach(Weave, "e1", One, Mac(One), None));
        var one = await World.Place("n1", link, One);
        await Start(second, "n2", "e2", Two);
        Assert.True(await World.Reaches(one, Two));
        await first.Detach(Weave, "e1", None);
        await first.Detach(Weave, "e1", None);
        await first.Remove(Weave, None);
        await first.Remove(Weave, None);
        Assert.Empty(await first.List(None));
        Assert.Equal([Weave], await second.List(None));
    }

    [Fact]
    public async Task A_restarted_agent_finds_its_networks_and_disturbs_nobody()
    {
        var (first, second) = await Applied((One, "n1"), (Two, "n2"));
        var one = await Start(first, "n1", "e1", One);
        var again = World.Agent("n1");
        Assert.Equal([Weave], await again.List(None));
        await Start(second, "n2", "e2", Two);
        Assert.True(await World.Reaches(one, Two));
        await Start(again, "n1", "e3", "10.2.0.8");
        await again.Apply(Network((One, "n1"), (Two, "n2"), ("10.2.0.8", "n1")), None);
        Assert.True(await World.Reaches(one, "10.2.0.8"));
        Assert.True(await World.Reaches(one, Two));
        await again.Detach(Weave, "e1", None);
        Assert.False(await World.Reaches(one, Two));
    }

    [Fact]
    public async Task A_network_that_is_not_here_takes_no_endpoint()
    {
        var overlay = World.Agent("n1");
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => overlay.Attach(Weave, "e1", One, Mac(One), None));
        Assert.Contains("weave", refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<InvalidOperationException>(() => overlay.Announce(Weave, One, Mac(One), None));
        await overlay.Detach(Weave, "e1", None);
    }

    [Theory]
    [InlineData("10.2.0", "02:dd:0a:02:00:05")]
    [InlineData("10.2.0.5 dev lo", "02:dd:0a:02:00:05")]
    [InlineData("10.2.0.5", "02:dd:0a:02:00")]
    [InlineData("10.2.0.5", "02:dd:0a:02:00:05\nlink del lo")]
    public async Task What_is_no_address_reaches_no_command(string address, string mac)
    {
        var (first, _) = await Applied();
        await Assert.ThrowsAsync<ArgumentException>(() => first.Attach(Weave, "e1", address, mac, None));
    }
}
