using Drover.Agent.Reconcile;
using Drover.Agent.Tests.Transfers;
using Drover.Contracts.Agent;
using Drover.Contracts.Tracing;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Moves;
using Drover.ControlPlane.Observability;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Testing;
using Drover.Testing.Agents;
using Drover.Testing.Moves;
using Drover.Testing.Tracing;
using Google.Protobuf;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using WorkCase = Drover.Contracts.Agent.Step.WorkOneofCase;

namespace Drover.Agent.Tests.Tracing;

/// <summary>Who listens to spans hears all of the process: nothing else runs meanwhile.</summary>
[CollectionDefinition("traces", DisableParallelization = true)]
public sealed class TracesAlone;

[Collection("traces")]
public sealed class MoveTraceTests
{
    private static readonly AppId App = new("/db");
    private static readonly InstanceId Copy = new("db.1");
    private static readonly NodeId Source = new("node1"), Target = new("node2");

    /// <summary>Steps go to real executors as they would over the wire; rounds are sent over real TLS, the rest is answered.</summary>
    private sealed class Bridge(TransferPair pair) : IAgentConnections
    {
        private readonly Dictionary<NodeId, (StepExecutor Steps, ToldObservations Told)> _nodes = new() { [Source] = Node(pair), [Target] = Node(pair) };

        public async Task<StepResult> Run(NodeId node, Step step, Action<StepProgress>? progress, CancellationToken cancel)
        {
            var (steps, told) = _nodes[node];
            steps.Accept(Step.Parser.ParseFrom(step.ToByteArray()));
            return await told.Result(step.StepId).WaitAsync(cancel);
        }

        public IAsyncEnumerable<LogChunk> Logs(NodeId node, TaskId task, bool follow, int tail, CancellationToken cancel) => throw new NotSupportedException();

        public bool IsConnected(NodeId node) => true;

        private static (StepExecutor, ToldObservations) Node(TransferPair pair)
        {
            var told = new ToldObservations();
            return (new StepExecutor(new Work(pair), told, NullLogger<StepExecutor>.Instance), told);
        }
    }

    private sealed class Work(TransferPair pair) : IStepWork
    {
        public async Task<StepResult> Do(Step step, Action<StepProgress> progress, CancellationToken cancel) =>
            step.WorkCase == WorkCase.Round ? new StepResult { Round = await pair.Sender.Send(step.Round, step.MoveId, progress, cancel) } : FakeMoveAgents.Good(step);
    }

    private sealed class PairTickets(TransferPair pair) : ITransferTickets
    {
        public string Sign(TransferGrant grant) => pair.Ticket(grant.Snapshot.Value);
    }

    private static async Task<TestCluster> Cluster(TransferPair pair)
    {
        var moment = Samples.Moment;
        var spec = new AppSpec { Id = App, Cpus = 0.1, Container = new() { Image = "db", Volumes = [new VolumeMount(TransferPair.Db, "/data", false, VolumeNaming.HostPath)] } };
        ClusterChange Node(NodeId id) => new ClusterChange.PutNode(new Node(id, id.Value, "127.0.0.1", pair.Port, [], new(4, 4096, 10000, 0, [new(7000, 7100)]), "btrfs", "1", false, moment, moment));
        var cluster = await TestCluster.Start(Node(Source), Node(Target), new ClusterChange.PutApp(new App(spec, moment, moment, moment)),
            new ClusterChange.PutVolume(new Volume(TransferPair.Db, Source, new(1), true, null, App, moment) { Used = ByteCount.MiB(1) }),
            new ClusterChange.PutInstance(new Instance(Copy, App, spec, moment, 1, Source, [], InstanceGoal.Running, InstanceState.Running, moment)));
        foreach (var node in new[] { Source, Target }) await cluster.Given(new ClusterChange.PutPresence(new(node, true, cluster.Time.GetUtcNow(), ByteCount.GiB(10), ByteCount.GiB(9), default)));
        return cluster;
    }

    private static async Task<MoveDriver> Drive(TestCluster cluster, TransferPair pair)
    {
        cluster.Observed = new CommitMeters([new CommitTraces()], NullLogger<CommitMeters>.Instance).Seen;
        var board = new MoveProgressBoard();
        var runner = new MoveStepRunner(cluster, new Bridge(pair), new MoveOrders(DesiredState.For, new PairTickets(pair)), board, cluster.Time, NullLogger<MoveStepRunner>.Instance);
        var driver = new MoveDriver(cluster, runner, board, cluster.Time, NullLogger<MoveDriver>.Instance);
        await driver.StartAsync(default);
        return driver;
    }

    private static Task<MoveStart> Ask(TestCluster cluster) => new MoveCommands(cluster, cluster.Chance, cluster.Time).Start(new MoveWish(App, Target, null, MoveOverrides.None), default);

    [Fact]
    public async Task A_move_is_one_trace_over_the_control_plane_both_agents_and_the_transfer_also_over_a_restart()
    {
        await using var collector = await TestCollector.Start();
        await using var pair = await TransferPair.Open();
        await using var cluster = await Cluster(pair);
        string trace;
        await using (new OtlpExporter(collector.Settings("drover"), [], TimeProvider.System, _ => { }))
        {
            var driver = await Drive(cluster, pair);
            Assert.Null((await Ask(cluster)).Refusal);
            var move = (await cluster.Until(s => s.Moves.Values.Any(m => m.State == MoveState.CutOver), "the cutover")).Moves.Values.Single();
            trace = move.Trace!.Split('-')[1];
            await driver.StopAsync(default);
            driver.Dispose();
            await cluster.Restart();
            foreach (var node in new[] { Source, Target }) await cluster.Given(new ClusterChange.PutPresence(new(node, true, cluster.Time.GetUtcNow(), ByteCount.GiB(10), ByteCount.GiB(9), default)));
            Assert.Equal(move.Trace, cluster.Current.Moves[move.Id].Trace);
            driver = await Drive(cluster, pair);
            await cluster.Decide(s => Decision.Of(true, [new ClusterChange.PutInstance(s.Instances[Copy] with { State = InstanceState.Running, WaitsFor = null, Start = new(TimeSpan.FromMilliseconds(10), default, TimeSpan.FromMilliseconds(100), default) })]));
            await cluster.Until(s => s.Moves.Values.Any(m => m.State == MoveState.Done), "the end");
            await driver.StopAsync(default);
            driver.Dispose();
        }
        var spans = await collector.Until(all => all.Any(s => s.Name == "move"), "the whole move");
        Assert.Equal("Bearer secret", collector.Authorization);
        Assert.All(spans, s => Assert.Equal(trace, s.TraceId));
        var byId = spans.ToDictionary(s => s.SpanId);
        // From the last link to the first: receiver, sender, its step, the order, the request.
        var chain = new List<string>();
        for (var span = spans.First(s => s.Name == "receive"); ; span = byId[span.Parent])
        {
            chain.Add(span.Name);
            if (span.Parent is null) break;
        }
        Assert.Equal(["receive", "send", "step Round", "order Round", "move requested"], chain);
        Assert.True(spans.Count(s => s.Name == "send") >= 2 && spans.Count(s => s.Name == "send") == spans.Count(s => s.Name == "receive"));
        foreach (var state in new[] { "Preparing", "Seeding", "Quiescing", "FinalDelta", "Starting", "Retiring" }) Assert.Contains(spans, s => s.Name == $"move {state}");
        Assert.Contains(spans, s => s.Name == "move" && s.Tags["drover.outcome"] == "done" && s.Tags["drover.app"] == "/db");
        Assert.DoesNotContain(spans, s => s.Status == 2);
    }

    [Fact]
    public async Task Where_nobody_listens_nothing_is_made_and_nothing_is_stored()
    {
        await using var pair = await TransferPair.Open();
        await using var cluster = await Cluster(pair);
        using var driver = await Drive(cluster, pair);
        await Ask(cluster);
        var state = await cluster.Until(s => s.Moves.Values.Any(m => m.State == MoveState.CutOver), "the cutover");
        Assert.False(Traces.On);
        Assert.Null(state.Moves.Values.Single().Trace);
        await driver.StopAsync(default);
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "no http address")]
    [InlineData("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "not spoken")]
    public void What_cannot_be_is_said(string name, string value, string fault) =>
        Assert.Contains(fault, OtlpSettings.Read(n => n == name ? value : n == "OTEL_EXPORTER_OTLP_ENDPOINT" ? "http://127.0.0.1:4317" : null, "x").Fault, StringComparison.Ordinal);

    [Fact]
    public void The_usual_variables_are_understood()
    {
        Assert.Equal((null, null), OtlpSettings.Read(_ => null, "x"));
        var settings = OtlpSettings.Read(n => n switch { "OTEL_EXPORTER_OTLP_ENDPOINT" => "http://c:4318/otlp/", "OTEL_SERVICE_NAME" => "mine", "OTEL_EXPORTER_OTLP_HEADERS" => "a=b, c = d%20e", _ => null }, "x").Settings!;
        Assert.Equal(("http://c:4318/otlp/v1/traces", "mine"), (settings.Endpoint.ToString(), settings.Service));
        Assert.Equal([("a", "b"), ("c", "d e")], settings.Headers);
        Assert.Equal("http://t:1/x", OtlpSettings.Read(n => n == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" ? "http://t:1/x" : null, "x").Settings!.Endpoint.ToString());
    }

    [Fact]
    public async Task A_collector_that_is_not_there_holds_nobody_up_and_is_said_once()
    {
        var said = new List<string>();
        await using (new OtlpExporter(OtlpSettings.Read(n => n == "OTEL_EXPORTER_OTLP_ENDPOINT" ? "http://127.0.0.1:1" : null, "x").Settings!, [], TimeProvider.System, said.Add))
        {
            for (var i = 0; i < 1000; i++) Traces.Root("nothing", null, TimeProvider.System.GetUtcNow());
        }
        Assert.Contains("127.0.0.1:1", Assert.Single(said), StringComparison.Ordinal);
    }
}
