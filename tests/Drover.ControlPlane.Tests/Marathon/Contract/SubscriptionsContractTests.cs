using System.Net;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Events;
using Drover.ControlPlane.Tests.Api;
using Drover.Core.Trust;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>/v2/eventSubscriptions as Marathon had it until 1.4.</summary>
public sealed class SubscriptionsContractTests : IAsyncLifetime
{
    private readonly MarathonServer _server = new();
    private CallbackReceiver _receiver = null!;

    public async ValueTask InitializeAsync()
    {
        await _server.InitializeAsync();
        _receiver = await CallbackReceiver.Start();
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _receiver.DisposeAsync();
    }

    private string Url(string path = "/events") => _receiver.Address + path;

    private Task<Reply> Subscribe(string url) => _server.Post($"/v2/eventSubscriptions?callbackUrl={Uri.EscapeDataString(url)}");

    private Task<Reply> Unsubscribe(string url) => _server.Delete($"/v2/eventSubscriptions?callbackUrl={Uri.EscapeDataString(url)}");

    private async Task<string[]> Listed() => [.. (await _server.Get("/v2/eventSubscriptions"))["callbackUrls"].EnumerateArray().Select(u => u.GetString()!)];

    private static string Suspended(string id) => $$"""{"id":"{{id}}","instances":0,"container":{"type":"DOCKER","docker":{"image":"busybox"} } }""";

    [Fact]
    public async Task A_subscription_is_answered_listed_and_told()
    {
        using var stream = await EventClient.Open(_server.Http, "/v2/events?event_type=subscribe_event");
        await stream.Until("event_stream_attached");
        var reply = await Subscribe(Url());
        Assert.Equal((200, Url(), "127.0.0.1", "subscribe_event"), (reply.Status, reply["callbackUrl"].GetString(), reply["clientIp"].GetString(), reply["eventType"].GetString()));
        Assert.Equal([Url()], await Listed());
        Assert.Equal(Url(), (await stream.Until("subscribe_event")).Data.GetProperty("callbackUrl").GetString());
    }

    [Fact]
    public async Task Events_are_posted_as_the_stream_has_them()
    {
        await Subscribe(Url());
        using var stream = await EventClient.Open(_server.Http, "/v2/events?event_type=api_post_event");
        await stream.Until("event_stream_attached");
        await _server.Post("/v2/apps", Suspended("/posted"));
        Assert.Equal((await stream.Until("api_post_event")).Data.GetRawText(), (await _receiver.Until("api_post_event")).GetRawText());
        Assert.Equal("/posted", (await _receiver.Until("deployment_info")).GetProperty("plan").GetProperty("steps")[0].GetProperty("actions")[0].GetProperty("app").GetString());
    }

    [Fact]
    public async Task Twice_the_same_url_is_one_subscription()
    {
        await Subscribe(Url());
        Assert.Equal(200, (await Subscribe(Url())).Status);
        Assert.Equal([Url()], await Listed());
    }

    [Fact]
    public async Task After_its_deletion_nothing_more_is_posted()
    {
        await using var stays = await CallbackReceiver.Start();
        await Subscribe(Url());
        await Subscribe($"{stays.Address}/stays");
        var reply = await Unsubscribe(Url());
        Assert.Equal((200, "unsubscribe_event", Url()), (reply.Status, reply["eventType"].GetString(), reply["callbackUrl"].GetString()));
        await stays.Until("unsubscribe_event");
        while (_receiver.More) await _receiver.Next();
        await _server.Post("/v2/apps", Suspended("/after"));
        await stays.Until("api_post_event");
        Assert.False(_receiver.More && (await _receiver.Next()).GetProperty("eventType").GetString() == "api_post_event");
        Assert.Equal([$"{stays.Address}/stays"], await Listed());
    }

    [Fact]
    public async Task Deleting_what_is_not_there_is_answered_as_marathon_did()
    {
        Assert.Equal(200, (await Unsubscribe("http://10.0.0.9/none")).Status);
        Assert.Equal(422, (await _server.Delete("/v2/eventSubscriptions")).Status);
    }

    [Fact]
    public async Task A_subscription_outlives_the_control_plane_and_is_told_that_it_is_back()
    {
        await Subscribe(Url());
        await _receiver.Until("subscribe_event");
        await _server.Restart();
        Assert.Equal([Url()], await Listed());
        var back = await _receiver.Until("scheduler_reregistered_event");
        Assert.Equal(["eventType", "master", "timestamp"], back.EnumerateObject().Select(f => f.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task An_event_that_was_not_taken_is_posted_again()
    {
        var refusals = 2;
        _receiver.Answers = context =>
        {
            if (Interlocked.Decrement(ref refusals) >= 0) context.Response.StatusCode = 503;
            return Task.CompletedTask;
        };
        await Subscribe(Url());
        var first = await _receiver.Next();
        Assert.Equal(first.GetRawText(), (await Soon(_receiver.Next())).GetRawText());
        Assert.Equal(first.GetRawText(), (await Soon(_receiver.Next())).GetRawText());
        await _server.Post("/v2/apps", Suspended("/again"));
        Assert.Equal("api_post_event", (await Soon(_receiver.Next())).GetProperty("eventType").GetString());
    }

    [Fact]
    public async Task After_all_tries_what_has_gathered_is_dropped_which_is_said()
    {
        _receiver.Answers = context =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        };
        using var own = await EventClient.Open(_server.Http, "/api/v1/events?kind=callback");
        await Subscribe(Url());
        var told = await Soon(own.Until("callback.dropped"));
        Assert.Equal(Url(), told.Data.GetProperty("subject").GetString());
        Assert.Contains($"{EventCallbacks.Pauses.Count + 1} tries failed, the last one since it answered 500", told.Data.GetProperty("text").GetString(), StringComparison.Ordinal);
        // It is still subscribed, and gets the next.
        _receiver.Answers = _ => Task.CompletedTask;
        Assert.Equal([Url()], await Listed());
        await _server.Post("/v2/apps", Suspended("/later"));
        await Soon(_receiver.Until("api_post_event"));
    }

    [Fact]
    public async Task A_receiver_that_does_not_answer_is_not_waited_for_for_ever()
    {
        var hang = new TaskCompletionSource();
        var asked = 0;
        _receiver.Answers = context => Interlocked.Increment(ref asked) == 1 ? hang.Task.WaitAsync(context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default) : Task.CompletedTask;
        await Subscribe(Url());
        var first = await _receiver.Next();
        Assert.Equal(first.GetRawText(), (await Soon(_receiver.Next())).GetRawText());
        hang.SetResult();
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        await using var elsewhere = await CallbackReceiver.Start();
        _receiver.Answers = context =>
        {
            (context.Response.StatusCode, context.Response.Headers.Location) = (307, elsewhere.Address);
            return Task.CompletedTask;
        };
        await Subscribe(Url());
        var first = await _receiver.Next();
        // It counts as not taken: posted here again, not there.
        Assert.Equal(first.GetRawText(), (await Soon(_receiver.Next())).GetRawText());
        Assert.False(elsewhere.More);
    }

    [Theory]
    [InlineData("", "callbackUrl is missing")]
    [InlineData("events", "absolute http or https URL")]
    [InlineData("ftp://10.0.0.9/", "absolute http or https URL")]
    [InlineData("file:///etc/passwd", "absolute http or https URL")]
    [InlineData("http://ann:secret@10.0.0.9/", "no user and password")]
    [InlineData("http://10.0.0.9/#there", "no fragment")]
    [InlineData("http://169.254.169.254/latest/meta-data", "link-local")]
    [InlineData("http://[fe80::1]/", "link-local")]
    [InlineData("http://[::ffff:169.254.169.254]/", "link-local")]
    [InlineData("http://0.0.0.0:8080/", "reserved")]
    [InlineData("http://224.0.0.1/", "multicast")]
    public async Task What_is_no_place_for_events_is_refused(string url, string why)
    {
        var reply = await Subscribe(url);
        Assert.Equal(422, reply.Status);
        Assert.Contains(why, reply.Message, StringComparison.Ordinal);
        Assert.Empty(await Listed());
    }

    [Fact]
    public async Task There_are_at_most_a_hundred()
    {
        for (var i = 0; i < CallbackRules.MaxCallbacks; i++) Assert.Equal(200, (await Subscribe($"http://192.0.2.1:{9000 + i}/")).Status);
        var reply = await Subscribe(Url());
        Assert.Equal(422, reply.Status);
        Assert.Contains("delete one first", reply.Message, StringComparison.Ordinal);
        await Unsubscribe("http://192.0.2.1:9000/");
        Assert.Equal(200, (await Subscribe(Url())).Status);
    }

    [Fact]
    public void The_loopback_is_no_place_where_the_api_is_reached_from_elsewhere()
    {
        Assert.Contains("loopback", CallbackRules.Refusal("http://127.0.0.1:8000/", loopback: false), StringComparison.Ordinal);
        Assert.Contains("loopback", CallbackRules.Refusal("http://localhost:8000/", loopback: false), StringComparison.Ordinal);
        Assert.NotNull(CallbackRules.AddressRefusal(IPAddress.IPv6Loopback, loopback: false));
        Assert.NotNull(CallbackRules.AddressRefusal(IPAddress.Parse("::ffff:127.0.0.1"), loopback: false));
        Assert.Null(CallbackRules.Refusal("http://localhost:8000/", loopback: true));
        Assert.Null(CallbackRules.Refusal("https://hooks.example.org/drover?key=1", loopback: false));
    }

    [Fact]
    public void Only_admins_subscribe()
    {
        Assert.Equal(ApiRole.Admin, RouteTable.Least("POST", "/v2/eventSubscriptions"));
        Assert.Equal(ApiRole.Admin, RouteTable.Least("DELETE", "/v2//eventSubscriptions/"));
        Assert.Equal(ApiRole.Viewer, RouteTable.Least("GET", "/v2/eventSubscriptions"));
    }

    /// <summary>Puts the clock forward until this has come.</summary>
    private async Task<T> Soon<T>(Task<T> coming)
    {
        while (!coming.IsCompleted) await _server.Advance(TimeSpan.FromSeconds(1));
        return await coming;
    }
}
