using Drover.Cli.Lab;
using Xunit;

namespace Drover.Platform.Tests;

public sealed class LabPlanTests
{
    [Fact]
    public void The_plain_lab_is_the_demos_topology()
    {
        var plan = LabPlan.Make("lab", LabPlan.DefaultSubnet, 20, 2, "");
        Assert.Equal(["master", "node1", "node2"], plan.Machines);
        Assert.Equal(["172.16.255.250", "172.16.255.251", "172.16.255.252"], plan.Machines.Select(plan.AddressOf));
        Assert.Equal("spinning", plan.Node("node1").Attributes["disk"]);
        Assert.Equal("ssd", plan.Node("node2").Attributes["disk"]);
        Assert.Equal("http://172.16.255.250:8080", plan.ControlUrl);
    }

    [Fact]
    public void Every_machine_of_the_largest_lab_has_an_address_of_its_own()
    {
        var plan = LabPlan.Make("lab", "10.9.8.0/24", 1, LabPlan.MostNodes, "");
        var addresses = plan.Machines.Select(plan.AddressOf).Append(plan.HostAddress).ToList();
        Assert.Equal(addresses.Count, addresses.Distinct().Count());
        Assert.All(addresses, a => Assert.StartsWith("10.9.8.", a, StringComparison.Ordinal));
    }

    [Fact]
    public void Attributes_go_on_for_a_node_until_another_is_named()
    {
        var plan = LabPlan.Make("lab", LabPlan.DefaultSubnet, 20, 3, "node2=disk:ssd,rack:b,node1=rack:a");
        Assert.Equal("b", plan.Node("node2").Attributes["rack"]);
        Assert.Equal("ssd", plan.Node("node2").Attributes["disk"]);
        Assert.Equal(["rack"], plan.Node("node1").Attributes.Keys);
        Assert.Equal("spinning", plan.Node("node3").Attributes["disk"]);
    }

    [Theory]
    [InlineData("", "btrfs", "btrfs")]
    [InlineData("node2=directory", "btrfs", "directory")]
    [InlineData("node2=zfs,node1=directory", "directory", "zfs")]
    [InlineData("directory", "directory", "directory")]
    [InlineData("directory,node1=btrfs", "btrfs", "directory")]
    public void Each_node_has_the_volume_driver_it_was_given(string drivers, params string[] expected) =>
        Assert.Equal(expected, LabPlan.Make("lab", LabPlan.DefaultSubnet, 20, 2, "").WithDrivers(drivers).Nodes.Select(n => n.VolumeDriver));

    [Theory]
    [InlineData("node3=directory", "no 'node3'")]
    [InlineData("node1=tape", "--volume-driver 'node1=tape'")]
    public void A_volume_driver_that_cannot_be_is_refused_by_its_name(string drivers, string said) =>
        Assert.Contains(said, Assert.Throws<LabException>(() => LabPlan.Make("lab", LabPlan.DefaultSubnet, 20, 2, "").WithDrivers(drivers)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("Lab", "172.16.255.0/24", 2, "", "--name 'Lab'")]
    [InlineData("lab-1", "172.16.255.0/24", 2, "", "--name 'lab-1'")]
    [InlineData("tenletters", "172.16.255.0/24", 2, "", "--name 'tenletters'")]
    [InlineData("lab", "172.16.255.1/24", 2, "", "--subnet '172.16.255.1/24'")]
    [InlineData("lab", "172.16.0.0/16", 2, "", "--subnet '172.16.0.0/16'")]
    [InlineData("lab", "fd00::/24", 2, "", "--subnet 'fd00::/24'")]
    [InlineData("lab", "172.16.255.0/24", 0, "", "--nodes 0")]
    [InlineData("lab", "172.16.255.0/24", 33, "", "--nodes 33")]
    [InlineData("lab", "172.16.255.0/24", 2, "node3=disk:ssd", "no 'node3'")]
    [InlineData("lab", "172.16.255.0/24", 2, "disk:ssd", "--attributes 'disk:ssd'")]
    [InlineData("lab", "172.16.255.0/24", 2, "node1=disk", "--attributes 'node1=disk'")]
    public void A_wish_that_cannot_be_met_is_refused_by_its_name(string name, string subnet, int nodes, string attributes, string said)
    {
        var refused = Assert.Throws<LabException>(() => LabPlan.Make(name, subnet, 20, nodes, attributes));
        Assert.Contains(said, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("8", 8)]
    [InlineData("8G", 8)]
    [InlineData("20GiB", 20)]
    public void A_pools_size_is_read_as_one_writes_it(string text, int gibibytes) => Assert.Equal(gibibytes, LabPlan.ParsePool(text));

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("10MB")]
    [InlineData("9999")]
    public void A_pool_of_no_possible_size_is_refused(string text) => Assert.Throws<LabException>(() => LabPlan.ParsePool(text));

    [Theory]
    [InlineData("10.0.0.0/8", "10.255.0.0/24", true)]
    [InlineData("172.16.255.0/24", "172.16.255.128/25", true)]
    [InlineData("172.16.255.0/24", "172.16.254.0/24", false)]
    [InlineData("0.0.0.0/0", "172.16.254.0/24", true)]
    public void Networks_overlap_when_one_holds_the_other(string a, string b, bool overlap)
    {
        Assert.Equal(overlap, Subnet.TryParse(a)!.Value.Overlaps(Subnet.TryParse(b)!.Value));
        Assert.Equal(overlap, Subnet.TryParse(b)!.Value.Overlaps(Subnet.TryParse(a)!.Value));
    }

    [Fact]
    public void A_mount_is_read_as_the_kernel_writes_it()
    {
        var mount = MountTable.Parse(@"36 35 98:0 net:[4026532300] /mnt/a\040b rw,noatime shared:1 master:2 - nsfs nsfs rw");
        Assert.Equal(new MountEntry("net:[4026532300]", "/mnt/a b", "nsfs", "nsfs", "rw"), mount);
    }
}
