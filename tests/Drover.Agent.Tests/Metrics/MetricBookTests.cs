using System.Text;
using Drover.Contracts.Metrics;
using Drover.Testing.Metrics;
using Xunit;

namespace Drover.Agent.Tests.Metrics;

public sealed class MetricBookTests
{
    private static string Text(MetricBook book) => Encoding.UTF8.GetString(PrometheusText.Write(book.Read()));

    [Fact]
    public void Each_kind_is_written_as_prometheus_reads_it()
    {
        using var book = new MetricBook(TimeProvider.System);
        var slice = book.Slice("Test");
        var counter = slice.Counter("a_total", "Things\nthat \\ happened.", "outcome", "kind");
        var quiet = slice.Counter("b_total", "Nothing yet.");
        var histogram = slice.Histogram("c_seconds", "Spans.", [0.1, 1]);
        slice.Gauge("d_bytes", "Now.", () => 1.5);
        counter.Add(2, new("kind", "x\"y"), new("outcome", "done"));
        counter.Add(3, new("outcome", "done"), new KeyValuePair<string, object?>("kind", "x\"y"));
        foreach (var span in new[] { 0.1, 0.5, 7 }) histogram.Record(span);
        Assert.Equal("""
            # HELP a_total Things\nthat \\ happened.
            # TYPE a_total counter
            a_total{outcome="done",kind="x\"y"} 5
            # HELP b_total Nothing yet.
            # TYPE b_total counter
            b_total 0
            # HELP c_seconds Spans.
            # TYPE c_seconds histogram
            c_seconds_bucket{le="0.1"} 1
            c_seconds_bucket{le="1"} 2
            c_seconds_bucket{le="+Inf"} 3
            c_seconds_sum 7.6
            c_seconds_count 3
            # HELP d_bytes Now.
            # TYPE d_bytes gauge
            d_bytes 1.5

            """, Text(book));
        quiet.Add(1);
        Assert.Equal(1, book.Value("b_total"));
    }

    [Fact]
    public void What_is_observed_is_gone_when_it_is_not_said_any_more()
    {
        using var book = new MetricBook(TimeProvider.System);
        string[] states = ["running", "waiting"];
        book.Slice("Test").Gauge("e", "States.", () => states.Select(s => MetricSlice.Of(1, "state", s)), "state");
        Assert.Equal((1, 1), (book.Value("e", "running"), book.Value("e", "waiting")));
        states = ["waiting"];
        Assert.Equal((double.NaN, 1), (book.Value("e", "running"), book.Value("e", "waiting")));
    }

    [Fact]
    public void Series_beyond_the_limit_are_counted_together()
    {
        using var book = new MetricBook(TimeProvider.System);
        var counter = book.Slice("Test").Counter("f_total", "Many.", "of");
        for (var i = 0; i < MetricBook.MostSeries + 50; i++) counter.Add(1, new KeyValuePair<string, object?>("of", $"s{i}"));
        Assert.Equal(MetricBook.MostSeries + 1, book.Read().Single().Series.Count);
        Assert.Equal((1, 50), (book.Value("f_total", "s0"), book.Value("f_total", MetricBook.Overflow)));
    }

    [Fact]
    public void A_series_that_is_always_there_begins_at_zero()
    {
        using var book = new MetricBook(TimeProvider.System);
        var slice = book.Slice("Test");
        var counter = slice.Counter("h_total", "Ends.", "outcome");
        slice.Always("h_total", "failed");
        counter.Add(1, new KeyValuePair<string, object?>("outcome", "done"));
        Assert.Equal((1, 0), (book.Value("h_total", "done"), book.Value("h_total", "failed")));
    }

    [Fact]
    public void Two_books_of_one_process_do_not_hear_each_other()
    {
        using var one = new MetricBook(TimeProvider.System);
        using var other = new MetricBook(TimeProvider.System);
        one.Slice("Test").Counter("g_total", "Here.").Add(1);
        other.Slice("Test").Counter("g_total", "There.");
        Assert.Equal((1, 0), (one.Value("g_total"), other.Value("g_total")));
    }

    [Theory]
    [InlineData("Upper_total"), InlineData("no.dots_total"), InlineData("counter_without_the_end")]
    public void A_name_that_is_none_is_refused(string name)
    {
        using var book = new MetricBook(TimeProvider.System);
        Assert.Throws<ArgumentException>(() => book.Slice("Test").Counter(name, "No."));
    }
}
