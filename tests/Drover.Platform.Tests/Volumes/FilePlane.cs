using System.Net;
using System.Text.Json;
using System.Threading.Channels;
using Drover.Agent;
using Drover.Agent.Link;
using Drover.Agent.Reconcile;
using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.ControlPlane;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Store.InMemory;
using Drover.Core;
using Drover.Core.State;
using Drover.Testing;
using Drover.Testing.Agents;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using TransferLimits = Drover.Agent.Transfers.TransferLimits;

namespace Drover.Platform.Tests.Volumes;

/// <summary>A whole control plane on loopback, and nodes that have its real trust, its real streams and a real pool, but no containers.</summary>
internal sealed class FilePlane : IAsyncDisposable
{
    private readonly TemporaryFolder _temporary = new();
    private readonly List<FileNode> _nodes = [];
    private DataFolder _folder = null!;
    private InMemoryStore _store = null!;
    private WebApplication _app = null!;

    public HttpClient Http { get; private set; } = null!;
    public ICluster Cluster => _app.Services.GetRequiredService<ICluster>();
    public AuditLog Audit => _app.Services.GetRequiredService<AuditLog>();

    public static async Task<FilePlane> Start()
    {
        var plane = new FilePlane();
        plane._folder = DataFolder.Hold(plane._temporary.File("control"));
        plane._store = new InMemoryStore(TimeProvider.System);
        await plane.Serve();
        return plane;
    }

    private async Task Serve()
    {
        _app = await ControlPlane.Program.Build(new ControlPlaneOptions(_folder.Path, new(IPAddress.Loopback, 0), new(IPAddress.Loopback, 0), false, "test"), _folder, _store, TimeProvider.System, new SeededChance(7));
        await _app.StartAsync();
        Http = new HttpClient { BaseAddress = new Uri($"http://{_app.Services.GetRequiredService<OpenDoors>().Http}"), Timeout = TestCluster.Patience };
    }

    public async Task<FileNode> Node(string name, IVolumeDriver driver)
    {
        var made = JsonDocument.Parse(await (await Http.PostAsync("/api/v1/nodes/tokens", new StringContent("{}"))).Content.ReadAsStringAsync()).RootElement;
        using var said = new StringWriter();
        await new JoinCommand(TimeProvider.System).Run(["-", "--name", name, "--data", _temporary.File(name)], new StringReader(made.GetProperty("token").GetString()!), said, default);
        var node = new FileNode(name, JoinCommand.IdentityIn(_temporary.File(name)), new Uri($"https://{_app.Services.GetRequiredService<OpenDoors>().Agents}"), _temporary.File($"{name}-state"), driver);
        _nodes.Add(node);
        node.Connect();
        await Until(s => s.IsConnected(new(name)));
        return node;
    }

    public async Task Until(Func<ClusterState, bool> holds)
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        var commits = Cluster.Watch(limit.Token);
        if (holds(Cluster.Current)) return;
        await foreach (var commit in commits) if (holds(commit.After)) return;
        throw new InvalidOperationException("never so");
    }

    public async Task<(int Status, string Text)> Post(string path, HttpContent? body = null)
    {
        using var answer = await Http.PostAsync(path, body ?? new StringContent("{}"));
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    public Task<(int Status, string Text)> Import(string name, byte[] file, string query = "") => Post($"/api/v1/volumes/{name}/import{query}", new ByteArrayContent(file));

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes) await node.DisposeAsync();
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        Http.Dispose();
        await _app.StopAsync(limit.Token);
        await _app.DisposeAsync();
        await _store.DisposeAsync();
        _folder.Dispose();
        _temporary.Dispose();
    }
}

/// <summary>What an agent does of volumes, on its real stream.</summary>
internal sealed class FileNode : IAsyncDisposable
{
    private readonly AgentIdentity _identity;
    private readonly GrpcChannel _channel;
    private readonly VolumeWork _work;
    private readonly ToldObservations _told = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly StepExecutor _steps;
    private readonly Outbox _outbox = new();
    private readonly IVolumeDriver _driver;
    private Task _talk = Task.CompletedTask;

    public FileNode(string name, string identity, Uri control, string state, IVolumeDriver driver)
    {
        (Name, _driver) = (name, driver);
        _identity = AgentIdentity.Read(identity, name);
        var options = new AgentOptions { Node = name, Control = control, Address = "127.0.0.1", Certificates = identity, Pool = "/none", StateFolder = state };
        Streams = new ControlStreams(options, _identity);
        var files = new VolumeFiles(Streams, driver, new TransferLimits(options, TimeProvider.System), new SeededChance(name.Length), TimeProvider.System);
        _work = new VolumeWork(new Orders(new Ledger(state), NullLogger<Orders>.Instance), new NodeBook(new FakeContainerRuntime(new FakeTimeProvider()), driver), driver, new KeyedLocks(), _outbox, files);
        _steps = new StepExecutor(new OnlyVolumes(_work), _outbox, NullLogger<StepExecutor>.Instance);
        _channel = GrpcChannel.ForAddress(control, new GrpcChannelOptions { HttpHandler = new SocketsHttpHandler { SslOptions = _identity.ForControl() }, DisposeHttpClient = true });
    }

    public string Name { get; }
    public ControlStreams Streams { get; }
    /// <summary>Ids of the streams that steps named, as they come.</summary>
    public Channel<string> Asked { get; } = Channel.CreateUnbounded<string>();
    /// <summary>Steps wait for it.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public void Connect() => _talk = Task.Run(Talk);

    private async Task Talk()
    {
        try
        {
            using var call = new AgentLink.AgentLinkClient(_channel).Connect(cancellationToken: _stop.Token);
            _outbox.BeginStream();
            var hello = SimulatedAgent.Greeting(Name);
            (hello.VolumeDriver, hello.Pool, hello.Seat) = (_driver.Name, new() { TotalBytes = 1L << 40, FreeBytes = 1L << 39 }, Name);
            await call.RequestStream.WriteAsync(new FromAgent { Hello = hello }, _stop.Token);
            var write = Task.Run(async () => { while (true) await call.RequestStream.WriteAsync(await _outbox.Take(_stop.Token), _stop.Token); });
            var beat = Task.Run(async () => { while (true) { await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, _stop.Token); _outbox.Tell(new FromAgent { Heartbeat = new Heartbeat { Pool = hello.Pool } }); } });
            while (await call.ResponseStream.MoveNext(_stop.Token))
            {
                if (call.ResponseStream.Current.Step is not { } step) continue;
                if ((step.ImportVolume?.StreamId ?? step.ExportVolume?.StreamId) is { } stream) Asked.Writer.TryWrite(stream);
                await Gate.WaitAsync(_stop.Token);
                _steps.Accept(step);
            }
        }
        catch (Exception e) when (_stop.IsCancellationRequested && e is Grpc.Core.RpcException or OperationCanceledException or IOException) { }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _talk;
        await _steps.DisposeAsync();
        _channel.Dispose();
        _identity.Dispose();
        _stop.Dispose();
    }

    private sealed class OnlyVolumes(VolumeWork work) : IStepWork
    {
        public Task<StepResult> Do(Step step, Action<StepProgress> progress, CancellationToken cancel) => work.Do(step, progress, cancel) ?? throw new InvalidOperationException(step.WorkCase.ToString());
    }
}
