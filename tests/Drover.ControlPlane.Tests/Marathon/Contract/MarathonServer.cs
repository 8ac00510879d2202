using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Store.Sqlite;
using Drover.Core;
using Drover.Core.State;
using Drover.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>A whole control plane as it is run: every loop, Kestrel on a free port, its state in SQLite; and nodes that came in through the agents' door and play what a test tells them.</summary>
/// <remarks>Made once for a class (`IClassFixture`): tests of one class run one after the other, each with apps of its own. Its clock stands still until <see cref="Advance"/>.</remarks>
public class MarathonServer : IAsyncLifetime
{
    private readonly TemporaryFolder _temporary = new();
    private readonly ConcurrentDictionary<AppId, Play> _plays = new();
    private DataFolder _folder = null!;
    private SqliteStore _store = null!;
    private WebApplication _app = null!;
    private int _names;
    private long _beats;

    // Certificates are judged by the machine's clock.
    public FakeTimeProvider Time { get; } = new(TimeProvider.System.GetUtcNow());
    public HttpClient Http { get; private set; } = null!;
    public ICluster Cluster => _app.Services.GetRequiredService<ICluster>();
    public T Service<T>() where T : notnull => _app.Services.GetRequiredService<T>();
    public ClusterState State => Cluster.Current;
    public List<ScriptedAgent> Agents { get; } = [];

    /// <summary>Name, disk, rack.</summary>
    protected virtual IReadOnlyList<(string Name, string Disk, string Rack)> Nodes => [("node1", "spinning", "a"), ("node2", "ssd", "a"), ("node3", "ssd", "b")];
    protected virtual ControlPlaneOptions With(ControlPlaneOptions options) => options;

    public virtual async ValueTask InitializeAsync()
    {
        await Open();
        foreach (var (name, disk, rack) in Nodes) await Join(name, ("disk", disk), ("rack", rack));
    }

    public async Task<ScriptedAgent> Join(string name, params (string Name, string Value)[] attributes)
    {
        var authority = _app.Services.GetRequiredService<Authorities>().Current;
        var (certificate, key) = authority.Issue(name, [IPAddress.Loopback]);
        var link = SimulatedAgent.Dial(_app.Services.GetRequiredService<OpenDoors>().Agents, authority.CertificatePem, certificate, key, Timeout.InfiniteTimeSpan);
        var hello = SimulatedAgent.Greeting(name);
        hello.Cpus = 64;
        hello.MemoryMib = 65_536;
        hello.DiskMib = 1_000_000;
        hello.Pool = new PoolSpace { TotalBytes = 1L << 40, FreeBytes = 1L << 39 };
        foreach (var (attribute, value) in attributes) hello.Attributes[attribute] = value;
        var agent = new ScriptedAgent(link, name, PlayOf, Time);
        Agents.Add(agent);
        await agent.Join(hello);
        return agent;
    }

    /// <summary>An id no other test of the class has.</summary>
    public string NewId(string name = "app") => string.Create(CultureInfo.InvariantCulture, $"/{name}-{Interlocked.Increment(ref _names)}");

    /// <summary>What a node was told of the one copy of this app that is to run; one that is on its way out may still be there.</summary>
    public DesiredInstance Ordered(string app) => Agents.SelectMany(a => a.Ordered).Single(i => i.AppId == app && i.Wish == InstanceWish.Run);

    /// <summary>From now on, copies of this app do this; those that are there do it at once.</summary>
    public async Task Plays(string app, Play play)
    {
        _plays[new AppId(app)] = play;
        foreach (var agent in Agents) await agent.Again(new AppId(app));
    }

    /// <summary>From now on, copies of this app that start do this; those that are there go on as they are.</summary>
    public void PlaysNext(string app, Play play) => _plays[new AppId(app)] = play;

    private Play PlayOf(AppId app) => _plays.GetValueOrDefault(app, Play.Healthy);

    public Task<Reply> Get(string path, string? accept = null) => Send("GET", path, null, accept);
    public Task<Reply> Post(string path, string? body = null) => Send("POST", path, body);
    public Task<Reply> Put(string path, string body) => Send("PUT", path, body);
    public Task<Reply> Patch(string path, string body) => Send("PATCH", path, body);
    public Task<Reply> Delete(string path) => Send("DELETE", path);

    /// <summary>The path goes out letter by letter: doubled slashes and %2F stay.</summary>
    public async Task<Reply> Send(string method, string path, string? body = null, string? accept = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(Http.BaseAddress!.ToString().TrimEnd('/') + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (accept is not null) request.Headers.TryAddWithoutValidation("Accept", accept);
        using var response = await Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        var json = text.Length > 0 && response.Content.Headers.ContentType?.MediaType == "application/json" ? JsonDocument.Parse(text).RootElement : default;
        return new((int)response.StatusCode, json, text, response.Headers, response.Content.Headers);
    }

    /// <summary>The first state in which this holds, now or after a commit to come.</summary>
    public async Task<ClusterState> Until(Func<ClusterState, bool> condition, string what)
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        var commits = Cluster.Watch(limit.Token);
        if (condition(State)) return State;
        try
        {
            await foreach (var commit in commits) if (condition(commit.After)) return commit.After;
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"never came: {what}");
        }
        throw new TimeoutException($"the watch ended before: {what}");
    }

    /// <summary>The first answer in which this holds, now or after a commit to come.</summary>
    public async Task<Reply> Until(string path, Func<Reply, bool> condition, string what)
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        var commits = Cluster.Watch(limit.Token);
        if (await Get(path) is var first && condition(first)) return first;
        try
        {
            await foreach (var _ in commits) if (await Get(path) is var reply && condition(reply)) return reply;
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"never came at {path}: {what}");
        }
        throw new TimeoutException($"the watch ended before: {what}");
    }

    /// <summary>Sends a change, takes it as accepted, and waits for its deployment to end.</summary>
    public async Task<Reply> Deployed(Task<Reply> change)
    {
        var reply = await change;
        Assert.True(reply.Status is 200 or 201, $"{reply.Status}: {reply.Text}");
        var id = new DeploymentId(reply.Header("Marathon-Deployment-Id")!);
        await Until(state => !state.Deployments.ContainsKey(id), $"the end of deployment {id}");
        return reply;
    }

    /// <summary>Puts the clock forward without losing a node: each is heard in between.</summary>
    public async Task Advance(TimeSpan by)
    {
        for (var left = by; left > TimeSpan.Zero; left -= Beat)
        {
            Time.Advance(left < Beat ? left : Beat);
            var number = ++_beats;
            foreach (var agent in Agents) await agent.Say(new FromAgent { Heartbeat = new Heartbeat { AgentMemoryBytes = number, Pool = new PoolSpace { TotalBytes = 1L << 40, FreeBytes = 1L << 39 } } });
            await Until(state => Agents.TrueForAll(a => !state.IsConnected(a.Node) || state.Presence[a.Node].AgentMemory == new ByteCount(number)), "the heartbeats");
        }
    }

    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(2);

    /// <summary>As after a stop of the control plane and another start of it on the same store; the nodes do not come back by themselves.</summary>
    public async Task Restart()
    {
        foreach (var agent in Agents) await agent.DisposeAsync();
        Agents.Clear();
        await Close();
        await Open();
    }

    private async Task Open()
    {
        _folder = DataFolder.Hold(_temporary.File("control"));
        _store = SqliteStore.Open(_folder.Database, Time);
        var options = new ControlPlaneOptions(_folder.Path, new(IPAddress.Loopback, 0), new(IPAddress.Loopback, 0), false, "contract");
        _app = await Program.Build(With(options), _folder, _store, Time, new SeededChance(20150922));
        await _app.StartAsync();
        Http = new HttpClient { BaseAddress = new Uri($"http://{_app.Services.GetRequiredService<OpenDoors>().Http}"), Timeout = TestCluster.Patience };
    }

    private async Task Close()
    {
        Http.Dispose();
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        await _app.StopAsync(limit.Token);
        await _app.DisposeAsync();
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var agent in Agents) await agent.DisposeAsync();
        await Close();
        _temporary.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>An answer, read whole.</summary>
/// <param name="Json">Undefined where the body is no JSON.</param>
public sealed record Reply(int Status, JsonElement Json, string Text, HttpResponseHeaders Headers, HttpContentHeaders ContentHeaders)
{
    public JsonElement this[string name] => Json.GetProperty(name);
    public string? Message => Json.ValueKind == JsonValueKind.Object && Json.TryGetProperty("message", out var message) ? message.GetString() : null;
    public string? Header(string name) => Headers.TryGetValues(name, out var values) || ContentHeaders.TryGetValues(name, out values) ? string.Join(", ", values) : null;

    /// <summary>Path and first error of each detail.</summary>
    public IReadOnlyList<(string Path, string Error)> Details => [.. this["details"].EnumerateArray().Select(d => (d.GetProperty("path").GetString()!, d.GetProperty("errors")[0].GetString()!))];

    /// <summary>Refused in Marathon's form, with one detail at this path.</summary>
    public string Refused(string path)
    {
        Assert.Equal((422, "Object is not valid"), (Status, Message));
        var detail = Assert.Single(Details);
        Assert.Equal(path, detail.Path);
        return detail.Error;
    }
}
