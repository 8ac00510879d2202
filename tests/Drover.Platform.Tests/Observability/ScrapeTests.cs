#pragma warning disable RS0030 // starts a tool of Debian's, which is no part of the product, on a port that is free
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Drover.Agent;
using Drover.Agent.Metrics;
using Drover.Contracts.Metrics;
using Drover.ControlPlane;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Store.Sqlite;
using Drover.Core.Trust;
using Drover.Testing;
using Drover.Testing.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Drover.Platform.Tests.Observability;

/// <summary>Prometheus itself, set up as docs/observability.md says: the control plane by HTTPS with a viewer's token, an agent, the alert rules.</summary>
[Trait("needs", "root")]
public sealed class ScrapeTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Fact]
    public async Task Prometheus_reads_the_control_plane_with_a_viewers_token_and_an_agent_and_evaluates_the_rules()
    {
        var data = _temporary.File("control");
        await InitCommand.Run(new CommandLine.Init(data, "", false), TextWriter.Null, TimeProvider.System);
        using var folder = DataFolder.Hold(data);
        await using var store = SqliteStore.Open(folder.Database, TimeProvider.System);
        var options = new ControlPlaneOptions(data, new(IPAddress.Loopback, 0), new(IPAddress.Loopback, 0), false, "test") { Https = true, RequireToken = true };
        await using var app = await ControlPlane.Program.Build(options, folder, store, TimeProvider.System, new SeededChance(3));
        await app.StartAsync();
        var (_, secret, _) = await app.Services.GetRequiredService<ApiTokens>().Make("prometheus", ApiRole.Viewer, null, default);
        using var book = new MetricBook(TimeProvider.System);
        AgentMeters.Add(book, TimeProvider.System);
        await using var agent = new MetricsServer(book, new AgentOptions { Node = "n", Control = new("https://127.0.0.1:1"), Address = "127.0.0.1", Certificates = "/c", Pool = "/p", Metrics = new(IPAddress.Loopback, 0) }, NullLoggerFactory.Instance);
        await agent.StartAsync(default);

        var settings = await Settings(app.Services.GetRequiredService<Authorities>().BundlePem, secret, app.Services.GetRequiredService<OpenDoors>().Http, agent.Endpoint!);
        var listens = $"127.0.0.1:{FreePort()}";
        using var prometheus = Process.Start(new ProcessStartInfo("prometheus", [$"--config.file={settings}", $"--storage.tsdb.path={_temporary.File("data")}", $"--web.listen-address={listens}"]) { RedirectStandardError = true })!;
        try
        {
            _ = prometheus.StandardError.ReadToEndAsync();
            using var http = new HttpClient { BaseAddress = new($"http://{listens}") };
            await Until("both to be read", http, "/api/v1/targets", said => said["activeTargets"]!.AsArray() is { Count: 2 } targets && targets.All(t => (string?)t!["health"] == "up"));
            await Until("the control plane's figures", http, "/api/v1/query?query=drover_store_commits_total{outcome=\"done\"}", said => said["result"]!.AsArray() is [{ } series] && double.Parse((string)series["value"]![1]!, CultureInfo.InvariantCulture) > 0);
            await Until("the agent's figures", http, "/api/v1/query?query=drover_agent_connected", said => said["result"]!.AsArray().Count == 1);
            await Until("every rule to be evaluated", http, "/api/v1/rules", said => said["groups"]!.AsArray().SelectMany(g => g!["rules"]!.AsArray()).ToList() is { Count: >= 19 } rules && rules.All(r => (string?)r!["health"] == "ok"));
        }
        finally { prometheus.Kill(); }
        await agent.StopAsync(default);
        await app.StopAsync();
    }

    private async Task<string> Settings(string authority, string secret, IPEndPoint control, IPEndPoint agent)
    {
        var (ca, token, settings) = (_temporary.File("ca.pem"), _temporary.File("token"), _temporary.File("prometheus.yml"));
        await File.WriteAllTextAsync(ca, authority);
        await File.WriteAllTextAsync(token, secret);
        await File.WriteAllTextAsync(settings, $$"""
            global: { scrape_interval: 1s, evaluation_interval: 1s }
            rule_files: [{{Path.Combine(MetricPage.Root, "deploy/prometheus/drover.rules.yml")}}]
            scrape_configs:
              - job_name: drover-control
                scheme: https
                tls_config: { ca_file: {{ca}} }
                authorization: { credentials_file: {{token}} }
                static_configs: [{ targets: ["{{control}}"] }]
              - job_name: drover-agent
                static_configs: [{ targets: ["{{agent}}"] }]
            """);
        return settings;
    }

    private static async Task Until(string what, HttpClient http, string path, Func<JsonNode, bool> holds)
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        var last = "";
        while (true)
        {
            try
            {
                last = await http.GetStringAsync(new Uri(path, UriKind.Relative), limit.Token);
                if (holds(JsonNode.Parse(last)!["data"]!)) return;
            }
            catch (HttpRequestException e) { last = e.Message; }
            catch (OperationCanceledException) { throw new TimeoutException($"never came: {what}; last was {last}"); }
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, CancellationToken.None);
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
