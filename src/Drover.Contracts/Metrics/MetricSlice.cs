using System.Diagnostics.Metrics;
using System.Text.RegularExpressions;

namespace Drover.Contracts.Metrics;

/// <summary>Makes a slice's instruments. Names are Prometheus's: `drover_…`, the unit at the end, `_total` for what only grows.</summary>
public sealed partial class MetricSlice(MetricSource source, Meter meter)
{
    /// <summary>Of work inside a process: half a millisecond to half a minute.</summary>
    public static readonly IReadOnlyList<double> Work = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
    /// <summary>Of interruptions that users notice.</summary>
    public static readonly IReadOnlyList<double> Stops = [0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60, 300];
    /// <summary>Of what people wait for: a second to six hours.</summary>
    public static readonly IReadOnlyList<double> Waits = [1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600];

    public Counter<long> Counter(string name, string help, params string[] labels)
    {
        Declare(name, MetricKind.Counter, help, labels, [], observed: false);
        return meter.CreateCounter<long>(name, null, help);
    }

    public Counter<double> Seconds(string name, string help, params string[] labels)
    {
        Declare(name, MetricKind.Counter, help, labels, [], observed: false);
        return meter.CreateCounter<double>(name, null, help);
    }

    public Histogram<double> Histogram(string name, string help, IReadOnlyList<double> buckets, params string[] labels)
    {
        Declare(name, MetricKind.Histogram, help, labels, buckets, observed: false);
        return meter.CreateHistogram(name, null, help, advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = buckets });
    }

    /// <summary>Goes up and down as it is told.</summary>
    public UpDownCounter<long> Level(string name, string help, params string[] labels)
    {
        Declare(name, MetricKind.Gauge, help, labels, [], observed: false);
        return meter.CreateUpDownCounter<long>(name, null, help);
    }

    /// <summary>Asked for when it is read.</summary>
    public void Gauge(string name, string help, Func<double> now)
    {
        Declare(name, MetricKind.Gauge, help, [], [], observed: true);
        meter.CreateObservableGauge(name, now, null, help);
    }

    public void Gauge(string name, string help, Func<IEnumerable<Measurement<double>>> now, params string[] labels)
    {
        Declare(name, MetricKind.Gauge, help, labels, [], observed: true);
        meter.CreateObservableGauge(name, now, null, help);
    }

    /// <summary>Only grows, and is counted elsewhere.</summary>
    public void Total(string name, string help, Func<double> now)
    {
        Declare(name, MetricKind.Counter, help, [], [], observed: true);
        meter.CreateObservableCounter(name, now, null, help);
    }

    public void Total(string name, string help, Func<IEnumerable<Measurement<double>>> now, params string[] labels)
    {
        Declare(name, MetricKind.Counter, help, labels, [], observed: true);
        meter.CreateObservableCounter(name, now, null, help);
    }

    /// <summary>A series that is there from the beginning, at zero: a rate over its first step is right then.</summary>
    public void Always(string name, params string[] labels) => source.Of(name).Always.Enqueue(labels);

    public static Measurement<double> Of(double value, string label, string of) => new(value, new KeyValuePair<string, object?>(label, of));

    private void Declare(string name, MetricKind kind, string help, string[] labels, IReadOnlyList<double> buckets, bool observed)
    {
        if (!Name().IsMatch(name) || name.EndsWith("_total", StringComparison.Ordinal) != (kind == MetricKind.Counter))
            throw new ArgumentException($"'{name}' is no name of a {kind}: lower-case words, `_total` at the end of counters and of them alone", nameof(name));
        source.Add(new(meter.Name, name, kind, help, labels, buckets), observed);
    }

    [GeneratedRegex(@"\A[a-z][a-z0-9_]*\z")]
    private static partial Regex Name();
}
