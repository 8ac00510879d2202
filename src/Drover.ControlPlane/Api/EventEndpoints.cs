using System.Globalization;
using System.Text.Json;
using Drover.Contracts.Api;
using Drover.ControlPlane.Events;

namespace Drover.ControlPlane.Api;

/// <summary>/api/v1/events: server-sent events. `Last-Event-ID` or `?after=` replays what is kept; `?kind=` takes one kind (`move.state`) or a family (`move`);
/// `?follow=false` ends after the replay.</summary>
internal sealed class EventEndpoints(EventRing ring, TimeProvider time, IHostApplicationLifetime lifetime, ILogger log)
{
    public async Task Serve(HttpContext context)
    {
        var query = context.Request.Query;
        var last = context.Request.Headers["Last-Event-ID"].ToString() is { Length: > 0 } header ? header : query["after"].ToString();
        long? after = null;
        if (last.Length > 0)
        {
            if (!long.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                await ApiV1.Refuse(context, 400, new($"'{last}' is no sequence number", "after", "give the id of the last event seen, or 0 for all that are kept"));
                return;
            }
            after = number;
        }
        var follow = query["follow"] != "false";
        using var subscription = ring.Subscribe(after ?? (follow ? null : 0));
        if (subscription is null)
        {
            await ApiV1.Refuse(context, 503, new($"{EventRing.MaxListeners} clients listen already", null, "close some"));
            return;
        }
        await ServerSentEvents.Begin(context);
        IEnumerable<ReadOnlyMemory<byte>> Frames(Happening happening) => Wanted(query["kind"], happening.View.Kind) ? [happening.Frame] : [];
        try
        {
            foreach (var frame in subscription.Replay.SelectMany(Frames)) await ServerSentEvents.Write(context, frame, context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            // The client left.
            return;
        }
        if (!follow) return;
        var end = await ServerSentEvents.Run(context, subscription, time, Frames, () => ServerSentEvents.Frame(null, "events.behind", TooFarBehind), lifetime.ApplicationStopping);
        if (end == StreamEnd.Behind) log.ListenerBehind("/api/v1/events", RequestOrigin.AddressOf(context), EventRing.Backlog);
    }

    private static ReadOnlySpan<byte> TooFarBehind => "{\"message\":\"this listener is 1024 events behind and is closed\",\"remedy\":\"come again with the last id seen\"}"u8;

    private static bool Wanted(IEnumerable<string?> asked, string kind)
    {
        var any = false;
        foreach (var one in asked.Where(a => !string.IsNullOrEmpty(a)))
        {
            if (kind == one || kind.StartsWith(one + ".", StringComparison.Ordinal)) return true;
            any = true;
        }
        return !any;
    }
}
