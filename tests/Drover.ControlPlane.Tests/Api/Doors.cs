using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Api;
using Drover.ControlPlane.Apps;
using Drover.ControlPlane.Events;
using Drover.ControlPlane.Marathon;
using Drover.ControlPlane.Moves;
using Drover.ControlPlane.Nodes;
using Drover.ControlPlane.Observability;
using Drover.ControlPlane.Offers;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Drover.ControlPlane.Tests.Api;

/// <summary>The HTTP doors on a real server on loopback, over a real cluster in memory; no loops run, so that what is accepted stays as it was accepted.</summary>
public sealed class Doors : IAsyncDisposable
{
    private readonly WebApplication _server;

    private Doors(TestCluster cluster, WebApplication server, FakeAgents agents, Uri address)
    {
        (Cluster, _server, Agents) = (cluster, server, agents);
        Http = new HttpClient { BaseAddress = address };
    }

    public TestCluster Cluster { get; }
    public FakeAgents Agents { get; }
    public HttpClient Http { get; }
    public ApiV1 Api => ActivatorUtilities.CreateInstance<ApiV1>(_server.Services);
    public Drover.ControlPlane.Volumes.VolumeStreams Streams => _server.Services.GetRequiredService<Drover.ControlPlane.Volumes.VolumeStreams>();
    public EventRing Ring => _server.Services.GetRequiredService<EventRing>();
    public MoveProgressBoard Board => _server.Services.GetRequiredService<MoveProgressBoard>();

    public static async Task<Doors> Open(params ClusterChange[] given)
    {
        var cluster = await TestCluster.Start(given);
        var agents = new FakeAgents();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton<Drover.ControlPlane.Store.IStateStore>(cluster.Store).AddSingleton<ICluster>(cluster).AddSingleton<TimeProvider>(cluster.Time).AddSingleton<IChance>(cluster.Chance).AddSingleton<IAgentConnections>(agents)
            .AddSingleton<IAppCommands, AppCommands>().AddSingleton<MoveCommands>().AddSingleton<Drover.ControlPlane.Volumes.VolumeCommands>().AddSingleton<Drover.ControlPlane.Volumes.VolumeStreams>().AddSingleton<NodeCommands>().AddSingleton<MoveProgressBoard>().AddSingleton<IOfferExchange, OfferExchange>()
            .AddSingleton<VolumePromotions>().AddSingleton(s => new LeaseBook(cluster, LeaseTerms.Default, cluster.Time)).AddEvents().AddObservability();
        var server = builder.Build();
        server.UseRouting();
        server.UseApiGate();
        server.MapApiV1();
        server.MapMarathon();
        await server.StartAsync();
        return new(cluster, server, agents, new Uri(server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()));
    }

    public async Task<(int Status, JsonElement Body, HttpResponseMessage Whole)> Send(string method, string path, string? body = null, string contentType = "application/json")
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(Http.BaseAddress!.ToString().TrimEnd('/') + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, contentType);
        var response = await Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, text.Length > 0 && response.Content.Headers.ContentType?.MediaType == "application/json" ? JsonDocument.Parse(text).RootElement : default, response);
    }

    /// <summary>What `-d @-` sends: the file's bytes without its line ends, as a form unless a header says otherwise.</summary>
    public static string AsCurlReads(string file) => file.ReplaceLineEndings("");

    public static ClusterChange[] Machines =>
    [
        .. Machine("node1", "172.16.255.251", "spinning"), .. Machine("node2", "172.16.255.252", "ssd"),
    ];

    public static ClusterChange[] Machine(string name, string address, string disk, bool connected = true) =>
    [
        new ClusterChange.PutNode(new(new(name), name, address, 4525, [new("disk", disk)], new(2, 1536, 10_000, 0, [new(7000, 9000)]), "btrfs", "0.1.0", false, Samples.Moment, Samples.Moment)),
        new ClusterChange.PutPresence(new(new(name), connected, Samples.Moment, ByteCount.GiB(10), ByteCount.GiB(9), ByteCount.MiB(40))),
    ];

    /// <summary>The demo's database as it runs on node1, its volume there.</summary>
    public static ClusterChange[] RunningMongo()
    {
        var spec = Marathon.Dialects.Spec(Marathon.Dialects.Db);
        return
        [
            .. Machines,
            new ClusterChange.PutApp(new App(spec, Samples.Moment, Samples.Moment, Samples.Moment)),
            new ClusterChange.PutVolume(new Volume(new("mongodata"), new("node1"), new(1), true, null, spec.Id, Samples.Moment) { Used = ByteCount.MiB(64) }),
            new ClusterChange.PutInstance(new(new("mongo.instance-1"), spec.Id, spec, Samples.Moment, 1, new("node1"), [], InstanceGoal.Running, InstanceState.Running, Samples.Moment)
            {
                StagedAt = Samples.Moment, StartedAt = Samples.Moment.AddSeconds(1),
            }),
        ];
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _server.DisposeAsync();
        await Cluster.DisposeAsync();
    }
}

/// <summary>Agents that answer log requests from a list and take no steps.</summary>
public sealed class FakeAgents : IAgentConnections
{
    public HashSet<NodeId> Away { get; } = [];
    /// <summary>Null: none is expected.</summary>
    public Func<Step, Task<StepResult>>? Step { get; set; }
    public List<(NodeId Node, TaskId Task, bool Follow, int Tail)> Asked { get; } = [];
    public Channel<LogChunk> Output { get; } = Channel.CreateUnbounded<LogChunk>();

    public bool IsConnected(NodeId node) => !Away.Contains(node);

    public Task<StepResult> Run(NodeId node, Step step, Action<StepProgress>? progress, CancellationToken cancel) =>
        Step is { } answer ? answer(step).WaitAsync(cancel) : throw new InvalidOperationException("no step is expected through a door");

    public async IAsyncEnumerable<LogChunk> Logs(NodeId node, TaskId task, bool follow, int tail, [EnumeratorCancellation] CancellationToken cancel)
    {
        Asked.Add((node, task, follow, tail));
        await foreach (var chunk in Output.Reader.ReadAllAsync(cancel)) yield return chunk;
    }
}

/// <summary>A client of a server-sent stream that waits for events.</summary>
public sealed class EventClient(HttpResponseMessage response, StreamReader reader) : IDisposable
{
    public HttpResponseMessage Response { get; } = response;

    public static Task<EventClient> Open(Doors doors, string path, string? lastId = null) => Open(doors.Http, path, lastId);

    public static async Task<EventClient> Open(HttpClient http, string path, string? lastId = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.ParseAdd("text/event-stream");
        if (lastId is not null) request.Headers.Add("Last-Event-ID", lastId);
        var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return new(response, new StreamReader(await response.Content.ReadAsStreamAsync()));
    }

    /// <summary>The next event; null: the stream ended.</summary>
    public async Task<(string? Id, string Name, JsonElement Data)?> Next()
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        string? id = null, name = null, data = null;
        while (await reader.ReadLineAsync(limit.Token) is { } line)
        {
            if (line.StartsWith("id: ", StringComparison.Ordinal)) id = line[4..];
            else if (line.StartsWith("event: ", StringComparison.Ordinal)) name = line[7..];
            else if (line.StartsWith("data: ", StringComparison.Ordinal)) data = line[6..];
            else if (line.Length == 0 && name is not null) return (id, name, JsonDocument.Parse(data!).RootElement);
        }
        return null;
    }

    public async Task<(string? Id, string Name, JsonElement Data)> Until(string name)
    {
        while (await Next() is { } seen) if (seen.Name == name) return seen;
        throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"the stream ended before {name}"));
    }

    public void Dispose()
    {
        reader.Dispose();
        Response.Dispose();
    }
}
