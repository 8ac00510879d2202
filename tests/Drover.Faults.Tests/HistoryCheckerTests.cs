using Drover.Faults.History;
using Xunit;

namespace Drover.Faults.Tests;

/// <summary>A checker that is blind would let everything pass: histories with each kind of harm are found.</summary>
public sealed class HistoryCheckerTests
{
    private static readonly string[] Good =
    [
        "open t1-5 node1 5", "ack 1 aa 10 11 t1-5", "ack 2 bb 12 13 t1-5", "close t1-5 20",
        "open t2-25 node2 25", "ack 3 cc 30 31 t2-25", "ack 4 dd 32 33 t2-25",
    ];

    private static readonly string[] Records = ["1 aa", "2 bb", "3 cc", "4 dd"];

    private static HistoryVerdict Check(IEnumerable<string> log, params string[] records) => HistoryChecker.Check(WriterLog.Parse(log).Acks, records);

    [Fact]
    public void A_whole_history_is_good()
    {
        Assert.True(Check(Good, Records).Good);
        Assert.Empty(HistoryChecker.Together(WriterLog.Parse(Good).Opens));
    }

    [Fact]
    public void A_record_that_was_never_acknowledged_is_no_harm() => Assert.True(Check(Good, [.. Records, "5 ee"]).Good);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public void A_lost_record_is_found_wherever_it_was(int missing) =>
        Assert.Equal(new HistoryVerdict(1, 0, 0), Check(Good, [.. Records.Where((_, i) => i != missing)]));

    [Fact]
    public void Everything_lost_is_found() => Assert.Equal(4, Check(Good).Lost);

    [Fact]
    public void Another_record_in_its_place_does_not_stand_for_it() => Assert.Equal(1, Check(Good, "1 aa", "2 xx", "3 cc", "4 dd").Lost);

    [Fact]
    public void A_record_that_is_there_twice_is_found() => Assert.Equal(new HistoryVerdict(0, 1, 0), Check(Good, [.. Records, "2 bb"]));

    [Fact]
    public void A_number_acknowledged_twice_is_found()
    {
        // A writer that went on from stale data counts from where that ends.
        var verdict = Check([.. Good, "open t3-40 node1 40", "ack 3 zz 50 51 t3-40"], "1 aa", "2 bb", "3 zz");
        Assert.Equal(new HistoryVerdict(2, 1, 0), verdict);
    }

    [Fact]
    public void Records_out_of_order_are_found() => Assert.Equal(new HistoryVerdict(0, 0, 1), Check(Good, "1 aa", "3 cc", "2 bb", "4 dd"));

    [Fact]
    public void A_line_cut_short_in_the_log_is_not_an_acknowledgement() => Assert.Equal(4, WriterLog.Parse([.. Good, "ack 5 e"]).Acks.Count);

    [Fact]
    public void Two_runs_open_at_the_same_time_are_found_on_two_nodes_and_on_one()
    {
        Assert.Single(HistoryChecker.Together(WriterLog.Parse([.. Good, "open t3-32 node1 32"]).Opens), p => p.Second.Run == "t3-32");
        Assert.Single(HistoryChecker.Together(WriterLog.Parse([.. Good, "open t3-15 node1 15", "ack 9 zz 16 17 t3-15"]).Opens));
    }

    [Fact]
    public void A_run_inside_a_longer_one_is_found_though_a_third_began_in_between() =>
        Assert.Equal(2, HistoryChecker.Together([new("a", "node1", 0, 100), new("b", "node2", 10, 20), new("c", "node2", 30, 40)]).Count);

    [Fact]
    public void A_run_that_was_killed_counts_until_its_last_acknowledgement() =>
        Assert.Empty(HistoryChecker.Together(WriterLog.Parse(["open a node1 1", "ack 1 aa 2 3 a", "open b node2 4"]).Opens));

    [Fact]
    public void A_copy_is_complete_only_with_every_acknowledged_record()
    {
        var acks = WriterLog.Parse(Good).Acks;
        Assert.True(HistoryChecker.SomeComplete(acks, [["1 aa"], Records]));
        Assert.False(HistoryChecker.SomeComplete(acks, [["1 aa", "2 bb"], ["3 cc", "4 dd"]])); // together is not one
        Assert.False(HistoryChecker.SomeComplete(acks, []));
    }

    [Fact]
    public void The_closing_lines_are_good_only_when_everything_is()
    {
        var tally = new Tally();
        Assert.False(tally.Good); // nothing tried proves nothing
        tally.Count(true);
        Assert.True(tally.Good);
        Assert.Equal(["faults survived 1/1", "acknowledged writes lost 0", "moments with two writers 0", "moments with no complete copy 0"], tally.Lines());
        tally.NoCopy++;
        Assert.False(tally.Good);
    }
}
