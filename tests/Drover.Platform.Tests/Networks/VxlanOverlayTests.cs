using Drover.Agent;
using Drover.Agent.Networks;
using Drover.Agent.Networks.Vxlan;
using Drover.Conformance;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Drover.Platform.Tests.Networks;

/// <summary>The kernel's VXLAN between two network namespaces as nodes, further ones as containers.</summary>
[Trait("needs", "root")]
public sealed class VxlanOverlayTests : OverlaySuite
{
    private KernelWorld Kernel => (KernelWorld)World;

    protected override async Task<IOverlayWorld> Open() => await KernelWorld.Make();

    [Fact]
    public async Task Nothing_is_left_of_an_address_that_went_away()
    {
        var (first, second) = await Applied(("10.2.0.5", "n1"), ("10.2.0.6", "n2"));
        Assert.Contains("02:dd:0a:02:00:06", await Kernel.Show("n1"), StringComparison.Ordinal);
        await first.Apply(Network(("10.2.0.5", "n1")), None);
        await second.Apply(Network(("10.2.0.5", "n1")), None);
        Assert.DoesNotContain("02:dd:0a:02:00:06", await Kernel.Show("n1"), StringComparison.Ordinal);
        await first.Remove(Weave, None);
        Assert.DoesNotContain("4096", await Kernel.Show("n1"), StringComparison.Ordinal);
        Assert.DoesNotContain("db4096", await Namespaces.Run("nsenter", $"--net={Kernel.PathOf("n1")}", "iptables", "-S"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_restarted_agent_keeps_the_devices_and_an_unchanged_order_starts_no_program()
    {
        var (first, _) = await Applied(("10.2.0.5", "n1"), ("10.2.0.6", "n2"));
        var before = await Kernel.Indices("n1");
        var again = World.Agent("n1");
        await again.Apply(Network(("10.2.0.5", "n1"), ("10.2.0.6", "n2")), None);
        Assert.Equal(before, await Kernel.Indices("n1"));
        var started = Kernel.Started("n1");
        await first.Apply(Network(("10.2.0.5", "n1"), ("10.2.0.6", "n2")), None);
        Assert.Equal(started, Kernel.Started("n1"));
        await first.Apply(Network(("10.2.0.5", "n1"), ("10.2.0.6", "n2"), ("10.2.0.7", "n2")), None);
        Assert.Equal(started + 2, Kernel.Started("n1"));
        await first.Attach(Weave, "e9", "10.2.0.9", Mac("10.2.0.9"), None);
        Assert.Equal(started + 4, Kernel.Started("n1"));
    }

    [Fact]
    public async Task Devices_somebody_removed_are_made_again()
    {
        var (first, second) = await Applied(("10.2.0.5", "n1"), ("10.2.0.6", "n2"));
        var one = await Start(first, "n1", "e1", "10.2.0.5");
        await Start(second, "n2", "e2", "10.2.0.6");
        await Namespaces.Run("nsenter", $"--net={Kernel.PathOf("n1")}", "ip", "link", "del", "dx4096");
        Assert.False(await World.Reaches(one, "10.2.0.6"));
        await first.Apply(Network(("10.2.0.5", "n1"), ("10.2.0.6", "n2")), None);
        // The kernel may take up to a second to bring a new link of a bridge into service: one unanswered ping proves nothing.
        var reached = false;
        for (var tries = 0; tries < 5 && !reached; tries++) reached = await World.Reaches(one, "10.2.0.6");
        Assert.True(reached);
    }

    [Fact]
    public async Task A_full_sized_packet_passes()
    {
        var (first, second) = await Applied(("10.2.0.5", "n1"), ("10.2.0.6", "n2"));
        var one = await Start(first, "n1", "e1", "10.2.0.5");
        await Start(second, "n2", "e2", "10.2.0.6");
        Assert.Contains("mtu 1450", await Namespaces.Run("ip", "-n", Kernel.NameOf(one), "link", "show", "ethwe0"), StringComparison.Ordinal);
        // 1450 less the headers of IPv4 and ICMP.
        var (exit, output, _) = await Namespaces.Try("nsenter", [$"--net={Kernel.PathOf(one)}", "busybox", "ping", "-c", "1", "-W", "1", "-s", "1422", "10.2.0.6"]);
        Assert.True(exit == 0, output);
    }

    private sealed class KernelWorld : IOverlayWorld
    {
        private readonly Namespaces _names = new();
        private readonly Dictionary<string, NamespaceCommands> _commands = [];
        private int _containers;

        public static async Task<KernelWorld> Make()
        {
            var world = new KernelWorld();
            foreach (var node in new[] { "n1", "n2" })
            {
                await world._names.Machine(node, world.AddressOf(node));
                world._commands[node] = new(world._names.PathOf(node));
            }
            return world;
        }

        public string AddressOf(string node) => node == "n1" ? "10.99.0.1" : "10.99.0.2";

        public IOverlay Agent(string node) => new VxlanOverlay(
            _commands[node], new NamespaceLinks(_names.PathOf(node)), new LeaseBook(),
            new AgentOptions { Node = node, Control = new("https://10.99.0.250:4524"), Address = AddressOf(node), Certificates = "/nowhere", Pool = "/nowhere" },
            TimeProvider.System, NullLogger<VxlanOverlay>.Instance);

        public int Started(string node) => _commands[node].Started;
        public string PathOf(string of) => _names.PathOf(of);
        public string NameOf(string of) => _names.Name(of);

        public async Task<string> Show(string node) => await Inside(node, "bridge", "fdb", "show") + await Inside(node, "ip", "neigh", "show", "nud", "permanent") + await Inside(node, "ip", "addr");

        public async Task<string> Indices(string node) => string.Join('\n', (await Inside(node, "ip", "-o", "link")).Split('\n').Select(line => string.Join(':', line.Split(':').Take(2))));

        public async Task<string> Place(string node, string link, string address)
        {
            var container = $"c{++_containers}";
            await _names.Add(container);
            await Inside(node, "ip", "link", "set", "dev", link, "netns", _names.Name(container));
            await Inside(container, "ip", "link", "set", "dev", link, "name", "ethwe0");
            await Inside(container, "ip", "addr", "add", address + "/24", "dev", "ethwe0");
            await Inside(container, "ip", "link", "set", "dev", "ethwe0", "up");
            return container;
        }

        public Task<bool> Reaches(string container, string address) => _names.Pings(container, address);

        public ValueTask DisposeAsync() => _names.DisposeAsync();

        private Task<string> Inside(string of, string program, params string[] arguments) => Namespaces.Run("nsenter", [$"--net={_names.PathOf(of)}", program, .. arguments]);
    }
}
