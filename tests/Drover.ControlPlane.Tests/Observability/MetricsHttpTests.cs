using Drover.Contracts.Metrics;
using Drover.ControlPlane.Tests.Marathon.Contract;
using Drover.Testing.Metrics;
using Xunit;

namespace Drover.ControlPlane.Tests.Observability;

public sealed class MetricsHttpTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    /// <summary>As Prometheus 2.42 sends it.</summary>
    private const string AsPrometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    private MetricBook Book => server.Service<MetricBook>();

    [Fact]
    public void The_page_lists_every_metric()
    {
        Assert.Equal("", MetricPage.Fault("drover-control", Book));
        Assert.All(Book.All, m => Assert.True(m.Help.EndsWith('.') && m.Help.Length > 4, m.Name));
    }

    [Fact]
    public async Task Prometheus_gets_text_and_clients_of_marathon_get_json()
    {
        foreach (var (path, accept) in new[] { ("/metrics", AsPrometheus), ("/metrics", "text/plain"), ("/metrics/prometheus", AsPrometheus), ("/metrics/prometheus", (string?)null) })
        {
            var text = await server.Get(path, accept);
            Assert.Equal((200, "text/plain; version=0.0.4; charset=utf-8"), (text.Status, text.Header("Content-Type")));
            foreach (var metric in Book.All) Assert.Contains($"# HELP {metric.Name} {metric.Help}\n# TYPE {metric.Name} {metric.Kind.ToString().ToLowerInvariant()}\n", text.Text, StringComparison.Ordinal);
        }
        foreach (var accept in new[] { null, "application/json", "*/*" })
        {
            var json = await server.Get("/metrics", accept);
            Assert.Equal(["start", "end", "counters", "gauges", "histograms", "meters", "timers"], json.Json.EnumerateObject().Select(p => p.Name));
            Assert.Equal(3, json["gauges"].GetProperty("drover_nodes{connected=\"true\"}").GetProperty("value").GetDouble());
            Assert.True(json["timers"].GetProperty("drover_store_commit_seconds").GetProperty("count").GetInt64() > 0);
        }
    }

    [Fact]
    public async Task What_is_done_shows()
    {
        var id = server.NewId();
        var (placed, ended) = (Book.Value("drover_placements_total"), Book.Value("drover_deployments_ended_total", "done"));
        await server.Deployed(server.Put($"/v2/apps{id}", $$"""{"id":"{{id}}","container":{"type":"DOCKER","docker":{"image":"i"} },"instances":3}"""));
        Assert.Equal(placed + 3, Book.Value("drover_placements_total"));
        Assert.Equal(ended + 1, Book.Value("drover_deployments_ended_total", "done"));
        Assert.Equal((3, 0), (Book.Value("drover_nodes", "true"), Book.Value("drover_nodes", "false")));
        Assert.True(Book.Value("drover_instances", "running") >= 3);
        Assert.True(Book.Value("drover_api_requests_total", "PUT", "/v2/apps/{id}", "201") >= 1);
        Assert.True(Book.Value("drover_agent_messages_total", "instance") >= 3);
        Assert.True(Book.Count("drover_loop_pass_seconds", "SchedulerLoop") > 0);
        Assert.True(Book.Value("drover_store_written_bytes_total") > 0 && Book.Value("drover_store_bytes") > 0 && Book.Value("process_resident_memory_bytes") > 0);
        Assert.Equal(0.5, Book.Value("drover_pool_fullest_ratio"));
    }

    [Fact]
    public async Task What_waits_shows_with_its_reason_and_its_age_and_no_id_of_it_anywhere()
    {
        var id = server.NewId("unplaceable");
        Assert.Equal(201, (await server.Put($"/v2/apps{id}", $$"""{"id":"{{id}}","container":{"type":"DOCKER","docker":{"image":"i"} },"cpus":1000}""")).Status);
        await server.Until(s => s.Instances.Values.Any(i => i.App.Value == id && i.WaitsFor?.Contains("needs", StringComparison.Ordinal) == true), "the reason");
        var before = Book.Value("drover_queue_oldest_seconds", "resources");
        await server.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(1, Book.Value("drover_queue", "resources"));
        Assert.InRange(Book.Value("drover_queue_oldest_seconds", "resources"), before + 20, before + 20.1);
        Assert.DoesNotContain("unplaceable", (await server.Get("/metrics/prometheus")).Text, StringComparison.Ordinal);
        await server.Delete($"/v2/apps{id}?force=true");
    }

    [Fact]
    public async Task A_lease_that_is_asked_for_is_counted_and_its_rest_shows()
    {
        await server.Agents[0].Say(new() { Lease = new() { AskedAtUs = 5 } });
        await server.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(1, Book.Read().Single(m => m.Info.Name == "drover_lease_grants_total").Series.Sum(s => s.Value));
        Assert.Equal(3, Book.Value("drover_leases", "held"));
        Assert.True(Book.Value("drover_lease_shortest_remaining_seconds") > 0);
    }
}
