using System.Globalization;
using System.Text.Json;
using Drover.Contracts.Api;
using Drover.ControlPlane.Events;

namespace Drover.ControlPlane.Api;

/// <summary>/api/v1/events: server-sent events. `Last-Event-ID` or `?after=` replays what is kept; `?kind=` takes one kind (`move.state`) or a family (`move`);
/// `?follow=false` ends after the replay.</summary>
internal sealed class EventEndpoints(EventRing ring, TimeProvider time, IHostApplicationLifetime lifetime)
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
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, subscription.Cut, lifetime.ApplicationStopping);
        try
        {
            await ServerSentEvents.Begin(context);
            Task Pass(Happening happening, CancellationToken cancel) => Wanted(query["kind"], happening.View.Kind)
                ? ServerSentEvents.Write(context, happening.View.Sequence.ToString(CultureInfo.InvariantCulture), happening.View.Kind, JsonSerializer.Serialize(happening.View, ApiJson.Default.EventView), cancel)
                : Task.CompletedTask;
            foreach (var happening in subscription.Replay) await Pass(happening, either.Token);
            if (follow) await ServerSentEvents.Follow(context, subscription.Live, time, Pass, either.Token);
        }
        catch (OperationCanceledException)
        {
            // The client left or was too slow, or the process stops: either way the connection ends.
            context.Abort();
        }
    }

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
