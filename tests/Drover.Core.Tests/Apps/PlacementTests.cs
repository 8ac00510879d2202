using System.Collections.Immutable;
using CsCheck;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

public sealed class PlacementTests
{
    [Theory]
    [InlineData(4, 128, "needs 4 cpus, 1.5 left")]
    [InlineData(1, 5000, "needs 5000 MiB of memory, 3968 left")]
    public void A_reason_names_the_numbers(double cpus, double memory, string reason)
    {
        var state = Given.Cluster(Given.Node("node1", cpus: 4)).And(Given.Spec("/other", cpus: 2.5).Copy("other", "node1"));
        var verdict = Placement.Judge(state, Given.Spec(cpus: cpus) with { MemoryMiB = memory }, new("node1"), null);
        Assert.False(verdict.Fits);
        Assert.Equal([reason], verdict.Reasons);
    }

    [Fact]
    public void A_node_that_is_away_cordoned_or_unknown_takes_nothing_and_says_so()
    {
        var state = Given.Cluster(Given.Node("away"), Given.Node("cordoned", cordoned: true)).Disconnected("away");
        Assert.Equal(["its agent is not connected"], Placement.Judge(state, Given.Spec(), new("away"), null).Reasons);
        Assert.Equal(["it is cordoned and takes nothing new"], Placement.Judge(state, Given.Spec(), new("cordoned"), null).Reasons);
        Assert.Equal(["there is no node nowhere"], Placement.Judge(state, Given.Spec(), new("nowhere"), null).Reasons);
    }

    [Fact]
    public void A_cordoned_node_keeps_what_it_runs()
    {
        var copy = Given.Spec().Copy("web", "node1");
        var state = Given.Cluster(Given.Node("node1", cordoned: true)).And(copy);
        Assert.True(Placement.Judge(state, copy.Spec, new("node1"), copy).Fits);
    }

    [Theory]
    [InlineData(7005, null)]
    [InlineData(7001, "needs host port 7001, which is taken by /other")]
    [InlineData(27017, "needs host port 27017, the node offers 7000-7099")]
    public void A_fixed_host_port_is_in_range_and_free_or_refused(int port, string? reason)
    {
        var state = Given.Cluster(Given.Node("node1")).And(Given.Spec("/other").Copy("other", "node1", ports: 7001));
        var verdict = Placement.Judge(state, Given.Spec().Publishing(port), new("node1"), null);
        Assert.Equal(reason is null ? [] : [reason], verdict.Reasons);
        if (reason is null) Assert.Equal([port], verdict.Ports);
    }

    [Fact]
    public void Ports_not_published_stay_zero_and_dynamic_ones_are_the_same_each_time()
    {
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2"));
        var spec = Given.Spec().Publishing(null, 0, 7050);
        var first = Placement.Judge(state, spec, new("node1"), null);
        Assert.Equal(0, first.Ports[0]);
        Assert.InRange(first.Ports[1], 7000, 7099);
        Assert.Equal(7050, first.Ports[2]);
        Assert.Equal(first.Ports, Placement.Judge(state, spec, new("node2"), null).Ports);
    }

    [Fact]
    public void A_node_without_free_ports_says_how_many_are_missing()
    {
        var state = Given.Cluster(Given.Node("node1", firstPort: 7000, lastPort: 7001));
        var verdict = Placement.Judge(state, Given.Spec().Publishing(0, 0, 0), new("node1"), null);
        Assert.Equal(["needs 1 more free host ports, 7000-7001 has none left"], verdict.Reasons);
    }

    [Fact]
    public void The_node_with_the_data_wins_then_one_with_a_base_of_it_then_the_freest()
    {
        var spec = Given.Spec().WithVolume("data");
        var volume = Given.Volume("data", "c", "/web") with { Standbys = [new(new("b"), new("s"), new(1), Given.Noon)] };
        var state = Given.Cluster(Given.Node("a", cpus: 64), Given.Node("b", cpus: 2), Given.Node("c", cpus: 1), Given.Node("d", cpus: 2)).And(volume)
            .And(Given.Spec("/other").Copy("other", "d"));
        Assert.Equal(["c", "b", "a", "d"], Placement.Rank(state, spec, null).Select(v => v.Node.Value));
    }

    [Fact]
    public void Data_that_cannot_be_read_keeps_the_app_waiting_and_says_where_it_is()
    {
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(Given.Volume("data", "node1", "/web")).Disconnected("node1");
        var verdict = Placement.Judge(state, Given.Spec().WithVolume("data"), new("node2"), null);
        Assert.Equal(["the data of volume data is on node1, whose agent is not connected: the app waits for that node"], verdict.Reasons);
    }

    [Fact]
    public void Data_larger_than_the_pool_is_refused_with_both_sizes()
    {
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(Given.Volume("data", "node1", "/web") with { Used = ByteCount.GiB(6) });
        Assert.Equal(["the data needs 6 GiB, the pool has 5 GiB left"], Placement.Judge(state, Given.Spec().WithVolume("data"), new("node2"), null).Reasons);
    }

    [Fact]
    public void A_known_volume_without_a_place_is_never_made_anew()
    {
        var state = Given.Cluster(Given.Node("node1")).And(Given.Volume("data", null, "/web") with { Initialized = true });
        var verdict = Placement.Judge(state, Given.Spec().WithVolume("data"), new("node1"), null);
        Assert.Contains("never made anew empty", Assert.Single(verdict.Reasons), StringComparison.Ordinal);
    }

    [Fact]
    public void A_move_on_its_way_holds_room_and_ports_at_its_target()
    {
        var moved = Given.Spec("/db", cpus: 3).WithVolume("data");
        var copy = moved.Copy("db", "node1");
        var move = new Move(new("m1"), MoveTrigger.Move, new("/db"), copy.Id, [], new("node1"), new("node2"), moved, [7007], MovePolicy.Default, MoveState.Seeding, Given.Noon);
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(copy).And(new ClusterChange.PutMove(move));
        var verdict = Placement.Judge(state, Given.Spec(cpus: 2).Publishing(7007), new("node2"), null);
        Assert.Equal(["needs 2 cpus, 1 left", "needs host port 7007, which is taken by /db"], verdict.Reasons);
        Assert.True(Placement.Judge(state, moved, new("node2"), copy).Fits);
    }

    private static readonly Gen<AppSpec> AnySpec =
        from id in Gen.Int[0, 5]
        from tenths in Gen.Int[1, 25]
        from memory in Gen.Int[16, 2000]
        from ports in Gen.Int[-2, 6].Select(p => p == -2 ? null : p == -1 ? 0 : (int?)(7000 + p)).Array[0, 3]
        select (Given.Spec($"/app{id}", cpus: tenths / 10.0) with { MemoryMiB = memory }).Publishing(ports);

    [Fact]
    public void Whatever_is_placed_where_it_fits_no_node_is_overcommitted_and_no_port_given_twice() =>
        Gen.Select(AnySpec.Array[1, 40], Gen.Int[1, 4]).Sample((specs, nodes) =>
        {
            var state = Given.Cluster([.. Enumerable.Range(1, nodes).Select(i => Given.Node($"n{i}", cpus: i, memory: 1500 * i, lastPort: 7005 + i))]);
            for (var i = 0; i < specs.Length; i++)
            {
                var best = Placement.Rank(state, specs[i], null)[0];
                if (!best.Fits) continue;
                Assert.Equal(PortDemand.Of(specs[i]).Length, best.Ports.Count);
                state = state.And(specs[i].Copy($"i{i}", best.Node.Value, ports: [.. best.Ports]));
            }
            foreach (var node in state.Nodes.Values)
            {
                var copies = state.InstancesOn(node.Id).ToImmutableArray();
                Assert.True(copies.Sum(c => c.Spec.Cpus) <= node.Resources.Cpus + 1e-6);
                Assert.True(copies.Sum(c => c.Spec.MemoryMiB) <= node.Resources.MemoryMiB + 1e-6);
                var ports = copies.SelectMany(c => c.Ports).Where(p => p != 0).ToList();
                Assert.Equal(ports.Count, ports.Distinct().Count());
                Assert.All(ports, p => Assert.True(node.Resources.Ports[0].Contains(p)));
            }
        }, iter: 500);

    [Fact]
    public void A_verdict_fits_exactly_when_it_has_no_reason_and_the_fitting_come_first() =>
        Gen.Select(AnySpec, AnySpec.Array[0, 8]).Sample((wanted, others) =>
        {
            var state = Given.Cluster(Given.Node("n1", cpus: 2), Given.Node("n2", cpus: 4), Given.Node("n3", cordoned: true));
            for (var i = 0; i < others.Length; i++) state = state.And(others[i].Copy($"o{i}", $"n{i % 2 + 1}", ports: 7000 + i));
            var ranked = Placement.Rank(state, wanted, null);
            Assert.Equal(3, ranked.Length);
            Assert.All(ranked, v => Assert.Equal(v.Fits, v.Reasons.Count == 0));
            Assert.Equal(ranked.OrderByDescending(v => v.Fits).Select(v => v.Fits), ranked.Select(v => v.Fits));
            Assert.False(ranked.Single(v => v.Node.Value == "n3").Fits);
        }, iter: 300);
}
