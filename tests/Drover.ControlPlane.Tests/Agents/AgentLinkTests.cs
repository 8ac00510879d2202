using System.Net;
using System.Security.Cryptography.X509Certificates;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Store;
using Drover.Core;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Testing;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Drover.ControlPlane.Tests.Agents;

/// <summary>The agents' end of the control plane with everything real but the agent: Kestrel, mutual TLS, gRPC.</summary>
public sealed class AgentLinkTests : IAsyncLifetime
{
    private static readonly NodeId Node1 = new("node1");
    private readonly TemporaryFolder _folder = new();
    private TestCluster _cluster = null!;
    private WebApplication _app = null!;
    private Authorities _authorities = null!;
    private IPEndPoint _door = null!;

    private AgentConnections Connections => _app.Services.GetRequiredService<AgentConnections>();

    public async ValueTask InitializeAsync()
    {
        var folder = DataFolder.Share(_folder.Path);
        _cluster = await TestCluster.Start();
        var trust = await TrustBook.Open(_cluster.Store);
        var audit = await AuditLog.Open(folder, _cluster.Store, _cluster.Time);
        _authorities = new Authorities(folder, trust, TimeProvider.System, ["127.0.0.1"]);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton<ICluster>(_cluster).AddSingleton<TimeProvider>(_cluster.Time).AddSingleton<IChance>(_cluster.Chance);
        builder.Services.AddAgents(new AgentLinkOptions("test", "a key", await Term.Next(_cluster.Store), TimeSpan.FromSeconds(5)));
        var options = new ControlPlaneOptions(_folder.Path, new(IPAddress.Loopback, 0), new(IPAddress.Loopback, 0), false, "test");
        builder.Services.AddSingleton(options).AddAccess(trust, _authorities, audit);
        builder.Listen(options, _authorities, audit);
        _app = builder.Build();
        _app.UseListeners();
        _app.UseAccess();
        _app.MapAgents();
        await _app.StartAsync();
        _door = _app.Services.GetRequiredService<OpenDoors>().Agents;
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        await _app.StopAsync(limit.Token);
        await _app.DisposeAsync();
        await _cluster.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Who_opens_a_stream_and_says_nothing_is_let_go()
    {
        await using var agent = Dial("node1");
        var heard = agent.Hear(ToAgent.KindOneofCase.Welcome);
        // The server begins to wait at some moment of its own; after that the next step of the clock ends it.
        while (!heard.IsCompleted)
        {
            _cluster.Time.Advance(TimeSpan.FromSeconds(10));
            await Task.Yield();
        }
        var refused = await Assert.ThrowsAsync<RpcException>(() => heard);
        Assert.Equal(StatusCode.DeadlineExceeded, refused.StatusCode);
        Assert.Contains("no Hello came", refused.Status.Detail, StringComparison.Ordinal);
        Assert.Empty(_cluster.Current.Nodes);
    }

    [Fact]
    public async Task A_stream_that_was_opened_before_a_revocation_does_not_get_in_after_it()
    {
        var (pem, key) = _authorities.Current.Issue("node1", []);
        using var own = X509Certificate2.CreateFromPem(pem, key);
        var context = new DefaultHttpContext();
        context.Connection.ClientCertificate = own;
        var trust = _app.Services.GetRequiredService<NodeTrust>();
        var link = ActivatorUtilities.CreateInstance<AgentLinkService>(_app.Services);
        var late = new Late(async () => Assert.Null(await trust.Revoke("node1", default)), new FromAgent { Hello = SimulatedAgent.Greeting("node1") });
        var refused = await Assert.ThrowsAsync<RpcException>(() => link.Connect(late, null!, new Call(context)));
        Assert.Equal((StatusCode.PermissionDenied, "node node1 was revoked"), (refused.StatusCode, refused.Status.Detail));
        Assert.Empty(_cluster.Current.Nodes);
    }

    /// <summary>Something happens between the opening of the stream and its first message.</summary>
    private sealed class Late(Func<Task> before, FromAgent first) : IAsyncStreamReader<FromAgent>
    {
        public FromAgent Current => first;

        public async Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            await before();
            return true;
        }
    }

    private sealed class Call : ServerCallContext
    {
        public Call(HttpContext http) => UserState["__HttpContext"] = http;

        protected override string MethodCore => "Connect";
        protected override string HostCore => "";
        protected override string PeerCore => "";
        protected override DateTime DeadlineCore => DateTime.MaxValue;
        protected override Metadata RequestHeadersCore { get; } = [];
        protected override CancellationToken CancellationTokenCore => default;
        protected override Metadata ResponseTrailersCore { get; } = [];
        protected override Status StatusCore { get; set; }
        protected override WriteOptions? WriteOptionsCore { get; set; }
        protected override AuthContext AuthContextCore { get; } = new(null, []);
        protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => throw new NotSupportedException();
        protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => Task.CompletedTask;
    }

    [Fact]
    public async Task An_agent_that_comes_is_known_and_gets_its_orders_and_then_each_change()
    {
        await using var agent = Dial("node1");
        await agent.Say(SimulatedAgent.Greeting("node1"));
        var welcome = (await agent.Hear(ToAgent.KindOneofCase.Welcome)).Welcome;
        Assert.Equal(("test", "a key", 5), (welcome.Cluster, welcome.TicketKeyPem, welcome.HeartbeatSeconds));
        var desired = (await agent.Hear(ToAgent.KindOneofCase.Desired)).Desired;
        Assert.Empty(desired.Volumes);
        Assert.Equal("127.0.0.1", _cluster.Current.Nodes[Node1].Address);
        Assert.True(_cluster.Current.IsConnected(Node1));

        await _cluster.Given(new ClusterChange.PutVolume(new Volume(new("data"), Node1, new(1), false, null, null, Samples.Moment)));
        var change = (await agent.Hear(ToAgent.KindOneofCase.Change)).Change;
        Assert.True(change.Generation > desired.Generation);
        Assert.Equal(new DesiredVolume { Name = "data", Role = VolumeRole.Primary, Epoch = 1, CreateEmpty = true }, Assert.Single(change.Volumes));
        Assert.Empty(change.Instances);

        await agent.Say(new FromAgent { Volume = new VolumeObserved { Name = "data", Role = VolumeRole.Primary, Epoch = 1, Ready = true, UsedBytes = 77 } });
        change = (await agent.Hear(ToAgent.KindOneofCase.Change)).Change;
        Assert.False(Assert.Single(change.Volumes).CreateEmpty);
        Assert.Equal((true, new ByteCount(77)), (_cluster.Current.Volumes[new("data")].Initialized, _cluster.Current.Volumes[new("data")].Used));
    }

    [Fact]
    public async Task A_step_outlives_the_connection_it_was_sent_on()
    {
        var progressed = new TaskCompletionSource<long>();
        Task<StepResult> result;
        await using (var agent = Dial("node1"))
        {
            await agent.Join(SimulatedAgent.Greeting("node1"));
            result = Connections.Run(Node1, new Step { StepId = "s1", MoveId = "m1", Inspect = new InspectSource() }, p => progressed.TrySetResult(p.Bytes), default);
            Assert.Equal("s1", (await agent.Hear(ToAgent.KindOneofCase.Step)).Step.StepId);
            await agent.Say(new FromAgent { Progress = new StepProgress { StepId = "s1", Bytes = 5 } });
            Assert.Equal(5, await progressed.Task.WaitAsync(TestCluster.Patience));
        }
        await _cluster.Until(state => !state.IsConnected(Node1), "node1 is away");
        Assert.False(result.IsCompleted);
        await using var again = Dial("node1");
        await again.Join(SimulatedAgent.Greeting("node1"));
        Assert.Equal("s1", (await again.Hear(ToAgent.KindOneofCase.Step)).Step.StepId);
        await again.Say(new FromAgent { Result = new StepResult { StepId = "s1", PoolFreeBytes = 9 } });
        Assert.Equal(9, (await result.WaitAsync(TestCluster.Patience)).PoolFreeBytes);
    }

    [Fact]
    public async Task A_step_ordered_while_the_agent_is_away_is_sent_when_it_comes_and_cancelled_when_nobody_waits()
    {
        using var cancel = new CancellationTokenSource();
        var result = Connections.Run(Node1, new Step { StepId = "s1" }, null, cancel.Token);
        await using var agent = Dial("node1");
        await agent.Join(SimulatedAgent.Greeting("node1"));
        Assert.Equal("s1", (await agent.Hear(ToAgent.KindOneofCase.Step)).Step.StepId);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => result);
        Assert.Equal("s1", (await agent.Hear(ToAgent.KindOneofCase.Cancel)).Cancel.StepId);
        await agent.Say(new FromAgent { Progress = new StepProgress { StepId = "long forgotten" } });
        Assert.Equal("long forgotten", (await agent.Hear(ToAgent.KindOneofCase.Cancel)).Cancel.StepId);
    }

    [Fact]
    public async Task Logs_come_through_and_their_end_is_told()
    {
        await using var agent = Dial("node1");
        await agent.Join(SimulatedAgent.Greeting("node1"));
        var reading = Task.Run(async () =>
        {
            var lines = new List<string>();
            await foreach (var chunk in Connections.Logs(Node1, new("t.1"), follow: true, 10, default)) lines.Add(chunk.End ? $"end {chunk.Error}" : chunk.Data.ToStringUtf8());
            return lines;
        });
        var request = (await agent.Hear(ToAgent.KindOneofCase.Log)).Log;
        Assert.Equal(("t.1", true, 10), (request.TaskId, request.Follow, request.Tail));
        await agent.Say(new FromAgent { Log = new LogChunk { RequestId = request.RequestId, Data = Google.Protobuf.ByteString.CopyFromUtf8("hello") } });
        await agent.Say(new FromAgent { Log = new LogChunk { RequestId = request.RequestId, End = true, Error = "gone" } });
        Assert.Equal(["hello", "end gone"], await reading.WaitAsync(TestCluster.Patience));
    }

    [Fact]
    public async Task Logs_of_a_node_that_is_away_say_so()
    {
        var chunks = new List<LogChunk>();
        await foreach (var chunk in Connections.Logs(Node1, new("t.1"), follow: false, 10, default)) chunks.Add(chunk);
        Assert.Contains("node1 is not connected", Assert.Single(chunks).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_connection_of_a_node_takes_the_place_of_the_first()
    {
        await using var first = Dial("node1");
        await first.Join(SimulatedAgent.Greeting("node1"));
        await using var second = Dial("node1");
        await second.Join(SimulatedAgent.Greeting("node1"));
        await Assert.ThrowsAnyAsync<Exception>(() => first.Hear(ToAgent.KindOneofCase.Change));
        Assert.True(_cluster.Current.IsConnected(Node1));
        await _cluster.Given(new ClusterChange.PutVolume(new Volume(new("data"), Node1, new(1), false, null, null, Samples.Moment)));
        await second.Hear(ToAgent.KindOneofCase.Change);
        Assert.True(_cluster.Current.IsConnected(Node1));
    }

    [Fact]
    public async Task A_limit_of_its_transfers_is_told_when_it_changes_and_again_to_whoever_connects()
    {
        await using (var agent = Dial("node1"))
        {
            await agent.Join(SimulatedAgent.Greeting("node1"));
            await _cluster.Decide(s => NodeWishes.Limit(s, Node1, 50_000_000), default);
            Assert.Equal(50_000_000, (await agent.Hear(ToAgent.KindOneofCase.TransferLimits)).TransferLimits.BytesPerSecond);
        }
        await using var again = Dial("node1");
        await again.Join(SimulatedAgent.Greeting("node1"));
        Assert.Equal(50_000_000, (await again.Hear(ToAgent.KindOneofCase.TransferLimits)).TransferLimits.BytesPerSecond);
        await _cluster.Decide(s => NodeWishes.Limit(s, Node1, null), default);
        Assert.Equal(0, (await again.Hear(ToAgent.KindOneofCase.TransferLimits)).TransferLimits.BytesPerSecond);
    }

    [Fact]
    public async Task A_node_that_misses_three_heartbeats_is_lost()
    {
        await using var agent = Dial("node1");
        await agent.Join(SimulatedAgent.Greeting("node1"));
        _cluster.Time.Advance(TimeSpan.FromSeconds(14));
        await agent.Say(new FromAgent { Heartbeat = new Heartbeat { Pool = new PoolSpace { TotalBytes = 1000, FreeBytes = 500 }, AgentMemoryBytes = 42 } });
        var heard = await _cluster.Until(state => state.Presence[Node1].PoolFree == new ByteCount(500), "the heartbeat");
        Assert.Equal(new ByteCount(42), heard.Presence[Node1].AgentMemory);
        _cluster.Time.Advance(TimeSpan.FromSeconds(14));
        Assert.True(_cluster.Current.IsConnected(Node1));
        _cluster.Time.Advance(TimeSpan.FromSeconds(1));
        await _cluster.Until(state => !state.IsConnected(Node1), "node1 is lost");
    }

    [Fact]
    public async Task A_lease_is_granted_after_the_orders_and_a_copy_of_the_machine_is_refused_and_that_is_told()
    {
        await using var agent = Dial("node1");
        var hello = SimulatedAgent.Greeting("node1");
        hello.Seat = "boot/1";
        await agent.Join(hello);
        await agent.Say(new FromAgent { Lease = new LeaseRequest { AskedAtUs = 5 } });
        Assert.Equal(new LeaseGrant { AskedAtUs = 5, LengthMs = 60_000 }, (await agent.Hear(ToAgent.KindOneofCase.Lease)).Lease);
        Assert.Equal(("boot/1", TimeSpan.FromSeconds(60)), (_cluster.Current.Nodes[Node1].Seat, _cluster.Current.Nodes[Node1].Lease));

        using var limit = new CancellationTokenSource(TestCluster.Patience);
        var commits = _cluster.Watch(limit.Token).GetAsyncEnumerator(limit.Token);
        await using var copy = Dial("node1");
        hello = SimulatedAgent.Greeting("node1");
        hello.Seat = "elsewhere/1";
        await copy.Say(hello);
        var refused = await Assert.ThrowsAsync<RpcException>(() => copy.Hear(ToAgent.KindOneofCase.Welcome));
        Assert.Equal(StatusCode.AlreadyExists, refused.StatusCode);
        Assert.Contains("Stop one of the two", refused.Status.Detail, StringComparison.Ordinal);
        Assert.True(await commits.MoveNextAsync());
        Assert.Equal("node.refused", Assert.Single(commits.Current.Events).Kind);
        Assert.Equal("boot/1", _cluster.Current.Nodes[Node1].Seat);
        // The first goes on.
        await agent.Say(new FromAgent { Lease = new LeaseRequest { AskedAtUs = 6 } });
        Assert.Equal(6, (await agent.Hear(ToAgent.KindOneofCase.Lease)).Lease.AskedAtUs);
        await commits.DisposeAsync();
    }

    [Fact]
    public async Task A_certificate_of_a_stranger_is_refused()
    {
        using var strange = new TemporaryFolder();
        using var stranger = CertificateAuthority.OpenOrCreate(DataFolder.Share(strange.Path), TimeProvider.System);
        var (certificate, key) = stranger.Issue("node1", [IPAddress.Loopback]);
        await using var agent = SimulatedAgent.Dial(_door, _authorities.Current.CertificatePem, certificate, key);
        await Assert.ThrowsAnyAsync<Exception>(() => agent.Join(SimulatedAgent.Greeting("node1")));
        Assert.Empty(_cluster.Current.Nodes);
    }

    [Fact]
    public async Task A_node_cannot_speak_as_another()
    {
        await using var agent = Dial("node2");
        await agent.Say(SimulatedAgent.Greeting("node1"));
        var refused = await Assert.ThrowsAsync<RpcException>(() => agent.Hear(ToAgent.KindOneofCase.Welcome));
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        Assert.Contains("'node2'", refused.Status.Detail, StringComparison.Ordinal);
        Assert.Empty(_cluster.Current.Nodes);
    }

    [Fact]
    public async Task The_plain_door_does_not_lead_to_the_agents_stream()
    {
        using var http = new HttpClient { BaseAddress = new Uri($"http://{_app.Services.GetRequiredService<OpenDoors>().Http}") };
        using var answer = await http.PostAsync("/drover.agent.v1.AgentLink/Connect", null);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    private SimulatedAgent Dial(string node)
    {
        var (certificate, key) = _authorities.Current.Issue(node, [IPAddress.Loopback]);
        return SimulatedAgent.Dial(_door, _authorities.Current.CertificatePem, certificate, key);
    }
}
