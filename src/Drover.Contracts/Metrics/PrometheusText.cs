using System.Globalization;
using System.Text;

namespace Drover.Contracts.Metrics;

/// <summary>Metrics in Prometheus's text format.</summary>
public static class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    public static byte[] Write(IEnumerable<MetricReading> readings) => Encoding.UTF8.GetBytes(Text(readings));

    public static string Text(IEnumerable<MetricReading> readings)
    {
        var text = new StringBuilder();
        foreach (var (info, series) in readings)
        {
            text.Append("# HELP ").Append(info.Name).Append(' ').Append(Escaped(info.Help, quoted: false)).Append('\n');
            text.Append("# TYPE ").Append(info.Name).Append(' ').Append(info.Kind.ToString().ToLowerInvariant()).Append('\n');
            foreach (var one in series)
            {
                if (info.Kind == MetricKind.Histogram) Histogram(text, info, one);
                else Line(text, info.Name, info.Labels, one.Labels, null, one.Value);
            }
        }
        return text.ToString();
    }

    private static void Histogram(StringBuilder text, MetricInfo info, SeriesReading series)
    {
        for (var i = 0; i < info.Buckets.Count; i++) Line(text, info.Name + "_bucket", info.Labels, series.Labels, Number(info.Buckets[i]), series.Counts[i]);
        Line(text, info.Name + "_bucket", info.Labels, series.Labels, "+Inf", series.Counts[^1]);
        Line(text, info.Name + "_sum", info.Labels, series.Labels, null, series.Value);
        Line(text, info.Name + "_count", info.Labels, series.Labels, null, series.Counts[^1]);
    }

    private static void Line(StringBuilder text, string name, IReadOnlyList<string> labels, IReadOnlyList<string> values, string? upTo, double value)
    {
        text.Append(name);
        var before = '{';
        for (var i = 0; i < labels.Count; i++)
        {
            text.Append(before).Append(labels[i]).Append("=\"").Append(Escaped(values[i], quoted: true)).Append('"');
            before = ',';
        }
        if (upTo is not null)
        {
            text.Append(before).Append("le=\"").Append(upTo).Append('"');
            before = ',';
        }
        if (before == ',') text.Append('}');
        text.Append(' ').Append(Number(value)).Append('\n');
    }

    private static string Number(double value) =>
        double.IsPositiveInfinity(value) ? "+Inf" : double.IsNegativeInfinity(value) ? "-Inf" : value.ToString("R", CultureInfo.InvariantCulture);

    private static string Escaped(string text, bool quoted)
    {
        var escaped = text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        return quoted ? escaped.Replace("\"", "\\\"", StringComparison.Ordinal) : escaped;
    }
}
