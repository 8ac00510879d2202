using System.Text.Json;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Apps;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>healthChecks and readinessChecks as clients of Marathon send them and see them.</summary>
public sealed class HealthContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private const string Named = ""","networks":[{"mode":"container/bridge"}]""";

    private static string App(string id, string more) => $$"""
        {"id":"{{id}}","cpus":0.1,"mem":32,"container":{"type":"DOCKER","docker":{"image":"busybox"},"portMappings":[{"containerPort":80,"name":"http-api"},{"containerPort":81,"name":"admin"}]}{{Named}}{{more}} }
        """;

    private static string Checked(string id, string check) => App(id, $$""","healthChecks":[{{check}}]""");
    private static string Warming(string id, string check) => App(id, $$""","readinessChecks":[{{check}}]""");

    private async Task<JsonElement> Created(string body)
    {
        var reply = await server.Post("/v2/apps", body);
        Assert.True(reply.Status == 201, reply.Text);
        return reply.Json;
    }

    [Fact]
    public async Task A_health_check_without_anything_has_Marathons_defaults()
    {
        var check = (await Created(Checked(server.NewId(), "{}"))).GetProperty("healthChecks")[0];
        Assert.Equal(("HTTP", "/", 0, "IPv4"), (check.GetProperty("protocol").GetString(), check.GetProperty("path").GetString(), check.GetProperty("portIndex").GetInt32(), check.GetProperty("ipProtocol").GetString()));
        Assert.Equal((300, 60, 20, 3, 15), (Seconds(check, "gracePeriodSeconds"), Seconds(check, "intervalSeconds"), Seconds(check, "timeoutSeconds"), Seconds(check, "maxConsecutiveFailures"), Seconds(check, "delaySeconds")));
        Assert.False(check.GetProperty("ignoreHttp1xx").GetBoolean());
    }

    [Theory]
    [InlineData("HTTP")]
    [InlineData("HTTPS")]
    [InlineData("TCP")]
    [InlineData("MESOS_HTTP")]
    [InlineData("MESOS_HTTPS")]
    [InlineData("MESOS_TCP")]
    public async Task Each_protocol_is_taken_and_told_as_it_was_asked(string protocol)
    {
        var check = (await Created(Checked(server.NewId(), $$"""{"protocol":"{{protocol}}","port":8080,"ipProtocol":"IPv6","intervalSeconds":5,"timeoutSeconds":2,"gracePeriodSeconds":0,"maxConsecutiveFailures":0}"""))).GetProperty("healthChecks")[0];
        Assert.Equal((protocol, 8080, "IPv6", 0), (check.GetProperty("protocol").GetString(), check.GetProperty("port").GetInt32(), check.GetProperty("ipProtocol").GetString(), check.GetProperty("maxConsecutiveFailures").GetInt32()));
        Assert.False(check.TryGetProperty("portIndex", out _));
    }

    [Fact]
    public async Task A_command_is_a_check_without_a_port()
    {
        var check = (await Created(Checked(server.NewId(), """{"protocol":"COMMAND","command":{"value":"pg_isready"} }"""))).GetProperty("healthChecks")[0];
        Assert.Equal("pg_isready", check.GetProperty("command").GetProperty("value").GetString());
        Assert.False(check.TryGetProperty("portIndex", out _) || check.TryGetProperty("path", out _));
    }

    [Fact]
    public async Task Port_wins_over_portIndex_on_the_node_that_asks()
    {
        var id = server.NewId();
        await Created(Checked(id, """{"protocol":"MESOS_TCP","port":9999,"portIndex":1}"""));
        Assert.Equal(9999, (await Ordered(id)).HealthChecks.Single().Port);
        var other = server.NewId();
        await Created(Checked(other, """{"protocol":"MESOS_TCP","portIndex":1}"""));
        Assert.Equal((81, true), ((await Ordered(other)).HealthChecks.Single() is var check ? (check.Port, check.ContainerPort) : default));
    }

    [Theory]
    [InlineData("MESOS_TCP", 0, 1)]
    [InlineData("MESOS_TCP", 3, 3)]
    [InlineData("TCP", 0, 0)]
    [InlineData("HTTP", 0, 0)]
    public async Task No_number_of_failures_means_never_and_for_Mesos_checks_the_first(string protocol, int asked, int ordered)
    {
        var id = server.NewId();
        await Created(Checked(id, $$"""{"protocol":"{{protocol}}","maxConsecutiveFailures":{{asked}} }"""));
        Assert.Equal(ordered, (await Ordered(id)).HealthChecks.Single().MaxConsecutiveFailures);
    }

    [Theory]
    [InlineData("HTTP", 0)]
    [InlineData("MESOS_HTTP", 15000)]
    public async Task The_delay_is_for_Mesos_checks_alone(string protocol, int milliseconds)
    {
        var id = server.NewId();
        await Created(Checked(id, $$"""{"protocol":"{{protocol}}"}"""));
        Assert.Equal(milliseconds, (await Ordered(id)).HealthChecks.Single().DelayMs);
    }

    [Theory]
    [InlineData("""{"protocol":"UDP"}""", "/healthChecks(0)/protocol")]
    [InlineData("""{"protocol":"COMMAND"}""", "/healthChecks(0)/command")]
    [InlineData("""{"portIndex":2}""", "/healthChecks(0)/portIndex")]
    [InlineData("""{"portIndex":-1}""", "/healthChecks(0)/portIndex")]
    [InlineData("""{"port":0}""", "/healthChecks(0)/port")]
    [InlineData("""{"port":65536}""", "/healthChecks(0)/port")]
    [InlineData("""{"intervalSeconds":0}""", "/healthChecks(0)/intervalSeconds")]
    [InlineData("""{"timeoutSeconds":-1}""", "/healthChecks(0)/timeoutSeconds")]
    [InlineData("""{"gracePeriodSeconds":-1}""", "/healthChecks(0)/gracePeriodSeconds")]
    [InlineData("""{"maxConsecutiveFailures":-1}""", "/healthChecks(0)/maxConsecutiveFailures")]
    [InlineData("""{"ipProtocol":"IPX"}""", "/healthChecks(0)/ipProtocol")]
    public async Task A_health_check_that_cannot_be_is_refused_by_its_field_and_no_app_is_made(string check, string path)
    {
        var id = server.NewId();
        Assert.NotEmpty((await server.Post("/v2/apps", Checked(id, check))).Refused(path));
        Assert.Equal(404, (await server.Get($"/v2/apps{id}")).Status);
    }

    [Fact]
    public async Task Healthy_and_unhealthy_copies_are_counted_and_unhealthy_ones_hold_the_deployment_up()
    {
        var id = server.NewId();
        await server.Plays(id, Play.Unhealthy);
        await Created(Checked(id, """{"protocol":"TCP"}"""));
        var app = (await server.Until($"/v2/apps{id}", r => r["app"].GetProperty("tasksUnhealthy").GetInt32() == 1, "an unhealthy copy"))["app"];
        Assert.Equal(0, app.GetProperty("tasksHealthy").GetInt32());
        Assert.Contains("connection refused", (await server.Until("/v2/deployments", r => Waits(r, id).Contains("connection refused", StringComparison.Ordinal), "what it waits for")).Text, StringComparison.Ordinal);
        await server.Plays(id, Play.Healthy);
        app = (await server.Until($"/v2/apps{id}", r => r["app"].GetProperty("tasksHealthy").GetInt32() == 1 && r["app"].GetProperty("deployments").GetArrayLength() == 0, "a healthy copy and the end"))["app"];
        var result = app.GetProperty("tasks")[0].GetProperty("healthCheckResults")[0];
        Assert.Equal((true, 0), (result.GetProperty("alive").GetBoolean(), result.GetProperty("consecutiveFailures").GetInt32()));
    }

    [Fact]
    public async Task Without_checks_health_is_unknown_and_the_app_serves()
    {
        var id = server.NewId();
        await server.Deployed(server.Post("/v2/apps", App(id, "")));
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.Equal((1, 0, 0), (app.GetProperty("tasksRunning").GetInt32(), app.GetProperty("tasksHealthy").GetInt32(), app.GetProperty("tasksUnhealthy").GetInt32()));
    }

    [Fact]
    public async Task A_readiness_check_without_anything_has_Marathons_defaults()
    {
        var check = (await Created(Warming(server.NewId(), "{}"))).GetProperty("readinessChecks")[0];
        Assert.Equal(("readinessCheck", "HTTP", "/", "http-api"), (check.GetProperty("name").GetString(), check.GetProperty("protocol").GetString(), check.GetProperty("path").GetString(), check.GetProperty("portName").GetString()));
        Assert.Equal((30, 10, 200, false), (Seconds(check, "intervalSeconds"), Seconds(check, "timeoutSeconds"), check.GetProperty("httpStatusCodesForReady")[0].GetInt32(), check.GetProperty("preserveLastResponse").GetBoolean()));
    }

    [Theory]
    [InlineData("""{"portName":"nobody"}""", "/readinessChecks(0)/portName")]
    [InlineData("""{"intervalSeconds":10,"timeoutSeconds":10}""", "/readinessChecks(0)/timeoutSeconds")]
    [InlineData("""{"protocol":"TCP"}""", "/readinessChecks(0)/protocol")]
    [InlineData("""{"httpStatusCodesForReady":[]}""", "/readinessChecks(0)/httpStatusCodesForReady")]
    [InlineData("""{"httpStatusCodesForReady":[42]}""", "/readinessChecks(0)/httpStatusCodesForReady(0)")]
    [InlineData("""{},{}""", "/readinessChecks")]
    public async Task A_readiness_check_that_cannot_be_is_refused_by_its_field_and_no_app_is_made(string check, string path)
    {
        var id = server.NewId();
        Assert.NotEmpty((await server.Post("/v2/apps", Warming(id, check))).Refused(path));
        Assert.Equal(404, (await server.Get($"/v2/apps{id}")).Status);
    }

    [Fact]
    public async Task A_deployment_shows_who_is_ready_and_ends_when_all_are()
    {
        var id = server.NewId();
        await Created(Warming(id, """{"name":"warm","portName":"admin","preserveLastResponse":true,"httpStatusCodesForReady":[200,204]}"""));
        await server.Until($"/v2/apps{id}", r => r["app"].GetProperty("tasksRunning").GetInt32() == 1, "a copy that runs");
        var ordered = await Ordered(id);
        var check = Assert.Single(ordered.ReadinessChecks);
        Assert.Equal(("warm", "/", true), (check.Name, check.Path, check.KeepAnswer));
        Assert.Equal([200, 204], check.ReadyCodes);
        await Says(id, ordered, new ReadinessObserved { Name = "warm", Status = 503, ContentType = "text/plain", Body = "not yet" });
        var shown = await server.Until("/v2/deployments", r => r.Text.Contains("not yet", StringComparison.Ordinal), "the answer");
        var action = shown.Json.EnumerateArray().Single(d => d.GetProperty("affectedApps")[0].GetString() == id).GetProperty("currentActions")[0];
        var result = Assert.Single(action.GetProperty("readinessCheckResults").EnumerateArray());
        Assert.Equal(("warm", ordered.TaskId, false, 503), (result.GetProperty("name").GetString(), result.GetProperty("taskId").GetString(), result.GetProperty("ready").GetBoolean(), result.GetProperty("lastResponse").GetProperty("status").GetInt32()));
        await server.Until("/v2/deployments", r => Waits(r, id).Contains("its readiness check 'warm' to answer 200 or 204; it answered 503 last", StringComparison.Ordinal), "what it waits for");
        await Says(id, ordered, new ReadinessObserved { Name = "warm", Ready = true, Status = 204 });
        await server.Until(s => s.DeploymentOf(new AppId(id)) is null, "the end of the deployment");
    }

    private async Task<DesiredInstance> Ordered(string id)
    {
        await server.Until(s => s.InstancesOf(new AppId(id)).Any(i => i.Runs), "a copy that runs");
        return server.Agents.SelectMany(a => a.Ordered).Single(i => i.AppId == id);
    }

    private async Task Says(string id, DesiredInstance instance, ReadinessObserved readiness)
    {
        var agent = server.Agents.Single(a => a.Ordered.Any(i => i.InstanceId == instance.InstanceId));
        var seen = new InstanceObserved { InstanceId = instance.InstanceId, TaskId = instance.TaskId, AppId = id, ContainerId = $"c-{instance.TaskId}", Condition = InstanceCondition.Running };
        seen.Readiness.Add(readiness);
        await agent.Say(new FromAgent { Instance = seen });
    }

    private static string Waits(Reply deployments, string id) => deployments.Json.EnumerateArray().Where(d => d.GetProperty("affectedApps")[0].GetString() == id)
        .Select(d => d.TryGetProperty("waitsFor", out var waits) ? waits.GetString() ?? "" : "").SingleOrDefault() ?? "";

    private static int Seconds(JsonElement check, string name) => check.GetProperty(name).GetInt32();
}
