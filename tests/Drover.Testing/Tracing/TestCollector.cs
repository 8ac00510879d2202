using System.Net;
using System.Text.Json;
using Drover.Contracts.Tracing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Logging;

namespace Drover.Testing.Tracing;

public sealed record CollectedSpan(string Service, string TraceId, string SpanId, string? Parent, string Name, int Kind, int Status, IReadOnlyDictionary<string, string> Tags);

/// <summary>Takes spans as a collector does: OTLP over HTTP, in JSON.</summary>
public sealed class TestCollector : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Lock _lock = new();
    private readonly List<CollectedSpan> _spans = [];
    private TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private TestCollector(WebApplication app) => _app = app;

    public string Authorization { get; private set; } = "";
    public Uri Address => new(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());

    public static async Task<TestCollector> Start()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var collector = new TestCollector(builder.Build());
        collector._app.MapPost("/v1/traces", (RequestDelegate)collector.Take);
        await collector._app.StartAsync();
        return collector;
    }

    public IReadOnlyList<CollectedSpan> Spans { get { lock (_lock) return [.. _spans]; } }

    /// <summary>Settings as the environment would have them.</summary>
    public OtlpSettings Settings(string service) =>
        OtlpSettings.Read(name => name switch { "OTEL_EXPORTER_OTLP_ENDPOINT" => Address.ToString(), "OTEL_EXPORTER_OTLP_HEADERS" => "authorization=Bearer%20secret", _ => null }, service).Settings!;

    public async Task<IReadOnlyList<CollectedSpan>> Until(Func<IReadOnlyList<CollectedSpan>, bool> condition, string what)
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        while (true)
        {
            Task more;
            lock (_lock)
            {
                if (condition(_spans)) return [.. _spans];
                more = _more.Task;
            }
            try { await more.WaitAsync(limit.Token); }
            catch (OperationCanceledException) { throw new TimeoutException($"never came: {what}; there are {string.Join(", ", Spans.Select(s => s.Name))}"); }
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task Take(HttpContext context)
    {
        using var body = await JsonDocument.ParseAsync(context.Request.Body);
        lock (_lock)
        {
            Authorization = context.Request.Headers.Authorization.ToString();
            foreach (var resource in body.RootElement.GetProperty("resourceSpans").EnumerateArray())
            {
                var service = Attributes(resource.GetProperty("resource"))["service.name"];
                foreach (var span in resource.GetProperty("scopeSpans").EnumerateArray().SelectMany(s => s.GetProperty("spans").EnumerateArray())) _spans.Add(Read(service, span));
            }
            _more.TrySetResult();
            _more = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        await context.Response.WriteAsJsonAsync(new { });
    }

    private static CollectedSpan Read(string service, JsonElement span)
    {
        if (ulong.Parse(span.GetProperty("startTimeUnixNano").GetString()!, System.Globalization.CultureInfo.InvariantCulture) > ulong.Parse(span.GetProperty("endTimeUnixNano").GetString()!, System.Globalization.CultureInfo.InvariantCulture))
            throw new InvalidDataException("a span ends before it begins");
        return new(service, span.GetProperty("traceId").GetString()!, span.GetProperty("spanId").GetString()!, span.TryGetProperty("parentSpanId", out var parent) ? parent.GetString() : null,
            span.GetProperty("name").GetString()!, span.GetProperty("kind").GetInt32(), span.GetProperty("status").GetProperty("code").GetInt32(), Attributes(span));
    }

    private static Dictionary<string, string> Attributes(JsonElement of) =>
        of.GetProperty("attributes").EnumerateArray().ToDictionary(a => a.GetProperty("key").GetString()!, a => a.GetProperty("value").EnumerateObject().Single().Value.ToString());
}
