using Drover.ControlPlane.Observability;

namespace Drover.ControlPlane.Marathon;

/// <summary>Stands before everything the HTTP door answers: counts requests, turns away those too many at once, and sets the headers that all answers carry.</summary>
public static class ApiGate
{
    public const int DefaultMostAtOnce = 1_000;

    public static int MostAtOnce(ControlPlaneOptions? options) => options?.MaxRequests ?? DefaultMostAtOnce;

    /// <summary>After routing. Agents have a door of their own and do not pass here.</summary>
    public static void UseApiGate(this WebApplication app)
    {
        var most = MostAtOnce(app.Services.GetService<ControlPlaneOptions>());
        var time = app.Services.GetRequiredService<TimeProvider>();
        var under = 0;
        app.Use(async (context, next) =>
        {
            if (context.GetEndpoint()?.Metadata.GetMetadata<Listeners.ForAgents>() is not null)
            {
                await next(context);
                return;
            }
            Headers(context);
            var (began, streams) = (time.GetTimestamp(), Streams(context.Request));
            Meters.Api.Began(streams);
            try
            {
                // Streams are counted where they are: they stay for hours.
                if (streams) await next(context);
                else if (Interlocked.Increment(ref under) > most) await Answer.Message(503, $"{most} requests are being answered already (--max-requests): try again in a moment").Write(context);
                else await next(context);
            }
            finally
            {
                if (!streams) Interlocked.Decrement(ref under);
                Meters.Api.Answered(context.Request.Method, RouteNames.Of(context.Request.Path.Value ?? ""), context.Response.StatusCode, time.GetElapsedTime(began), streams);
            }
        });
    }

    private static bool Streams(HttpRequest request)
    {
        var path = request.Path.Value ?? "";
        return path.EndsWith("/events", StringComparison.Ordinal) || path.EndsWith("/logs", StringComparison.Ordinal) || path.EndsWith("/export", StringComparison.Ordinal) || path.EndsWith("/import", StringComparison.Ordinal);
    }

    private static void Headers(HttpContext context)
    {
        var headers = context.Response.Headers;
        Answer.NoCache(context.Response);
        headers["X-Marathon-Leader"] = $"{context.Request.Scheme}://{context.Request.Host.Value}";
        headers.XFrameOptions = "DENY";
        headers.XXSSProtection = "1; mode=block";
        headers.XContentTypeOptions = "nosniff";
    }
}
