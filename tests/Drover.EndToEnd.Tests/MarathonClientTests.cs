using System.Text.Json.Nodes;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

/// <summary>Marathon's own clients, as they are installed, against the published control plane with real containers.</summary>
[Trait("needs", "root")]
public sealed class MarathonClientTests(LabFixture lab) : IAsyncLifetime
{
    private const string App = "/clients/web";
    private static readonly string Folder = Path.Combine(Shell.Root, "artifacts/clients");

    private const string Definition = """
        {"id":"/clients/web","cpus":0.1,"mem":32,"instances":2,"cmd":"trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done","labels":{"tier":"front","with space":"x"},
         "container":{"type":"DOCKER","docker":{"image":"binocarlos/powerstrip-mesosphere-demo"},
           "portMappings":[{"containerPort":80,"hostPort":0,"name":"http","labels":{"metrics":"yes"}},{"containerPort":81,"hostPort":0}]},
         "networks":[{"mode":"container/bridge"}]}
        """;

    public ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(Folder);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync() => await lab.Delete(App);

    [Fact]
    public async Task Prometheus_discovers_each_port_of_each_task_with_its_labels()
    {
        await lab.Deploy(Definition);
        await lab.Serving(App);
        // This machine's own address in the lab: nobody else listens there.
        var listens = $"{Net}.1:19090";
        var settings = Path.Combine(Folder, "prometheus.yml");
        await File.WriteAllTextAsync(settings, $"""
            scrape_configs:
              - job_name: marathon
                scrape_interval: 1h
                marathon_sd_configs:
                  - servers: ["http://{Net}.250:8080"]
                    refresh_interval: 1s
            """);
        var data = Path.Combine(Folder, "prometheus-data");
        if (Directory.Exists(data)) Directory.Delete(data, recursive: true);
        using var prometheus = Shell.Begin("prometheus", [$"--config.file={settings}", $"--storage.tsdb.path={data}", $"--web.listen-address={listens}"]);
        using var http = new HttpClient { BaseAddress = new($"http://{listens}") };
        List<JsonNode> targets = [];
        await Until("Prometheus to see four ports", async () =>
        {
            var seen = JsonNode.Parse(await http.GetStringAsync("/api/v1/targets"))!["data"]!["activeTargets"]!.AsArray();
            targets = [.. seen.Select(t => t!["discoveredLabels"]!).Where(l => (string?)l["__meta_marathon_app"] == App)];
            return targets.Count == 4;
        }, () => string.Join('\n', prometheus.Lines.TakeLast(5)));
        var tasks = (await lab.Json(HttpMethod.Get, $"/v2/apps{App}/tasks"))!["tasks"]!.AsArray();
        Assert.Equal(tasks.Select(t => (string?)t!["id"]).Order(), targets.Select(t => (string?)t["__meta_marathon_task"]).Distinct().Order());
        Assert.Equal(tasks.SelectMany(t => t!["ports"]!.AsArray().Select(p => $"{t["host"]}:{p}")).Order(), targets.Select(t => (string?)t["__address__"]).Order());
        Assert.All(targets, t =>
        {
            Assert.Equal("front", (string?)t["__meta_marathon_app_label_tier"]);
            Assert.Equal("x", (string?)t["__meta_marathon_app_label_with_space"]);
            Assert.Equal("binocarlos/powerstrip-mesosphere-demo", (string?)t["__meta_marathon_image"]);
            Assert.Equal((string?)t["__meta_marathon_port_index"] == "0" ? "yes" : null, (string?)t["__meta_marathon_port_mapping_label_metrics"]);
        });
    }

    [Fact]
    public async Task The_event_bus_client_hears_an_app_come_and_go()
    {
        var folder = Path.Combine(Folder, "events");
        Directory.CreateDirectory(folder);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Shell.Root, "tests/clients/events"))) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
        (await Shell.Run("npm", ["ci", "--silent", "--no-audit", "--no-fund", "--prefix", folder], new CancellationTokenSource(TimeSpan.FromMinutes(3)).Token)).Must();
        using var client = Shell.Begin("node", [Path.Combine(folder, "listen.js"), $"{Net}.250", "8080"]);
        async Task Heard(string what, Func<IReadOnlyList<string>, bool> said) => await Until($"the client to hear {what}", () => Task.FromResult(said(client.Lines)), () => string.Join('\n', client.Lines.TakeLast(20)));

        await Heard("that it is attached", lines => lines.Any(l => l.StartsWith("event_stream_attached ", StringComparison.Ordinal)));
        await lab.Deploy(Definition);
        await lab.Serving(App);
        await Heard("the deployment's end", lines => lines.Any(l => l.StartsWith("deployment_success ", StringComparison.Ordinal)));
        Assert.Equal(2, client.Lines.Count(l => l.StartsWith($"status_update_event {App} TASK_RUNNING ", StringComparison.Ordinal)));
        Assert.Equal(2, client.Lines.Count(l => l.StartsWith($"instance_changed_event {App} Running ", StringComparison.Ordinal)));
        Assert.Contains(client.Lines, l => l.StartsWith("deployment_info ", StringComparison.Ordinal));
        Assert.Contains(client.Lines, l => l.StartsWith("deployment_step_success ", StringComparison.Ordinal));
        Assert.Contains(client.Lines, l => l.StartsWith("group_change_success ", StringComparison.Ordinal));
        await lab.Delete(App);
        await Heard("that the app is gone", lines => lines.Any(l => l.StartsWith($"app_terminated_event {App} ", StringComparison.Ordinal)));
        Assert.DoesNotContain(client.Lines, l => l.StartsWith("error", StringComparison.Ordinal));
    }
}
