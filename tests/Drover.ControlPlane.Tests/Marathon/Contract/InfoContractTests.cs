using System.Text.Json;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>/v2/info, /v2/leader, /v2/plugins, /ping, /metrics, /logging, /config, /, and what is not there.</summary>
public sealed class InfoContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private string Host => server.Http.BaseAddress!.Authority;

    [Fact]
    public async Task Info_says_who_leads_and_which_api_this_is()
    {
        var info = await server.Get("/v2/info");
        Assert.Equal(("marathon", "1.10.19", "drover", Host, true), (info["name"].GetString(), info["version"].GetString(), info["frameworkId"].GetString(), info["leader"].GetString(), info["elected"].GetBoolean()));
        Assert.StartsWith("drover ", info["buildref"].GetString(), StringComparison.Ordinal);
        Assert.Equal(server.Http.BaseAddress!.Port, info["http_config"].GetProperty("http_port").GetInt32());
        Assert.Equal(JsonValueKind.Null, info["http_config"].GetProperty("https_port").ValueKind);
        Assert.Equal(JsonValueKind.Object, info["zookeeper_config"].ValueKind);
    }

    [Theory]
    [InlineData("master")]
    [InlineData("failover_timeout")]
    [InlineData("framework_name")]
    [InlineData("ha")]
    [InlineData("checkpoint")]
    [InlineData("local_port_min")]
    [InlineData("local_port_max")]
    [InlineData("executor")]
    [InlineData("hostname")]
    [InlineData("webui_url")]
    [InlineData("mesos_role")]
    [InlineData("task_launch_timeout")]
    [InlineData("task_reservation_timeout")]
    [InlineData("reconciliation_initial_delay")]
    [InlineData("reconciliation_interval")]
    [InlineData("mesos_user")]
    [InlineData("leader_proxy_connection_timeout_ms")]
    [InlineData("leader_proxy_read_timeout_ms")]
    [InlineData("features")]
    [InlineData("mesos_leader_ui_url")]
    public async Task Each_of_marathons_settings_is_there(string key) => Assert.True((await server.Get("/v2/info"))["marathon_config"].TryGetProperty(key, out _));

    [Fact]
    public async Task Settings_are_those_that_hold()
    {
        var config = (await server.Get("/v2/info"))["marathon_config"];
        Assert.True(config.EnumerateObject().Count() >= 45);
        Assert.Equal((10_000, 20_000, 60, false, "contract"), (config.GetProperty("local_port_min").GetInt32(), config.GetProperty("local_port_max").GetInt32(), config.GetProperty("failover_timeout").GetInt32(), config.GetProperty("ha").GetBoolean(), config.GetProperty("framework_name").GetString()));
        Assert.Equal($"http://{Host}", config.GetProperty("mesos_leader_ui_url").GetString());
    }

    [Fact]
    public async Task The_leader_is_who_answers_and_does_not_abdicate()
    {
        var leader = await server.Get("/v2/leader");
        Assert.Equal((200, Host), (leader.Status, leader["leader"].GetString()));
        var abdication = await server.Delete("/v2/leader");
        Assert.Equal(409, abdication.Status);
        Assert.Contains("goes on leading", abdication.Message, StringComparison.Ordinal);
        Assert.Equal(Host, (await server.Get("/v2/leader"))["leader"].GetString());
    }

    [Fact]
    public async Task There_are_no_plugins() => Assert.Equal("""{"plugins":[]}""", (await server.Get("/v2/plugins")).Text);

    [Theory]
    [InlineData("HEAD", "/v2/pods")]
    [InlineData("GET", "/v2/pods")]
    [InlineData("POST", "/v2/pods")]
    [InlineData("GET", "/v2/pods/shop/db::status")]
    [InlineData("PUT", "/v2/artifacts/a.tgz")]
    [InlineData("GET", "/v2/artifacts")]
    public async Task Pods_and_artifacts_are_not_there_and_that_is_said(string method, string path)
    {
        var reply = await server.Send(method, path);
        Assert.Equal(404, reply.Status);
        if (method != "HEAD") Assert.Contains(path.Contains("pods", StringComparison.Ordinal) ? "no pods" : "no artifact store", reply.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, 200, "pong", "text/plain")]
    [InlineData("*/*", 200, "pong", "text/plain")]
    [InlineData("text/plain", 200, "pong", "text/plain")]
    [InlineData("text/html,application/xhtml+xml", 200, "pong", "text/plain")]
    [InlineData("application/json", 200, "\"pong\"", "application/json")]
    [InlineData("image/png", 204, "", null)]
    public async Task Ping_is_answered_in_the_form_asked_for(string? accept, int status, string text, string? type)
    {
        var reply = await server.Get("/ping", accept);
        Assert.Equal((status, text, type), (reply.Status, reply.Text, reply.ContentHeaders.ContentType?.MediaType));
    }

    [Fact]
    public async Task The_root_says_what_there_is()
    {
        var root = await server.Get("/");
        Assert.Equal((200, "drover"), (root.Status, root["name"].GetString()));
        Assert.True(root["there"].TryGetProperty("/v2/apps", out _));
    }

    [Theory]
    [InlineData("/v2/nothing")]
    [InlineData("/nothing")]
    [InlineData("/v3/apps")]
    [InlineData("/v2/schemas")]
    public async Task An_unknown_route_is_404(string path)
    {
        var reply = await server.Get(path);
        Assert.Equal(404, reply.Status);
        Assert.Contains("There is nothing at", reply.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_have_marathons_shape_and_count_what_was_asked()
    {
        async Task<double> Count()
        {
            var metrics = await server.Get("/metrics", "application/json");
            Assert.Equal(["start", "end", "counters", "gauges", "histograms", "meters", "timers"], metrics.Json.EnumerateObject().Select(p => p.Name));
            return metrics["counters"].EnumerateObject().Where(c => c.Name == """drover_api_requests_total{method="GET",route="/v2/plugins",status="200"}""").Select(c => c.Value.GetProperty("count").GetDouble()).SingleOrDefault();
        }
        var before = await Count();
        await server.Get("/v2/plugins");
        Assert.True(await Count() >= before + 1);
        var all = await server.Get("/metrics");
        Assert.Equal(3, all["gauges"].GetProperty("""drover_nodes{connected="true"}""").GetProperty("value").GetInt32());
        Assert.True(all["timers"].EnumerateObject().Single(t => t.Name == "drover_store_commit_seconds").Value.GetProperty("count").GetInt64() > 0);
        Assert.Contains(all["counters"].EnumerateObject(), c => c.Name.StartsWith("drover_loop_passes_total{loop=\"SchedulerLoop\"", StringComparison.Ordinal));
        Assert.Contains(all["counters"].EnumerateObject(), c => c.Name.StartsWith("drover_events_total{kind=\"node.", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("/metrics/prometheus", null)]
    [InlineData("/metrics", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")]
    public async Task Prometheus_reads_the_same_as_text(string path, string? accept)
    {
        await server.Get("/v2/info");
        var reply = await server.Get(path, accept);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", reply.ContentHeaders.ContentType!.ToString());
        Assert.Contains("# TYPE drover_api_requests_total counter\n", reply.Text, StringComparison.Ordinal);
        Assert.Contains("drover_nodes{connected=\"true\"} 3\n", reply.Text, StringComparison.Ordinal);
        Assert.Contains("drover_api_request_seconds_bucket{route=\"/v2/info\",le=\"+Inf\"}", reply.Text, StringComparison.Ordinal);
        Assert.All(reply.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.Matches(@"^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+=""[^""]*""(,[a-z]+=""[^""]*"")*\})? [-+.0-9E]+)$", line));
    }

    [Fact]
    public async Task The_log_level_of_a_part_is_set_while_it_runs_and_ends_by_itself()
    {
        var log = server.Service<Microsoft.Extensions.Logging.ILoggerFactory>().CreateLogger("Drover.Probe");
        Assert.False(log.IsEnabled(Microsoft.Extensions.Logging.LogLevel.Trace));
        var set = await server.Post("/logging", """{"level":"trace","logger":"Drover.Probe","durationSeconds":4}""");
        Assert.Equal((200, "trace"), (set.Status, set["loggers"].EnumerateArray().Single(l => l.GetProperty("logger").GetString() == "Drover.Probe").GetProperty("level").GetString()));
        Assert.True(log.IsEnabled(Microsoft.Extensions.Logging.LogLevel.Trace));
        await server.Advance(TimeSpan.FromSeconds(6));
        Assert.False(log.IsEnabled(Microsoft.Extensions.Logging.LogLevel.Trace));
        Assert.DoesNotContain((await server.Get("/logging"))["loggers"].EnumerateArray(), l => l.GetProperty("logger").GetString() == "Drover.Probe");
    }

    [Theory]
    [InlineData("{}", 422)]
    [InlineData("""{"level":"loud"}""", 422)]
    [InlineData("""{"level":5}""", 422)]
    [InlineData("""{"level":"debug","durationSeconds":0}""", 422)]
    [InlineData("level=debug", 400)]
    public async Task A_level_that_is_none_is_refused(string body, int status) => Assert.Equal(status, (await server.Post("/logging", body)).Status);

    [Fact]
    public async Task Config_shows_the_settings_and_no_secret()
    {
        var config = await server.Get("/config");
        Assert.Equal(("contract", 60d, false), (config["name"].GetString(), config["leaseSeconds"].GetDouble(), config["https"].GetBoolean()));
        Assert.DoesNotContain("token", config.Text.Replace("requireToken", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase);
    }
}
