namespace Drover.Contracts.Tracing;

/// <summary>Where spans go: OpenTelemetry's own environment variables, of which OTLP over HTTP with JSON is spoken.</summary>
/// <param name="Service">Name under which a backend shows this process.</param>
public sealed record OtlpSettings(Uri Endpoint, IReadOnlyList<(string Name, string Value)> Headers, string Service)
{
    private const string Prefix = "OTEL_EXPORTER_OTLP_";

    /// <returns>Null settings and null fault: nobody asked for traces.</returns>
    public static (OtlpSettings? Settings, string? Fault) Read(Func<string, string?> environment, string service)
    {
        var whole = environment($"{Prefix}TRACES_ENDPOINT");
        var text = whole is { Length: > 0 } ? whole : environment($"{Prefix}ENDPOINT");
        if (string.IsNullOrEmpty(text) || environment("OTEL_SDK_DISABLED") == "true") return (null, null);
        if (!Uri.TryCreate(text, UriKind.Absolute, out var endpoint) || endpoint.Scheme is not ("http" or "https"))
            return (null, $"OTEL_EXPORTER_OTLP_ENDPOINT '{text}' is no http address: write something like http://127.0.0.1:4318");
        var protocol = environment($"{Prefix}TRACES_PROTOCOL") ?? environment($"{Prefix}PROTOCOL") ?? "http/json";
        if (protocol == "grpc") return (null, "OTEL_EXPORTER_OTLP_PROTOCOL 'grpc' is not spoken: give the collector's port for HTTP (4318), without a protocol or with http/json");
        if (whole is not { Length: > 0 }) endpoint = new Uri(text.TrimEnd('/') + "/v1/traces");
        var headers = (environment($"{Prefix}TRACES_HEADERS") ?? environment($"{Prefix}HEADERS") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(h => h.Split('=', 2)).Where(h => h.Length == 2).Select(h => (h[0].Trim(), Uri.UnescapeDataString(h[1].Trim()))).ToList();
        return (new(endpoint, headers, environment("OTEL_SERVICE_NAME") is { Length: > 0 } named ? named : service), null);
    }
}
