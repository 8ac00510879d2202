using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Drover.Contracts.Tracing;

/// <summary>Spans as OTLP has them in JSON (ExportTraceServiceRequest).</summary>
internal static class OtlpJson
{
    public static byte[] Write(IReadOnlyList<(string Name, string Value)> resource, IReadOnlyList<Activity> spans)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(bytes);
        json.WriteStartObject();
        json.WriteStartArray("resourceSpans");
        json.WriteStartObject();
        json.WriteStartObject("resource");
        json.WriteStartArray("attributes");
        foreach (var (name, value) in resource) Attribute(json, name, value);
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteStartArray("scopeSpans");
        json.WriteStartObject();
        json.WriteStartObject("scope");
        json.WriteString("name", Traces.Name);
        json.WriteEndObject();
        json.WriteStartArray("spans");
        foreach (var span in spans) Span(json, span);
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return bytes.WrittenSpan.ToArray();
    }

    private static void Span(Utf8JsonWriter json, Activity span)
    {
        json.WriteStartObject();
        json.WriteString("traceId", span.TraceId.ToHexString());
        json.WriteString("spanId", span.SpanId.ToHexString());
        if (span.ParentSpanId != default) json.WriteString("parentSpanId", span.ParentSpanId.ToHexString());
        json.WriteString("name", span.DisplayName);
        // INTERNAL is 1 there and 0 here, and so on.
        json.WriteNumber("kind", (int)span.Kind + 1);
        var start = span.StartTimeUtc - DateTime.UnixEpoch;
        json.WriteString("startTimeUnixNano", Nanos(start));
        json.WriteString("endTimeUnixNano", Nanos(start + span.Duration));
        json.WriteStartArray("attributes");
        foreach (var (name, value) in span.TagObjects) Attribute(json, name, value);
        json.WriteEndArray();
        json.WriteStartObject("status");
        json.WriteNumber("code", (int)span.Status);
        if (span.StatusDescription is { } why) json.WriteString("message", why);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static string Nanos(TimeSpan since) => (since.Ticks * 100).ToString(CultureInfo.InvariantCulture);

    private static void Attribute(Utf8JsonWriter json, string name, object? value)
    {
        json.WriteStartObject();
        json.WriteString("key", name);
        json.WriteStartObject("value");
        switch (value)
        {
            case bool flag: json.WriteBoolean("boolValue", flag); break;
            case int number: json.WriteString("intValue", number.ToString(CultureInfo.InvariantCulture)); break;
            case long number: json.WriteString("intValue", number.ToString(CultureInfo.InvariantCulture)); break;
            case double number: json.WriteNumber("doubleValue", number); break;
            default: json.WriteString("stringValue", value?.ToString() ?? ""); break;
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
