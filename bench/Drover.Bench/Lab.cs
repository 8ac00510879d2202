using System.Text;
using System.Text.Json;
using Drover.Contracts.Api;

namespace Drover.Bench;

/// <summary>Three machines of the published programs, made for this run alone.</summary>
internal sealed class Lab : IAsyncDisposable
{
    public const string Name = "bench", Net = "172.29.83";
    private readonly string _program;
    private readonly HttpClient _http = new() { BaseAddress = new($"http://{Net}.250:8080"), Timeout = TimeSpan.FromMinutes(2) };

    private Lab(string program) => _program = program;

    public IReadOnlyList<Machine> Machines { get; } = [.. Enumerable.Range(1, 3).Select(i => new Machine(Name, $"node{i}", $"{Net}.{250 + i}"))];

    public Machine this[string name] => Machines.First(m => m.Name == name);

    public static async Task<Lab> Up(string program, int poolGiB)
    {
        var lab = new Lab(program);
        // What a crashed earlier run left is in the way, and nobody's: the name is this program's own.
        await Host.Run(program, "lab", "down", "--name", Name);
        await Host.Run(program, "lab", "up", "--name", Name, "--nodes", "3", "--subnet", $"{Net}.0/24", "--pool-size", $"{poolGiB}GiB");
        await lab.Until("three nodes to be connected", TimeSpan.FromMinutes(2), async () => (await lab.Get("/api/v1/status", ApiJson.Default.StatusView)).NodesConnected == 3);
        return lab;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var machine in Machines) machine.Dispose();
        _http.Dispose();
        await Host.Run(_program, "lab", "down", "--name", Name);
    }

    public async Task<T> Get<T>(string path, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) =>
        JsonSerializer.Deserialize(await _http.GetStringAsync(path), type) ?? throw new BenchFailed($"{path} answered null");

    public async Task<string> Send(HttpMethod method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await _http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return response.IsSuccessStatusCode ? text : throw new BenchFailed($"{method} {path}: {(int)response.StatusCode} {text}");
    }

    public async Task Until(string what, TimeSpan patience, Func<Task<bool>> answered)
    {
        using var limit = new CancellationTokenSource(patience);
        var trouble = "";
        while (!limit.IsCancellationRequested)
        {
            try { if (await answered()) return; }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException) { trouble = e.Message; }
            await Task.Delay(100, CancellationToken.None);
        }
        throw new BenchFailed($"waited {patience.TotalSeconds:0} s for {what} {trouble}");
    }

    public Task Serving(string app) => Until($"{app} to serve", TimeSpan.FromMinutes(15), async () =>
    {
        using var seen = JsonDocument.Parse(await Send(HttpMethod.Get, $"/v2/apps/{app}"));
        var one = seen.RootElement.GetProperty("app");
        return one.GetProperty("deployments").GetArrayLength() == 0 && one.GetProperty("tasksHealthy").GetInt32() == 1;
    });

    public Task<string> Deploy(string definition) => Send(HttpMethod.Post, "/v2/apps", definition);

    public async Task Delete(string app)
    {
        await Send(HttpMethod.Delete, $"/v2/apps/{app}?force=true");
        await Until($"{app} to be gone", TimeSpan.FromMinutes(2), async () => JsonDocument.Parse(await Send(HttpMethod.Get, "/v2/deployments")).RootElement.GetArrayLength() == 0);
    }

    /// <summary>Takes the app to another node; `each` sees the move as it goes.</summary>
    public async Task<MoveView> Move(string app, string to, Func<MoveView, Task>? each = null)
    {
        var move = JsonSerializer.Deserialize(await Send(HttpMethod.Post, "/api/v1/moves", $$"""{ "app": "{{app}}", "constraint": "hostname={{to}}" }"""), ApiJson.Default.MoveView)!;
        while (true)
        {
            var now = await Get($"/api/v1/moves/{move.Id}", ApiJson.Default.MoveView);
            if (each is not null) await each(now);
            if (now.EndedAt is not null) return now.State == "Done" ? now : throw new BenchFailed($"move {now.Id} of {app} ended as {now.State}: {now.Failure}");
            await Task.Delay(50);
        }
    }

    /// <summary>Process ids of the agents.</summary>
    public async Task<IReadOnlyList<int>> Agents()
    {
        using var status = JsonDocument.Parse(await Host.Run(_program, "lab", "status", "--name", Name, "--json"));
        return [.. Pids(status.RootElement)];
    }

    private static IEnumerable<int> Pids(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Array => element.EnumerateArray().SelectMany(Pids),
        JsonValueKind.Object when element.TryGetProperty("pid", out var pid) && pid.ValueKind == JsonValueKind.Number && element.TryGetProperty("role", out var role) && role.GetString() == "agent" => [pid.GetInt32()],
        JsonValueKind.Object => element.EnumerateObject().SelectMany(p => Pids(p.Value)),
        _ => [],
    };
}

/// <summary>Greatest resident memory of some processes while it watches.</summary>
internal sealed class MemoryWatch : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    public MemoryWatch(IReadOnlyList<int> pids) => _running = Task.Run(() => Run(pids));

    public long Peak { get; private set; }

    private async Task Run(IReadOnlyList<int> pids)
    {
        while (!_stop.IsCancellationRequested)
        {
            foreach (var pid in pids) Peak = Math.Max(Peak, Resident(pid));
            await Task.Delay(200, CancellationToken.None);
        }
    }

    private static long Resident(int pid)
    {
        try
        {
            var line = File.ReadLines($"/proc/{pid}/status").FirstOrDefault(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture) * 1024;
        }
        catch (IOException) { return 0; }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }
}
