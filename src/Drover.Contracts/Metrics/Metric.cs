using System.Collections.Concurrent;

namespace Drover.Contracts.Metrics;

/// <summary>One metric's series as they grow.</summary>
internal sealed class Metric(MetricInfo info, bool observed, IEnumerable<string[]> always)
{
    private const char Between = '\u001f';
    private readonly ConcurrentDictionary<string, Series> _series = new(StringComparer.Ordinal);

    public MetricInfo Info => info;

    /// <summary>What is observed is said anew each time: a series that is not said any more is gone.</summary>
    public void BeginReading()
    {
        if (observed) _series.Clear();
    }

    public void Take(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = LabelsOf(tags);
        if (!_series.TryGetValue(labels, out var series))
        {
            if (_series.Count >= MetricBook.MostSeries) labels = string.Join(Between, info.Labels.Select(_ => MetricBook.Overflow));
            series = _series.GetOrAdd(labels, _ => new(info.Buckets));
        }
        series.Take(value, replaces: observed);
    }

    public MetricReading Read()
    {
        // A counter that nothing has happened to yet is zero, and not unknown: a rate over its first step is then right.
        if (info.Labels.Count == 0 && !observed) _series.TryAdd("", new(info.Buckets));
        foreach (var labels in always) _series.TryAdd(string.Join(Between, labels), new(info.Buckets));
        return new(info, [.. _series.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => s.Value.Read(info.Labels.Count == 0 ? [] : s.Key.Split(Between)))]);
    }

    private string LabelsOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (info.Labels.Count == 0) return "";
        if (info.Labels.Count == 1) return Value(tags, info.Labels[0]);
        var values = new string[info.Labels.Count];
        for (var i = 0; i < values.Length; i++) values[i] = Value(tags, info.Labels[i]);
        return string.Join(Between, values);
    }

    private static string Value(ReadOnlySpan<KeyValuePair<string, object?>> tags, string label)
    {
        foreach (var tag in tags) if (tag.Key == label) return tag.Value?.ToString() ?? "";
        return "";
    }

    private sealed class Series(IReadOnlyList<double> buckets)
    {
        private readonly Lock _lock = new();
        private readonly long[] _counts = new long[buckets.Count == 0 ? 0 : buckets.Count + 1];
        private double _sum;

        public void Take(double value, bool replaces)
        {
            lock (_lock)
            {
                // Two observations of one label value in one reading (several beyond the limit) add up.
                _sum += value;
                if (_counts.Length == 0 || replaces) return;
                var bucket = 0;
                while (bucket < buckets.Count && value > buckets[bucket]) bucket++;
                _counts[bucket]++;
            }
        }

        public SeriesReading Read(string[] labels)
        {
            lock (_lock)
            {
                var counts = (long[])_counts.Clone();
                for (var i = 1; i < counts.Length; i++) counts[i] += counts[i - 1];
                return new(labels, _sum, counts);
            }
        }
    }
}
