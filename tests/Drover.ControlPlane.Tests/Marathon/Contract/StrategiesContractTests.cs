using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>upgradeStrategy, unreachableStrategy, killSelection, the grace of a stop and the backoff, as clients of Marathon set them and meet them.</summary>
public sealed class StrategiesContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private const string WithVolume = """{"type":"DOCKER","docker":{"image":"busybox"},"volumes":[{"containerPath":"/d","mode":"RW","hostPath":"/flocker/NAME"}]}""";

    private static string App(string id, string more = "", string container = """{"type":"DOCKER","docker":{"image":"busybox"} }""") => $$"""{"id":"{{id}}","cpus":0.1,"mem":32,"container":{{container}}{{more}} }""";

    private static string Resident(string id, string more = "") => App(id, more, WithVolume.Replace("NAME", id.TrimStart('/'), StringComparison.Ordinal));

    private async Task<JsonElement> Created(string body)
    {
        var reply = await server.Post("/v2/apps", body);
        Assert.True(reply.Status == 201, reply.Text);
        return reply.Json;
    }

    [Theory]
    [InlineData("", 1, 1)]
    [InlineData(""","upgradeStrategy":{}""", 1, 1)]
    [InlineData(""","upgradeStrategy":{"minimumHealthCapacity":0.5}""", 0.5, 1)]
    [InlineData(""","upgradeStrategy":{"maximumOverCapacity":0.25}""", 1, 0.25)]
    [InlineData(""","labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"}""", 0, 0)]
    public async Task An_upgrade_strategy_is_taken_with_Marathons_defaults(string more, double least, double over)
    {
        var strategy = (await Created(App(server.NewId(), more))).GetProperty("upgradeStrategy");
        Assert.Equal((least, over), (strategy.GetProperty("minimumHealthCapacity").GetDouble(), strategy.GetProperty("maximumOverCapacity").GetDouble()));
    }

    [Fact]
    public async Task An_app_with_a_volume_has_the_defaults_of_a_resident_app()
    {
        var app = await Created(Resident(server.NewId()));
        Assert.Equal((0.5, 0d), (app.GetProperty("upgradeStrategy").GetProperty("minimumHealthCapacity").GetDouble(), app.GetProperty("upgradeStrategy").GetProperty("maximumOverCapacity").GetDouble()));
        Assert.Equal("disabled", app.GetProperty("unreachableStrategy").GetString());
    }

    [Theory]
    [InlineData("", 0, 0)]
    [InlineData(""","unreachableStrategy":{"inactiveAfterSeconds":60,"expungeAfterSeconds":120}""", 60, 120)]
    [InlineData(""","unreachableStrategy":{"inactiveAfterSeconds":60}""", 60, 60)]
    public async Task An_unreachable_strategy_is_taken_with_its_defaults(string more, int inactive, int expunge)
    {
        var strategy = (await Created(App(server.NewId(), more))).GetProperty("unreachableStrategy");
        Assert.Equal((inactive, expunge), (strategy.GetProperty("inactiveAfterSeconds").GetInt32(), strategy.GetProperty("expungeAfterSeconds").GetInt32()));
    }

    [Fact]
    public async Task Waiting_for_ever_is_told_as_disabled() =>
        Assert.Equal("disabled", (await Created(App(server.NewId(), ""","unreachableStrategy":"disabled" """))).GetProperty("unreachableStrategy").GetString());

    [Fact]
    public async Task Backoff_kill_selection_and_grace_have_Marathons_defaults()
    {
        var app = await Created(App(server.NewId()));
        Assert.Equal((1d, 1.15, 300d), (app.GetProperty("backoffSeconds").GetDouble(), app.GetProperty("backoffFactor").GetDouble(), app.GetProperty("maxLaunchDelaySeconds").GetDouble()));
        Assert.Equal("YOUNGEST_FIRST", app.GetProperty("killSelection").GetString());
        Assert.False(app.TryGetProperty("taskKillGracePeriodSeconds", out _));
    }

    [Theory]
    [InlineData("\"upgradeStrategy\":{\"minimumHealthCapacity\":1.1}", "/upgradeStrategy/minimumHealthCapacity")]
    [InlineData("\"upgradeStrategy\":{\"minimumHealthCapacity\":-0.1}", "/upgradeStrategy/minimumHealthCapacity")]
    [InlineData("\"upgradeStrategy\":{\"maximumOverCapacity\":2}", "/upgradeStrategy/maximumOverCapacity")]
    [InlineData("\"unreachableStrategy\":{\"inactiveAfterSeconds\":-1}", "/unreachableStrategy/inactiveAfterSeconds")]
    [InlineData("\"unreachableStrategy\":{\"inactiveAfterSeconds\":60,\"expungeAfterSeconds\":59}", "/unreachableStrategy/expungeAfterSeconds")]
    [InlineData("\"unreachableStrategy\":\"never\"", "/unreachableStrategy")]
    [InlineData("\"backoffFactor\":0.9", "/backoffFactor")]
    [InlineData("\"backoffSeconds\":-1", "/backoffSeconds")]
    [InlineData("\"backoffSeconds\":10,\"maxLaunchDelaySeconds\":5", "/backoffSeconds")]
    [InlineData("\"maxLaunchDelaySeconds\":-1", "/maxLaunchDelaySeconds")]
    [InlineData("\"killSelection\":\"RANDOM\"", "/killSelection")]
    [InlineData("\"taskKillGracePeriodSeconds\":-1", "/taskKillGracePeriodSeconds")]
    public async Task What_cannot_be_is_refused_by_its_field_and_no_app_is_made(string field, string path)
    {
        var id = server.NewId();
        Assert.NotEmpty((await server.Post("/v2/apps", App(id, "," + field))).Refused(path));
        Assert.Equal(404, (await server.Get($"/v2/apps{id}")).Status);
    }

    [Theory]
    [InlineData("upgradeStrategy", "\"fast\"")]
    [InlineData("backoffFactor", "[]")]
    [InlineData("killSelection", "7")]
    public async Task A_wrong_type_is_told_as_such(string field, string value)
    {
        var reply = await server.Post("/v2/apps", App(server.NewId(), $",\"{field}\":{value}"));
        Assert.Equal((422, "Invalid JSON", $"/{field}"), (reply.Status, reply.Message, reply.Details[0].Path));
    }

    [Theory]
    [InlineData("", 10_000)]
    [InlineData(""","taskKillGracePeriodSeconds":42""", 42_000)]
    [InlineData(""","taskKillGracePeriodSeconds":0""", 0)]
    public async Task A_stop_has_the_grace_the_app_asks_for(string more, int milliseconds)
    {
        var id = server.NewId();
        await server.Deployed(server.Post("/v2/apps", App(id, more)));
        Assert.Equal(milliseconds, server.Agents.SelectMany(a => a.Ordered).Single(i => i.AppId == id).StopGraceMs);
    }

    [Theory]
    [InlineData("YOUNGEST_FIRST")]
    [InlineData("OLDEST_FIRST")]
    public async Task Scaling_down_takes_copies_in_the_order_asked_for(string selection)
    {
        var id = server.NewId();
        await server.Deployed(server.Post("/v2/apps", App(id, $$""","killSelection":"{{selection}}" """)));
        var first = server.State.InstancesOf(new AppId(id)).Single().Id;
        await server.Advance(TimeSpan.FromSeconds(4));
        await server.Deployed(server.Put($"/v2/apps{id}", """{"instances":2}"""));
        await server.Deployed(server.Put($"/v2/apps{id}", """{"instances":1}"""));
        Assert.Equal(selection == "YOUNGEST_FIRST", server.State.InstancesOf(new AppId(id)).Single().Id == first);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_upgrade_that_never_serves_keeps_as_many_old_copies_as_asked_for_and_can_be_rolled_back(bool byVersion)
    {
        var id = server.NewId();
        var checks = ""","instances":4,"upgradeStrategy":{"minimumHealthCapacity":0.75,"maximumOverCapacity":0},"healthChecks":[{"protocol":"TCP","port":80}]""";
        await server.Deployed(server.Post("/v2/apps", App(id, checks)));
        var good = (await server.Get($"/v2/apps{id}"))["app"].GetProperty("version").GetString();
        var old = server.State.InstancesOf(new AppId(id)).Select(i => i.Id).ToHashSet();
        server.PlaysNext(id, Play.Unhealthy);
        var bad = await server.Put($"/v2/apps{id}", """{"env":{"A":"1"} }""");
        Assert.Equal(200, bad.Status);
        var state = await server.Until(s => s.InstancesOf(new AppId(id)).Any(i => !old.Contains(i.Id) && i.Healthy == false), "a new copy that is unwell");
        Assert.Equal((3, 1), (state.InstancesOf(new AppId(id)).Count(i => old.Contains(i.Id) && i.Serves), state.InstancesOf(new AppId(id)).Count(i => !old.Contains(i.Id))));
        Assert.Contains("connection refused", (await server.Until("/v2/deployments", r => r.Text.Contains("connection refused", StringComparison.Ordinal), "why it waits")).Text, StringComparison.Ordinal);
        server.PlaysNext(id, Play.Healthy);
        await server.Deployed(byVersion ? server.Put($"/v2/apps{id}?force=true", $$"""{"version":"{{good}}"}""") : server.Delete($"/v2/deployments/{bad.Header("Marathon-Deployment-Id")}"));
        Assert.Equal(4, server.State.InstancesOf(new AppId(id)).Count(i => i.Serves && i.Spec.Env.Count == 0));
    }

    [Fact]
    public async Task A_command_that_never_comes_up_says_so_in_the_queue_and_the_deployment_and_is_not_tried_without_end_in_silence()
    {
        var id = server.NewId();
        await server.Plays(id, Play.Failing);
        await Created(App(id, ""","backoffSeconds":1,"backoffFactor":2,"maxLaunchDelaySeconds":60"""));
        for (var failure = 1; failure <= 3; failure++)
        {
            var at = failure;
            await server.Until(s => s.Apps[new AppId(id)].Delay is { } delay && delay.Failures == at && s.InstancesOf(new AppId(id)).All(i => i.Node is null), $"failure {at}");
            if (failure < 3) await server.Advance(TimeSpan.FromSeconds(Math.Pow(2, failure - 1)) + TimeSpan.FromMilliseconds(1));
        }
        var shown = await server.Until("/v2/queue", r => Item(r, id) is { } item && item.TryGetProperty("waitsFor", out var w) && w.GetString()!.Contains("failed 3 times in a row", StringComparison.Ordinal), "the reason");
        var queued = Item(shown, id)!.Value;
        Assert.Equal((false, 4), (queued.GetProperty("delay").GetProperty("overdue").GetBoolean(), queued.GetProperty("delay").GetProperty("timeLeftSeconds").GetInt32()));
        Assert.Contains("exit code 3", queued.GetProperty("waitsFor").GetString(), StringComparison.Ordinal);
        Assert.Contains($"DELETE /v2/queue{id}/delay", queued.GetProperty("waitsFor").GetString(), StringComparison.Ordinal);
        await server.Until("/v2/deployments", r => r.Text.Contains("failed 3 times in a row", StringComparison.Ordinal), "the deployment says so");
        var failure3 = (await server.Get($"/v2/apps{id}"))["app"].GetProperty("lastTaskFailure");
        Assert.Equal(("TASK_FAILED", "its process ended with exit code 3"), (failure3.GetProperty("state").GetString(), failure3.GetProperty("message").GetString()));
    }

    [Fact]
    public async Task The_delay_is_kept_over_scaling_dropped_by_a_new_configuration_and_dropped_on_request()
    {
        var id = server.NewId();
        await server.Plays(id, Play.Failing);
        await Created(App(id, ""","backoffSeconds":50,"maxLaunchDelaySeconds":60"""));
        await server.Until(s => s.Apps[new AppId(id)].Delay is not null, "a failure");
        var delay = server.State.Apps[new AppId(id)].Delay;
        Assert.Equal(200, (await server.Put($"/v2/apps{id}?force=true", """{"instances":2}""")).Status);
        Assert.Equal(delay, server.State.Apps[new AppId(id)].Delay);
        server.PlaysNext(id, Play.Healthy);
        Assert.Equal(204, (await server.Delete($"/v2/queue{id}/delay")).Status);
        await server.Until($"/v2/apps{id}", r => r["app"].GetProperty("tasksRunning").GetInt32() == 2, "both run at once");
        await server.Until(s => s.DeploymentOf(new AppId(id)) is null, "the end of the scaling");
        await server.Plays(id, Play.Failing);
        await server.Until(s => s.Apps[new AppId(id)].Delay is not null && s.DeploymentOf(new AppId(id)) is null, "a failure anew");
        server.PlaysNext(id, Play.Healthy);
        await server.Deployed(server.Put($"/v2/apps{id}", """{"cmd":"better one"}"""));
        Assert.Null(server.State.Apps[new AppId(id)].Delay);
    }

    [Fact]
    public async Task A_killed_copy_is_replaced_without_a_delay()
    {
        var id = server.NewId();
        await server.Deployed(server.Post("/v2/apps", App(id)));
        var task = (await server.Get($"/v2/apps{id}"))["app"].GetProperty("tasks")[0].GetProperty("id").GetString();
        Assert.Equal(200, (await server.Delete($"/v2/apps{id}/tasks/{task}")).Status);
        await server.Until(s => s.InstancesOf(new AppId(id)).ToList() is [{ Runs: true } copy] && copy.Task.Value != task, "another in its place");
        Assert.Null(server.State.Apps[new AppId(id)].Delay);
    }

    [Fact]
    public async Task A_copy_that_does_not_go_is_shown_as_being_killed_until_its_node_says_that_it_is_gone()
    {
        var id = server.NewId();
        await server.Deployed(server.Post("/v2/apps", App(id)));
        var task = (await server.Get($"/v2/apps{id}"))["app"].GetProperty("tasks")[0].GetProperty("id").GetString();
        server.PlaysNext(id, Play.Clinging);
        Assert.Equal(200, (await server.Put($"/v2/apps{id}", """{"instances":0}""")).Status);
        await server.Until($"/v2/apps{id}/tasks", r => r["tasks"].EnumerateArray().Any(t => t.GetProperty("state").GetString() == "TASK_KILLING"), "it is being killed");
        await server.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(task, Assert.Single((await server.Get($"/v2/apps{id}/tasks"))["tasks"].EnumerateArray()).GetProperty("id").GetString());
        Assert.Contains(id, (await server.Get("/v2/deployments")).Text, StringComparison.Ordinal);
        await server.Plays(id, Play.Healthy);
        await server.Until(s => !s.InstancesOf(new AppId(id)).Any() && s.DeploymentOf(new AppId(id)) is null, "it is gone, and the deployment has ended");
    }

    private static JsonElement? Item(Reply queue, string id)
    {
        foreach (var item in queue["queue"].EnumerateArray()) if (item.GetProperty("app").GetProperty("id").GetString() == id) return item;
        return null;
    }
}
