using Drover.Core.Apps;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

public sealed class KillOrderTests
{
    private static readonly InstanceState[] Order = [InstanceState.Scheduled, InstanceState.Unreachable, InstanceState.Staging, InstanceState.Starting, InstanceState.Running];

    [Theory]
    [InlineData(KillSelection.YoungestFirst)]
    [InlineData(KillSelection.OldestFirst)]
    public void What_runs_least_goes_first_whatever_its_age(KillSelection selection)
    {
        var spec = Given.Spec() with { KillSelection = selection };
        for (var seed = 0; seed < 20; seed++)
        {
            var dice = new Dice(seed);
            var copies = Order.SelectMany(state => Enumerable.Range(0, 3).Select(n =>
                spec.Copy($"{state}{n}", "node1", state) with { StartedAt = Given.Noon.AddSeconds((int)(dice.NextDouble() * 100)) })).OrderBy(_ => dice.NextDouble()).ToList();
            var picked = KillOrder.Pick(Given.Cluster(Given.Node("node1")), spec, copies, copies.Count);
            Assert.Equal(Order.SelectMany(s => Enumerable.Repeat(s, 3)), picked.Select(i => i.State));
            foreach (var group in picked.GroupBy(i => i.State))
                Assert.Equal(selection == KillSelection.YoungestFirst ? group.OrderByDescending(i => i.StartedAt) : group.OrderBy(i => i.StartedAt), group, (a, b) => a!.StartedAt == b!.StartedAt);
        }
    }

    [Theory]
    [InlineData(KillSelection.YoungestFirst, "c")]
    [InlineData(KillSelection.OldestFirst, "a")]
    public void Ties_are_broken_by_when_it_started_or_else_was_staged(KillSelection selection, string victim)
    {
        var spec = Given.Spec() with { KillSelection = selection };
        Instance At(string id, int second) => spec.Copy(id, "node1", InstanceState.Staging) with { StagedAt = Given.Noon.AddSeconds(second) };
        Assert.Equal(victim, KillOrder.Pick(Given.Cluster(Given.Node("node1")), spec, [At("b", 2), At("c", 3), At("a", 1)], 1).Single().Id.Value);
    }

    [Fact]
    public void Groups_differ_by_one_at_most_however_many_go()
    {
        var spec = Given.Spec().With("hostname", ConstraintOperator.GroupBy);
        var cluster = Given.Cluster(Given.Node("a"), Given.Node("b"), Given.Node("c"));
        var copies = Enumerable.Range(0, 12).Select(n => spec.Copy($"i{n:00}", "abc"[n % 3].ToString()) with { StartedAt = Given.Noon.AddSeconds(n) }).ToList();
        for (var count = 0; count <= 12; count++)
        {
            var left = copies.Except(KillOrder.Pick(cluster, spec, copies, count)).GroupBy(i => i.Node).Select(g => g.Count()).ToList();
            Assert.Equal(12 - count, left.Sum());
            if (count < 10) Assert.InRange(left.Max() - left.Min(), 0, 1);
        }
    }

    [Fact]
    public void Uneven_groups_become_even_first_and_within_a_group_the_order_holds()
    {
        var spec = Given.Spec().With("hostname", ConstraintOperator.GroupBy);
        var cluster = Given.Cluster(Given.Node("a"), Given.Node("b"));
        Instance[] copies = [spec.Copy("a1", "a"), spec.Copy("a2", "a"), spec.Copy("a3", "a", InstanceState.Staging), spec.Copy("a4", "a"), spec.Copy("b1", "b", InstanceState.Staging)];
        Assert.Equal(["a3", "a4", "a2"], KillOrder.Pick(cluster, spec, copies, 3).Select(i => i.Id.Value));
    }

    [Fact]
    public void Of_five_thousand_in_a_thousand_groups_half_go_and_the_groups_stay_even()
    {
        var spec = Given.Spec().With("hostname", ConstraintOperator.GroupBy);
        var cluster = Given.Cluster([.. Enumerable.Range(0, 1000).Select(n => Given.Node($"n{n:0000}"))]);
        var copies = Enumerable.Range(0, 5000).Select(n => spec.Copy($"i{n:0000}", $"n{n % 1000:0000}")).ToList();
        var left = copies.Except(KillOrder.Pick(cluster, spec, copies, 2500)).GroupBy(i => i.Node).Select(g => g.Count()).ToList();
        Assert.Equal((2500, 2, 3), (left.Sum(), left.Min(), left.Max()));
    }

    [Fact]
    public void Copies_that_were_given_up_as_unreachable_do_not_count_when_an_app_shrinks()
    {
        var spec = Given.Spec(instances: 1) with { Unreachable = new(TimeSpan.Zero, TimeSpan.FromHours(1)) };
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2")).And(spec.App()).And(spec.Copy("here", "node1"), spec.Copy("lost", "node2", InstanceState.Unreachable)).Disconnected("node2");
        Assert.Empty(Rollout.Scale(state, state.Apps[spec.Id], Given.Noon.AddMinutes(1), Given.Noon, new CountingChance()).Changes);
    }
}
