using System.Text.Json;
using Drover.Contracts.Metrics;
using Drover.ControlPlane.Observability;

namespace Drover.ControlPlane.Marathon;

/// <summary>/, /ping, /metrics, /logging, /config: what is asked of the process itself.</summary>
public sealed class SystemEndpoints(MetricsBoard board, LogLevels levels, ControlPlaneOptions? options = null)
{
    private static readonly (string Path, string What)[] Places =
    [
        ("/v2/apps", "Marathon's API: apps"), ("/v2/groups", "groups"), ("/v2/tasks", "tasks"), ("/v2/deployments", "deployments"), ("/v2/queue", "what waits, and why"), ("/v2/events", "events (Accept: text/event-stream)"), ("/v2/info", "settings under Marathon's names"),
        ("/api/v1/status", "Drover's own API: the cluster at a glance"), ("/api/v1/openapi.json", "its description"), ("/metrics", "figures; as Prometheus reads them where text is asked for"), ("/config", "settings"), ("/ping", "pong"),
    ];

    /// <summary>There is no console to lead to: what there is, for who looks.</summary>
    public static Task<Answer> Root(HttpContext context) => Task.FromResult(Answer.Json(200, json =>
    {
        json.WriteString("name", "drover");
        json.WriteString("version", InfoViews.OwnVersion);
        json.WriteStartObject("there");
        foreach (var (path, what) in Places) json.WriteString(path, what);
        json.WriteEndObject();
    }));

    /// <summary>`pong` in the form that is asked for; whoever asks for any other gets no content, which is an answer too.</summary>
    public static Task<Answer> Ping(HttpContext context)
    {
        var accepted = context.Request.GetTypedHeaders().Accept.OrderByDescending(a => a.Quality ?? 1).Select(a => a.MediaType.Value ?? "").ToList();
        var wanted = accepted.FirstOrDefault(a => a is "application/json" or "application/*" or "*/*" or "text/*" or "text/plain" or "text/html");
        if (accepted.Count > 0 && wanted is null) return Task.FromResult(new Answer(204, ""));
        return Task.FromResult(wanted is "application/json" or "application/*" ? new Answer(200, "\"pong\"") : new Answer(200, "pong", "text/plain; charset=utf-8"));
    }

    /// <summary>Marathon's JSON, or Prometheus' text for who asks for text as Prometheus does.</summary>
    public Task<Answer> Metrics(HttpContext context)
    {
        var accept = context.Request.Headers.Accept.ToString();
        return accept.Contains("text/plain", StringComparison.OrdinalIgnoreCase) || accept.Contains("openmetrics", StringComparison.OrdinalIgnoreCase)
            ? Prometheus(context) : Task.FromResult(new Answer(200, MarathonJson.Text(board.Write)));
    }

    public Task<Answer> Prometheus(HttpContext context) => Task.FromResult(new Answer(200, board.Text(), PrometheusText.ContentType));

    public Task<Answer> Levels(HttpContext context) => Task.FromResult(Answer.Json(200, Loggers));

    /// <summary>`{"level": "debug", "logger": "Drover", "durationSeconds": 600}`; without a duration it stays until the process ends.</summary>
    public async Task<Answer> SetLevel(HttpContext context)
    {
        using var body = await RequestBody.Read(context);
        if (AppEndpoints.Refusal(body) is { } refused) return refused;
        var faults = new Violations();
        var fields = new JsonFields(body.Json!.RootElement, "", faults);
        var (level, logger) = (fields.String("level"), fields.String("logger") ?? "");
        var seconds = AppJson.Whole(fields, "durationSeconds", 1, 7 * 24 * 3_600);
        if (level is null && !faults.Any) faults.Rule("/level", "must be given: trace, debug, info, warn, error or off");
        else if (level is not null && Parsed(level) is null) faults.Rule("/level", "must be trace, debug, info, warn, error or off");
        if (logger.Length > 200) faults.Rule("/logger", "has at most 200 characters");
        if (faults.Any) return Answer.Faults(faults.TypesAreWrong, faults.Told);
        var name = logger.Equals("ROOT", StringComparison.OrdinalIgnoreCase) ? "" : logger;
        return levels.Set(name, Parsed(level!)!.Value, seconds is { } s ? TimeSpan.FromSeconds(s) : null)
            ? Answer.Json(200, Loggers) : Answer.Message(422, $"levels are kept for {LogLevels.Most} loggers at most: name a broader one");
    }

    public Task<Answer> Config(HttpContext context) => Task.FromResult(Answer.Json(200, json =>
    {
        json.WriteString("version", InfoViews.OwnVersion);
        json.WriteNumber("maxRequests", ApiGate.MostAtOnce(options));
        if (options is null) return;
        json.WriteString("name", options.Name);
        json.WriteString("http", options.Http.ToString());
        json.WriteString("agents", options.Agents.ToString());
        json.WriteBoolean("https", options.UsesHttps);
        json.WriteBoolean("requireToken", options.NeedsToken);
        json.WriteNumber("leaseSeconds", options.Lease.TotalSeconds);
        json.WriteNumber("certificateHours", options.CertificateLife.TotalHours);
    }));

    private void Loggers(Utf8JsonWriter json)
    {
        json.WriteStartArray("loggers");
        foreach (var wish in levels.Wishes)
        {
            json.WriteStartObject();
            json.WriteString("logger", wish.Logger.Length == 0 ? "ROOT" : wish.Logger);
            json.WriteString("level", wish.Level switch { LogLevel.Information => "info", LogLevel.Warning => "warn", LogLevel.None => "off", var other => other.ToString().ToLowerInvariant() });
            if (wish.Until is { } until) json.WriteString("until", AppJsonOut.Timestamp(until));
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static LogLevel? Parsed(string level) => level.ToLowerInvariant() switch
    {
        "trace" or "all" => LogLevel.Trace,
        "debug" => LogLevel.Debug,
        "info" => LogLevel.Information,
        "warn" or "warning" => LogLevel.Warning,
        "error" => LogLevel.Error,
        "off" => LogLevel.None,
        _ => null,
    };
}
