using System.Net;
using Drover.Contracts.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace Drover.Agent.Metrics;

/// <summary>Answers `GET /metrics` in Prometheus's text format, and nothing else. Figures only: no name of an app, no secret. It listens where it is told to, or not at all.</summary>
public sealed class MetricsServer(MetricBook book, AgentOptions options, ILoggerFactory logs) : IHostedService, IAsyncDisposable
{
    private const int MostConnections = 16;
    private readonly ILogger _log = logs.CreateLogger<MetricsServer>();
    private WebApplication? _app;

    /// <summary>Where it listens, once it does: a port asked for as 0 is any free one.</summary>
    public IPEndPoint? Endpoint { get; private set; }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Metrics is not { } wished) return;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(logs);
        Microsoft.AspNetCore.Server.Kestrel.Core.ListenOptions? door = null;
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(wished, opened => door = opened);
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = MostConnections;
            kestrel.Limits.MaxRequestBodySize = 0;
        });
        _app = builder.Build();
        _app.Run(Answer);
        try { await _app.StartAsync(cancellationToken); }
        catch (IOException e) { throw new InvalidOperationException($"cannot listen on {wished} for metrics ({e.Message}): set --metrics to one of this machine's addresses and a free port", e); }
        Endpoint = door!.IPEndPoint;
        _log.LogInformation("metrics are read at http://{Endpoint}/metrics", Endpoint);
    }

    public Task StopAsync(CancellationToken cancellationToken) => _app?.StopAsync(cancellationToken) ?? Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_app is not null) await _app.DisposeAsync();
        _app = null;
    }

    private async Task Answer(HttpContext context)
    {
        var reads = HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method);
        if (context.Request.Path != "/metrics" || !reads)
        {
            context.Response.StatusCode = reads ? StatusCodes.Status404NotFound : StatusCodes.Status405MethodNotAllowed;
            return;
        }
        var text = PrometheusText.Write(book.Read());
        context.Response.ContentType = PrometheusText.ContentType;
        context.Response.ContentLength = text.Length;
        if (HttpMethods.IsGet(context.Request.Method)) await context.Response.Body.WriteAsync(text, context.RequestAborted);
    }
}
