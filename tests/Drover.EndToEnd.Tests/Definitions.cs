using System.Text.Json.Nodes;

namespace Drover.EndToEnd.Tests;

/// <summary>The example's own definitions, with names and addresses of a test's own.</summary>
public static class Definitions
{
    private static JsonNode Read(string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(Shell.Root, "examples/todomvc", file)))!;

    public static string Database(string id, string volume, string address, string disk = "spinning", string hostPath = "/flocker/")
    {
        var app = Read("postgres/db.json");
        app["id"] = id;
        app["env"]!["WEAVE_CIDR"] = $"{address}/24";
        app["container"]!["volumes"]![0]!["hostPath"] = hostPath + volume;
        app["constraints"] = new JsonArray(new JsonArray("disk", "CLUSTER", disk));
        return app.ToJsonString();
    }

    public static string Client(string file, string id, string address, string database, int port, string disk = "spinning")
    {
        var app = Read(file);
        app["id"] = id;
        app["env"]!["WEAVE_CIDR"] = $"{address}/24";
        app["env"]!["DATABASE_URL"] = $"postgres://postgres@{database}:5432/todos";
        app["env"]!["PORT"] = $"{port}";
        var mapping = app["container"]!["docker"]!["portMappings"]![0]!;
        mapping["containerPort"] = port;
        mapping["hostPort"] = port;
        app["constraints"] = new JsonArray(new JsonArray("disk", "CLUSTER", disk));
        app.AsObject().Remove("ports");
        return app.ToJsonString();
    }

    /// <summary>Any command on a volume, in the database's image.</summary>
    public static string Sleeper(string id, string volume, string address, string disk = "spinning")
    {
        var app = JsonNode.Parse(Database(id, volume, address, disk))!.AsObject();
        app.Remove("healthChecks");
        app["container"]!["volumes"]![0]!["containerPath"] = "/data";
        app["cmd"] = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done";
        return app.ToJsonString();
    }
}

/// <summary>The example's writer: counts only what the database acknowledged.</summary>
public sealed class Writer(string node, int port) : IDisposable
{
    private readonly HttpClient _http = new() { BaseAddress = new($"http://{LabFixture.AddressOf(node)}:{port}"), Timeout = TimeSpan.FromSeconds(30) };

    public void Dispose() => _http.Dispose();

    private async Task<JsonNode> Ask(HttpMethod method, string path)
    {
        using var response = await _http.SendAsync(new HttpRequestMessage(method, path));
        return JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
    }

    public async Task<int> Acknowledged() => (await Ask(HttpMethod.Get, "/status"))["acknowledged"]!.GetValue<int>();

    /// <summary>Returns when this many more rows were acknowledged: proof that the database serves.</summary>
    public async Task More(int rows)
    {
        int? first = null;
        await LabFixture.Until($"{rows} more rows to be acknowledged", async () =>
        {
            var now = await Acknowledged();
            first ??= now;
            return now >= first + rows;
        });
    }

    public async Task<(int Acknowledged, int Lost, int Duplicated)> StopAndVerify()
    {
        await Ask(HttpMethod.Post, "/stop");
        var verdict = await Ask(HttpMethod.Get, "/verify");
        return (verdict["acknowledged"]!.GetValue<int>(), verdict["lost"]!.GetValue<int>(), verdict["duplicated"]!.GetValue<int>());
    }
}
