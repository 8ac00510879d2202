using Drover.Core.Apps;
using Drover.Core.State;
using Xunit;
using static Drover.Core.Apps.ConstraintOperator;

namespace Drover.Core.Tests.Apps;

public sealed class NeighboursTests
{
    private static readonly AppSpec Noisy = Given.Spec("/noisy", cpus: 0.1) with { Labels = [new("load", "batch"), new("team", "x")] };

    // what /web keeps away from, what is on node1, fits there
    [Theory]
    [InlineData("/noisy", null, true, false)]
    [InlineData("/other", null, true, true)]
    [InlineData(null, "load=batch", true, false)]
    [InlineData(null, "load=batch team=x", true, false)]
    [InlineData(null, "load=batch team=y", true, true)]
    [InlineData("/noisy", null, false, true)]
    public void Apps_kept_apart_are_never_on_one_node(string? app, string? labels, bool there, bool fits)
    {
        var apart = new Apart(app is null ? null : new AppId(app), [.. (labels ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(l => new Label(l.Split('=')[0], l.Split('=')[1]))], null);
        var web = Given.Spec() with { Apart = [apart] };
        var noisy = Given.Cluster(Given.Node("node1")).And(Noisy.App());
        if (there) noisy = noisy.And(Noisy.Copy("n1", "node1"));
        Assert.Equal(fits, Placement.Judge(noisy, web, new("node1"), null).Fits);
        // The other way round: whichever comes first, they do not meet.
        var first = Given.Cluster(Given.Node("node1")).And(web.App()).And(web.Copy("w1", "node1"));
        Assert.Equal(!apart.Means(Noisy), Placement.Judge(first, Noisy, new("node1"), null).Fits);
    }

    [Fact]
    public void The_reason_names_the_neighbour()
    {
        var web = Given.Spec() with { Apart = [new(new("/noisy"), [], null)] };
        var state = Given.Cluster(Given.Node("node1")).And(Noisy.Copy("n1", "node1"));
        Assert.Equal(["/noisy is there, which it is kept apart from"], Placement.Judge(state, web, new("node1"), null).Reasons.Items);
        Assert.Equal(["/web is there, which keeps apart from it"], Placement.Judge(Given.Cluster(Given.Node("node1")).And(web.Copy("w1", "node1")), Noisy, new("node1"), null).Reasons.Items);
    }

    [Fact]
    public void An_app_is_not_kept_apart_from_itself()
    {
        var batch = Noisy with { Apart = [new(null, [new("load", "batch")], null)] };
        Assert.True(Placement.Judge(Given.Cluster(Given.Node("node1")).And(batch.Copy("n1", "node1")), batch, new("node1"), null).Fits);
    }

    // preferences as "disk weight", soft distance to /noisy on node1 (or 0), the node taken: node1 is ssd, node2 spinning and freer
    [Theory]
    [InlineData("", 0, "node2")]
    [InlineData("ssd 10", 0, "node1")]
    [InlineData("spinning 10", 0, "node2")]
    [InlineData("ssd 10;spinning 20", 0, "node2")]
    [InlineData("ssd 10", 5, "node1")]
    [InlineData("ssd 10", 20, "node2")]
    [InlineData("tape 50", 0, "node2")]
    public void Wishes_choose_among_the_nodes_that_fit(string wishes, int distance, string taken)
    {
        var web = Given.Spec() with
        {
            Preferences = [.. wishes.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(w => new Preference(new("disk", Is, w.Split(' ')[0]), int.Parse(w.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture)))],
            Apart = distance == 0 ? [] : [new(new("/noisy"), [], distance)],
        };
        var state = Given.Cluster(Given.Node("node1"), Given.Node("node2", cpus: 8, memory: 8192, disk: "spinning")).And(Noisy.Copy("n1", "node1"));
        var ranked = Placement.Rank(state, web, null);
        Assert.Equal(taken, ranked[0].Node.Value);
        Assert.All(ranked, v => Assert.True(v.Fits, "a wish keeps no node from a copy"));
    }

    [Fact]
    public void A_neighbours_wish_counts_as_well()
    {
        var shy = Given.Spec("/shy", cpus: 0.1) with { Apart = [new(null, [new("load", "batch")], 10)] };
        var state = Given.Cluster(Given.Node("node1", cpus: 16, memory: 65536), Given.Node("node2")).And(shy.Copy("s1", "node1"));
        Assert.Equal("node2", Placement.Rank(state, Noisy, null)[0].Node.Value);
    }

    [Theory]
    [InlineData(null, "", 5, "neither")]
    [InlineData("/a", "x", 5, "one of the two")]
    [InlineData("/web", "", 5, "itself")]
    [InlineData("/a", "", 0, "1 to 100")]
    [InlineData("/a", "", 101, "1 to 100")]
    [InlineData("/a", "", null, null)]
    [InlineData("/a", "", 100, null)]
    public void A_distance_that_says_nothing_is_refused(string? app, string label, int? weight, string? says)
    {
        var problem = Neighbours.Problem(Given.Spec(), new Apart(app is null ? null : new AppId(app), label.Length == 0 ? [] : [new(label, "1")], weight));
        if (says is null) Assert.Null(problem);
        else Assert.Contains(says, problem, StringComparison.Ordinal);
    }
}
