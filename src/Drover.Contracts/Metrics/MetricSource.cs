using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Drover.Contracts.Metrics;

/// <summary>Where instruments are made: each is declared with all that is said of it, and belongs to the source's meters alone.</summary>
public sealed class MetricSource : IDisposable
{
    private readonly ConcurrentDictionary<string, Declared> _declared = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<Meter> _meters = new();

    internal sealed record Declared(MetricInfo Info, bool Observed)
    {
        /// <summary>Series that are there before anything was measured.</summary>
        public ConcurrentQueue<string[]> Always { get; } = new();
    }

    /// <summary>A part of the product with metrics of its own.</summary>
    public MetricSlice Slice(string name)
    {
        var meter = new Meter(new MeterOptions(name) { Scope = this });
        _meters.Enqueue(meter);
        return new(this, meter);
    }

    public void Dispose()
    {
        foreach (var meter in _meters) meter.Dispose();
    }

    internal IEnumerable<Declared> All => _declared.Values;

    internal Declared Of(string name) => _declared[name];

    internal void Add(MetricInfo info, bool observed)
    {
        if (!_declared.TryAdd(info.Name, new(info, observed))) throw new ArgumentException($"there is a metric {info.Name} already", nameof(info));
    }
}
