using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.Offers;
using Drover.Core.State;
using Xunit;
using static Drover.Core.Apps.ConstraintOperator;

namespace Drover.Core.Tests.Apps;

/// <summary>The scheduler finds with few looks what judging every node for each copy would find.</summary>
public sealed class SchedulingPassTests
{
    private static readonly IReadOnlySet<NodeId> Nobody = ImmutableHashSet<NodeId>.Empty;

    private static Node Machine(int number, string disk, string? rack, double cpus) =>
        Given.Node($"n{number:000}", cpus: cpus, memory: cpus * 1000, disk: disk) with { Attributes = rack is null ? [new("disk", disk)] : [new("disk", disk), new("rack", rack)] };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void Each_copy_goes_where_the_whole_ranking_would_send_it(int seed)
    {
        var chance = new Random(seed);
        var state = Given.Cluster([.. Enumerable.Range(0, 40).Select(i => Machine(i, i % 3 == 0 ? "ssd" : "spinning", i % 7 == 0 ? null : $"r{i % 5}", chance.Next(1, 5)))]);
        for (var a = 0; a < 14; a++)
        {
            var app = Some(chance, a).App();
            state = state.And(app).And([.. Enumerable.Range(0, chance.Next(1, 12)).Select(c => app.Spec.Copy($"{a}-{c:00}", null) with { CreatedAt = Given.Noon.AddSeconds(chance.Next(100)), WaitsFor = "an offer" })]);
        }
        state = state.And(new ClusterChange.PutMove(Bringing("n003", 0.5)), new ClusterChange.PutMove(Bringing("n011", 0.9)));
        var held = Enumerable.Range(0, 3).Select(_ => new NodeId($"n{chance.Next(40):000}")).ToImmutableHashSet();
        var plan = SchedulingPass.Run(state, held, int.MaxValue, _ => false, Given.Noon);
        Assert.Equal(Naive(state, held), [.. plan.Takes.Select(t => (((OfferOperation.Launch)t.Operation).Instance.Value, t.Node.Value, string.Join(' ', t.Verdict!.Ports)))]);
        Assert.False(plan.More);
        Assert.True(plan.Takes.Length > 20, $"only {plan.Takes.Length} copies were placed: this test looks at nothing");
    }

    /// <summary>As it is said in words: the copy that waits longest first, all nodes ranked for it.</summary>
    private static List<(string, string, string)> Naive(ClusterState state, IReadOnlySet<NodeId> held)
    {
        var taken = new List<(string, string, string)>();
        foreach (var copy in state.Instances.Values.Where(i => i.Node is null).OrderBy(i => i.CreatedAt).ThenBy(i => i.Id).ToList())
        {
            if (Placement.Rank(state, copy.Spec, copy).FirstOrDefault(v => v.Fits && !held.Contains(v.Node)) is not { } verdict) continue;
            taken.Add((copy.Id.Value, verdict.Node.Value, string.Join(' ', verdict.Ports)));
            state = state.And(copy with { Node = verdict.Node, Ports = verdict.Ports, Incarnation = 1, State = InstanceState.Staging });
        }
        return taken;
    }

    private static AppSpec Some(Random chance, int number)
    {
        var spec = Given.Spec($"/a{number}", cpus: chance.Next(1, 8) / 10.0) with { MemoryMiB = chance.Next(50, 400), Labels = [new("kind", $"k{number % 3}")] };
        if (chance.Next(2) == 0) spec = spec.Publishing(chance.Next(3) == 0 ? 7000 + chance.Next(3) : 0);
        spec = (number % 7) switch
        {
            0 => spec.With("hostname", Unique),
            1 => spec.With("rack", GroupBy, chance.Next(2) == 0 ? null : "4"),
            2 => spec.With("disk", Like, "ss."),
            3 => spec.With("rack", MaxPer, "2").With("disk", Unlike, "ssd"),
            4 => spec.With("rack", Cluster),
            _ => spec,
        };
        if (chance.Next(4) == 0) spec = spec with { Preferences = [new(new("disk", Is, "ssd"), chance.Next(1, 9)), new(new("rack", Is, $"r{chance.Next(5)}"), chance.Next(1, 9))] };
        if (chance.Next(4) == 0) spec = spec with { Apart = [new(null, [new("kind", $"k{chance.Next(3)}")], chance.Next(2) == 0 ? null : chance.Next(1, 20))] };
        return spec;
    }

    private static Move Bringing(string target, double cpus) => MovePlanner.Plan(
        Given.Cluster(Given.Node("away"), Given.Node(target)), Given.Spec($"/moved-{target}", cpus: cpus).WithVolume("v"), null, new("away"), new(target), [], MoveTrigger.Redeploy, MoveSettings.Of(Given.Spec()), new($"m-{target}"), Given.Noon);

    [Fact]
    public void Where_every_node_does_one_look_is_enough_for_each_copy()
    {
        var state = Waiting(Given.Cluster([.. Enumerable.Range(0, 500).Select(i => Machine(i, "ssd", $"r{i % 20}", 4))]), Given.Spec(cpus: 0.1), 300);
        var plan = SchedulingPass.Run(state, Nobody, int.MaxValue, _ => false, Given.Noon);
        Assert.Equal(300, plan.Takes.Length);
        Assert.InRange(plan.Looked, 300, 330);
    }

    [Fact]
    public void Spread_over_racks_looks_at_as_many_nodes_as_there_are_racks_not_at_all_of_them()
    {
        var state = Waiting(Given.Cluster([.. Enumerable.Range(0, 500).Select(i => Machine(i, "ssd", $"r{i % 20}", 4))]), Given.Spec(cpus: 0.1).With("rack", GroupBy, "20"), 200);
        var plan = SchedulingPass.Run(state, Nobody, int.MaxValue, _ => false, Given.Noon);
        Assert.Equal(200, plan.Takes.Length);
        Assert.True(plan.Looked < 200 * 40, $"{plan.Looked} nodes looked at");
        Assert.All(plan.Takes.GroupBy(t => int.Parse(t.Node.Value[1..], System.Globalization.CultureInfo.InvariantCulture) % 20), rack => Assert.Equal(10, rack.Count()));
    }

    [Fact]
    public void Nodes_of_the_wrong_kind_are_passed_over_once_and_not_for_each_copy()
    {
        // Those with the right disk are the fullest: in the order of free nodes they come last.
        var state = Waiting(Given.Cluster([.. Enumerable.Range(0, 500).Select(i => Machine(i, i < 450 ? "spinning" : "ssd", null, i < 450 ? 4 : 4))]), Given.Spec(cpus: 0.1).With("disk", Is, "ssd"), 400);
        foreach (var i in Enumerable.Range(450, 50)) state = state.And(Given.Spec("/full", cpus: 2).Copy($"full{i}", $"n{i:000}"));
        var plan = SchedulingPass.Run(state, Nobody, int.MaxValue, _ => false, Given.Noon);
        Assert.Equal(400, plan.Takes.Length);
        Assert.True(plan.Looked < 450 + 400 * 3, $"{plan.Looked} nodes looked at");
    }

    [Fact]
    public void What_fits_nowhere_is_searched_for_once_and_each_copy_says_why()
    {
        var state = Waiting(Given.Cluster([.. Enumerable.Range(0, 100).Select(i => Machine(i, "ssd", null, 1))]), Given.Spec(cpus: 2), 50);
        var plan = SchedulingPass.Run(state, Nobody, int.MaxValue, _ => false, Given.Noon);
        Assert.Empty(plan.Takes);
        Assert.Equal([new AppId("/web")], plan.Refused);
        Assert.Equal(100, plan.Looked);
        Assert.Equal(50, plan.Says.Length);
        var text = plan.Says.Select(s => s.What).Distinct().Single();
        Assert.Equal(WaitReasons.Text(Placement.Rank(state, state.Apps[new("/web")].Spec, null)), text);
        Assert.Contains("n000: needs 2 cpus, 1 left", text, StringComparison.Ordinal);
        Assert.EndsWith("and 95 more nodes", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pass_ends_at_its_limit_and_says_that_there_is_more()
    {
        var state = Waiting(Given.Cluster([.. Enumerable.Range(0, 10).Select(i => Machine(i, "ssd", null, 4))]), Given.Spec(cpus: 0.1), 30);
        var plan = SchedulingPass.Run(state, Nobody, 20, _ => false, Given.Noon);
        Assert.Equal((20, true), (plan.Takes.Length, plan.More));
        Assert.Equal((0, false), (SchedulingPass.Run(state, Nobody, 20, _ => true, Given.Noon).Takes.Length, false));
    }

    private static ClusterState Waiting(ClusterState state, AppSpec spec, int copies) =>
        state.And(spec.App()).And([.. Enumerable.Range(0, copies).Select(i => spec.Copy($"c{i:0000}", null))]);
}
