using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Drover.Contracts.Tracing;
using Microsoft.Extensions.Logging;

namespace Drover.Contracts.Hosting;

/// <summary>The log as one JSON object a line: what a message names (`move`, `deployment`, `node`, `instance`) is a field of its own, and so is the trace it belongs to.</summary>
/// <param name="always">Fields of every line: which node this is.</param>
public sealed class JsonLines(Stream to, TimeProvider time, params (string Name, string Value)[] always) : ILoggerProvider, ISupportExternalScope
{
    /// <summary>Field of a scope that names a trace, in W3C's form.</summary>
    private const string TraceParent = "TraceParent";
    private const string Template = "{OriginalFormat}";
    private static readonly HashSet<string> Taken = ["time", "level", "logger", "message", "exception", "traceId", "spanId"];
    private readonly Lock _lock = new();
    private IExternalScopeProvider? _scopes;

    /// <summary>`text`: plain lines; `json`: these. Null: neither.</summary>
    public static bool? IsJson(string format) => format switch { "text" => false, "json" => true, _ => null };

    /// <summary>What is logged until it is disposed belongs to this trace, also where no span is open.</summary>
    public static IDisposable? Within(ILogger log, string? trace) => trace is null ? null : log.BeginScope(new[] { KeyValuePair.Create<string, object?>(TraceParent, trace) });

    public ILogger CreateLogger(string categoryName) => new Lines(this, categoryName);

    public void SetScopeProvider(IExternalScopeProvider scopeProvider) => _scopes = scopeProvider;

    public void Dispose() => to.Flush();

    private void Write<TState>(string logger, LogLevel level, TState state, Exception? exception, Func<TState, Exception?, string> format)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("time", time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
            json.WriteString("level", Word(level));
            json.WriteString("logger", logger);
            json.WriteString("message", format(state, exception));
            WriteTrace(json);
            var named = new HashSet<string>(StringComparer.Ordinal);
            if (state is IReadOnlyList<KeyValuePair<string, object?>> fields)
                foreach (var (name, value) in fields) Field(json, named, name, value);
            foreach (var (name, value) in always) Field(json, named, name, value);
            if (exception is not null) json.WriteString("exception", exception.ToString());
            json.WriteEndObject();
        }
        bytes.Write("\n"u8);
        lock (_lock)
        {
            to.Write(bytes.WrittenSpan);
            to.Flush();
        }
    }

    private void WriteTrace(Utf8JsonWriter json)
    {
        if (Activity.Current is { } span && span.Source.Name == Traces.Name)
        {
            json.WriteString("traceId", span.TraceId.ToHexString());
            json.WriteString("spanId", span.SpanId.ToHexString());
            return;
        }
        string? parent = null;
        _scopes?.ForEachScope((scope, _) =>
        {
            if (scope is IReadOnlyList<KeyValuePair<string, object?>> fields)
                foreach (var (name, value) in fields) if (name == TraceParent) parent = value?.ToString();
        }, false);
        if (ActivityContext.TryParse(parent, null, out var context)) json.WriteString("traceId", context.TraceId.ToHexString());
    }

    private static void Field(Utf8JsonWriter json, HashSet<string> named, string name, object? value)
    {
        if (name.Length == 0 || name == Template) return;
        var key = char.ToLowerInvariant(name[0]) + name[1..];
        if (Taken.Contains(key)) key += "_";
        // An object has each name once.
        if (!named.Add(key)) return;
        switch (value)
        {
            case null: json.WriteNull(key); break;
            case bool flag: json.WriteBoolean(key, flag); break;
            case int number: json.WriteNumber(key, number); break;
            case long number: json.WriteNumber(key, number); break;
            case double number when double.IsFinite(number): json.WriteNumber(key, number); break;
            default: json.WriteString(key, value.ToString()); break;
        }
    }

    private static string Word(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace", LogLevel.Debug => "debug", LogLevel.Information => "info", LogLevel.Warning => "warn", LogLevel.Error => "error", _ => "critical",
    };

    private sealed class Lines(JsonLines lines, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => lines._scopes?.Push(state);

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => lines.Write(category, logLevel, state, exception, formatter);
    }
}
