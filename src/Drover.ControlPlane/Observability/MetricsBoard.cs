using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Drover.ControlPlane.Observability;

/// <summary>Adds up what the instruments say, for /metrics. Series are bounded: what comes beyond <see cref="MostSeries"/> is counted as left out.</summary>
public sealed class MetricsBoard : IDisposable
{
    public const int MostSeries = 10_000;
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<(string Name, string Tags), Series> _series = new();
    private readonly TimeProvider _time;
    private readonly DateTimeOffset _since;
    private readonly Lock _reading = new();
    private long _leftOut;

    public MetricsBoard(ClusterMeter cluster, TimeProvider time)
    {
        (_time, _since) = (time, time.GetUtcNow());
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            // Another control plane in this process has a cluster of its own.
            if (instrument.Meter.Name == Meters.Name || ReferenceEquals(instrument.Meter, cluster.Meter)) listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.Start();
    }

    public void Dispose() => _listener.Dispose();

    /// <summary>In the shape that Marathon's has.</summary>
    public void Write(Utf8JsonWriter json)
    {
        var all = Read();
        json.WriteStartObject();
        json.WriteString("start", Marathon.AppJsonOut.Timestamp(_since));
        json.WriteString("end", Marathon.AppJsonOut.Timestamp(_time.GetUtcNow()));
        Group(json, "counters", all.Where(s => s.Kind == SeriesKind.Counter), (writer, s) => writer.WriteNumber("count", s.Sum));
        Group(json, "gauges", all.Where(s => s.Kind == SeriesKind.Gauge), (writer, s) => writer.WriteNumber("value", s.Last));
        Group(json, "histograms", all.Where(s => s.Kind == SeriesKind.Histogram && s.Unit != "s"), Distribution);
        Group(json, "meters", [], Distribution);
        Group(json, "timers", all.Where(s => s.Kind == SeriesKind.Histogram && s.Unit == "s"), Distribution);
        json.WriteEndObject();
    }

    /// <summary>Prometheus' text format, 0.0.4.</summary>
    public string Text()
    {
        var text = new StringBuilder();
        foreach (var family in Read().GroupBy(s => s.Name).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            var first = family.First();
            var name = $"{family.Key.Replace('.', '_')}{(first.Unit switch { "s" => "_seconds", "By" => "_bytes", _ => "" })}{(first.Kind == SeriesKind.Counter ? "_total" : "")}";
            text.Append("# HELP ").Append(name).Append(' ').Append(first.Description).Append('\n');
            text.Append("# TYPE ").Append(name).Append(' ').Append(first.Kind.ToString().ToLowerInvariant()).Append('\n');
            foreach (var series in family.OrderBy(s => s.Tags, StringComparer.Ordinal)) series.Expose(text, name);
        }
        return text.Append("# HELP drover_metrics_left_out_total Measurements of series beyond those that are kept\n# TYPE drover_metrics_left_out_total counter\ndrover_metrics_left_out_total ")
            .Append(Interlocked.Read(ref _leftOut).ToString(CultureInfo.InvariantCulture)).Append('\n').ToString();
    }

    private List<Series> Read()
    {
        lock (_reading)
        {
            // A state that no copy has any more says nothing: without this its last count would stand.
            foreach (var gauge in _series.Where(s => s.Value.Kind == SeriesKind.Gauge).ToList()) _series.TryRemove(gauge);
            _listener.RecordObservableInstruments();
            return [.. _series.Values.OrderBy(s => s.Name, StringComparer.Ordinal).ThenBy(s => s.Tags, StringComparer.Ordinal)];
        }
    }

    private void Take(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var key = (instrument.Name, Tags(tags));
        if (!_series.TryGetValue(key, out var series))
        {
            if (_series.Count >= MostSeries)
            {
                Interlocked.Increment(ref _leftOut);
                return;
            }
            series = _series.GetOrAdd(key, _ => new Series(instrument, key.Item2));
        }
        series.Add(value);
    }

    private static string Tags(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty) return "";
        var text = new StringBuilder();
        foreach (var (name, value) in tags)
        {
            if (text.Length > 0) text.Append(',');
            text.Append(name).Append("=\"").Append((value?.ToString() ?? "").Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)).Append('"');
        }
        return text.ToString();
    }

    private static void Group(Utf8JsonWriter json, string name, IEnumerable<Series> all, Action<Utf8JsonWriter, Series> write)
    {
        json.WriteStartObject(name);
        foreach (var series in all)
        {
            json.WriteStartObject(series.Tags.Length == 0 ? series.Name : $"{series.Name}{{{series.Tags}}}");
            write(json, series);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    private static void Distribution(Utf8JsonWriter json, Series series)
    {
        json.WriteNumber("count", series.Count);
        json.WriteNumber("mean", series.Count == 0 ? 0 : series.Sum / series.Count);
        json.WriteNumber("max", series.Max);
        foreach (var (name, share) in new[] { ("p50", 0.5), ("p75", 0.75), ("p95", 0.95), ("p98", 0.98), ("p99", 0.99), ("p999", 0.999) }) json.WriteNumber(name, series.Quantile(share));
        if (series.Unit == "s") json.WriteString("duration_units", "seconds");
    }
}
