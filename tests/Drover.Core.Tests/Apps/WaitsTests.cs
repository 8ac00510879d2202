using Drover.Core.Apps;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

public sealed class WaitsTests
{
    private static NodeVerdict Judged(AppSpec spec, ClusterState state) => Placement.Judge(state, spec, new("n1"), null);

    public static TheoryData<string, AppSpec, NodeRefusal> Refusals => new()
    {
        { "constraint", Given.Spec().With("disk", ConstraintOperator.Cluster, "none"), NodeRefusal.Constraint },
        { "unset", Given.Spec().With("rack", ConstraintOperator.Like, "a"), NodeRefusal.Constraint },
        { "expression", Given.Spec().With("disk", ConstraintOperator.Like, "h.*"), NodeRefusal.Constraint },
        { "cpus", Given.Spec(cpus: 99), NodeRefusal.Cpus },
        { "memory", Given.Spec() with { MemoryMiB = 99_999 }, NodeRefusal.Memory },
        { "disk", Given.Spec() with { DiskMiB = 99_999 }, NodeRefusal.Disk },
        { "gpus", Given.Spec() with { Gpus = 1 }, NodeRefusal.Gpus },
        { "fixed port", Given.Spec().Publishing(9), NodeRefusal.Ports },
        { "data in use", Given.Spec().WithVolume("used"), NodeRefusal.Data },
        { "data lost", Given.Spec().WithVolume("lost"), NodeRefusal.Data },
        { "data away", Given.Spec().WithVolume("away"), NodeRefusal.Data },
    };

    /// <summary>Goes through what a node really says: words that change there must change here.</summary>
    [Theory, MemberData(nameof(Refusals))]
    public void Each_refusal_is_known_by_its_words(string what, AppSpec spec, NodeRefusal expected)
    {
        var state = Given.Cluster(Given.Node("n1"), Given.Node("n2")).And(Given.Volume("used", "n1", "/other")).And(Given.Volume("away", "n2")).And(Given.Volume("lost", null) with { Initialized = true }).Disconnected("n2");
        var verdict = Judged(spec, state);
        Assert.False(verdict.Fits, what);
        Assert.Equal([expected], verdict.Reasons.Items.Select(Waits.KindOf).Distinct());
    }

    [Fact]
    public void A_node_that_is_away_or_cordoned_is_known_by_its_words()
    {
        Assert.Equal(NodeRefusal.Absent, Waits.KindOf(Judged(Given.Spec(), Given.Cluster(Given.Node("n1")).Disconnected("n1")).Reasons[0]));
        Assert.Equal(NodeRefusal.Cordoned, Waits.KindOf(Judged(Given.Spec(), Given.Cluster(Given.Node("n1", cordoned: true))).Reasons[0]));
        Assert.Equal(NodeRefusal.Absent, Waits.KindOf(Judged(Given.Spec(), ClusterState.Empty).Reasons[0]));
    }

    [Fact]
    public void The_funnel_counts_each_node_at_the_first_thing_it_lacks_and_leaves_out_those_that_are_away()
    {
        var state = Given.Cluster(Given.Node("n1", disk: "spinning"), Given.Node("n2", cpus: 1), Given.Node("n3"), Given.Node("n4")).Disconnected("n4");
        var spec = Given.Spec(cpus: 2).With("disk", ConstraintOperator.Cluster, "ssd");
        var funnel = Waits.Funnel(Placement.Rank(state, spec, null)).ToDictionary(s => s.Refusal, s => (s.Declined, s.Processed));
        Assert.Equal((1, 3), funnel[NodeRefusal.Constraint]);
        Assert.Equal((0, 2), funnel[NodeRefusal.Data]);
        Assert.Equal((1, 2), funnel[NodeRefusal.Cpus]);
        Assert.Equal((0, 1), funnel[NodeRefusal.Ports]);
        Assert.DoesNotContain(NodeRefusal.Absent, funnel.Keys);
    }

    private static Wait? Of(ClusterState state, Instance copy) => Waits.Of(state, copy, Placement.Rank(state, copy.Spec, copy), Given.Noon);

    [Fact]
    public void A_backoff_says_how_long_is_left_whatever_the_nodes_would_say()
    {
        var spec = Given.Spec(cpus: 99);
        var state = Given.Cluster(Given.Node("n1")).And(spec.App() with { Delay = new(TimeSpan.FromSeconds(30), Given.Noon.AddSeconds(12), "exit 1") });
        var wait = Of(state, spec.Copy("w.1", null))!;
        Assert.Equal((WaitKind.Backoff, TimeSpan.FromSeconds(12)), (wait.Kind, wait.Left));
        Assert.Contains("exit 1", wait.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, WaitKind.Offer)]
    [InlineData(99, WaitKind.Resources)]
    public void A_place_is_waited_for_as_an_offer_where_a_node_fits_and_for_what_is_lacking_where_none_does(double cpus, WaitKind kind)
    {
        var spec = Given.Spec(cpus: cpus);
        Assert.Equal(kind, Of(Given.Cluster(Given.Node("n1")).And(spec.App()), spec.Copy("w.1", null))!.Kind);
    }

    [Fact]
    public void Nodes_that_are_away_or_that_there_are_none_is_said()
    {
        var spec = Given.Spec();
        Assert.Equal(WaitKind.Node, Of(Given.Cluster(Given.Node("n1")).Disconnected("n1").And(spec.App()), spec.Copy("w.1", null))!.Kind);
        Assert.Equal(WaitKind.Node, Of(ClusterState.Empty.And(spec.App()), spec.Copy("w.1", null))!.Kind);
    }

    [Fact]
    public void One_that_serves_waits_for_nothing() => Assert.Null(Of(Given.Cluster(Given.Node("n1")), Given.Spec().Copy("w.1", "n1")));

    [Theory]
    [InlineData("its backoff until 12:00:09 UTC: exit 1", WaitKind.Backoff)]
    [InlineData("web.1._app.1 to be gone from n1", WaitKind.Predecessor)]
    [InlineData("a node: none has joined", WaitKind.Node)]
    [InlineData("an offer of n1, which fits", WaitKind.Offer)]
    [InlineData("move m1 of volume v, which is Seeding", WaitKind.Data)]
    [InlineData("a node that takes it. n1: needs 2 cpus, 1 left; n2: it is cordoned and takes nothing new", WaitKind.Resources)]
    [InlineData("a node that takes it. n1: [disk, CLUSTER, ssd] not met: disk is x", WaitKind.Constraint)]
    public void What_the_scheduler_left_is_understood(string text, WaitKind kind) => Assert.Equal(kind, Waits.Stored(Given.Spec().Copy("w.1", null) with { WaitsFor = text }));
}
