using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Drover.Contracts.Metrics;

public enum MetricKind { Counter, Gauge, Histogram }

/// <summary>What a metric is, for whoever reads or lists it.</summary>
/// <param name="Slice">Name of its <see cref="Meter"/>.</param>
/// <param name="Labels">All labels its series have; each takes few values, said in <paramref name="Help"/> where the name does not say it.</param>
/// <param name="Buckets">Upper bounds of a histogram's buckets, rising; empty for others.</param>
public sealed record MetricInfo(string Slice, string Name, MetricKind Kind, string Help, IReadOnlyList<string> Labels, IReadOnlyList<double> Buckets);

/// <summary>The metrics of one process (or of one control plane, where a test has several): collects what the instruments of its sources say, for what writes it down.</summary>
/// <remarks>Anything else that listens to meters sees the same instruments. A metric takes at most <see cref="MostSeries"/> series: further ones are counted together as <see cref="Overflow"/>.</remarks>
public sealed class MetricBook : IDisposable
{
    public const int MostSeries = 1000;
    public const string Overflow = "_other";

    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, Metric> _metrics = new(StringComparer.Ordinal);
    private readonly MetricSource _own = new();
    private readonly MetricSource[] _sources;
    private readonly Lock _reading = new();

    /// <param name="shared">Sources of parts that every book of this process hears.</param>
    public MetricBook(TimeProvider time, params MetricSource[] shared)
    {
        StartedAt = time.GetUtcNow();
        _sources = [_own, .. shared];
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Scope is MetricSource source && _sources.Contains(source)) listener.EnableMeasurementEvents(instrument, Of(source.Of(instrument.Name)));
        };
        _listener.SetMeasurementEventCallback<long>((_, value, tags, metric) => ((Metric)metric!).Take(value, tags));
        _listener.SetMeasurementEventCallback<double>((_, value, tags, metric) => ((Metric)metric!).Take(value, tags));
        _listener.Start();
    }

    public DateTimeOffset StartedAt { get; }

    /// <summary>Everything there is, by name.</summary>
    public IReadOnlyList<MetricInfo> All => [.. _sources.SelectMany(s => s.All).Select(d => d.Info).OrderBy(i => i.Name, StringComparer.Ordinal)];

    /// <summary>A part of the product with metrics that this book alone hears.</summary>
    public MetricSlice Slice(string name) => _own.Slice(name);

    /// <summary>Every metric with its series as of now.</summary>
    public IReadOnlyList<MetricReading> Read()
    {
        lock (_reading)
        {
            var metrics = _sources.SelectMany(s => s.All).Select(Of).ToList();
            foreach (var metric in metrics) metric.BeginReading();
            _listener.RecordObservableInstruments();
            return [.. metrics.OrderBy(m => m.Info.Name, StringComparer.Ordinal).Select(m => m.Read())];
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        _own.Dispose();
    }

    private Metric Of(MetricSource.Declared declared) => _metrics.GetOrAdd(declared.Info.Name, _ => new(declared.Info, declared.Observed, declared.Always));
}

/// <summary>One series: values of the labels in their order, and what they came to.</summary>
/// <param name="Counts">For each bucket how many fell into it or one below; the last: all of them. Empty where it is no histogram.</param>
public sealed record SeriesReading(IReadOnlyList<string> Labels, double Value, IReadOnlyList<long> Counts);

public sealed record MetricReading(MetricInfo Info, IReadOnlyList<SeriesReading> Series);
