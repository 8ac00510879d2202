using System.Diagnostics;

namespace Drover.Contracts.Tracing;

/// <summary>Spans of Drover's own. Without anybody who listens none is made.</summary>
public static class Traces
{
    public const string Name = "Drover";
    public static readonly ActivitySource Source = new(Name);

    /// <summary>Somebody listens.</summary>
    public static bool On => Source.HasListeners();

    /// <summary>A span of a trace that began elsewhere, named in W3C's form.</summary>
    /// <param name="parent">null or empty: there is no trace, and no span is made.</param>
    public static Activity? Begin(string name, string? parent, ActivityKind kind = ActivityKind.Internal) =>
        string.IsNullOrEmpty(parent) || !On || !ActivityContext.TryParse(parent, null, isRemote: true, out var context) ? null : Source.StartActivity(name, kind, context);

    /// <summary>A span of what is over already.</summary>
    public static Activity? Past(string name, string? parent, DateTimeOffset from, DateTimeOffset to, string? failure, params ReadOnlySpan<(string Name, object? Value)> tags)
    {
        if (string.IsNullOrEmpty(parent) || !On || !ActivityContext.TryParse(parent, null, isRemote: true, out var context)) return null;
        var span = Source.StartActivity(name, ActivityKind.Internal, context, startTime: from);
        if (span is null) return null;
        foreach (var (tag, value) in tags) span.SetTag(tag, value);
        if (failure is not null) span.SetStatus(ActivityStatusCode.Error, failure);
        span.SetEndTime((to > from ? to : from).UtcDateTime);
        span.Stop();
        return span;
    }

    /// <summary>The first span of a trace, over at once: whatever becomes of this process, those that come later have it to hang on.</summary>
    /// <param name="parent">A trace that it is a part of; null: its own.</param>
    /// <returns>What names it, in W3C's form; null: nobody listens.</returns>
    public static string? Root(string name, string? parent, DateTimeOffset at, params ReadOnlySpan<(string Name, object? Value)> tags)
    {
        if (!On) return null;
        // What happens to be under way on this thread is no part of it.
        var around = Activity.Current;
        Activity.Current = null;
        try
        {
            ActivityContext.TryParse(parent, null, isRemote: true, out var context);
            using var span = Source.StartActivity(name, ActivityKind.Internal, context, startTime: at);
            if (span is null) return null;
            foreach (var (tag, value) in tags) span.SetTag(tag, value);
            span.SetEndTime(at.UtcDateTime);
            return span.Id;
        }
        finally { Activity.Current = around; }
    }

    public static void Failed(this Activity? span, string why) => span?.SetStatus(ActivityStatusCode.Error, why);
}
