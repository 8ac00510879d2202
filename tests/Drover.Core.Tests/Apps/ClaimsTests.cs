using Drover.Core.Apps;
using Drover.Core.Networks;
using Drover.Core.Offers;
using Drover.Core.State;
using Drover.Core.Volumes;
using Xunit;

namespace Drover.Core.Tests.Apps;

/// <summary>What apps hold to themselves: volumes, addresses, service ports, offers.</summary>
public sealed class ClaimsTests
{
    [Theory]
    [InlineData("/flocker/mongodata", "mongodata", null)]
    [InlineData("/flocker/mongodata/", "mongodata", null)]
    [InlineData("/srv/data", null, null)]
    [InlineData("/flockers/x", null, null)]
    [InlineData("relative", null, null)]
    [InlineData("/flocker/../etc", null, "'.' or '..'")]
    [InlineData("/srv/../flocker/a", null, "'.' or '..'")]
    [InlineData("/flocker/./a", null, "'.' or '..'")]
    [InlineData("/flocker/a/b", null, "points into a volume")]
    [InlineData("/flocker", null, "names no volume")]
    [InlineData("/flocker/-a", null, "is no volume name")]
    public void A_host_path_names_a_volume_a_directory_or_is_refused(string path, string? volume, string? problem)
    {
        Assert.Equal(problem is null, VolumeClaims.TryReadHostPath(path, out var name, out var why));
        Assert.Equal(volume, name?.Value);
        if (problem is not null) Assert.Contains(problem, why, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("data:/data/db", "/data/db", false)]
    [InlineData("data:/data/db:ro", "/data/db", true)]
    [InlineData("data:/data/db:rw", "/data/db", false)]
    [InlineData("data", null, false)]
    [InlineData("../x:/data", null, false)]
    [InlineData("data:relative", null, false)]
    [InlineData("data:/a/../b", null, false)]
    [InlineData("data:/data:z", null, false)]
    public void A_docker_volume_is_read_or_refused(string text, string? path, bool readOnly)
    {
        Assert.Equal(path is not null, VolumeClaims.TryReadDockerVolume(text, out var mount, out var problem));
        Assert.Equal(path is null, problem is not null);
        if (path is not null) Assert.Equal(new VolumeMount(new("data"), path, readOnly, VolumeNaming.DockerParameter), mount);
    }

    [Theory]
    [InlineData("10.255.0.10/24", null)]
    [InlineData("10.255.0.10", "with prefix length")]
    [InlineData("10.255.0/24", "with prefix length")]
    [InlineData("010.255.0.1/24", "with prefix length")]
    [InlineData("fd00::1/64", "with prefix length")]
    [InlineData("10.255.0.0/24", "address of its network 10.255.0.0/24")]
    [InlineData("10.255.0.255/24", "broadcast address of 10.255.0.0/24")]
    [InlineData("10.255.0.10/31", "8 to 30")]
    [InlineData("127.0.0.2/8", "not an address a machine can have")]
    public void An_address_is_read_or_refused_with_the_reason(string text, string? problem)
    {
        Assert.Equal(problem is null, Addressing.TryParse(text, out var attachment, out var why));
        if (problem is null) Assert.Equal(new OverlayAttachment(Addressing.Weave, text), attachment);
        else Assert.Contains(problem, why, StringComparison.Ordinal);
    }

    [Fact]
    public void The_first_use_makes_the_network_and_the_address_is_derived_into_its_hardware_address()
    {
        var after = Given.Cluster().And([.. Addressing.Lease(Given.Cluster(), At("10.255.0.10/24"), Given.Noon)]);
        var network = Assert.Single(after.Networks.Values);
        Assert.Equal((4096, "10.255.0.0/24"), (network.Vni, network.Subnet));
        Assert.Equal([new AddressLease("10.255.0.10", "02:dd:0a:ff:00:0a", new("/web"), null)], network.Addresses);
        Assert.Empty(Addressing.Lease(after, At("10.255.0.10/24"), Given.Noon));
    }

    [Fact]
    public void An_address_outside_the_subnet_or_taken_is_refused_with_what_is_there()
    {
        var state = Given.Cluster().And([.. Addressing.Lease(Given.Cluster(), At("10.255.0.10/24"), Given.Noon)]);
        Assert.Contains("outside the subnet 10.255.0.0/24", Addressing.Refusal(state, At("10.254.0.10/24", "/b"))?.Message, StringComparison.Ordinal);
        Assert.EndsWith("write 10.255.0.20/24", Addressing.Refusal(state, At("10.255.0.20/16", "/b"))?.Message, StringComparison.Ordinal);
        Assert.Contains("taken by app '/web'", Addressing.Refusal(state, At("10.255.0.10/24", "/b"))?.Message, StringComparison.Ordinal);
        Assert.Null(Addressing.Refusal(state, At("10.255.0.11/24", "/b")));
        Assert.Null(Addressing.Refusal(state, At("10.255.0.10/24")));
    }

    [Fact]
    public void An_address_answers_where_the_copy_runs_and_goes_back_when_nobody_asks_for_it()
    {
        var spec = At("10.255.0.10/24");
        var state = Given.Cluster(Given.Node("node1")).And(spec.App());
        state = state.And([.. Addressing.Lease(state, spec, Given.Noon)]).And(spec.Copy("web", "node1"));
        state = state.And([.. Addressing.Follow(state, spec.Id)]);
        Assert.Equal(new NodeId("node1"), state.Networks[Addressing.Weave].Addresses[0].Node);
        Assert.Empty(Addressing.ReleaseUnused(state, spec.Id));
        state = state.And(new ClusterChange.RemoveApp(spec.Id), new ClusterChange.RemoveInstance(new("web")));
        Assert.Empty(state.And([.. Addressing.ReleaseUnused(state, spec.Id)]).Networks[Addressing.Weave].Addresses);
    }

    [Fact]
    public void A_volume_in_use_is_refused_with_its_holder_and_freed_when_nobody_uses_it()
    {
        var db = Given.Spec("/db").WithVolume("data");
        var state = Given.Cluster().And(db.App());
        state = state.And([.. VolumeClaims.Claim(state, db, Given.Noon)]);
        var refusal = Assert.Single(VolumeClaims.Refusals(state, Given.Spec("/other").WithVolume("data")));
        Assert.Equal("/container/volumes(0)/hostPath", refusal.Path);
        Assert.Contains("in use by app '/db'", refusal.Message, StringComparison.Ordinal);
        Assert.Empty(VolumeClaims.ReleaseUnused(state, db.Id));
        state = state.And(db.Copy("db", "node1")).And(new ClusterChange.RemoveApp(db.Id));
        Assert.Empty(VolumeClaims.ReleaseUnused(state, db.Id));
        state = state.And(new ClusterChange.RemoveInstance(new("db")));
        state = state.And([.. VolumeClaims.ReleaseUnused(state, db.Id)]);
        Assert.Null(state.Volumes[new("data")].Holder);
        Assert.Empty(VolumeClaims.Refusals(state, Given.Spec("/other").WithVolume("data")));
    }

    [Fact]
    public void Service_ports_are_unique_kept_over_changes_and_refused_when_taken()
    {
        var state = Given.Cluster();
        var a = ServicePorts.Assign(state, Given.Spec("/a").Publishing(0, 0))!;
        Assert.Equal([10000, 10001], a.Container!.PortMappings.Select(m => m.ServicePort));
        state = state.And(a.App());
        var b = ServicePorts.Assign(state, Given.Spec("/b").Publishing(0))!;
        Assert.Equal(10002, b.Container!.PortMappings[0].ServicePort);
        Assert.Equal([10000, 10001, 10002], ServicePorts.Assign(state, Given.Spec("/a").Publishing(0, 0, 0))!.Container!.PortMappings.Select(m => m.ServicePort));
        var thief = Given.Spec("/c") with { Container = new() { Image = "c", PortMappings = [new(80, 0, 10001, "tcp", null, [])] } };
        Assert.Equal([new FieldError("/container/portMappings(0)/servicePort", "service port 10001 is taken by app '/a': choose another, or 0 for any")], ServicePorts.Conflicts(state, thief));
    }

    [Fact]
    public void A_database_of_two_copies_is_refused()
    {
        var outcome = AppChanges.Create(Given.Cluster(), Given.Spec("/db", instances: 2).WithVolume("data"), false, Given.Noon, new("d")).Outcome;
        Assert.Equal("/instances", Assert.Single(Assert.IsType<AppOutcome.Invalid>(outcome).Errors).Path);
    }

    [Fact]
    public void A_backoff_ends_with_a_new_configuration_and_not_with_scaling()
    {
        var app = Given.Spec().App() with { Delay = new(TimeSpan.FromSeconds(9), Given.Noon.AddSeconds(9), "exit 1") };
        var state = Given.Cluster().And(app);
        Assert.NotNull(Changed(app.Spec with { Instances = 2 }).Delay);
        Assert.Null(Changed(app.Spec with { Cpus = 2 }).Delay);

        App Changed(AppSpec spec) => Assert.IsType<AppOutcome.Accepted>(AppChanges.Update(state, spec, false, Given.Noon.AddSeconds(1), new("d")).Outcome).App;
    }

    [Fact]
    public void Each_node_is_in_one_offer_at_most_and_a_declined_one_goes_to_the_next_framework()
    {
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2"), Given.Node("node3", cordoned: true)).And(Given.Spec(cpus: 1.5).Copy("web", "node1", ports: 7000));
        var book = OfferBook.Empty with { Frameworks = OfferBook.Empty.Frameworks.Add(new("a"), new(new("a"), "a", true)).Add(new("b"), new(new("b"), "b", true)) };
        var (held, made) = OfferAllocator.Allocate(state, book, Given.Noon, new CountingChance());
        Assert.Equal([("a", "node1"), ("b", "node2")], made.Select(o => (o.Framework.Value, o.Node.Value)));
        Assert.Equal((2.5, 7001), (made[0].Resources.Cpus, made[0].Resources.Ports[0].Begin));
        Assert.Empty(OfferAllocator.Allocate(state, held, Given.Noon, new CountingChance()).Made);
        var declined = OfferAllocator.Decline(held, new("a"), [made[0].Id], TimeSpan.FromSeconds(5), Given.Noon);
        Assert.Equal("b", Assert.Single(OfferAllocator.Allocate(state, declined, Given.Noon, new CountingChance()).Made).Framework.Value);
        Assert.Equal("a", Assert.Single(OfferAllocator.Allocate(state, declined, Given.Noon.AddSeconds(5), new CountingChance()).Made).Framework.Value);
        Assert.Equal(Given.Noon.AddSeconds(5), OfferAllocator.Deadline(declined, Given.Noon));
        Assert.Equal([made[1].Id], OfferAllocator.Stale(state.Disconnected("node2"), held).Select(o => o.Id));
    }

    private static AppSpec At(string cidr, string id = "/web") => Given.Spec(id) with { Container = new() { Image = "i", Overlay = new(Addressing.Weave, cidr) } };
}
