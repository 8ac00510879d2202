using System.Text.Json;
using Drover.Core;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>Tasks: lists in both forms, and every way to end them.</summary>
public sealed class TasksContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private async Task<string> Running(string name, int instances = 1, string more = "")
    {
        var id = server.NewId(name);
        await server.Deployed(server.Post("/v2/apps", AppBodies.Bridged(id, $",\"instances\":{instances}{more}")));
        return id;
    }

    private async Task<List<JsonElement>> TasksOf(string app) => [.. (await server.Get($"/v2/apps{app}/tasks"))["tasks"].EnumerateArray()];
    private async Task<List<string>> IdsOf(string app) => [.. (await TasksOf(app)).Select(t => t.GetProperty("id").GetString()!)];

    private Task Replaced(string app, string task, int count = 1) => server.Until(state =>
        state.InstancesOf(new AppId(app)).Count(i => i.Runs) == count && !state.InstancesOf(new AppId(app)).Any(i => i.Task.Value == task), $"another copy for {task}");

    // ---- lists ----

    [Fact]
    public async Task A_task_has_marathons_fields()
    {
        var app = await Running("fields", more: ",\"healthChecks\":[{\"protocol\":\"TCP\",\"portIndex\":0}]");
        var task = Assert.Single(await TasksOf(app));
        Assert.Matches($@"^{app[1..]}\.instance-[0-9a-f-]{{36}}\._app\.1$", task.GetProperty("id").GetString());
        Assert.Equal((app, "TASK_RUNNING", "*"), (task.GetProperty("appId").GetString(), task.GetProperty("state").GetString(), task.GetProperty("role").GetString()));
        Assert.StartsWith("node", task.GetProperty("slaveId").GetString(), StringComparison.Ordinal);
        Assert.Equal($"{task.GetProperty("slaveId").GetString()}.lab", task.GetProperty("host").GetString());
        Assert.InRange(Assert.Single(task.GetProperty("ports").EnumerateArray()).GetInt32(), 31000, 32000);
        Assert.InRange(Assert.Single(task.GetProperty("servicePorts").EnumerateArray()).GetInt32(), 10000, 20000);
        Assert.Equal("IPv4", Assert.Single(task.GetProperty("ipAddresses").EnumerateArray()).GetProperty("protocol").GetString());
        foreach (var moment in (string[])["stagedAt", "startedAt", "version"]) Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", task.GetProperty(moment).GetString());
        var health = Assert.Single(task.GetProperty("healthCheckResults").EnumerateArray());
        Assert.Equal((true, 0), (health.GetProperty("alive").GetBoolean(), health.GetProperty("consecutiveFailures").GetInt32()));
        Assert.Empty(task.GetProperty("localVolumes").EnumerateArray());
    }

    [Theory]
    [InlineData("", true, true)]
    [InlineData("?status=running", true, false)]
    [InlineData("?status=staging", false, true)]
    [InlineData("?status=running&status=staging", true, true)]
    [InlineData("?status[]=running", true, false)]
    [InlineData("?status%5B%5D=staging", false, true)]
    [InlineData("?status=lost", true, true)]
    public async Task Tasks_are_listed_by_status(string query, bool running, bool staging)
    {
        var runs = await Running("runs");
        var waits = server.NewId("waits");
        await server.Plays(waits, Play.Staging);
        await server.Post("/v2/apps", AppBodies.Bridged(waits));
        await server.Until(s => s.InstancesOf(new AppId(waits)).Any(i => i.Node is not null), "staged");
        var apps = (await server.Get($"/v2/tasks{query}"))["tasks"].EnumerateArray().Select(t => t.GetProperty("appId").GetString()).ToHashSet();
        Assert.Equal((running, staging), (apps.Contains(runs), apps.Contains(waits)));
    }

    [Fact]
    public async Task A_staged_task_is_shown_as_staging_with_what_it_waits_for()
    {
        var app = server.NewId("pulling");
        await server.Plays(app, Play.Staging);
        await server.Post("/v2/apps", AppBodies.Bridged(app));
        var task = (await server.Until($"/v2/apps{app}/tasks", r => r["tasks"].GetArrayLength() == 1, "the task"))["tasks"][0];
        Assert.Equal("TASK_STAGING", task.GetProperty("state").GetString());
        Assert.False(task.TryGetProperty("startedAt", out _));
        Assert.Contains(task.GetProperty("slaveId").GetString()!, task.GetProperty("waitsFor").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_text_of_2015s_bridges_has_a_line_for_each_service_port_with_running_tasks_alone()
    {
        var app = server.NewId("team/text");
        await server.Deployed(server.Post("/v2/apps", $$$"""
            {"id":"{{{app}}}","cpus":0.1,"mem":32,"instances":2,"container":{"type":"DOCKER","docker":{"image":"nginx","network":"BRIDGE",
             "portMappings":[{"containerPort":80,"hostPort":0,"servicePort":11500},{"containerPort":443,"hostPort":0,"servicePort":11501}]} }}
            """));
        var staged = server.NewId("textstaged");
        await server.Plays(staged, Play.Staging);
        await server.Post("/v2/apps", AppBodies.Bridged(staged));
        var tasks = await TasksOf(app);
        var expected = string.Concat(((int[])[0, 1]).Select(port => $"{app[1..].Replace('/', '_')}\t{11500 + port}\t{string.Concat(tasks.Select(t => $"{t.GetProperty("host").GetString()}:{t.GetProperty("ports")[port].GetInt32()}\t"))}\n"));
        var whole = await server.Get("/v2/tasks", "text/plain");
        Assert.StartsWith("text/plain", whole.Header("Content-Type"), StringComparison.Ordinal);
        Assert.Contains(expected, whole.Text, StringComparison.Ordinal);
        Assert.Matches($@"(?m)^{staged[1..]}\t\d+\t$", whole.Text);
        Assert.Equal(expected, (await server.Get($"/v2/apps{app}/tasks", "text/plain")).Text);
        Assert.Equal(JsonValueKind.Array, (await server.Get($"/v2/apps{app}/tasks", "application/json, text/plain"))["tasks"].ValueKind);
    }

    [Fact]
    public async Task A_star_lists_the_tasks_below_a_group()
    {
        var group = server.NewId("crew");
        foreach (var name in (string[])["/a", "/deep/b"]) await server.Deployed(server.Post("/v2/apps", AppBodies.Bridged(group + name)));
        await server.Deployed(server.Post("/v2/apps", AppBodies.Bridged(group + "x")));
        var tasks = (await server.Get($"/v2/apps{group}/*/tasks"))["tasks"].EnumerateArray().Select(t => t.GetProperty("appId").GetString());
        Assert.Equal([$"{group}/a", $"{group}/deep/b"], tasks);
    }

    [Fact]
    public async Task Tasks_of_an_app_that_is_not_there_are_404()
    {
        foreach (var method in (string[])["GET", "DELETE"])
        {
            var reply = await server.Send(method, "/v2/apps/none/tasks");
            Assert.Equal((404, "App '/none' does not exist"), (reply.Status, reply.Message));
        }
    }

    // ---- one task ----

    [Fact]
    public async Task A_killed_task_is_answered_and_another_takes_its_place()
    {
        var app = await Running("killed");
        var task = Assert.Single(await IdsOf(app));
        var reply = await server.Delete($"/v2/apps{app}/tasks/{task}");
        Assert.Equal((200, task), (reply.Status, reply["task"].GetProperty("id").GetString()));
        await Replaced(app, task);
        Assert.Equal(1, (await server.Get($"/v2/apps{app}"))["app"].GetProperty("instances").GetInt32());
    }

    [Fact]
    public async Task A_task_that_is_not_there_is_404_and_so_is_one_of_another_app()
    {
        var (one, two) = (await Running("one"), await Running("two"));
        var foreign = Assert.Single(await IdsOf(two));
        foreach (var task in (string[])["x", foreign])
        {
            var reply = await server.Delete($"/v2/apps{one}/tasks/{task}");
            Assert.Equal((404, $"Task '{task}' does not exist"), (reply.Status, reply.Message));
        }
        Assert.Equal([foreign], await IdsOf(two));
    }

    [Fact]
    public async Task A_kill_with_scale_is_a_deployment_and_no_other_copy_comes()
    {
        var app = await Running("scaled", 2);
        var task = (await IdsOf(app))[0];
        var reply = await server.Deployed(server.Delete($"/v2/apps{app}/tasks/{task}?scale=true"));
        Assert.Equal(reply.Header("Marathon-Deployment-Id"), reply["deploymentId"].GetString());
        var shown = (await server.Get($"/v2/apps{app}"))["app"];
        Assert.Equal((1, 1), (shown.GetProperty("instances").GetInt32(), shown.GetProperty("tasksRunning").GetInt32()));
        Assert.DoesNotContain(task, await IdsOf(app));
    }

    // ---- all of an app ----

    [Fact]
    public async Task A_kill_without_a_host_or_with_a_star_takes_all_copies()
    {
        foreach (var query in (string[])["", "?host=*"])
        {
            var app = await Running("all", 2);
            var before = await IdsOf(app);
            var reply = await server.Delete($"/v2/apps{app}/tasks{query}");
            Assert.Equal(before.Order(), reply["tasks"].EnumerateArray().Select(t => t.GetProperty("id").GetString()!).Order());
            await server.Until(s => s.InstancesOf(new AppId(app)).Count(i => i.Runs) == 2 && !s.InstancesOf(new AppId(app)).Any(i => before.Contains(i.Task.Value)), "two others");
        }
    }

    [Fact]
    public async Task A_kill_with_a_host_takes_those_there_alone()
    {
        var app = await Running("hosted", 3, ",\"constraints\":[[\"hostname\",\"UNIQUE\"]]");
        var victim = (await TasksOf(app)).Single(t => t.GetProperty("host").GetString() == "node2.lab");
        Assert.Empty((await server.Delete($"/v2/apps{app}/tasks?host=nowhere"))["tasks"].EnumerateArray());
        var reply = await server.Delete($"/v2/apps{app}/tasks?host=node2.lab");
        Assert.Equal(victim.GetProperty("id").GetString(), Assert.Single(reply["tasks"].EnumerateArray()).GetProperty("id").GetString());
        await Replaced(app, victim.GetProperty("id").GetString()!, 3);
    }

    [Fact]
    public async Task A_kill_of_all_with_scale_leaves_none()
    {
        var app = await Running("emptied", 2);
        await server.Deployed(server.Delete($"/v2/apps{app}/tasks?scale=true"));
        var shown = (await server.Get($"/v2/apps{app}"))["app"];
        Assert.Equal((0, 0), (shown.GetProperty("instances").GetInt32(), shown.GetProperty("tasks").GetArrayLength()));
    }

    // ---- many ----

    [Fact]
    public async Task Tasks_of_several_apps_are_killed_at_once()
    {
        var (one, two) = (await Running("many"), await Running("many"));
        string[] ids = [.. await IdsOf(one), .. await IdsOf(two)];
        var reply = await server.Post("/v2/tasks/delete", JsonSerializer.Serialize(new { ids }));
        Assert.Equal(ids.Order(), reply["tasks"].EnumerateArray().Select(t => t.GetProperty("id").GetString()!).Order());
        await Replaced(one, ids[0]);
        await Replaced(two, ids[1]);
    }

    [Fact]
    public async Task Tasks_of_several_apps_are_killed_and_scaled_in_one_deployment()
    {
        var (one, two) = (await Running("shrunk", 2), await Running("shrunk", 2));
        string[] ids = [(await IdsOf(one))[0], (await IdsOf(two))[0]];
        var reply = await server.Deployed(server.Post("/v2/tasks/delete?scale=true", JsonSerializer.Serialize(new { ids })));
        Assert.NotEmpty(reply["version"].GetString()!);
        foreach (var app in (string[])[one, two]) Assert.Equal(1, (await server.Get($"/v2/apps{app}"))["app"].GetProperty("instances").GetInt32());
    }

    [Theory]
    [InlineData("{0}.instance-{1}._app.1")]
    [InlineData("{0}.instance-{1}._app")]
    [InlineData("{0}.instance-{1}")]
    [InlineData("{0}.marathon-{1}")]
    [InlineData("{0}.{1}")]
    public async Task A_task_is_found_by_every_form_its_id_ever_had(string form)
    {
        var app = await Running("formed/db");
        var current = Assert.Single(await IdsOf(app));
        var safe = app[1..].Replace('/', '_');
        var id = form.Replace("{0}", safe, StringComparison.Ordinal).Replace("{1}", current[(safe.Length + ".instance-".Length)..^"._app.1".Length], StringComparison.Ordinal);
        var reply = await server.Post("/v2/tasks/delete", JsonSerializer.Serialize(new { ids = (string[])[id] }));
        Assert.Equal(current, Assert.Single(reply["tasks"].EnumerateArray()).GetProperty("id").GetString());
        await Replaced(app, current);
    }

    [Fact]
    public async Task A_task_that_has_ended_is_passed_over()
    {
        var app = await Running("stale");
        var current = Assert.Single(await IdsOf(app));
        string[] ids = [current[..^1] + "7", "gone.instance-00000000-0000-0000-0000-000000000000._app.1"];
        var reply = await server.Post("/v2/tasks/delete", JsonSerializer.Serialize(new { ids }));
        Assert.Equal((200, 0), (reply.Status, reply["tasks"].GetArrayLength()));
        Assert.Equal([current], await IdsOf(app));
    }

    [Theory]
    [InlineData("nothing")]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("app.")]
    public async Task What_is_no_task_id_is_400_in_marathons_words(string id)
    {
        var app = await Running("untouched");
        var current = Assert.Single(await IdsOf(app));
        var reply = await server.Post("/v2/tasks/delete", JsonSerializer.Serialize(new { ids = (string[])[current, id] }));
        Assert.Equal(400, reply.Status);
        Assert.StartsWith($"Invalid task id '{id}'. [", reply.Message, StringComparison.Ordinal);
        Assert.Equal([current], await IdsOf(app));
    }

    [Theory]
    [InlineData("{}", "/ids", "error.path.missing")]
    [InlineData("""{"ids":"x.y"}""", "/ids", "error.expected.jsarray")]
    [InlineData("""{"ids":[1]}""", "/ids(0)", "error.expected.jsstring")]
    public async Task A_kill_needs_a_list_of_ids(string body, string path, string error)
    {
        var reply = await server.Post("/v2/tasks/delete", body);
        Assert.Equal((422, "Invalid JSON"), (reply.Status, reply.Message));
        Assert.Equal((path, error), Assert.Single(reply.Details));
    }

    // ---- wipe ----

    [Theory]
    [InlineData("DELETE", "/v2/apps/x/tasks?scale=true&wipe=true")]
    [InlineData("DELETE", "/v2/apps/x/tasks/x.y?wipe=true&scale=true")]
    [InlineData("POST", "/v2/tasks/delete?scale=true&wipe=true")]
    public async Task Scale_and_wipe_exclude_each_other(string method, string path)
    {
        var reply = await server.Send(method, path, """{"ids":[]}""");
        Assert.Equal((400, "You cannot use scale and wipe at the same time."), (reply.Status, reply.Message));
    }

    [Fact]
    public async Task A_wipe_of_a_running_task_kills_it_and_its_volume_stays_with_the_next()
    {
        var app = server.NewId("wiped");
        await server.Deployed(server.Post("/v2/apps", AppBodies.WithVolume(app, "wiped-data")));
        var before = server.State.Volumes[new("wiped-data")];
        var task = Assert.Single(await IdsOf(app));
        Assert.Equal(task, (await server.Delete($"/v2/apps{app}/tasks/{task}?wipe=true"))["task"].GetProperty("id").GetString());
        await Replaced(app, task);
        var after = server.State.Volumes[new("wiped-data")];
        Assert.Equal((before.Primary, before.Epoch, true), (after.Primary, after.Epoch, after.Initialized));
    }
}
