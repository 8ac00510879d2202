using System.Collections.Immutable;
using Drover.Agent.Networks.Vxlan;
using Xunit;

namespace Drover.Agent.Tests.Networks;

public sealed class OverlayPlannerTests
{
    private const string Five = "02:dd:0a:02:00:05";
    private static readonly ImmutableSortedDictionary<string, string> None = ImmutableSortedDictionary<string, string>.Empty;

    private static readonly OverlayWanted Wanted = new(
        "weave", 7, "10.99.0.1", 1450, ["10.99.0.2", "10.99.0.3"], None.Add(Five, "10.99.0.2"), None.Add("10.2.0.5", Five));

    private static readonly OverlayPresent There = OverlayPlanner.After(Wanted, []);

    private static (OverlayWanted, OverlayPresent, string[], string[]) Case(OverlayWanted wanted, OverlayPresent present, string[] links, string[] forwarding) => (wanted, present, links, forwarding);

    public static TheoryData<string> Cases => [.. Table.Keys];

    private static readonly Dictionary<string, (OverlayWanted Wanted, OverlayPresent Present, string[] Links, string[] Forwarding)> Table = new()
    {
        ["as wanted: nothing"] = Case(Wanted, There, [], []),
        ["nothing there: all"] = Case(Wanted, OverlayPresent.Nothing,
        [
            "link add name db7 address 02:db:00:00:00:07 mtu 1450 type bridge mcast_snooping 0", "link set dev db7 addrgenmode none", "link set dev db7 alias drover:weave", "link set dev db7 up",
            "link add name dx7 mtu 1450 type vxlan id 7 local 10.99.0.1 dstport 4789 nolearning", "link set dev dx7 addrgenmode none", "link set dev dx7 master db7",
            "link set dev dx7 type bridge_slave learning off neigh_suppress on", "link set dev dx7 up", $"neigh replace 10.2.0.5 lladdr {Five} dev db7 nud permanent",
        ],
        [
            "fdb append 00:00:00:00:00:00 dev dx7 dst 10.99.0.2 self permanent", "fdb append 00:00:00:00:00:00 dev dx7 dst 10.99.0.3 self permanent",
            $"fdb replace {Five} dev dx7 dst 10.99.0.2 self permanent", $"fdb replace {Five} dev dx7 master static",
        ]),
        ["a peer comes, a peer goes"] = Case(Wanted with { Peers = ["10.99.0.2", "10.99.0.4"] }, There, [],
            ["fdb del 00:00:00:00:00:00 dev dx7 dst 10.99.0.3 self", "fdb append 00:00:00:00:00:00 dev dx7 dst 10.99.0.4 self permanent"]),
        ["an address moves between others"] = Case(Wanted with { Remote = None.Add(Five, "10.99.0.3") }, There, [], [$"fdb replace {Five} dev dx7 dst 10.99.0.3 self permanent"]),
        ["an address comes here"] = Case(Wanted with { Remote = None, Neighbours = None }, There with { Here = [Five], BehindTunnel = [] }, ["neigh del 10.2.0.5 dev db7"], [$"fdb del {Five} dev dx7 dst 10.99.0.2 self"]),
        ["an address is released"] = Case(Wanted with { Remote = None, Neighbours = None }, There, ["neigh del 10.2.0.5 dev db7"],
            [$"fdb del {Five} dev dx7 dst 10.99.0.2 self", $"fdb del {Five} dev dx7 master"]),
        ["attached here, told elsewhere: the bridge keeps its own"] = Case(Wanted, There with { Here = [Five], BehindTunnel = [] }, [], []),
        ["detached here, told elsewhere: into the tunnel"] = Case(Wanted, There with { BehindTunnel = [] }, [], [$"fdb replace {Five} dev dx7 master static"]),
        ["the node's address changed: the tunnel is made anew with its entries, the bridge stays"] = Case(Wanted, There with { Tunnel = There.Tunnel! with { Local = "10.98.0.1" } },
        [
            "link del dev dx7", "link add name dx7 mtu 1450 type vxlan id 7 local 10.99.0.1 dstport 4789 nolearning", "link set dev dx7 addrgenmode none", "link set dev dx7 master db7",
            "link set dev dx7 type bridge_slave learning off neigh_suppress on", "link set dev dx7 up",
        ],
        [
            "fdb append 00:00:00:00:00:00 dev dx7 dst 10.99.0.2 self permanent", "fdb append 00:00:00:00:00:00 dev dx7 dst 10.99.0.3 self permanent",
            $"fdb replace {Five} dev dx7 dst 10.99.0.2 self permanent", $"fdb replace {Five} dev dx7 master static",
        ]),
        ["somebody meddled"] = Case(Wanted,
            There with { Bridge = new(false, 1500, null), Tunnel = There.Tunnel! with { Up = false, PortLearns = true }, Neighbours = None.Add("10.2.0.5", "02:00:00:00:00:01").Add("10.2.0.6", Five) },
            [
                "link set dev db7 mtu 1450", "link set dev db7 alias drover:weave", "link set dev db7 up", "link set dev dx7 type bridge_slave learning off neigh_suppress on", "link set dev dx7 up",
                "neigh del 10.2.0.6 dev db7", $"neigh replace 10.2.0.5 lladdr {Five} dev db7 nud permanent",
            ], []),
    };

    [Theory, MemberData(nameof(Cases))]
    public void The_plan_is_the_difference(string name)
    {
        var (wanted, present, links, forwarding) = Table[name];
        var plan = OverlayPlanner.Plan(wanted, present);
        Assert.Equal(links, plan.Links);
        Assert.Equal(forwarding, plan.Forwarding);
    }

    [Fact]
    public void Names_fit_the_kernel_whatever_the_identifiers()
    {
        foreach (var name in new[] { OverlayNames.Bridge(16777215), OverlayNames.Tunnel(16777215), OverlayNames.HostEnd(new string('f', 64)), OverlayNames.ContainerEnd("no hex"), OverlayNames.HostEnd("") })
            Assert.InRange(name.Length, 3, 15);
        Assert.NotEqual(OverlayNames.HostEnd("a"), OverlayNames.HostEnd("b"));
    }

    [Fact]
    public void An_announcement_is_an_ARP_request_for_the_sender_s_own_address()
    {
        var frame = Announcement.Frame("10.2.0.5", Five);
        Assert.Equal("ffffffffffff" + "02dd0a020005" + "0806" + "0001" + "0800" + "06" + "04" + "0001" + "02dd0a020005" + "0a020005" + "000000000000" + "0a020005", Convert.ToHexStringLower(frame)[..84]);
        Assert.Equal(60, frame.Length);
    }
}
