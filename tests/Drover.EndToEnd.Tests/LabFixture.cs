using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Drover.Cli.Lab;
using Drover.Contracts.Api;
using Drover.Testing.Labs;
using Xunit;

[assembly: AssemblyFixture(typeof(Drover.EndToEnd.Tests.LabFixture))]
// The lab is one machine's worth of load, and tests kill its processes: one at a time.
[assembly: CollectionBehavior(CollectionBehavior.CollectionPerAssembly)]

namespace Drover.EndToEnd.Tests;

/// <summary>One lab of the published programs for all tests: master, node1 (disk:spinning), node2 (disk:ssd).</summary>
public sealed class LabFixture : IAsyncLifetime
{
    public const string Node1 = "node1", Node2 = "node2";
    private const string Kind = "e2e";
    public static readonly string Name = LabRun.Name(Kind), Net = LabRun.FreeNetworks(1)[0];
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private static readonly string Program = Path.Combine(Shell.Root, "artifacts/bin/drover/drover");
    private readonly HttpClient _http = new() { BaseAddress = new($"http://{Net}.250:8080"), Timeout = TimeSpan.FromSeconds(20) };

    public static string PoolOf(string node) => new Cli.Lab.LabLayout(Name).Pool(node);

    public static string AddressOf(string node) => node == Node1 ? $"{Net}.251" : $"{Net}.252";

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Program)) throw new InvalidOperationException("the programs are not published: run eng/setup.sh");
        // What a run left that crashed; one that goes on beside this keeps its own.
        foreach (var left in LabRun.Dead(Kind, LabLayout.Existing(), LabRun.Lives)) await Tool("lab", "down", "--name", left);
        (await Tool("lab", "up", "--name", Name, "--subnet", $"{Net}.0/24", "--pool-size", "8GiB")).Must();
        await Until("both nodes to be connected", async () => (await Status()).NodesConnected == 2);
    }

    public async ValueTask DisposeAsync()
    {
        (await Tool("lab", "down", "--name", Name)).Must();
        _http.Dispose();
    }

    // ---- The programs ----

    public static Task<Said> Tool(params IReadOnlyList<string> arguments) => Shell.Run(Program, arguments, new CancellationTokenSource(TimeSpan.FromMinutes(8)).Token);

    public static Task<Said> Control(params IReadOnlyList<string> arguments) => Tool([.. arguments, "--control", $"http://{Net}.250:8080"]);

    /// <summary>Runs a command inside a machine of the lab.</summary>
    public static async Task<string> On(string node, params IReadOnlyList<string> command) => (await Tool(["lab", "shell", "--name", Name, node, "--", .. command])).Must();

    public static async Task Kill(string node, string process) => (await Tool("lab", "kill", "--name", Name, node, process)).Must();

    /// <summary>Starts again what was killed.</summary>
    public static async Task Start(string node, string process) => (await Tool("lab", "start", "--name", Name, node, process)).Must();

    public static async Task<string> Container(string node, string app) =>
        (await On(node, "docker", "ps", "-q", "--filter", $"label=drover.app={app}")).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).FirstOrDefault()
        ?? throw new InvalidOperationException($"{app} does not run on {node}");

    // ---- The API ----

    public async Task<JsonNode?> Json(HttpMethod method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await _http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        if (!response.IsSuccessStatusCode) throw new HttpRequestException($"{method} {path}: {(int)response.StatusCode} {text}", null, response.StatusCode);
        return text.Length == 0 ? null : JsonNode.Parse(text);
    }

    public async Task<StatusView> Status() => JsonSerializer.Deserialize(await _http.GetStringAsync("/api/v1/status"), ApiJson.Default.StatusView)!;

    public async Task<VolumeView> Volume(string name) => JsonSerializer.Deserialize(await _http.GetStringAsync($"/api/v1/volumes/{name}"), ApiJson.Default.VolumeView)!;

    public async Task<MoveView> Move(string id) => JsonSerializer.Deserialize(await _http.GetStringAsync($"/api/v1/moves/{id}"), ApiJson.Default.MoveView)!;

    public async Task<MoveView?> NewestMoveOf(string app) =>
        JsonSerializer.Deserialize(await _http.GetStringAsync("/api/v1/moves"), ApiJson.Default.MovesView)!.Moves.Where(m => m.App == app).MaxBy(m => m.RequestedAt);

    public async Task<MoveView> Begin(MoveRequest request) =>
        JsonSerializer.Deserialize((await Json(HttpMethod.Post, "/api/v1/moves", JsonSerializer.Serialize(request, ApiJson.Default.MoveRequest)))!.ToJsonString(), ApiJson.Default.MoveView)!;

    public async Task<MoveView> Ended(string move)
    {
        MoveView? last = null;
        await Until($"move {move} to end", async () => (last = await Move(move)).EndedAt is not null, () => $"it is {last?.State}, waits for {last?.WaitsFor ?? "nothing"}");
        return last!;
    }

    public async Task Deploy(string definition) => await Json(HttpMethod.Post, "/v2/apps", definition);

    public Task Serving(string app) => Until($"{app} to serve", async () =>
    {
        var seen = (await Json(HttpMethod.Get, $"/v2/apps{app}"))!["app"]!;
        return seen["deployments"]!.AsArray().Count == 0 && seen["tasksRunning"]!.GetValue<int>() == seen["instances"]!.GetValue<int>() &&
               (seen["healthChecks"] is not JsonArray { Count: > 0 } || seen["tasksHealthy"]!.GetValue<int>() == seen["instances"]!.GetValue<int>());
    });

    public async Task Delete(string app)
    {
        try { await Json(HttpMethod.Delete, $"/v2/apps{app}?force=true"); }
        catch (HttpRequestException e) when (e.StatusCode == HttpStatusCode.NotFound) { return; }
        await Until($"{app} to be gone", async () => (await Json(HttpMethod.Get, "/v2/deployments"))!.AsArray().Count == 0);
    }

    /// <summary>Asks again after each sign of life until the answer is yes. A control plane that is being restarted is waited for.</summary>
    public static async Task Until(string what, Func<Task<bool>> answered, Func<string>? seen = null)
    {
        using var giveUp = new CancellationTokenSource(Patience, TimeProvider.System);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        string? trouble = null;
        do
        {
            try { if (await answered()) return; }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException) { trouble = e.Message; }
        }
        while (await Next(tick, giveUp.Token));
        throw new TimeoutException($"waited {Patience.TotalMinutes:0} minutes for {what}; {seen?.Invoke()} {trouble}\n{(await Control("status")).Output}");
    }

    private static async Task<bool> Next(PeriodicTimer tick, CancellationToken giveUp)
    {
        try { return await tick.WaitForNextTickAsync(giveUp); }
        catch (OperationCanceledException) { return false; }
    }
}
