using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Drover.ControlPlane.Observability;

public enum SeriesKind { Counter, Gauge, Histogram }

/// <summary>One instrument with one set of tags, added up.</summary>
internal sealed class Series(Instrument instrument, string tags)
{
    /// <summary>Upper ends: seconds from a tenth of a millisecond to a minute.</summary>
    private static readonly double[] Bounds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
    private readonly Lock _lock = new();
    private readonly long[] _buckets = new long[Bounds.Length + 1];

    public string Name { get; } = instrument.Name;
    public string Tags { get; } = tags;
    public string Unit { get; } = instrument.Unit ?? "";
    public string Description { get; } = instrument.Description ?? "";
    public SeriesKind Kind { get; } = instrument.GetType().Name.StartsWith("Histogram", StringComparison.Ordinal) ? SeriesKind.Histogram : instrument.IsObservable ? SeriesKind.Gauge : SeriesKind.Counter;
    public long Count { get; private set; }
    public double Sum { get; private set; }
    public double Last { get; private set; }
    public double Max { get; private set; }

    public void Add(double value)
    {
        lock (_lock)
        {
            Count++;
            Sum += value;
            Last = value;
            if (value > Max) Max = value;
            if (Kind != SeriesKind.Histogram) return;
            var at = Array.BinarySearch(Bounds, value);
            _buckets[at >= 0 ? at : ~at]++;
        }
    }

    /// <summary>The upper end of the bucket in which it lies, and no more than the largest seen.</summary>
    public double Quantile(double share)
    {
        lock (_lock)
        {
            var wanted = Math.Ceiling(Count * share);
            long seen = 0;
            for (var i = 0; i < Bounds.Length; i++)
            {
                seen += _buckets[i];
                if (seen >= wanted) return Math.Min(Bounds[i], Max);
            }
            return Max;
        }
    }

    public void Expose(StringBuilder text, string name)
    {
        lock (_lock)
        {
            if (Kind != SeriesKind.Histogram)
            {
                Line(text, name, Tags, Kind == SeriesKind.Gauge ? Last : Sum);
                return;
            }
            long below = 0;
            for (var i = 0; i <= Bounds.Length; i++)
            {
                below += _buckets[i];
                var end = i == Bounds.Length ? "+Inf" : Bounds[i].ToString(CultureInfo.InvariantCulture);
                Line(text, $"{name}_bucket", $"{(Tags.Length > 0 ? $"{Tags}," : "")}le=\"{end}\"", below);
            }
            Line(text, $"{name}_sum", Tags, Sum);
            Line(text, $"{name}_count", Tags, Count);
        }
    }

    private static void Line(StringBuilder text, string name, string tags, double value)
    {
        text.Append(name);
        if (tags.Length > 0) text.Append('{').Append(tags).Append('}');
        text.Append(' ').Append(value.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }
}
