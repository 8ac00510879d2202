using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Drover.Contracts.Agent;
using Drover.Contracts.Api;
using Drover.ControlPlane.Events;
using Drover.ControlPlane.Tests.Api;
using Drover.Core;
using Drover.Core.State;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>/v2/events as clients of Marathon meet it: every type that has an occasion here, with its fields.</summary>
public sealed class EventsContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private const string Check = ""","healthChecks":[{"protocol":"COMMAND","command":{"value":"true"},"intervalSeconds":7}]""";

    private static string App(string id, string more = "") => $$"""{"id":"{{id}}","cpus":0.1,"mem":32,"container":{"type":"DOCKER","docker":{"image":"busybox"} }{{more}} }""";

    private Task<EventClient> Listen(string query = "") => EventClient.Open(server.Http, $"/v2/events{query}");

    private static string[] Fields(JsonElement data) => [.. data.EnumerateObject().Select(f => f.Name).Order(StringComparer.Ordinal)];

    private static async Task<JsonElement> About(EventClient client, string name, string field, string value)
    {
        while (await client.Next() is { } seen)
            if (seen.Name == name && seen.Data.TryGetProperty(field, out var found) && found.ToString() == value) return seen.Data;
        throw new InvalidOperationException($"the stream ended before {name} with {field} {value}");
    }

    // ---- the stream ----

    [Fact]
    public async Task The_first_frame_is_event_stream_attached_byte_for_byte()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v2/events?event_type=none");
        request.Headers.Accept.ParseAdd("text/event-stream");
        using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.ToString());
        await using var body = await response.Content.ReadAsStreamAsync();
        var text = new StringBuilder();
        var buffer = new byte[4_096];
        while (!text.ToString().EndsWith("\n\n", StringComparison.Ordinal)) text.Append(Encoding.UTF8.GetString(buffer, 0, await body.ReadAsync(buffer)));
        var lines = text.ToString().Split('\n');
        Assert.Equal(("event: event_stream_attached", 4), (lines[0], lines.Length));
        Assert.StartsWith("data: {", lines[1], StringComparison.Ordinal);
        var data = JsonDocument.Parse(lines[1][6..]).RootElement;
        Assert.Equal(["eventType", "remoteAddress", "timestamp"], Fields(data));
        Assert.Equal("127.0.0.1", data.GetProperty("remoteAddress").GetString());
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", data.GetProperty("timestamp").GetString()!);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("*/*")]
    [InlineData("application/json")]
    public async Task Without_the_right_accept_header_it_is_405(string? accept)
    {
        var reply = await server.Send("GET", "/v2/events", null, accept);
        Assert.Equal((405, "GET"), (reply.Status, reply.Header("Allow")));
        Assert.Contains("Accept: text/event-stream", reply.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Others_are_told_who_comes_and_who_leaves()
    {
        using var stays = await Listen("?event_type=event_stream_attached&event_type=event_stream_detached");
        Assert.Equal("event_stream_attached", (await stays.Next())!.Value.Name);
        var leaves = await Listen();
        Assert.Equal("127.0.0.1", (await stays.Until("event_stream_attached")).Data.GetProperty("remoteAddress").GetString());
        leaves.Dispose();
        Assert.Equal(["eventType", "remoteAddress", "timestamp"], Fields((await stays.Until("event_stream_detached")).Data));
    }

    [Fact]
    public async Task A_filter_of_two_types_lets_those_two_through_alone()
    {
        var id = server.NewId();
        using var client = await Listen("?event_type=deployment_success&event_type=app_terminated_event");
        await client.Until("event_stream_attached");
        await server.Deployed(server.Post("/v2/apps", App(id)));
        await server.Deployed(server.Delete($"/v2/apps{id}"));
        // Deployments of other tests may still come to their end.
        var names = new HashSet<string>();
        while (await client.Next() is { } seen)
        {
            names.Add(seen.Name);
            if (seen.Name == "app_terminated_event" && seen.Data.GetProperty("appId").GetString() == id) break;
        }
        Assert.Equal(["app_terminated_event", "deployment_success"], names.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_quiet_stream_has_a_heartbeat()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v2/events?event_type=none");
        request.Headers.Accept.ParseAdd("text/event-stream");
        using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Equal("event: event_stream_attached", await reader.ReadLineAsync());
        await reader.ReadLineAsync();
        await reader.ReadLineAsync();
        var next = reader.ReadLineAsync();
        while (!next.IsCompleted) await server.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(":", await next);
    }

    [Fact]
    public async Task A_slow_reader_is_closed_and_told_why()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v2/events?event_type=big");
        request.Headers.Accept.ParseAdd("text/event-stream");
        using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var ring = server.Service<EventRing>();
        // Far more than the sockets and the backlog hold together: nothing is read meanwhile.
        var big = new NamedEvent("big", Encoding.UTF8.GetBytes($"\"{new string('x', 64 * 1024)}\""));
        for (var put = 0; put < 3 * EventRing.Backlog; put++) ring.Put(sequence => new(new EventView(sequence, default, "test.big", "", "", null, null, null, null, null, null, null), [big]), keep: false);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        string? last = null, before = null;
        while (await reader.ReadLineAsync() is { } line)
            if (line.Length > 0 && line[0] != ':') (before, last) = (last, line);
        Assert.Equal("event: event_stream_detached", before);
        Assert.Contains("1024 events lay unread", last, StringComparison.Ordinal);
    }

    [Fact]
    public void Many_listeners_cost_one_rendering()
    {
        var ring = new EventRing(server.Time);
        using var one = ring.Subscribe(null)!;
        using var two = ring.Subscribe(null)!;
        var made = 0;
        ring.Put(sequence =>
        {
            made++;
            return new(new EventView(sequence, default, "k", "", "", null, null, null, null, null, null, null), [new NamedEvent("n", "{}"u8.ToArray())]);
        });
        Assert.True(one.Live.TryRead(out var a) && two.Live.TryRead(out var b) && ReferenceEquals(a, b));
        Assert.Equal(1, made);
        Assert.True(MemoryMarshal.TryGetArray(a.Marathon[0].Frame, out var first) && MemoryMarshal.TryGetArray(a.Marathon[0].Frame, out var again) && ReferenceEquals(first.Array, again.Array));
        Assert.True(MemoryMarshal.TryGetArray(a.Frame, out first) && MemoryMarshal.TryGetArray(a.Frame, out again) && ReferenceEquals(first.Array, again.Array));
    }

    // ---- what is told ----

    [Fact]
    public async Task A_posted_app_is_told_with_who_posted_it_and_where()
    {
        var id = $"/shop{server.NewId()}";
        using var client = await Listen();
        Assert.Equal(201, (await server.Post($"/v2/apps?force=true", App(id, ""","instances":0"""))).Status);
        var posted = (await client.Until("api_post_event")).Data;
        Assert.Equal(["appDefinition", "clientIp", "eventType", "timestamp", "uri"], Fields(posted));
        Assert.Equal(("127.0.0.1", "/v2/apps?force=true", id), (posted.GetProperty("clientIp").GetString(), posted.GetProperty("uri").GetString(), posted.GetProperty("appDefinition").GetProperty("id").GetString()));
        var group = (await client.Until("group_change_success")).Data;
        Assert.Equal(["eventType", "groupId", "timestamp", "version"], Fields(group));
        Assert.Equal("/shop", group.GetProperty("groupId").GetString());
    }

    [Fact]
    public async Task A_deployment_is_told_from_its_plan_to_its_success()
    {
        var id = server.NewId();
        using var client = await Listen();
        var reply = await server.Deployed(server.Post("/v2/apps", App(id)));
        var deployment = reply.Header("Marathon-Deployment-Id");
        var info = (await client.Until("deployment_info")).Data;
        Assert.Equal(["currentStep", "eventType", "plan", "timestamp"], Fields(info));
        Assert.Equal(["id", "steps", "version"], Fields(info.GetProperty("plan")));
        Assert.Equal(id, info.GetProperty("currentStep").GetProperty("actions")[0].GetProperty("app").GetString());
        Assert.Equal(["currentStep", "eventType", "plan", "timestamp"], Fields((await client.Until("deployment_step_success")).Data));
        var done = await About(client, "deployment_success", "id", deployment!);
        Assert.Equal(["eventType", "id", "plan", "timestamp"], Fields(done));
    }

    [Fact]
    public async Task A_copy_is_told_from_scheduled_to_running_and_to_its_end()
    {
        var id = server.NewId();
        using var client = await Listen();
        await server.Deployed(server.Post("/v2/apps", App(id)));
        var scheduled = await About(client, "instance_changed_event", "runSpecId", id);
        Assert.Equal(["agentId", "condition", "eventType", "host", "instanceId", "runSpecId", "runSpecVersion", "timestamp"], Fields(scheduled));
        Assert.Equal("Scheduled", scheduled.GetProperty("condition").GetString());
        var update = await About(client, "status_update_event", "appId", id);
        Assert.Equal(["appId", "eventType", "host", "ipAddresses", "message", "ports", "slaveId", "taskId", "taskStatus", "timestamp", "version"], Fields(update));
        Assert.Equal("TASK_STAGING", update.GetProperty("taskStatus").GetString());
        Assert.Equal("TASK_RUNNING", (await About(client, "status_update_event", "appId", id)).GetProperty("taskStatus").GetString());
        await server.Deployed(server.Delete($"/v2/apps{id}"));
        Assert.Equal(["appId", "eventType", "timestamp"], Fields((await client.Until("app_terminated_event")).Data));
        Assert.Equal("TASK_KILLING", (await About(client, "status_update_event", "appId", id)).GetProperty("taskStatus").GetString());
        Assert.Equal("TASK_KILLED", (await About(client, "status_update_event", "appId", id)).GetProperty("taskStatus").GetString());
    }

    [Fact]
    public async Task A_failed_copy_is_told_with_the_node_it_failed_on()
    {
        var id = server.NewId();
        await server.Plays(id, Play.Failing);
        using var client = await Listen("?event_type=status_update_event");
        await server.Post("/v2/apps", App(id));
        var failed = await About(client, "status_update_event", "taskStatus", "TASK_FAILED");
        Assert.Equal(id, failed.GetProperty("appId").GetString());
        Assert.Matches("^node[123]$", failed.GetProperty("slaveId").GetString()!);
        Assert.Equal($"{failed.GetProperty("slaveId").GetString()}.lab", failed.GetProperty("host").GetString());
        Assert.Contains("exit code 3", failed.GetProperty("message").GetString(), StringComparison.Ordinal);
        await server.Delete($"/v2/apps{id}");
    }

    [Fact]
    public async Task Health_checks_are_told_when_they_begin_fail_recover_and_end()
    {
        var id = server.NewId();
        await server.Plays(id, Play.Healthy);
        using var client = await Listen();
        await server.Deployed(server.Post("/v2/apps", App(id, Check)));
        var added = await About(client, "add_health_check_event", "appId", id);
        Assert.Equal(["appId", "eventType", "healthCheck", "timestamp", "version"], Fields(added));
        Assert.Equal(("COMMAND", 7), (added.GetProperty("healthCheck").GetProperty("protocol").GetString(), added.GetProperty("healthCheck").GetProperty("intervalSeconds").GetInt32()));
        var alive = await About(client, "health_status_changed_event", "appId", id);
        Assert.Equal(["alive", "appId", "eventType", "instanceId", "timestamp", "version"], Fields(alive));
        Assert.True(alive.GetProperty("alive").GetBoolean());
        var healthy = await About(client, "instance_health_changed_event", "runSpecId", id);
        Assert.Equal(["eventType", "healthy", "instanceId", "runSpecId", "runSpecVersion", "timestamp"], Fields(healthy));
        await server.Plays(id, Play.Unhealthy);
        Assert.False((await About(client, "health_status_changed_event", "appId", id)).GetProperty("alive").GetBoolean());
        var failed = await About(client, "failed_health_check_event", "appId", id);
        Assert.Equal(["appId", "eventType", "healthCheck", "taskId", "timestamp"], Fields(failed));
        Assert.Equal(alive.GetProperty("instanceId").GetString(), failed.GetProperty("taskId").GetString());
        await server.Delete($"/v2/apps{id}?force=true");
        Assert.Equal(["appId", "eventType", "timestamp"], Fields(await About(client, "remove_health_check_event", "appId", id)));
    }

    [Fact]
    public async Task An_unhealthy_copy_that_is_killed_is_told_with_the_reason()
    {
        var id = server.NewId();
        await server.Deployed(server.Post("/v2/apps", App(id, Check)));
        using var client = await Listen("?event_type=unhealthy_instance_kill_event");
        var copy = Assert.Single(server.State.InstancesOf(new AppId(id)));
        var seen = new InstanceObserved { InstanceId = copy.Id.Value, TaskId = copy.Task.Value, AppId = id, Condition = InstanceCondition.Failed, ExitCode = 137 };
        seen.Health.Add(new HealthObserved { Known = true, ConsecutiveFailures = 3, Kill = true });
        await server.Agents.Single(a => a.Node == copy.Node).Say(new FromAgent { Instance = seen });
        var told = await About(client, "unhealthy_instance_kill_event", "appId", id);
        Assert.Equal(["appId", "eventType", "host", "instanceId", "reason", "slaveId", "taskId", "timestamp", "version"], Fields(told));
        Assert.Equal((copy.Id.Value, copy.Task.Value, copy.Node!.Value.Value), (told.GetProperty("instanceId").GetString(), told.GetProperty("taskId").GetString(), told.GetProperty("slaveId").GetString()));
        Assert.NotEmpty(told.GetProperty("reason").GetString()!);
        await server.Delete($"/v2/apps{id}");
    }

    [Fact]
    public async Task A_copy_nobody_knows_that_ends_is_told()
    {
        using var client = await Listen("?event_type=unknown_instance_terminated_event");
        await server.Agents[0].Say(new FromAgent { Instance = new InstanceObserved { InstanceId = "ghost.instance-1", TaskId = "ghost.instance-1._app.1", AppId = "/ghost", Condition = InstanceCondition.Gone } });
        var told = (await client.Until("unknown_instance_terminated_event")).Data;
        Assert.Equal(["condition", "eventType", "instanceId", "runSpecId", "timestamp"], Fields(told));
        Assert.Equal(("ghost.instance-1", "/ghost", "Gone"), (told.GetProperty("instanceId").GetString(), told.GetProperty("runSpecId").GetString(), told.GetProperty("condition").GetString()));
    }

    [Fact]
    public async Task A_refused_change_is_told_as_group_change_failed()
    {
        var id = server.NewId();
        await server.Plays(id, Play.Staging);
        await server.Post("/v2/apps", App(id));
        using var client = await Listen("?event_type=group_change_failed");
        Assert.Equal(409, (await server.Put($"/v2/apps{id}", """{"instances":2}""")).Status);
        var failed = (await client.Until("group_change_failed")).Data;
        Assert.Equal(["eventType", "groupId", "reason", "timestamp", "version"], Fields(failed));
        Assert.Equal("/", failed.GetProperty("groupId").GetString());
        Assert.Contains("locked", failed.GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal(422, (await server.Put("/v2/groups/circle", """{"apps":[{"id":"a","container":{"docker":{"image":"i"}},"dependencies":["/circle/b"]},{"id":"b","container":{"docker":{"image":"i"}},"dependencies":["/circle/a"]}]}""")).Status);
        Assert.Equal("/circle", (await client.Until("group_change_failed")).Data.GetProperty("groupId").GetString());
        await server.Delete($"/v2/apps{id}");
    }

    [Fact]
    public async Task A_cancelled_deployment_is_told_as_failed_with_the_reason()
    {
        var id = server.NewId();
        await server.Plays(id, Play.Staging);
        var deployment = (await server.Post("/v2/apps", App(id))).Header("Marathon-Deployment-Id")!;
        using var client = await Listen("?event_type=deployment_failed");
        Assert.Equal(202, (await server.Delete($"/v2/deployments/{deployment}?force=true")).Status);
        var failed = await About(client, "deployment_failed", "id", deployment);
        Assert.Equal(["eventType", "id", "plan", "reason", "timestamp"], Fields(failed));
        await server.Delete($"/v2/apps{id}");
    }

    [Fact]
    public async Task Types_there_is_no_occasion_for_never_come()
    {
        var id = server.NewId();
        using var client = await Listen("?event_type=pod_created_event&event_type=pod_updated_event&event_type=pod_deleted_event&event_type=framework_message_event&event_type=deployment_success");
        await client.Until("event_stream_attached");
        await server.Deployed(server.Post("/v2/apps", App(id)));
        Assert.Equal("deployment_success", (await client.Next())!.Value.Name);
    }
}
