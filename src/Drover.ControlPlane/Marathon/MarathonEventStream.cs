using Drover.ControlPlane.Events;

namespace Drover.ControlPlane.Marathon;

/// <summary>/v2/events: server-sent events under Marathon's names, `?event_type=` as filter. A client that falls too far behind is cut off.</summary>
internal sealed class MarathonEventStream(EventRing ring, TimeProvider time, IHostApplicationLifetime lifetime)
{
    public async Task Serve(HttpContext context)
    {
        if (!context.Request.Headers.Accept.ToString().Contains("text/event-stream", StringComparison.OrdinalIgnoreCase))
        {
            await (Answer.Message(405, "this is a stream of events: ask for it with the header 'Accept: text/event-stream'") with { Allow = "GET" }).Write(context);
            return;
        }
        using var subscription = ring.Subscribe(after: null);
        if (subscription is null)
        {
            await Answer.Message(503, $"{EventRing.MaxListeners} clients listen already; close some").Write(context);
            return;
        }
        var wanted = context.Request.Query["event_type"].OfType<string>().ToHashSet(StringComparer.Ordinal);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, subscription.Cut, lifetime.ApplicationStopping);
        try
        {
            Answer.NoCache(context.Response);
            await ServerSentEvents.Begin(context);
            // The first event is for this client alone and passes any filter: it says that listening has begun.
            var attached = MarathonEvents.Attached(context.Connection.RemoteIpAddress?.ToString() ?? "", time.GetUtcNow());
            await ServerSentEvents.Write(context, null, attached.Name, attached.Data, either.Token);
            await ServerSentEvents.Follow(context, subscription.Live, time, async (happening, cancel) =>
            {
                foreach (var named in happening.Marathon)
                {
                    if (wanted.Count == 0 || wanted.Contains(named.Name)) await ServerSentEvents.Write(context, null, named.Name, named.Data, cancel);
                }
            }, either.Token);
        }
        catch (OperationCanceledException)
        {
            // The client left or was too slow, or the process stops: either way the connection ends.
            context.Abort();
        }
    }
}
