using System.Collections.Immutable;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Drover.ControlPlane.Observability;

/// <param name="Until">When it ends by itself; null: with the process.</param>
public sealed record LogLevelWish(string Logger, LogLevel Level, DateTimeOffset? Until);

/// <summary>Levels of the log that are asked for while the process runs, over those it began with.</summary>
public sealed class LogLevels(TimeProvider time) : IConfigureOptions<LoggerFilterOptions>, IOptionsChangeTokenSource<LoggerFilterOptions>, IDisposable
{
    public const int Most = 100;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, ITimer> _timers = new(StringComparer.Ordinal);
    private ImmutableSortedDictionary<string, LogLevelWish> _wishes = ImmutableSortedDictionary<string, LogLevelWish>.Empty;
    private CancellationTokenSource _changed = new();

    public IReadOnlyCollection<LogLevelWish> Wishes => [.. _wishes.Values];
    public string? Name => Options.DefaultName;

    /// <summary>False: there are too many already.</summary>
    /// <param name="logger">A category, and what begins with it and a dot; empty: all.</param>
    public bool Set(string logger, LogLevel level, TimeSpan? duration)
    {
        lock (_lock)
        {
            if (_wishes.Count >= Most && !_wishes.ContainsKey(logger)) return false;
            if (_timers.Remove(logger, out var before)) before.Dispose();
            _wishes = _wishes.SetItem(logger, new(logger, level, time.GetUtcNow() + duration));
            if (duration is { } span) _timers[logger] = time.CreateTimer(_ => End(logger), null, span, Timeout.InfiniteTimeSpan);
        }
        Tell();
        return true;
    }

    public void Configure(LoggerFilterOptions options)
    {
        // Later rules win over earlier ones for the same category.
        foreach (var wish in _wishes.Values) options.Rules.Add(new(null, wish.Logger.Length == 0 ? null : wish.Logger, wish.Level, null));
    }

    public IChangeToken GetChangeToken() => new CancellationChangeToken(Volatile.Read(ref _changed).Token);

    public void Dispose()
    {
        lock (_lock) foreach (var timer in _timers.Values) timer.Dispose();
        _changed.Dispose();
    }

    private void End(string logger)
    {
        lock (_lock)
        {
            if (_timers.Remove(logger, out var timer)) timer.Dispose();
            _wishes = _wishes.Remove(logger);
        }
        Tell();
    }

    private void Tell()
    {
        using var before = Interlocked.Exchange(ref _changed, new());
        before.Cancel();
    }
}
