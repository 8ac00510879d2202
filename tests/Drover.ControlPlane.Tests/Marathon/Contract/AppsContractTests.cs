using System.Text.Json;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>/v2/apps and /v2/apps/{id} as clients of Marathon meet them.</summary>
public sealed class AppsContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private async Task<string> Running(string name = "app", string more = "", Play play = Play.Healthy)
    {
        var id = server.NewId(name);
        await server.Plays(id, play);
        await server.Deployed(server.Post("/v2/apps", AppBodies.Bridged(id, more)));
        return id;
    }

    private static IEnumerable<string> Ids(JsonElement apps) => apps.EnumerateArray().Select(a => a.GetProperty("id").GetString()!);

    // ---- creating ----

    [Fact]
    public async Task A_created_app_is_answered_whole_with_its_place_and_its_deployment()
    {
        var id = server.NewId();
        var reply = await server.Post("/v2/apps", AppBodies.Minimal(id));
        Assert.Equal(201, reply.Status);
        Assert.EndsWith(id, reply.Header("Location"), StringComparison.Ordinal);
        Assert.Equal((id, 1, 0.1, 32d), (reply["id"].GetString(), reply["instances"].GetInt32(), reply["cpus"].GetDouble(), reply["mem"].GetDouble()));
        Assert.Equal((0, 0), (reply["tasksRunning"].GetInt32(), reply["tasksHealthy"].GetInt32()));
        Assert.Equal(reply.Header("Marathon-Deployment-Id"), Assert.Single(reply["deployments"].EnumerateArray()).GetProperty("id").GetString());
        Assert.Equal(reply["version"].GetString(), reply["versionInfo"].GetProperty("lastConfigChangeAt").GetString());
        await server.Until($"/v2/apps{id}", r => r["app"].GetProperty("tasksRunning").GetInt32() == 1, "its copy runs");
    }

    [Fact]
    public async Task An_id_without_a_leading_slash_is_one_below_the_root()
    {
        var id = server.NewId("plain");
        Assert.Equal(id, (await server.Post("/v2/apps", AppBodies.Minimal(id[1..], ",\"instances\":0")))["id"].GetString());
        Assert.Equal(id, (await server.Get($"/v2/apps{id}"))["app"].GetProperty("id").GetString());
    }

    [Fact]
    public async Task A_second_app_of_one_id_is_a_conflict_in_marathons_words()
    {
        var id = await Running();
        var reply = await server.Post("/v2/apps", AppBodies.Minimal(id));
        Assert.Equal((409, $"An app with id [{id}] already exists."), (reply.Status, reply.Message));
    }

    [Theory]
    [InlineData("{\"id\":", 400, "Invalid JSON")]
    [InlineData("", 400, "Invalid JSON")]
    [InlineData("\"text\"", 400, "Please specify data in JSON format")]
    [InlineData("{\"id\":17}", 422, "Invalid JSON")]
    [InlineData("{\"cmd\":\"sleep 1\"}", 422, "Invalid JSON")]
    [InlineData("{\"id\":\"/a\",\"cmd\":\"sleep 1\",\"instances\":-1,\"container\":{\"docker\":{\"image\":\"i\"}}}", 422, "Object is not valid")]
    public async Task A_bad_body_has_marathons_code_and_form(string body, int status, string message)
    {
        var reply = await server.Post("/v2/apps", body);
        Assert.Equal((status, message), (reply.Status, reply.Message));
        Assert.Equal(status == 400 ? JsonValueKind.String : JsonValueKind.Array, reply["details"].ValueKind);
    }

    [Fact]
    public async Task A_wrong_type_is_told_with_its_path_and_the_code_clients_know()
    {
        var reply = await server.Post("/v2/apps", """{"id":17,"cpus":"much","env":[],"container":{"docker":{"image":"i"}}}""");
        Assert.Equal([("/cpus", "error.expected.jsnumber"), ("/env", "error.expected.jsobject"), ("/id", "error.expected.jsstring")], reply.Details.Order());
    }

    [Fact]
    public async Task All_faults_of_value_are_told_at_once()
    {
        var reply = await server.Post("/v2/apps", """{"id":"/Bad","cpus":0,"backoffFactor":0.5,"killSelection":"RANDOM","upgradeStrategy":{"minimumHealthCapacity":2},"container":{"docker":{"image":"i"}}}""");
        Assert.Equal((422, "Object is not valid"), (reply.Status, reply.Message));
        Assert.Equal(["/backoffFactor", "/cpus", "/id", "/killSelection", "/upgradeStrategy/minimumHealthCapacity"], reply.Details.Select(d => d.Path).Order());
    }

    // ---- one app ----

    [Fact]
    public async Task One_app_shows_counts_tasks_and_deployments_without_being_asked()
    {
        var id = await Running();
        var reply = await server.Get($"/v2/apps{id}");
        var app = reply["app"];
        Assert.Equal((0, 1, 0, 0), (app.GetProperty("tasksStaged").GetInt32(), app.GetProperty("tasksRunning").GetInt32(), app.GetProperty("tasksHealthy").GetInt32(), app.GetProperty("tasksUnhealthy").GetInt32()));
        Assert.Empty(app.GetProperty("deployments").EnumerateArray());
        Assert.Equal(id, Assert.Single(app.GetProperty("tasks").EnumerateArray()).GetProperty("appId").GetString());
        Assert.False(app.TryGetProperty("lastTaskFailure", out _));
        Assert.False(app.TryGetProperty("taskStats", out _));
        Assert.Equal(["must-revalidate", "no-cache", "no-store"], reply.Header("Cache-Control")!.Split(", ").Order());
        Assert.Equal(("no-cache", "0"), (reply.Header("Pragma"), reply.Header("Expires")));
    }

    [Fact]
    public async Task An_app_that_is_not_there_is_404_in_marathons_words()
    {
        foreach (var method in (string[])["GET", "DELETE"])
        {
            var reply = await server.Send(method, "/v2/apps/shop/none");
            Assert.Equal((404, "App '/shop/none' does not exist"), (reply.Status, reply.Message));
        }
        Assert.Equal(404, (await server.Patch("/v2/apps/shop/none", """{"cpus":1}""")).Status);
    }

    [Theory]
    [InlineData("/v2/apps/")]
    [InlineData("/v2//apps")]
    [InlineData("//v2/apps//")]
    public async Task A_list_is_found_behind_doubled_and_trailing_slashes(string path) => Assert.Equal(JsonValueKind.Array, (await server.Get(path))["apps"].ValueKind);

    [Theory]
    [InlineData("/v2/apps/{0}/{1}")]
    [InlineData("/v2/apps//{0}/{1}")]
    [InlineData("/v2/apps//{0}//{1}/")]
    [InlineData("/v2/apps/%2F{0}%2F{1}")]
    [InlineData("/v2/apps/{0}%2f{1}")]
    public async Task An_app_is_found_however_its_slashes_are_written(string form)
    {
        var id = server.NewId("shop/db");
        Assert.Equal(201, (await server.Post("/v2/apps", AppBodies.Minimal(id, ",\"instances\":0"))).Status);
        var reply = await server.Get(form.Replace("{0}", "shop", StringComparison.Ordinal).Replace("{1}", id["/shop/".Length..], StringComparison.Ordinal));
        Assert.True(reply.Status == 200, reply.Text);
        Assert.Equal(id, reply["app"].GetProperty("id").GetString());
    }

    // ---- embeds ----

    [Theory]
    [InlineData("apps.tasks", "tasks")]
    [InlineData("app.tasks", "tasks")]
    [InlineData("group.apps.tasks", "tasks")]
    [InlineData("tasks", "tasks")]
    [InlineData("apps.taskStats", "taskStats")]
    [InlineData("apps.readiness", "readinessCheckResults")]
    [InlineData("counts", "")]
    [InlineData("deployments", "")]
    [InlineData("other.tasks", "")]
    [InlineData("nonsense", "")]
    public async Task A_list_shows_beside_counts_and_deployments_what_is_asked_for(string embed, string field)
    {
        var id = await Running();
        var app = Assert.Single((await server.Get($"/v2/apps?id={id}&embed={embed}"))["apps"].EnumerateArray(), a => a.GetProperty("id").GetString() == id);
        Assert.Equal((1, JsonValueKind.Array), (app.GetProperty("tasksRunning").GetInt32(), app.GetProperty("deployments").ValueKind));
        foreach (var optional in (string[])["tasks", "taskStats", "readinessCheckResults", "lastTaskFailure"]) Assert.Equal(optional == field, app.TryGetProperty(optional, out _));
    }

    [Fact]
    public async Task A_failure_is_shown_with_its_cause_and_place_to_who_asks()
    {
        var id = server.NewId("broken");
        await server.Plays(id, Play.Failing);
        await server.Post("/v2/apps", AppBodies.Bridged(id));
        var app = (await server.Until($"/v2/apps{id}", r => r["app"].TryGetProperty("lastTaskFailure", out _), "its failure"))["app"];
        var failure = app.GetProperty("lastTaskFailure");
        Assert.Equal((id, "TASK_FAILED", "its process ended with exit code 3"), (failure.GetProperty("appId").GetString(), failure.GetProperty("state").GetString(), failure.GetProperty("message").GetString()));
        Assert.Equal(app.GetProperty("version").GetString(), failure.GetProperty("version").GetString());
        foreach (var field in (string[])["host", "slaveId", "taskId", "timestamp"]) Assert.NotEmpty(failure.GetProperty(field).GetString()!);
        foreach (var (embed, shown) in ((string, bool)[])[("apps.lastTaskFailure", true), ("apps.failures", true), ("apps.tasks", false)])
            Assert.Equal(shown, (await server.Get($"/v2/apps?id={id}&embed={embed}"))["apps"][0].TryGetProperty("lastTaskFailure", out _));
        Assert.True((await server.Get($"/v2/apps?id={id}&embed=apps.failures"))["apps"][0].TryGetProperty("tasks", out _));
    }

    [Fact]
    public async Task Counts_are_of_staged_running_healthy_and_unhealthy()
    {
        const string Checked = ",\"healthChecks\":[{\"protocol\":\"TCP\",\"portIndex\":0}]";
        var healthy = await Running("healthy", Checked);
        Assert.Equal("0 1 1 0", Counts((await server.Get($"/v2/apps{healthy}"))["app"]));
        await server.Plays(healthy, Play.Unhealthy);
        Assert.Equal("0 1 0 1", Counts((await server.Until($"/v2/apps{healthy}", r => r["app"].GetProperty("tasksUnhealthy").GetInt32() == 1, "unhealthy"))["app"]));
        var silent = server.NewId("silent");
        await server.Plays(silent, Play.Silent);
        await server.Post("/v2/apps", AppBodies.Bridged(silent, Checked));
        Assert.Equal("0 1 0 0", Counts((await server.Until($"/v2/apps{silent}", r => r["app"].GetProperty("tasksRunning").GetInt32() == 1, "running"))["app"]));
        var staged = server.NewId("staged");
        await server.Plays(staged, Play.Staging);
        await server.Post("/v2/apps", AppBodies.Bridged(staged));
        Assert.Equal("1 0 0 0", Counts((await server.Until($"/v2/apps{staged}", r => r["app"].GetProperty("tasksStaged").GetInt32() == 1, "staged"))["app"]));

        static string Counts(JsonElement app) => string.Join(' ', ((string[])["tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"]).Select(name => app.GetProperty(name).GetInt32()));
    }

    [Fact]
    public async Task Statistics_tell_ages_and_counts_by_version()
    {
        var id = await Running("aged", ",\"instances\":2");
        await server.Advance(TimeSpan.FromSeconds(10));
        await server.Deployed(server.Put($"/v2/apps{id}", """{"instances":3}"""));
        await server.Advance(TimeSpan.FromSeconds(5));
        var stats = (await server.Get($"/v2/apps{id}?embed=app.taskStats"))["app"].GetProperty("taskStats");
        Assert.Equal(["startedAfterLastScaling", "withLatestConfig", "totalSummary"], stats.EnumerateObject().Select(s => s.Name));
        var (scaled, total) = (stats.GetProperty("startedAfterLastScaling").GetProperty("stats"), stats.GetProperty("totalSummary").GetProperty("stats"));
        Assert.Equal("""{"staged":0,"running":1,"healthy":0,"unhealthy":0}""", scaled.GetProperty("counts").GetRawText());
        Assert.Equal(5, scaled.GetProperty("lifeTime").GetProperty("medianSeconds").GetDouble(), 0.01);
        Assert.Equal(3, total.GetProperty("counts").GetProperty("running").GetInt32());
        Assert.Equal(15, total.GetProperty("lifeTime").GetProperty("medianSeconds").GetDouble(), 0.01);
        Assert.Equal(35.0 / 3, total.GetProperty("lifeTime").GetProperty("averageSeconds").GetDouble(), 0.01);
    }

    [Fact]
    public async Task Statistics_set_apart_what_still_runs_an_older_configuration()
    {
        var id = await Running("old");
        await server.Plays(id, Play.Staging);
        await server.Put($"/v2/apps{id}", """{"env":{"NEW":"1"}}""");
        var reply = await server.Until($"/v2/apps{id}?embed=taskStats", r => r["app"].GetProperty("taskStats").TryGetProperty("withOutdatedConfig", out _) && r["app"].GetProperty("tasksStaged").GetInt32() == 2, "both versions");
        var stats = reply["app"].GetProperty("taskStats");
        Assert.Equal(1, stats.GetProperty("withOutdatedConfig").GetProperty("stats").GetProperty("counts").GetProperty("staged").GetInt32());
        Assert.Equal(1, stats.GetProperty("withLatestConfig").GetProperty("stats").GetProperty("counts").GetProperty("staged").GetInt32());
        await server.Delete($"/v2/apps{id}");
    }

    // ---- filters and groups ----

    [Theory]
    [InlineData("id=ALPHA", true)]
    [InlineData("id=alpha-", true)]
    [InlineData("id=beta", false)]
    [InlineData("cmd=SLEEP", true)]
    [InlineData("cmd=wake", false)]
    [InlineData("id=alpha&cmd=wake", false)]
    [InlineData("id=&cmd=", true)]
    [InlineData("colour=red", true)]
    public async Task Filters_look_for_parts_in_any_case_and_all_must_hold(string query, bool found)
    {
        var id = server.NewId("alpha");
        await server.Post("/v2/apps", AppBodies.Minimal(id, ",\"instances\":0,\"cmd\":\"sleep 1000\""));
        Assert.Equal(found, Ids((await server.Get($"/v2/apps?{query}"))["apps"]).Contains(id));
    }

    [Fact]
    public async Task A_star_lists_what_lies_below_a_group_at_any_depth()
    {
        var group = server.NewId("team");
        foreach (var name in (string[])["/a", "/sub/b"]) await server.Post("/v2/apps", AppBodies.Minimal(group + name, ",\"instances\":0"));
        await server.Post("/v2/apps", AppBodies.Minimal(group + "x", ",\"instances\":0"));
        Assert.Equal([$"{group}/a", $"{group}/sub/b"], Ids((await server.Get($"/v2/apps{group}/*"))["*"]));
        Assert.Equal([$"{group}/sub/b"], Ids((await server.Get($"/v2/apps{group}/sub/*"))["*"]));
        Assert.Contains($"{group}/a", Ids((await server.Get("/v2/apps/*"))["*"]));
        Assert.Empty((await server.Get("/v2/apps/nobody/*"))["*"].EnumerateArray());
        Assert.True((await server.Get($"/v2/apps{group}/*?embed=apps.tasks"))["*"][0].TryGetProperty("tasks", out _));
        Assert.False((await server.Get($"/v2/apps{group}/*"))["*"][0].TryGetProperty("tasks", out _));
    }

    // ---- changing and deleting ----

    [Fact]
    public async Task A_put_changes_what_it_names_and_keeps_the_rest()
    {
        var id = await Running("kept", ",\"labels\":{\"a\":\"1\"}");
        var reply = await server.Deployed(server.Put($"/v2/apps{id}", """{"cpus":0.2}"""));
        Assert.Equal((200, reply.Header("Marathon-Deployment-Id")), (reply.Status, reply["deploymentId"].GetString()));
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.Equal((0.2, 32d, "1", reply["version"].GetString()), (app.GetProperty("cpus").GetDouble(), app.GetProperty("mem").GetDouble(), app.GetProperty("labels").GetProperty("a").GetString(), app.GetProperty("version").GetString()));
    }

    [Fact]
    public async Task A_put_with_partial_update_off_starts_from_the_defaults()
    {
        var id = await Running("whole", ",\"labels\":{\"a\":\"1\"}");
        await server.Deployed(server.Put($"/v2/apps{id}?partialUpdate=false", AppBodies.Minimal(id, ",\"mem\":64")));
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.Equal((64d, "{}"), (app.GetProperty("mem").GetDouble(), app.GetProperty("labels").GetRawText()));
    }

    [Fact]
    public async Task A_put_to_a_path_where_nothing_is_creates()
    {
        var id = server.NewId("put");
        var reply = await server.Put($"/v2/apps/{id}", """{"instances":0,"container":{"docker":{"image":"busybox"}}}""");
        Assert.Equal(201, reply.Status);
        Assert.EndsWith(id, reply.Header("Location"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_put_that_names_another_id_than_its_path_is_refused()
    {
        var id = await Running("named");
        Assert.Contains(id, (await server.Put($"/v2/apps{id}", """{"id":"/other"}""")).Refused("/id"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_patch_changes_and_the_version_moves_on()
    {
        var id = await Running("patched");
        var before = (await server.Get($"/v2/apps{id}"))["app"].GetProperty("version").GetString();
        var reply = await server.Deployed(server.Patch($"/v2/apps{id}", """{"instances":2}"""));
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.Equal((200, 2, 2), (reply.Status, app.GetProperty("instances").GetInt32(), app.GetProperty("tasksRunning").GetInt32()));
        Assert.True(string.CompareOrdinal(app.GetProperty("version").GetString(), before) > 0);
        Assert.Equal((before, reply["version"].GetString()), (app.GetProperty("versionInfo").GetProperty("lastConfigChangeAt").GetString(), app.GetProperty("versionInfo").GetProperty("lastScalingAt").GetString()));
    }

    [Fact]
    public async Task A_scaling_starts_nothing_anew_and_any_other_field_does()
    {
        var id = await Running("restarts");
        var first = Tasks();
        await server.Deployed(server.Put($"/v2/apps{id}", """{"instances":2}"""));
        Assert.Superset(await first, await Tasks());
        await server.Deployed(server.Put($"/v2/apps{id}", """{"labels":{"new":"1"}}"""));
        Assert.Empty((await Tasks()).Intersect(await first));

        async Task<HashSet<string>> Tasks() => [.. (await server.Get($"/v2/apps{id}/tasks"))["tasks"].EnumerateArray().Select(t => t.GetProperty("id").GetString()!)];
    }

    [Fact]
    public async Task An_app_under_change_is_locked_and_force_overrides()
    {
        var id = server.NewId("locked");
        await server.Plays(id, Play.Staging);
        var deployment = (await server.Post("/v2/apps", AppBodies.Bridged(id))).Header("Marathon-Deployment-Id");
        foreach (var (method, path, body) in ((string, string, string?)[])[("PUT", "", """{"mem":64}"""), ("PATCH", "", """{"mem":64}"""), ("POST", "/restart", null), ("DELETE", "?force=false", null)])
        {
            var reply = await server.Send(method, $"/v2/apps{id}{path}", body);
            Assert.Equal((409, "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'."), (reply.Status, reply.Message));
            Assert.Equal(deployment, Assert.Single(reply["deployments"].EnumerateArray()).GetProperty("id").GetString());
        }
        var forced = await server.Put($"/v2/apps{id}?force=true", """{"mem":64}""");
        Assert.Equal(200, forced.Status);
        Assert.NotEqual(deployment, forced.Header("Marathon-Deployment-Id"));
    }

    [Fact]
    public async Task A_delete_overrides_by_itself_and_takes_the_copies_away()
    {
        var id = server.NewId("deleted");
        await server.Plays(id, Play.Staging);
        await server.Post("/v2/apps", AppBodies.Bridged(id));
        var reply = await server.Deployed(server.Delete($"/v2/apps{id}"));
        Assert.Equal((200, reply.Header("Marathon-Deployment-Id")), (reply.Status, reply["deploymentId"].GetString()));
        Assert.Equal(404, (await server.Get($"/v2/apps{id}")).Status);
        Assert.DoesNotContain((await server.Get("/v2/tasks"))["tasks"].EnumerateArray(), t => t.GetProperty("appId").GetString() == id);
    }

    [Fact]
    public async Task A_restart_answers_with_its_deployment_and_starts_every_copy_anew()
    {
        var id = await Running("again", ",\"instances\":2");
        var before = (await server.Get($"/v2/apps{id}/tasks"))["tasks"].EnumerateArray().Select(t => t.GetProperty("id").GetString()).ToHashSet();
        var reply = await server.Deployed(server.Post($"/v2/apps{id}/restart"));
        Assert.Equal((200, reply.Header("Marathon-Deployment-Id")), (reply.Status, reply["deploymentId"].GetString()));
        var after = (await server.Get($"/v2/apps{id}/tasks"))["tasks"].EnumerateArray().Select(t => t.GetProperty("id").GetString()).ToList();
        Assert.Equal(2, after.Count);
        Assert.DoesNotContain(after, before.Contains);
    }

    [Theory]
    [InlineData("POST", "/v2/apps/some-app", "GET, PUT, PATCH, DELETE")]
    [InlineData("GET", "/v2/apps/some-app/restart", "POST")]
    [InlineData("PUT", "/v2/apps/some-app/tasks", "GET, DELETE")]
    [InlineData("DELETE", "/v2/tasks", "GET")]
    public async Task A_method_nobody_answers_is_405_with_those_that_are(string method, string path, string allowed)
    {
        var reply = await server.Send(method, path, "{}");
        Assert.Equal((405, allowed), (reply.Status, reply.Header("Allow")));
    }

    [Fact]
    public async Task Old_scripts_that_send_numbers_as_strings_scale()
    {
        var id = await Running("stringly");
        await server.Deployed(server.Put($"/v2/apps{id}", """{"instances":"2"}"""));
        Assert.Equal(2, (await server.Get($"/v2/apps{id}"))["app"].GetProperty("tasksRunning").GetInt32());
    }
}
