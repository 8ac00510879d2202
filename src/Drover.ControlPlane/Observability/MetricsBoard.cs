using System.Text.Json;
using Drover.Contracts.Metrics;

namespace Drover.ControlPlane.Observability;

/// <summary>What /metrics answers: in Prometheus's text, or in the shape that Marathon's has.</summary>
public sealed class MetricsBoard(MetricBook book, TimeProvider time)
{
    private static readonly (string Name, double Share)[] Quantiles = [("p50", 0.5), ("p75", 0.75), ("p95", 0.95), ("p98", 0.98), ("p99", 0.99), ("p999", 0.999)];

    public string Text() => PrometheusText.Text(book.Read());

    public void Write(Utf8JsonWriter json)
    {
        var all = book.Read();
        json.WriteStartObject();
        json.WriteString("start", Marathon.AppJsonOut.Timestamp(book.StartedAt));
        json.WriteString("end", Marathon.AppJsonOut.Timestamp(time.GetUtcNow()));
        Group(json, "counters", all.Where(m => m.Info.Kind == MetricKind.Counter), (info, series) => json.WriteNumber("count", series.Value));
        Group(json, "gauges", all.Where(m => m.Info.Kind == MetricKind.Gauge), (info, series) => json.WriteNumber("value", series.Value));
        Group(json, "histograms", all.Where(m => m.Info.Kind == MetricKind.Histogram && !Times(m.Info)), (info, series) => Distribution(json, info, series));
        Group(json, "meters", [], (_, _) => { });
        Group(json, "timers", all.Where(m => m.Info.Kind == MetricKind.Histogram && Times(m.Info)), (info, series) => Distribution(json, info, series));
        json.WriteEndObject();
    }

    private static bool Times(MetricInfo info) => info.Name.EndsWith("_seconds", StringComparison.Ordinal);

    private static void Group(Utf8JsonWriter json, string name, IEnumerable<MetricReading> all, Action<MetricInfo, SeriesReading> write)
    {
        json.WriteStartObject(name);
        foreach (var (info, series) in all)
        {
            foreach (var one in series)
            {
                json.WriteStartObject(info.Labels.Count == 0 ? info.Name : $"{info.Name}{{{string.Join(',', info.Labels.Zip(one.Labels, (label, value) => $"{label}=\"{value}\""))}}}");
                write(info, one);
                json.WriteEndObject();
            }
        }
        json.WriteEndObject();
    }

    private static void Distribution(Utf8JsonWriter json, MetricInfo info, SeriesReading series)
    {
        var count = series.Counts[^1];
        json.WriteNumber("count", count);
        json.WriteNumber("mean", count == 0 ? 0 : series.Value / count);
        foreach (var (name, share) in Quantiles) json.WriteNumber(name, Quantile(info, series, share));
        if (Times(info)) json.WriteString("duration_units", "seconds");
    }

    /// <summary>The upper end of the bucket in which it lies; beyond the last one, that.</summary>
    private static double Quantile(MetricInfo info, SeriesReading series, double share)
    {
        var wanted = series.Counts[^1] * share;
        for (var i = 0; i < info.Buckets.Count; i++) if (series.Counts[i] >= wanted) return series.Counts[^1] == 0 ? 0 : info.Buckets[i];
        return info.Buckets[^1];
    }
}
