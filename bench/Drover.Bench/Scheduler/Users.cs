using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Drover.Bench.Scheduler;

/// <summary>What people and tools do to the API meanwhile, and how long they wait.</summary>
internal sealed class Users(Uri api) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 64 }) { BaseAddress = api, Timeout = TimeSpan.FromSeconds(60) };
    private long _events;
    private int _cut;
    private int _changes;
    private int _failures;

    public Durations Lists { get; } = new();
    public Durations Puts { get; } = new();
    public Durations Lags { get; } = new();
    public long Events => Volatile.Read(ref _events);
    public int TimesCutOff => Volatile.Read(ref _cut);
    public int Changes => Volatile.Read(ref _changes);
    public int Failures => Volatile.Read(ref _failures);
    public string? LastFailure { get; private set; }

    public static string NameOf(int app) => string.Create(CultureInfo.InvariantCulture, $"/bench/app-{app:0000}");

    /// <summary>Half of them have constraints: spread over racks, one a host, a few a host, a kind of disk.</summary>
    public static string Definition(int app, int instances, int version = 1)
    {
        var constraints = (app % 8) switch
        {
            1 => """["rack","GROUP_BY","20"]""",
            3 => """["hostname","UNIQUE"]""",
            5 => """["disk","LIKE","ssd"]""",
            7 => """["hostname","MAX_PER","2"]""",
            _ => "",
        };
        return string.Create(CultureInfo.InvariantCulture, $$"""
            {"id":"{{NameOf(app)}}","instances":{{instances}},"cpus":0.1,"mem":128,"constraints":[{{constraints}}],
             "container":{"type":"DOCKER","docker":{"image":"registry.example/team/service:{{version}}"},"portMappings":[{"containerPort":8080,"hostPort":0,"servicePort":0,"protocol":"tcp","name":"http"}]},
             "networks":[{"mode":"container/bridge"}],"env":{"JAVA_OPTS":"-Xmx96m","DATABASE_URL":"postgres://db.example/service","VERSION":"{{version}}"},"labels":{ "team":"t{{app % 17}}","tier":"backend"} }
            """);
    }

    public async Task Create(int apps, int instances, CancellationToken cancel)
    {
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Increment(ref next) is var app && app < apps)
            {
                var copies = instances / apps + (app < instances % apps ? 1 : 0);
                while (true)
                {
                    using var answer = await _http.PostAsync(new Uri("/v2/apps", UriKind.Relative), Json(Definition(app, copies)), cancel);
                    if (answer.IsSuccessStatusCode) break;
                    // As many deployments run as may: as any client of Marathon's does, it asks again.
                    if (answer.StatusCode != System.Net.HttpStatusCode.Forbidden) throw new BenchFailed($"POST of {NameOf(app)}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(cancel)}");
                    await Task.Delay(20, cancel);
                }
            }
        }, cancel)));
    }

    /// <summary>Reads the whole list twice a second.</summary>
    public async Task ReadLists(CancellationToken cancel)
    {
        while (!cancel.IsCancellationRequested)
        {
            var since = Stopwatch.GetTimestamp();
            try
            {
                _ = await _http.GetByteArrayAsync(new Uri("/v2/apps", UriKind.Relative), cancel);
                Lists.Add(Host.Milliseconds(since));
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException) { Note(e, cancel); }
            await Task.Delay(500, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Changes of random apps, one after the other: another number of copies, another version, a killed copy.</summary>
    public async Task Change(int apps, int instances, int seed, CancellationToken cancel)
    {
        var chance = new Random(seed);
        for (var version = 2; !cancel.IsCancellationRequested; version++)
        {
            var app = chance.Next(apps);
            var copies = instances / apps;
            try
            {
                if (chance.Next(4) == 0) await KillOne(app, cancel);
                else
                {
                    var body = chance.Next(2) == 0 ? $"{{\"instances\":{Math.Max(1, copies + chance.Next(-copies / 10 - 1, copies / 10 + 1))}}}" : Definition(app, copies, version);
                    var since = Stopwatch.GetTimestamp();
                    using var answer = await _http.PutAsync(new Uri($"/v2/apps{NameOf(app)}?force=true", UriKind.Relative), Json(body), cancel);
                    if (answer.IsSuccessStatusCode) Puts.Add(Host.Milliseconds(since));
                    else throw new HttpRequestException($"PUT of {NameOf(app)}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(cancel)}");
                }
                Interlocked.Increment(ref _changes);
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException) { Note(e, cancel); }
            await Task.Delay(200, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task KillOne(int app, CancellationToken cancel)
    {
        using var tasks = JsonDocument.Parse(await _http.GetByteArrayAsync(new Uri($"/v2/apps{NameOf(app)}/tasks", UriKind.Relative), cancel));
        if (tasks.RootElement.GetProperty("tasks").EnumerateArray().FirstOrDefault() is not { ValueKind: JsonValueKind.Object } first) return;
        using var answer = await _http.DeleteAsync(new Uri($"/v2/apps{NameOf(app)}/tasks/{first.GetProperty("id").GetString()}", UriKind.Relative), cancel);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>Follows /v2/events; one that is cut off comes back.</summary>
    public async Task Listen(CancellationToken cancel)
    {
        while (!cancel.IsCancellationRequested)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/v2/events", UriKind.Relative));
                request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
                using var answer = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
                answer.EnsureSuccessStatusCode();
                using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync(cancel));
                while (await lines.ReadLineAsync(cancel) is { } line) if (line.StartsWith("data:", StringComparison.Ordinal)) Hear(line);
                Interlocked.Increment(ref _cut);
            }
            catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
            {
                if (e is IOException) Interlocked.Increment(ref _cut);
                await Task.Delay(50, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private void Hear(string line)
    {
        Interlocked.Increment(ref _events);
        const string mark = "\"timestamp\":\"";
        var at = line.LastIndexOf(mark, StringComparison.Ordinal);
        if (at < 0 || !DateTimeOffset.TryParse(line.AsSpan(at + mark.Length, 24), CultureInfo.InvariantCulture, out var said)) return;
        Lags.Add((DateTimeOffset.UtcNow - said).TotalMilliseconds);
    }

    /// <summary>Waits until the whole list is read and a change is accepted. False: not in time.</summary>
    public async Task<bool> Served(int apps, TimeSpan limit)
    {
        var since = Stopwatch.GetTimestamp();
        using var once = new HttpClient { BaseAddress = api, Timeout = TimeSpan.FromSeconds(10) };
        while (Stopwatch.GetElapsedTime(since) < limit)
        {
            try
            {
                using var list = JsonDocument.Parse(await once.GetByteArrayAsync(new Uri("/v2/apps", UriKind.Relative)));
                if (list.RootElement.GetProperty("apps").GetArrayLength() < apps) throw new BenchFailed("apps are missing after kill -9");
                using var answer = await once.PutAsync(new Uri($"/v2/apps{NameOf(0)}?force=true", UriKind.Relative), Json("""{"labels":{"recovered":"yes"}}"""));
                if (answer.IsSuccessStatusCode) return true;
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException) { LastFailure = e.Message; }
            await Task.Delay(20);
        }
        return false;
    }

    public async Task Post(string definition)
    {
        using var answer = await _http.PostAsync(new Uri("/v2/apps", UriKind.Relative), Json(definition));
        if (!answer.IsSuccessStatusCode) throw new BenchFailed($"POST: {(int)answer.StatusCode}");
    }

    public async Task<bool> Answers(TimeSpan limit)
    {
        var since = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(since) < limit)
        {
            try
            {
                using var answer = await _http.GetAsync(new Uri("/ping", UriKind.Relative));
                if (answer.IsSuccessStatusCode) return true;
            }
            catch (HttpRequestException e) { LastFailure = e.Message; }
            await Task.Delay(20);
        }
        return false;
    }

    private void Note(Exception e, CancellationToken cancel)
    {
        if (cancel.IsCancellationRequested) return;
        Interlocked.Increment(ref _failures);
        LastFailure = e.Message;
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    public void Dispose() => _http.Dispose();
}
