using System.Text.Json;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Tests.Api;
using Drover.Core;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>/v2/queue: what waits, and why.</summary>
public sealed class QueueContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private static string App(string id, string more = "") => $$"""{"id":"{{id}}","cpus":0.1,"mem":32,"container":{"type":"DOCKER","docker":{"image":"busybox"} }{{more}} }""";

    /// <summary>The app's entry, once it is there and says this.</summary>
    private async Task<JsonElement> Item(string id, Func<JsonElement, bool>? condition = null, string query = "")
    {
        var reply = await server.Until($"/v2/queue{query}", r => Find(r, id) is { } found && (condition?.Invoke(found) ?? true), $"{id} in the queue");
        return Find(reply, id)!.Value;
    }

    private static JsonElement? Find(Reply reply, string id) => reply["queue"].EnumerateArray().Where(i => i.GetProperty("app").GetProperty("id").GetString() == id).Select(i => (JsonElement?)i).SingleOrDefault();

    private static JsonElement Reason(JsonElement item) => item.GetProperty("reasons")[0];

    private static (int Declined, int Processed) Stage(JsonElement item, string reason, string summary = "rejectSummaryLastOffers")
    {
        var stage = item.GetProperty("processedOffersSummary").GetProperty(summary).EnumerateArray().Single(s => s.GetProperty("reason").GetString() == reason);
        return (stage.GetProperty("declined").GetInt32(), stage.GetProperty("processed").GetInt32());
    }

    private async Task<JsonElement> Waiting(string id, string kind)
    {
        static JsonElement? Of(Reply reply, string id, string kind) => reply["waiting"].EnumerateArray().Where(w => w.GetProperty("app").GetString() == id && w.GetProperty("kind").GetString() == kind).Select(w => (JsonElement?)w).FirstOrDefault();
        return Of(await server.Until("/v2/queue", r => Of(r, id, kind) is not null, $"{id} waits for {kind}"), id, kind)!.Value;
    }

    [Fact]
    public async Task What_runs_or_is_suspended_is_not_in_the_queue()
    {
        var (runs, rests) = (server.NewId(), server.NewId());
        await server.Deployed(server.Post("/v2/apps", App(runs)));
        await server.Deployed(server.Post("/v2/apps", App(rests, ""","instances":0""")));
        var queue = await server.Get("/v2/queue");
        Assert.Null(Find(queue, runs));
        Assert.Null(Find(queue, rests));
    }

    [Fact]
    public async Task An_entry_has_marathons_fields()
    {
        var id = server.NewId();
        await server.Post("/v2/apps", App(id, ""","instances":3,"mem":999999"""));
        var item = await Item(id, i => i.GetProperty("count").GetInt32() == 3);
        Assert.Equal((id, 3, "*"), (item.GetProperty("app").GetProperty("id").GetString(), item.GetProperty("count").GetInt32(), item.GetProperty("role").GetString()));
        Assert.Equal((0, true), (item.GetProperty("delay").GetProperty("timeLeftSeconds").GetInt32(), item.GetProperty("delay").GetProperty("overdue").GetBoolean()));
        Assert.Matches(@"^\d{4}-.*Z$", item.GetProperty("since").GetString()!);
        var summary = item.GetProperty("processedOffersSummary");
        Assert.Equal((3, 3), (summary.GetProperty("processedOffersCount").GetInt32(), summary.GetProperty("unusedOffersCount").GetInt32()));
        Assert.True(summary.TryGetProperty("lastUnusedOfferAt", out _));
        Assert.False(item.TryGetProperty("lastUnusedOffers", out _));
        await server.Delete($"/v2/apps{id}");
    }

    [Fact]
    public async Task Offers_pass_a_funnel_in_which_each_counts_once()
    {
        var id = server.NewId();
        // node1 fails the constraint; of the two others both lack memory, and cpus, which is looked at first.
        await server.Post("/v2/apps", App(id, ""","mem":999999,"cpus":1000,"constraints":[["disk","CLUSTER","ssd"]]"""));
        var item = await Item(id);
        foreach (var summary in new[] { "rejectSummaryLastOffers", "rejectSummaryLaunchAttempt" })
        {
            Assert.Equal(["UnfulfilledRole", "UnfulfilledConstraint", "NoCorrespondingReservationFound", "AgentMaintenance", "InsufficientCpus", "InsufficientMemory", "InsufficientDisk", "InsufficientGpus", "InsufficientPorts", "DeclinedScarceResources"],
                item.GetProperty("processedOffersSummary").GetProperty(summary).EnumerateArray().Select(s => s.GetProperty("reason").GetString()));
            Assert.Equal((0, 3), Stage(item, "UnfulfilledRole", summary));
            Assert.Equal((1, 3), Stage(item, "UnfulfilledConstraint", summary));
            Assert.Equal((2, 2), Stage(item, "InsufficientCpus", summary));
            Assert.Equal((0, 0), Stage(item, "InsufficientMemory", summary));
        }
        await server.Delete($"/v2/apps{id}");
    }

    [Theory]
    [InlineData(""","mem":999999""", "InsufficientMemory", "resources")]
    [InlineData(""","cpus":1000""", "InsufficientCpus", "resources")]
    [InlineData(""","disk":99999999""", "InsufficientDisk", "resources")]
    [InlineData(""","constraints":[["rack","CLUSTER","z"]]""", "UnfulfilledConstraint", "constraint")]
    [InlineData(""","requirePorts":true,"portDefinitions":[{"port":9}]""", "InsufficientPorts", "resources")]
    public async Task Each_refusal_has_marathons_name_and_our_words(string more, string name, string kind)
    {
        var id = server.NewId();
        await server.Post("/v2/apps", App(id, more));
        var item = await Item(id);
        Assert.Equal(3, Stage(item, name).Declined);
        Assert.Equal(kind, Reason(item).GetProperty("kind").GetString());
        Assert.Equal(["node1", "node2", "node3"], Reason(item).GetProperty("nodes").EnumerateArray().Select(n => n.GetProperty("node").GetString()!));
        Assert.All(Reason(item).GetProperty("nodes").EnumerateArray(), n => Assert.NotEmpty(n.GetProperty("reasons")[0].GetString()!));
        await server.Delete($"/v2/apps{id}");
    }

    [Fact]
    public async Task Offers_that_were_not_used_are_shown_when_asked_for()
    {
        var id = server.NewId();
        await server.Post("/v2/apps", App(id, ""","mem":999999"""));
        var offers = (await Item(id, query: "?embed=lastUnusedOffers")).GetProperty("lastUnusedOffers").EnumerateArray().ToList();
        Assert.Equal(["node1", "node2", "node3"], offers.Select(o => o.GetProperty("offer").GetProperty("agentId").GetString()!).Order());
        var offer = offers[0].GetProperty("offer");
        Assert.Equal($"{offer.GetProperty("agentId").GetString()}.lab", offer.GetProperty("hostname").GetString());
        Assert.Equal(["cpus", "mem", "disk", "gpus", "ports"], offer.GetProperty("resources").EnumerateArray().Select(r => r.GetProperty("name").GetString()!));
        Assert.Contains(offer.GetProperty("attributes").EnumerateArray(), a => a.GetProperty("name").GetString() == "disk");
        Assert.Equal("InsufficientMemory", offers[0].GetProperty("reason")[0].GetString());
        Assert.Contains("MiB of memory", offers[0].GetProperty("reasons")[0].GetString(), StringComparison.Ordinal);
        await server.Delete($"/v2/apps{id}");
    }

    [Fact]
    public async Task A_backoff_says_how_long_it_holds_and_can_be_ended()
    {
        var id = server.NewId();
        await server.Plays(id, Play.Failing);
        await server.Post("/v2/apps", App(id, ""","backoffSeconds":40"""));
        var item = await Item(id, i => !i.GetProperty("delay").GetProperty("overdue").GetBoolean());
        Assert.InRange(item.GetProperty("delay").GetProperty("timeLeftSeconds").GetInt32(), 1, 40);
        Assert.Equal("backoff", Reason(item).GetProperty("kind").GetString());
        Assert.InRange(Reason(item).GetProperty("timeLeftSeconds").GetInt32(), 1, 40);
        Assert.Contains("exit code 3", Reason(item).GetProperty("text").GetString(), StringComparison.Ordinal);
        await server.Plays(id, Play.Healthy);
        var ended = await server.Delete($"/v2/queue{id}/delay");
        Assert.Equal((204, ""), (ended.Status, ended.Text));
        await server.Until($"/v2/apps{id}", r => r["app"].GetProperty("tasksRunning").GetInt32() == 1, "it runs");
    }

    [Theory]
    [InlineData("/none")]
    [InlineData("/shop/none")]
    public async Task A_delay_of_what_is_not_queued_is_404(string id)
    {
        var reply = await server.Delete($"/v2/queue{id}/delay");
        Assert.Equal((404, $"Application {id} not found in tasks queue."), (reply.Status, reply.Message));
    }

    [Fact]
    public async Task A_delay_of_an_app_that_runs_is_404()
    {
        var id = server.NewId();
        await server.Deployed(server.Post("/v2/apps", App(id)));
        Assert.Equal(404, (await server.Delete($"/v2/queue{id}/delay")).Status);
    }

    [Fact]
    public async Task A_deployment_that_holds_an_app_is_among_the_reasons()
    {
        var id = server.NewId();
        var deployment = (await server.Post("/v2/apps", App(id, ""","mem":999999"""))).Header("Marathon-Deployment-Id");
        var item = await Item(id, i => i.GetProperty("reasons").GetArrayLength() == 2);
        var held = item.GetProperty("reasons")[1];
        Assert.Equal("deployment", held.GetProperty("kind").GetString());
        Assert.Contains(deployment!, held.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Equal(deployment, (await Waiting(id, "deployment")).GetProperty("id").GetString());
        await server.Delete($"/v2/apps{id}");
    }

    [Theory]
    [InlineData(InstanceCondition.Pulling, "", "pull", "to pull the image busybox")]
    [InlineData(InstanceCondition.Waiting, "volume 'x': its lease has run out", "lease", "lease")]
    [InlineData(InstanceCondition.Waiting, "volume 'x': live data is of epoch 1", "data", "live data")]
    [InlineData(InstanceCondition.Creating, "", "container", "to make its container")]
    public async Task A_copy_that_has_a_place_says_what_it_waits_for_there(InstanceCondition condition, string message, string kind, string words)
    {
        var id = server.NewId();
        await server.Plays(id, Play.Staging);
        await server.Post("/v2/apps", App(id));
        var state = await server.Until(s => s.InstancesOf(new AppId(id)).Any(i => i.ContainerId is not null), "its place, and what its node says of it by itself");
        var copy = state.InstancesOf(new AppId(id)).Single();
        await server.Agents.Single(a => a.Node == copy.Node).Say(new FromAgent { Instance = new InstanceObserved { InstanceId = copy.Id.Value, TaskId = copy.Task.Value, AppId = id, Condition = condition, Message = message } });
        var waiting = await Waiting(id, kind);
        Assert.Contains(words, waiting.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Equal(copy.Node!.Value.Value, waiting.GetProperty("node").GetString());
        await server.Delete($"/v2/apps{id}");
    }

    [Fact]
    public async Task A_copy_that_runs_and_is_not_healthy_says_so()
    {
        var id = server.NewId();
        await server.Plays(id, Play.Unhealthy);
        await server.Post("/v2/apps", App(id, ""","healthChecks":[{"protocol":"COMMAND","command":{"value":"true"}}]"""));
        Assert.Contains("connection refused", (await Waiting(id, "health")).GetProperty("text").GetString(), StringComparison.Ordinal);
        await server.Delete($"/v2/apps{id}");
    }

    /// <summary>Complaint 1090: which offers were refused, and why, was nowhere to be seen.</summary>
    [Fact]
    public async Task Complaint_1090_refused_offers_and_their_reasons_are_shown_node_by_node_with_figures()
    {
        var id = server.NewId();
        await server.Post("/v2/apps", App(id, ""","mem":70000,"constraints":[["disk","CLUSTER","ssd"]]"""));
        var nodes = Reason(await Item(id)).GetProperty("nodes").EnumerateArray().ToDictionary(n => n.GetProperty("node").GetString()!, n => string.Join("; ", n.GetProperty("reasons").EnumerateArray().Select(r => r.GetString())));
        Assert.Contains("needs 70000 MiB of memory, 65", nodes["node2"], StringComparison.Ordinal);
        Assert.Contains("[disk, CLUSTER, ssd] not met", nodes["node1"], StringComparison.Ordinal);
        await server.Until("/api/v1/status", r => r["waiting"].EnumerateArray().Any(w => w.GetProperty("app").GetString() == id && w.GetProperty("nodes").GetArrayLength() == 3), "the same in the status");
        await server.Delete($"/v2/apps{id}");
    }

    /// <summary>Complaint 5296: the queue never said that a launch was held back by its rate.</summary>
    [Fact]
    public async Task Complaint_5296_a_launch_that_is_held_back_says_for_how_long_and_listeners_hear_when_the_reason_changes()
    {
        var id = server.NewId();
        await server.Plays(id, Play.Failing);
        using var events = await EventClient.Open(server.Http, "/api/v1/events?kind=instance.waits");
        await server.Post("/v2/apps", App(id, ""","backoffSeconds":30"""));
        Assert.Equal("backoff", Reason(await Item(id, i => Reason(i).GetProperty("kind").GetString() == "backoff")).GetProperty("kind").GetString());
        while ((await events.Until("instance.waits")).Data is var told && !(told.GetProperty("app").GetString() == id && told.GetProperty("text").GetString()!.Contains("its backoff", StringComparison.Ordinal))) { }
        await server.Delete($"/v2/apps{id}");
    }
}
