using Drover.Faults.History;
using Xunit;

namespace Drover.Faults.Tests;

public sealed class UndoTimesTests
{
    private const long Second = 1_000_000_000;

    /// <summary>An acknowledgement each tenth of a second, except between these seconds.</summary>
    private static List<Ack> Acks(double until, params (double From, double To)[] silent) =>
        [.. Enumerable.Range(1, (int)(until * 10)).Select(i => i / 10.0).Where(at => !silent.Any(s => at > s.From && at < s.To)).Select((at, i) => new Ack(i, "aa", 0, (long)(at * Second), "r"))];

    private static UndoMoments Moments(double struck, double? seen, double? passed = null) =>
        new((long)(struck * Second), seen is { } s ? (long)(s * Second) : null, (long)(9 * Second), passed is { } p ? (long)(p * Second) : null);

    private static (double Detection, double Again) Seconds(UndoTimes? times) => (Math.Round(times!.Detection.TotalSeconds, 1), Math.Round(times.Again.TotalSeconds, 1));

    [Fact]
    public void A_writer_that_never_stopped_needs_no_time() => Assert.Equal((2.0, 0.0), Seconds(UndoTimes.Of(Moments(1, 3), Acks(10))));

    [Fact]
    public void A_stop_before_the_detection_counts_from_the_detection() => Assert.Equal((2.0, 4.0), Seconds(UndoTimes.Of(Moments(1, 3), Acks(10, (0.5, 7)))));

    [Fact]
    public void Writes_between_the_detection_and_a_later_stop_do_not_hide_it() => Assert.Equal((2.0, 5.0), Seconds(UndoTimes.Of(Moments(1, 3), Acks(10, (4, 8)))));

    [Fact]
    public void A_stop_that_was_over_before_does_not_count() => Assert.Equal((2.0, 0.0), Seconds(UndoTimes.Of(Moments(1, 3), Acks(10, (1, 2.5)))));

    [Fact]
    public void What_hit_the_source_itself_counts_from_its_end() => Assert.Equal((1.0, 1.0), Seconds(UndoTimes.Of(Moments(1, 2, passed: 6), Acks(10, (1, 7)))));

    [Fact]
    public void A_fault_that_nothing_showed_and_a_writer_that_did_not_come_back_have_no_times()
    {
        Assert.Null(UndoTimes.Of(Moments(1, null), Acks(10)));
        Assert.Null(UndoTimes.Of(Moments(1, 3), Acks(2)));
    }

    [Fact]
    public void The_line_names_the_slowest()
    {
        var tally = new UndoTally();
        Assert.Equal("undo: no move was undone", tally.Line());
        tally.Add("Seeding/KillTarget", new(TimeSpan.FromSeconds(9), TimeSpan.Zero));
        tally.Add("FinalDelta/CutAgents", new(TimeSpan.FromSeconds(4), TimeSpan.FromSeconds(3.5)));
        tally.Add("FinalDelta/KillTarget", new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)));
        Assert.Equal("undo: source serving again after detection: median 1.0 s, max 3.5 s (FinalDelta/CutAgents); detection median 4.0 s, max 9.0 s (Seeding/KillTarget); 3 moves undone", tally.Line());
    }
}
