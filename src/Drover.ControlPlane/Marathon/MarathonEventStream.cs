using Drover.ControlPlane.Events;

namespace Drover.ControlPlane.Marathon;

/// <summary>/v2/events: server-sent events under Marathon's names, `?event_type=` as filter. A client that falls too far behind is told so and closed.</summary>
internal sealed class MarathonEventStream(EventRing ring, TimeProvider time, IHostApplicationLifetime lifetime, ILogger log)
{
    private static readonly string Behind = $"{EventRing.Backlog} events lay unread: this stream is closed; read more quickly, or ask for fewer with ?event_type=";

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
        var address = RequestOrigin.AddressOf(context);
        var wanted = context.Request.Query["event_type"].OfType<string>().ToHashSet(StringComparer.Ordinal);
        Answer.NoCache(context.Response);
        var attached = MarathonEvents.Attached(address, time.GetUtcNow());
        var own = Tell("listener.attached", address, "listens to /v2/events", attached);
        try
        {
            await ServerSentEvents.Begin(context);
            // The first event is for this client and passes any filter: it says that listening has begun.
            await ServerSentEvents.Write(context, attached.Frame, context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            Tell("listener.detached", address, "has left /v2/events", MarathonEvents.Detached(address, time.GetUtcNow(), null));
            return;
        }
        IEnumerable<ReadOnlyMemory<byte>> Frames(Happening happening) =>
            happening.View.Sequence <= own ? [] : happening.Marathon.Where(named => wanted.Count == 0 || wanted.Contains(named.Name)).Select(named => named.Frame);
        var end = await ServerSentEvents.Run(context, subscription, time, Frames, () => MarathonEvents.Detached(address, time.GetUtcNow(), Behind).Frame, lifetime.ApplicationStopping);
        if (end == StreamEnd.Behind) log.ListenerBehind("/v2/events", address, EventRing.Backlog);
        if (end != StreamEnd.Stopping)
            Tell("listener.detached", address, "has left /v2/events", MarathonEvents.Detached(address, time.GetUtcNow(), end == StreamEnd.Behind ? Behind : null));
    }

    /// <summary>Not kept for replay: who listens is nothing that clients of yesterday's events ask for.</summary>
    private long Tell(string kind, string address, string what, NamedEvent named)
    {
        var number = 0L;
        ring.Put(sequence => new(new(number = sequence, time.GetUtcNow(), kind, address, $"{address} {what}", null, null, null, null, null, null, null), [named]), keep: false);
        return number;
    }
}
