using CsCheck;
using Drover.Core.Nodes;
using Xunit;

namespace Drover.Core.Tests.Nodes;

public sealed class LeaseTests
{
    private static readonly NodeId Node = new("node1");

    // What the terms promise to bear: clocks a hundredth wrong either way.
    private static readonly Gen<double> Rate = Gen.Double[0.99, 1.01];

    /// <summary>One renewal in true time: when it was asked for, how long the request took; the answer may never come, and counts however late it does.</summary>
    private static readonly Gen<(double Pause, double There, bool Lost)> Renewal =
        Gen.Select(Gen.Double[0, 200], Gen.Double[0, 100], Gen.Bool);

    [Fact]
    public void However_late_messages_are_and_however_the_clocks_run_the_node_has_stopped_before_control_takes_its_lease_for_ended() =>
        Gen.Select(Gen.Int[5, 3600], Rate, Rate, Renewal.Array[1, 12], Gen.Double[0, 300]).Sample((length, nodeRate, controlRate, renewals, restart) =>
        {
            var end = Run(new LeaseTerms(TimeSpan.FromSeconds(length)), t => t, nodeRate, controlRate, renewals, restart);
            Assert.True(end.Stopped <= end.Ended, $"the node writes until {end.Stopped:0.000} s, control takes it for stopped at {end.Ended:0.000} s");
        }, iter: 20_000);

    [Fact]
    public void Without_the_slack_the_same_check_fails() =>
        Assert.ThrowsAny<Exception>(() => Gen.Select(Gen.Int[5, 3600], Rate, Rate, Renewal.Array[1, 12], Gen.Double[0, 300]).Sample((length, nodeRate, controlRate, renewals, restart) =>
        {
            var end = Run(new LeaseTerms(TimeSpan.FromSeconds(length)), terms => new LeaseTerms(terms.Length * 0.9), nodeRate, controlRate, renewals, restart);
            Assert.True(end.Stopped <= end.Ended);
        }, iter: 20_000));

    /// <summary>True moments, in seconds, at which the guard has stopped everything and at which control may first say that the lease has ended.</summary>
    private static (double Stopped, double Ended) Run(LeaseTerms terms, Func<LeaseTerms, LeaseTerms> believed, double nodeRate, double controlRate,
        (double Pause, double There, bool Lost)[] renewals, double restartAfter)
    {
        TimeSpan OfNode(double at) => TimeSpan.FromSeconds(1000 + at * nodeRate);
        TimeSpan OfControl(double at) => TimeSpan.FromSeconds(at * controlRate);
        var (held, grants, now, last) = (HeldLease.None, new LeaseGrants(believed(terms), OfControl(0)), 0.0, 0.0);
        foreach (var (pause, there, lost) in renewals)
        {
            var asked = now += pause;
            var answered = asked + there;
            grants = grants.Granted(Node, OfControl(answered));
            last = Math.Max(last, answered);
            if (!lost) held = held.Granted(OfNode(asked), terms);
        }
        // A control plane that starts again knows of no grant; it started after each answer of the one before.
        var again = new LeaseGrants(believed(terms), OfControl(last + restartAfter));
        var stopped = held.EndsAt is { } end ? (end - OfNode(0)).TotalSeconds / nodeRate + LeaseTerms.ToAct.TotalSeconds : 0;
        double Ended(LeaseGrants known) { var at = last + restartAfter; return at + known.Left(Node, OfControl(at)).TotalSeconds / controlRate; }
        return (stopped, Math.Min(Ended(grants), Ended(again)));
    }

    [Fact]
    public void A_late_answer_takes_nothing_away_from_a_newer_one()
    {
        var terms = new LeaseTerms(TimeSpan.FromSeconds(60));
        var held = HeldLease.None.Granted(TimeSpan.FromSeconds(100), terms).Granted(TimeSpan.FromSeconds(80), terms);
        Assert.Equal(TimeSpan.FromSeconds(160), held.EndsAt);
        Assert.True(held.MayStart(TimeSpan.FromSeconds(149)));
        Assert.False(held.MayStart(TimeSpan.FromSeconds(150)));
        Assert.False(held.HasEnded(TimeSpan.FromSeconds(159)));
        Assert.True(held.HasEnded(TimeSpan.FromSeconds(160)));
    }

    [Fact]
    public void A_newer_grant_counts_also_where_leases_became_shorter()
    {
        var held = HeldLease.None.Granted(TimeSpan.FromSeconds(100), new(TimeSpan.FromHours(1))).Granted(TimeSpan.FromSeconds(1000), new(TimeSpan.FromMinutes(1)));
        Assert.Equal(TimeSpan.FromSeconds(1060), held.EndsAt);
        // The next is granted in time: without the shorter one it would have been ignored until the longer had nearly ended.
        Assert.Equal(TimeSpan.FromSeconds(1080), held.Granted(TimeSpan.FromSeconds(1020), new(TimeSpan.FromMinutes(1))).EndsAt);
    }

    [Fact]
    public void A_control_plane_that_starts_waits_a_whole_lease_of_the_longest_there_may_be()
    {
        var grants = new LeaseGrants(new LeaseTerms(TimeSpan.FromSeconds(10)), TimeSpan.Zero) { Before = new LeaseTerms(TimeSpan.FromSeconds(100)) };
        Assert.Equal(TimeSpan.FromSeconds(107), grants.Left(Node, TimeSpan.Zero));
        grants = grants.Granted(Node, TimeSpan.FromSeconds(200));
        Assert.Equal(TimeSpan.FromSeconds(12.5), grants.Left(Node, TimeSpan.FromSeconds(200)));
        Assert.Equal(TimeSpan.Zero, grants.Left(Node, TimeSpan.FromSeconds(213)));
    }
}
