using System.Net;
using Drover.ControlPlane.Events;

namespace Drover.ControlPlane.Marathon;

/// <summary>/v2/eventSubscriptions, as Marathon had it until 1.4: events are posted to the URLs that were given.</summary>
internal sealed class EventSubscriptions(CallbackBook book, EventCallbacks callbacks, EventRing ring, TimeProvider time, ControlPlaneOptions? options)
{
    private readonly bool _loopback = options is null || IPAddress.IsLoopback(options.Http.Address);

    public async Task<Answer> List(HttpContext context)
    {
        var all = await book.All(context.RequestAborted);
        return Answer.Json(200, json =>
        {
            json.WriteStartArray("callbackUrls");
            foreach (var callback in all) json.WriteStringValue(callback.Url);
            json.WriteEndArray();
        });
    }

    public async Task<Answer> Add(HttpContext context)
    {
        var url = context.Request.Query["callbackUrl"].ToString();
        if (CallbackRules.Refusal(url, _loopback) is { } refused) return Answer.Message(422, refused);
        var by = RequestOrigin.AddressOf(context);
        if (!await book.Add(new(url, by, time.GetUtcNow()), context.RequestAborted)) return Answer.Message(422, $"there are {CallbackRules.MaxCallbacks} subscriptions already: delete one first");
        await callbacks.Arrange(context.RequestAborted);
        return Told(url, by, ends: false);
    }

    /// <summary>One that is not there is answered the same, as Marathon did: afterwards it is not there.</summary>
    public async Task<Answer> Remove(HttpContext context)
    {
        var url = context.Request.Query["callbackUrl"].ToString();
        if (url.Length == 0) return Answer.Message(422, "callbackUrl is missing: say which subscription is to end; GET lists them");
        await book.Remove(url, context.RequestAborted);
        var told = Told(url, RequestOrigin.AddressOf(context), ends: true);
        await callbacks.Arrange(context.RequestAborted);
        return told;
    }

    private Answer Told(string url, string by, bool ends)
    {
        var named = MarathonEvents.Subscribed(by, url, ends, time.GetUtcNow());
        ring.Put(sequence => new(new(sequence, time.GetUtcNow(), ends ? "callback.removed" : "callback.added", url, $"events are {(ends ? "no longer " : "")}posted to {url}", null, null, null, null, null, null, null), [named]));
        return new Answer(200, System.Text.Encoding.UTF8.GetString(named.Data.Span));
    }
}
