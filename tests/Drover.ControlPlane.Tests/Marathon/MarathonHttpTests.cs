using System.Text.Json;
using Drover.ControlPlane.Marathon;
using Drover.ControlPlane.Tests.Api;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon;

public sealed class MarathonHttpTests
{
    [Theory]
    [InlineData("application/json")]
    [InlineData("application/x-www-form-urlencoded")]
    public async Task The_articles_curl_lines_work_as_they_stand(string contentType)
    {
        await using var doors = await Doors.Open(Doors.Machines);
        foreach (var (file, id) in new[] { (Dialects.Db, "/mongo"), (Dialects.App, "/app") })
        {
            var (status, body, whole) = await doors.Send("POST", "/v2/apps", Doors.AsCurlReads(file), contentType);
            Assert.Equal(201, status);
            Assert.Equal($"/v2/apps{id}", whole.Headers.Location!.ToString());
            Assert.Equal(id, body.GetProperty("id").GetString());
            Assert.Equal(0, body.GetProperty("tasksRunning").GetInt32());
            var deployment = Assert.Single(body.GetProperty("deployments").EnumerateArray()).GetProperty("id").GetString();
            Assert.Equal(deployment, whole.Headers.GetValues("Marathon-Deployment-Id").Single());
            Assert.Equal(deployment, (await doors.Send("GET", $"/v2/deployments/{deployment}")).Body.GetProperty("id").GetString());
            Assert.Contains("no-store", whole.Headers.CacheControl!.ToString(), StringComparison.Ordinal);
        }
        Assert.Equal(0, (await doors.Send("GET", "/v2/tasks")).Body.GetProperty("tasks").GetArrayLength());
        Assert.Equal(["/app", "/mongo"], (await doors.Send("GET", "/v2/apps")).Body.GetProperty("apps").EnumerateArray().Select(a => a.GetProperty("id").GetString()!));
        Assert.Equal(200, (await doors.Send("DELETE", "/v2/apps/mongo")).Status);
        Assert.False(doors.Cluster.Current.Apps.ContainsKey(new AppId("/mongo")));
        Assert.True(doors.Cluster.Current.Volumes.ContainsKey(new VolumeName("mongodata")));
    }

    [Theory]
    [InlineData("/v2/apps/mongo")]
    [InlineData("/v2/apps//mongo")]
    [InlineData("/v2/apps/%2Fmongo")]
    [InlineData("/v2/apps/mongo/")]
    [InlineData("//v2//apps//mongo//")]
    public async Task Doubled_encoded_and_trailing_slashes_name_the_same_app(string path)
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var (status, body, _) = await doors.Send("GET", path);
        Assert.Equal((200, "/mongo"), (status, body.GetProperty("app").GetProperty("id").GetString()));
    }

    [Fact]
    public async Task An_app_shows_its_tasks_counts_and_version()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var app = (await doors.Send("GET", "/v2/apps/mongo")).Body.GetProperty("app");
        Assert.Equal("2026-01-05T12:00:00.123Z", app.GetProperty("version").GetString());
        Assert.Equal((1, 0), (app.GetProperty("tasksRunning").GetInt32(), app.GetProperty("tasksStaged").GetInt32()));
        var task = Assert.Single(app.GetProperty("tasks").EnumerateArray());
        Assert.Equal(("mongo.instance-1._app.1", "node1", "TASK_RUNNING"), (task.GetProperty("id").GetString(), task.GetProperty("host").GetString(), task.GetProperty("state").GetString()));
        Assert.Equal("10.255.0.10", task.GetProperty("ipAddresses")[0].GetProperty("ipAddress").GetString());
        foreach (var path in new[] { "/v2/apps/mongo/tasks", "/v2/tasks", "/v2/tasks?status=running" })
            Assert.Equal(task.GetRawText(), Assert.Single((await doors.Send("GET", path)).Body.GetProperty("tasks").EnumerateArray()).GetRawText());
        Assert.Empty((await doors.Send("GET", "/v2/tasks?status=staging")).Body.GetProperty("tasks").EnumerateArray());
        Assert.False((await doors.Send("GET", "/v2/apps/?label=none")).Body.GetProperty("apps").EnumerateArray().Any());
        Assert.True((await doors.Send("GET", "/v2/apps/?embed=apps.tasks&id=MON")).Body.GetProperty("apps")[0].TryGetProperty("tasks", out _));
    }

    [Theory]
    [InlineData("{\"id\":", 400, "Invalid JSON")]
    [InlineData("", 400, "Invalid JSON")]
    [InlineData("[]", 400, "Please specify data in JSON format")]
    [InlineData("\"mongo\"", 400, "Please specify data in JSON format")]
    [InlineData("{\"id\":1}", 422, "Invalid JSON")]
    [InlineData("{\"id\":\"a\"}", 422, "Object is not valid")]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{\"image\":\"i\"},\"volumes\":[{\"containerPath\":\"/d\",\"hostPath\":\"/flocker/../etc\",\"mode\":\"RW\"}]}}", 422, "Object is not valid")]
    public async Task Bad_definitions_are_refused_in_marathons_form_and_nothing_changes(string json, int expected, string message)
    {
        await using var doors = await Doors.Open(Doors.Machines);
        var before = doors.Cluster.Current;
        foreach (var (method, path) in new[] { ("POST", "/v2/apps"), ("PUT", "/v2/apps/a") })
        {
            var (status, body, _) = await doors.Send(method, path, json);
            Assert.Equal((expected, message), (status, body.GetProperty("message").GetString()));
            Assert.True(body.TryGetProperty("details", out _));
        }
        Assert.Same(before, doors.Cluster.Current);
    }

    [Fact]
    public async Task Broken_json_is_told_by_line_and_column()
    {
        await using var doors = await Doors.Open(Doors.Machines);
        var details = (await doors.Send("POST", "/v2/apps", "{\n\"id\": x}")).Body.GetProperty("details").GetString()!;
        Assert.StartsWith("line 2, column 7: ", details, StringComparison.Ordinal);
        Assert.DoesNotContain("LineNumber", details, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_duplicate_app_is_a_conflict_and_an_unknown_one_is_not_found()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var (status, body, _) = await doors.Send("POST", "/v2/apps", Dialects.Db);
        Assert.Equal((409, "An app with id [/mongo] already exists."), (status, body.GetProperty("message").GetString()));
        foreach (var (method, path) in new[] { ("GET", "/v2/apps/none"), ("DELETE", "/v2/apps/none"), ("POST", "/v2/apps/none/restart"), ("GET", "/v2/apps/none/tasks"), ("DELETE", "/v2/apps/none/tasks"), ("DELETE", "/v2/apps/none/tasks/x") })
        {
            (status, body, _) = await doors.Send(method, path);
            Assert.Equal((404, "App '/none' does not exist"), (status, body.GetProperty("message").GetString()));
        }
        Assert.Equal(404, (await doors.Send("PATCH", "/v2/apps/none", "{}")).Status);
        (status, body, _) = await doors.Send("PUT", "/v2/apps/none", "{\"instances\":2}");
        Assert.Equal((404, "App '/none' does not exist"), (status, body.GetProperty("message").GetString()));
        (status, body, _) = await doors.Send("PUT", "/v2/apps/a%20b", "{\"instances\":2}");
        Assert.Equal((422, "/id"), (status, body.GetProperty("details")[0].GetProperty("path").GetString()));
        Assert.Contains("'/a b'", body.GetRawText().Replace("\\u0027", "'", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal("Task 'x' does not exist", (await doors.Send("DELETE", "/v2/apps/mongo/tasks/x")).Body.GetProperty("message").GetString());
    }

    [Theory]
    [InlineData("mongodata", "10.255.0.99/24", "/container/volumes(0)/hostPath", "/mongo")]
    [InlineData("other", "10.255.0.10/24", "/env/WEAVE_CIDR", "/mongo")]
    [InlineData("other", "10.99.0.10/24", "/env/WEAVE_CIDR", "10.255.0.0/24")]
    public async Task A_volume_or_an_address_in_use_is_refused_with_its_holder(string volume, string cidr, string path, string words)
    {
        await using var doors = await Doors.Open(Doors.Machines);
        Assert.Equal(201, (await doors.Send("POST", "/v2/apps", Dialects.Db)).Status);
        var (status, body, _) = await doors.Send("POST", "/v2/apps",
            Dialects.Db.Replace("\"id\":\"mongo\"", "\"id\":\"second\"", StringComparison.Ordinal).Replace("mongodata", volume, StringComparison.Ordinal).Replace("10.255.0.10/24", cidr, StringComparison.Ordinal));
        Assert.Equal(422, status);
        var detail = Assert.Single(body.GetProperty("details").EnumerateArray());
        Assert.Equal(path, detail.GetProperty("path").GetString());
        Assert.Contains(words, detail.GetProperty("errors")[0].GetString(), StringComparison.Ordinal);
        Assert.False(doors.Cluster.Current.Apps.ContainsKey(new AppId("/second")));
    }

    [Fact]
    public async Task An_app_under_change_is_locked_until_force()
    {
        await using var doors = await Doors.Open(Doors.Machines);
        var deployment = (await doors.Send("POST", "/v2/apps", Dialects.App)).Whole.Headers.GetValues("Marathon-Deployment-Id").Single();
        var (status, body, _) = await doors.Send("PUT", "/v2/apps/app", """{"mem":"256"}""");
        Assert.Equal(409, status);
        Assert.Contains("?force=true", body.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(deployment, body.GetProperty("deployments")[0].GetProperty("id").GetString());
        (status, body, var whole) = await doors.Send("PUT", "/v2/apps/app?force=true", """{"mem":"256"}""");
        Assert.Equal(200, status);
        Assert.Equal(whole.Headers.GetValues("Marathon-Deployment-Id").Single(), body.GetProperty("deploymentId").GetString());
        Assert.Equal(256, doors.Cluster.Current.Apps[new AppId("/app")].Spec.MemoryMiB);
    }

    [Fact]
    public async Task A_changed_constraint_is_a_deployment_that_shows_its_steps()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var (status, body, _) = await doors.Send("PUT", "/v2/apps/mongo", """{"constraints":[["disk","CLUSTER","ssd"]]}""");
        Assert.Equal(200, status);
        var spec = doors.Cluster.Current.Apps[new AppId("/mongo")].Spec;
        Assert.Equal([new Constraint("disk", ConstraintOperator.Cluster, "ssd")], spec.Constraints);
        Assert.Equal(new VolumeName("mongodata"), spec.Volumes[0].Name);
        var shown = Assert.Single((await doors.Send("GET", "/v2/deployments")).Body.EnumerateArray());
        Assert.Equal(body.GetProperty("deploymentId").GetString(), shown.GetProperty("id").GetString());
        Assert.Equal(["/mongo"], shown.GetProperty("affectedApps").EnumerateArray().Select(a => a.GetString()!));
        Assert.Equal(1, shown.GetProperty("currentStep").GetInt32());
        Assert.Equal("/mongo", shown.GetProperty("steps")[0].GetProperty("actions")[0].GetProperty("app").GetString());
    }

    [Fact]
    public async Task A_put_creates_what_is_not_there_and_patch_needs_it()
    {
        await using var doors = await Doors.Open(Doors.Machines);
        var (status, _, whole) = await doors.Send("PUT", "/v2/apps//shop/db", """{"container":{"docker":{"image":"postgres"}}}""");
        Assert.Equal((201, "/v2/apps/shop/db"), (status, whole.Headers.Location!.ToString()));
        Assert.Single((await doors.Send("GET", "/v2/apps/shop/*")).Body.GetProperty("*").EnumerateArray());
        Assert.Equal(404, (await doors.Send("PUT", "/v2/apps/shop/db", """{"version":"2015-09-25T15:13:48.343Z"}""")).Status);
        Assert.Equal(422, (await doors.Send("PUT", "/v2/apps/shop/db", """{"id":"/other"}""")).Status);
    }

    [Fact]
    public async Task Impossible_resources_are_accepted_wait_and_say_why_per_node()
    {
        await using var doors = await Doors.Open(Doors.Machines);
        var spec = Dialects.Spec("""{"id":"big","mem":999999,"container":{"docker":{"image":"i"}}}""");
        await doors.Cluster.Given(new ClusterChange.PutApp(new App(spec, Samples.Moment, Samples.Moment, Samples.Moment)),
            new ClusterChange.PutInstance(new(new("big.instance-1"), spec.Id, spec, Samples.Moment, 1, null, [], InstanceGoal.Running, InstanceState.Scheduled, Samples.Moment)));
        var item = Assert.Single((await doors.Send("GET", "/v2/queue?embed=lastUnusedOffers")).Body.GetProperty("queue").EnumerateArray());
        Assert.Equal("/big", item.GetProperty("app").GetProperty("id").GetString());
        Assert.True(item.GetProperty("delay").GetProperty("overdue").GetBoolean());
        Assert.Equal(["node1", "node2"], item.GetProperty("lastUnusedOffers").EnumerateArray().Select(o => o.GetProperty("offer").GetProperty("agentId").GetString()!).Order());
        Assert.All(item.GetProperty("lastUnusedOffers").EnumerateArray(), o => Assert.NotEmpty(o.GetProperty("reason")[0].GetString()!));
        Assert.Equal(2, item.GetProperty("processedOffersSummary").GetProperty("unusedOffersCount").GetInt32());
    }

    [Fact]
    public async Task Killing_a_task_answers_with_it_and_scale_with_wipe_is_refused()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        Assert.Equal((400, "You cannot use scale and wipe at the same time."),
            ((await doors.Send("DELETE", "/v2/apps/mongo/tasks?scale=true&wipe=true")) is var (status, body, _) ? (status, body.GetProperty("message").GetString()) : default));
        var killed = await doors.Send("DELETE", "/v2/apps/mongo/tasks/mongo.instance-1._app.1");
        Assert.Equal(200, killed.Status);
        Assert.Equal("mongo.instance-1._app.1", killed.Body.GetProperty("task").GetProperty("id").GetString());
    }

    [Theory]
    [InlineData("GET", "/v2/groups/none", 404)]
    [InlineData("GET", "/nowhere", 404)]
    [InlineData("GET", "/v2/apps/Not_An_Id", 404)]
    [InlineData("DELETE", "/v2/apps", 405)]
    [InlineData("POST", "/v2/info", 405)]
    [InlineData("DELETE", "/v2/deployments/none", 404)]
    [InlineData("GET", "/v2/deployments/none", 404)]
    [InlineData("DELETE", "/v2/queue/none/delay", 404)]
    public async Task What_is_not_there_is_said_in_a_message(string method, string path, int expected)
    {
        await using var doors = await Doors.Open(Doors.Machines);
        var (status, body, _) = await doors.Send(method, path);
        Assert.Equal(expected, status);
        Assert.NotEmpty(body.GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task Ping_info_and_the_text_of_2015_bridges_are_answered()
    {
        await using var doors = await Doors.Open(Doors.Machines);
        Assert.Equal("pong", await doors.Http.GetStringAsync("/ping"));
        var info = (await doors.Send("GET", "/v2/info")).Body;
        Assert.Equal(("marathon", "1.10.19", true), (info.GetProperty("name").GetString(), info.GetProperty("version").GetString(), info.GetProperty("elected").GetBoolean()));
        var spec = Dialects.Spec(Dialects.App);
        await doors.Cluster.Given(new ClusterChange.PutApp(new App(spec, Samples.Moment, Samples.Moment, Samples.Moment)),
            new ClusterChange.PutInstance(new(new("app.instance-1"), spec.Id, spec, Samples.Moment, 1, new("node1"), [8000], InstanceGoal.Running, InstanceState.Running, Samples.Moment)));
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v2/tasks");
        request.Headers.Accept.ParseAdd("text/plain");
        Assert.Equal("app\t8000\tnode1:8000\t\n", await (await doors.Http.SendAsync(request)).Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_body_over_the_limit_is_refused()
    {
        await using var doors = await Doors.Open(Doors.Machines);
        // The client waits for a go-ahead before it sends: it gets the refusal, not a connection closed under what it sends.
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/apps") { Content = new StringContent($"{{\"id\":\"a\",\"x\":\"{new string('x', RequestBody.MaxBytes)}\"}}") };
        request.Headers.ExpectContinue = true;
        using var response = await doors.Http.SendAsync(request);
        Assert.Equal(413, (int)response.StatusCode);
        Assert.Contains("1048576", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Events_begin_with_attached_carry_marathons_names_and_can_be_filtered()
    {
        await using var doors = await Doors.Open(Doors.Machines);
        Assert.Equal(405, (await doors.Send("GET", "/v2/events")).Status);
        using var all = await EventClient.Open(doors, "/v2/events");
        using var some = await EventClient.Open(doors, "/v2/events?event_type=deployment_info");
        Assert.Equal("event_stream_attached", (await all.Next())!.Value.Name);
        Assert.Equal("event_stream_attached", (await some.Next())!.Value.Name);
        // The other one came.
        Assert.Equal("event_stream_attached", (await all.Next())!.Value.Name);
        await doors.Send("POST", "/v2/apps", Dialects.Db);
        var posted = (await all.Next())!.Value;
        Assert.Equal(("api_post_event", "api_post_event", "/mongo"), (posted.Name, posted.Data.GetProperty("eventType").GetString(), posted.Data.GetProperty("appDefinition").GetProperty("id").GetString()));
        Assert.Equal("2026-01-05T12:00:00.000Z", posted.Data.GetProperty("timestamp").GetString());
        Assert.Equal("group_change_success", (await all.Next())!.Value.Name);
        var info = (await some.Next())!.Value;
        Assert.Equal("deployment_info", info.Name);
        Assert.Equal("/mongo", info.Data.GetProperty("plan").GetProperty("steps")[0].GetProperty("actions")[0].GetProperty("app").GetString());
        await doors.Send("DELETE", "/v2/apps/mongo");
        Assert.Equal("/mongo", (await all.Until("app_terminated_event")).Data.GetProperty("appId").GetString());
    }
}
