using System.Diagnostics.Metrics;
using System.Globalization;

namespace Drover.ControlPlane.Observability;

/// <summary>The instruments of the control plane, a class for each part that measures. They are the process's: whoever listens to meters named <see cref="Name"/> hears all of them.</summary>
public static class Meters
{
    public const string Name = "Drover.ControlPlane";
    internal static readonly Meter Meter = new(Name);
}

/// <summary>Requests at the HTTP door.</summary>
public static class ApiMeter
{
    private static readonly Counter<long> Requests = Meters.Meter.CreateCounter<long>("drover.api.requests", "{request}", "Requests answered, by method, route and status");
    private static readonly Histogram<double> Duration = Meters.Meter.CreateHistogram<double>("drover.api.duration", "s", "From a request's headers to the end of its answer, by route");

    public static void Answered(string method, string route, int status, TimeSpan took)
    {
        // Anybody may send any word as a method.
        var known = method is "GET" or "HEAD" or "POST" or "PUT" or "PATCH" or "DELETE" or "OPTIONS" ? method : "other";
        Requests.Add(1, new("method", known), new("route", route), new("status", status.ToString(CultureInfo.InvariantCulture)));
        Duration.Record(took.TotalSeconds, new KeyValuePair<string, object?>("route", route));
    }
}

/// <summary>What is told to listeners.</summary>
public static class EventMeter
{
    private static readonly Counter<long> Published = Meters.Meter.CreateCounter<long>("drover.events.published", "{event}", "Events told, by kind");
    private static readonly Counter<long> Behind = Meters.Meter.CreateCounter<long>("drover.events.listeners_cut", "{listener}", "Listeners closed for being too far behind");
    private static readonly Counter<long> Dropped = Meters.Meter.CreateCounter<long>("drover.events.callbacks_dropped", "{event}", "Events that no try brought to a callback");

    public static void Told(string kind) => Published.Add(1, new KeyValuePair<string, object?>("kind", kind));
    public static void Cut() => Behind.Add(1);
    public static void NotTaken(int count) => Dropped.Add(count);
}

/// <summary>Commits of the store.</summary>
public static class StoreMeter
{
    private static readonly Counter<long> Commits = Meters.Meter.CreateCounter<long>("drover.store.commits", "{commit}", "Commits of the store, by outcome");
    private static readonly Counter<long> Writes = Meters.Meter.CreateCounter<long>("drover.store.writes", "{key}", "Keys written");
    private static readonly Histogram<double> Duration = Meters.Meter.CreateHistogram<double>("drover.store.commit_duration", "s", "A commit, until it is on the disk");

    public static void Committed(int writes, string outcome, TimeSpan took)
    {
        Commits.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
        if (outcome == "done") Writes.Add(writes);
        Duration.Record(took.TotalSeconds);
    }
}

/// <summary>The loops that look at the state after each change.</summary>
public static class LoopMeter
{
    private static readonly Counter<long> Passes = Meters.Meter.CreateCounter<long>("drover.loop.passes", "{pass}", "Passes of a loop, by its name and whether it failed");
    private static readonly Histogram<double> Duration = Meters.Meter.CreateHistogram<double>("drover.loop.duration", "s", "One pass, by the loop's name");

    public static void Passed(string loop, bool failed, TimeSpan took)
    {
        Passes.Add(1, new("loop", loop), new("failed", failed ? "true" : "false"));
        Duration.Record(took.TotalSeconds, new KeyValuePair<string, object?>("loop", loop));
    }
}
