using System.Diagnostics.Metrics;
using System.Globalization;
using Drover.Contracts.Metrics;

namespace Drover.ControlPlane.Observability;

/// <summary>Instruments of parts that are reached from everywhere: the process's, heard by every book in it.</summary>
public static class Meters
{
    public static readonly MetricSource Shared = new();
    public static readonly ApiMeter Api = new(Shared);
    public static readonly EventMeter Events = new(Shared);
    public static readonly StoreMeter Store = new(Shared);
    public static readonly LoopMeter Loops = new(Shared);
}

/// <summary>Requests at the HTTP door.</summary>
public sealed class ApiMeter
{
    private readonly Counter<long> _requests;
    private readonly Histogram<double> _seconds;
    private readonly UpDownCounter<long> _inFlight;

    public ApiMeter(MetricSource source)
    {
        var slice = source.Slice("Drover.ControlPlane.Api");
        _requests = slice.Counter("drover_api_requests_total", "Requests answered, by method, route (with names in place of ids) and status.", "method", "route", "status");
        _seconds = slice.Histogram("drover_api_request_seconds", "From a request's headers to the end of its answer; streams are not among them.", MetricSlice.Work, "route");
        _inFlight = slice.Level("drover_api_requests_in_flight", "Requests being answered now; kind: `request`, or `stream` where the answer goes on until somebody leaves.", "kind");
    }

    public void Began(bool stream) => _inFlight.Add(1, Kind(stream));

    public void Answered(string method, string route, int status, TimeSpan took, bool stream)
    {
        // Anybody may send any word as a method.
        var known = method is "GET" or "HEAD" or "POST" or "PUT" or "PATCH" or "DELETE" or "OPTIONS" ? method : "other";
        _inFlight.Add(-1, Kind(stream));
        _requests.Add(1, new("method", known), new("route", route), new("status", status.ToString(CultureInfo.InvariantCulture)));
        if (!stream) _seconds.Record(took.TotalSeconds, new KeyValuePair<string, object?>("route", route));
    }

    private static KeyValuePair<string, object?> Kind(bool stream) => new("kind", stream ? "stream" : "request");
}

/// <summary>What is told to listeners.</summary>
public sealed class EventMeter
{
    private readonly Counter<long> _told, _behind, _dropped;

    public EventMeter(MetricSource source)
    {
        var slice = source.Slice("Drover.ControlPlane.Events");
        _told = slice.Counter("drover_events_total", "Events told, by kind.", "kind");
        _behind = slice.Counter("drover_event_listeners_cut_total", "Listeners closed for being too far behind.");
        _dropped = slice.Counter("drover_event_callbacks_dropped_total", "Events that no try brought to a callback.");
    }

    public void Told(string kind) => _told.Add(1, new KeyValuePair<string, object?>("kind", kind));
    public void Cut() => _behind.Add(1);
    public void NotTaken(int count) => _dropped.Add(count);
}

/// <summary>Commits of the store.</summary>
public sealed class StoreMeter
{
    private readonly Counter<long> _commits, _writes, _bytes;
    private readonly Histogram<double> _seconds;

    public StoreMeter(MetricSource source)
    {
        var slice = source.Slice("Drover.ControlPlane.Store");
        _commits = slice.Counter("drover_store_commits_total", "Commits of the store; outcome: `done`, `conflict` where another process wrote, `failed`.", "outcome");
        foreach (var outcome in new[] { "done", "conflict", "failed" }) slice.Always("drover_store_commits_total", outcome);
        _writes = slice.Counter("drover_store_writes_total", "Keys written.");
        _bytes = slice.Counter("drover_store_written_bytes_total", "Bytes of their values.");
        _seconds = slice.Histogram("drover_store_commit_seconds", "A commit, until it is on the disk.", MetricSlice.Work);
    }

    public void Committed(int writes, long bytes, string outcome, TimeSpan took)
    {
        _commits.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
        _seconds.Record(took.TotalSeconds);
        if (outcome != "done") return;
        _writes.Add(writes);
        _bytes.Add(bytes);
    }
}

/// <summary>The loops that look at the state after each change.</summary>
public sealed class LoopMeter
{
    private readonly Counter<long> _passes;
    private readonly Histogram<double> _seconds;

    public LoopMeter(MetricSource source)
    {
        var slice = source.Slice("Drover.ControlPlane.Loops");
        _passes = slice.Counter("drover_loop_passes_total", "Passes of a loop over the state; outcome: `done`, `failed`.", "loop", "outcome");
        _seconds = slice.Histogram("drover_loop_pass_seconds", "One pass, by the loop's name.", MetricSlice.Work, "loop");
    }

    public void Passed(string loop, bool failed, TimeSpan took)
    {
        _passes.Add(1, new("loop", loop), new("outcome", failed ? "failed" : "done"));
        _seconds.Record(took.TotalSeconds, new KeyValuePair<string, object?>("loop", loop));
    }
}
