using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Drover.Contracts.Metrics;

public enum MetricKind { Counter, Gauge, Histogram }

/// <summary>What a metric is, for whoever reads or lists it.</summary>
/// <param name="Slice">Name of its <see cref="Meter"/>.</param>
/// <param name="Labels">All labels its series have; each takes few values, said in <paramref name="Help"/> where the name does not say it.</param>
/// <param name="Buckets">Upper bounds of a histogram's buckets, rising; empty for others.</param>
public sealed record MetricInfo(string Slice, string Name, MetricKind Kind, string Help, IReadOnlyList<string> Labels, IReadOnlyList<double> Buckets);

/// <summary>All metrics of one process (or of one control plane, where a test has several): made through it as instruments of <see cref="Meter"/>s, collected by it, read by what writes them down.</summary>
/// <remarks>Anything else that listens to meters sees the same instruments. A metric takes at most <see cref="MostSeries"/> series: further ones are counted together as <see cref="Overflow"/>.</remarks>
public sealed class MetricBook : IDisposable
{
    public const int MostSeries = 1000;
    public const string Overflow = "_other";

    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, Metric> _metrics = new(StringComparer.Ordinal);
    private readonly List<Meter> _meters = [];
    private readonly Lock _reading = new();

    public MetricBook(TimeProvider time)
    {
        StartedAt = time.GetUtcNow();
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (ReferenceEquals(instrument.Meter.Scope, this)) listener.EnableMeasurementEvents(instrument, _metrics[instrument.Name]);
        };
        _listener.SetMeasurementEventCallback<long>((_, value, tags, metric) => ((Metric)metric!).Take(value, tags));
        _listener.SetMeasurementEventCallback<double>((_, value, tags, metric) => ((Metric)metric!).Take(value, tags));
        _listener.Start();
    }

    public DateTimeOffset StartedAt { get; }

    /// <summary>Everything there is, by name.</summary>
    public IReadOnlyList<MetricInfo> All => [.. _metrics.Values.Select(m => m.Info).OrderBy(i => i.Name, StringComparer.Ordinal)];

    /// <summary>A part of the product with metrics of its own.</summary>
    public MetricSlice Slice(string name)
    {
        var meter = new Meter(new MeterOptions(name) { Scope = this });
        lock (_reading) _meters.Add(meter);
        return new(this, meter);
    }

    /// <summary>Every metric with its series as of now.</summary>
    public IReadOnlyList<MetricReading> Read()
    {
        lock (_reading)
        {
            foreach (var metric in _metrics.Values) metric.BeginReading();
            _listener.RecordObservableInstruments();
            return [.. _metrics.Values.OrderBy(m => m.Info.Name, StringComparer.Ordinal).Select(m => m.Read())];
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        lock (_reading) foreach (var meter in _meters) meter.Dispose();
    }

    internal void Add(MetricInfo info, bool observed)
    {
        if (!_metrics.TryAdd(info.Name, new(info, observed))) throw new ArgumentException($"there is a metric {info.Name} already", nameof(info));
    }
}

/// <summary>One series: values of the labels in their order, and what they came to.</summary>
/// <param name="Counts">For each bucket how many fell into it or one below; the last: all of them. Empty where it is no histogram.</param>
public sealed record SeriesReading(IReadOnlyList<string> Labels, double Value, IReadOnlyList<long> Counts);

public sealed record MetricReading(MetricInfo Info, IReadOnlyList<SeriesReading> Series);
