using System.Text.Json;
using System.Threading.Channels;
using Drover.Contracts.Agent;
using Drover.Contracts.Api;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Moves;
using Drover.ControlPlane.Nodes;
using Drover.ControlPlane.Tests.Api;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Testing;
using Drover.Testing.Moves;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using Instance = Drover.Core.Apps.Instance;

namespace Drover.ControlPlane.Tests.Nodes;

public sealed class DrainTests : IAsyncLifetime
{
    private const int Apps = 8;
    private static readonly NodeId A = new("a");
    private static readonly NodeId B = new("b");

    private readonly FakeMoveAgents _agents = new();
    private readonly List<Microsoft.Extensions.Hosting.BackgroundService> _loops = [];
    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TestCluster.Start([Node(A), Node(B), .. Enumerable.Range(1, Apps).SelectMany(Db)]);
        await Connect();
    }

    public async ValueTask DisposeAsync()
    {
        await StopLoops();
        await _cluster.DisposeAsync();
    }

    private static ClusterChange.PutNode Node(NodeId id) =>
        new(new Node(id, id.Value, "10.0.0.1", 4525, [], new(8, 8192, 10000, 0, [new(7000, 7100)]), "btrfs", "1", false, Samples.Moment, Samples.Moment));

    private static ClusterChange[] Db(int number)
    {
        var (app, volume, moment) = (new AppId($"/db{number}"), new VolumeName($"data{number}"), Samples.Moment);
        var spec = new AppSpec { Id = app, Cpus = 0.1, Container = new() { Image = "db", Volumes = [new VolumeMount(volume, "/data", false, VolumeNaming.HostPath)] } };
        return
        [
            new ClusterChange.PutApp(new App(spec, moment, moment, moment)), new ClusterChange.PutVolume(new Volume(volume, A, new(1), true, null, app, moment) { Used = ByteCount.MiB(number) }),
            new ClusterChange.PutInstance(new Instance(new($"db{number}.1"), app, spec, moment, 1, A, [], InstanceGoal.Running, InstanceState.Running, moment)),
        ];
    }

    private Task Connect() => _cluster.Given([.. new[] { A, B }.Select(id => new ClusterChange.PutPresence(new(id, true, _cluster.Time.GetUtcNow(), ByteCount.GiB(10), ByteCount.GiB(9), default)))]);

    private async Task Start()
    {
        var board = new MoveProgressBoard();
        var runner = new MoveStepRunner(_cluster, _agents, new MoveOrders(DesiredState.For, new FakeTickets()), board, _cluster.Time, NullLogger<MoveStepRunner>.Instance);
        _loops.Add(new MoveDriver(_cluster, runner, board, _cluster.Time, NullLogger<MoveDriver>.Instance));
        _loops.Add(new DrainLoop(_cluster, _cluster.Time, _cluster.Chance, NullLogger<DrainLoop>.Instance));
        foreach (var loop in _loops) await loop.StartAsync(CancellationToken.None);
    }

    private async Task StopLoops()
    {
        foreach (var loop in _loops)
        {
            await loop.StopAsync(CancellationToken.None);
            loop.Dispose();
        }
        _loops.Clear();
    }

    private NodeCommands Commands => new(_cluster, _cluster.Chance, _cluster.Time);

    /// <summary>Agents at the target: what has arrived serves at once.</summary>
    private async Task Serve(CancellationToken cancel)
    {
        await foreach (var commit in _cluster.Watch(cancel))
        {
            foreach (var move in commit.After.OpenMoves.Where(m => m.State == MoveState.CutOver))
            {
                await _cluster.Decide(s => s.Instances.GetValueOrDefault(move.Instance!.Value) is { Serves: false } copy && copy.Node == move.Target
                    ? Decision.Of(true, [new ClusterChange.PutInstance(copy with { State = InstanceState.Running, WaitsFor = null })]) : false);
            }
        }
    }

    /// <summary>Each first round stands until the test lets it go.</summary>
    private Channel<(string Volume, TaskCompletionSource Go)> HoldFirstRounds()
    {
        var held = Channel.CreateBounded<(string, TaskCompletionSource)>(Apps);
        _agents.Answer = (_, step) => step.WorkCase == Step.WorkOneofCase.Round && step.Round.Number == 1 ? Held(step) : null;
        return held;

        async Task<StepResult> Held(Step step)
        {
            var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await held.Writer.WriteAsync((step.Round.Volumes[0].Name, go));
            await go.Task;
            return FakeMoveAgents.Good(step);
        }
    }

    [Theory]
    [InlineData(4, 2)]
    [InlineData(1, 8)]
    public async Task Eight_volumes_go_in_as_many_turns_as_the_limit_makes_and_the_largest_first(int limit, int turns)
    {
        var held = HoldFirstRounds();
        var order = new List<string>();
        using var done = new CancellationTokenSource();
        var serving = Serve(done.Token);
        await Start();
        Assert.IsType<DrainOutcome.Taken>(await Commands.Drain(A, limit, default));
        for (var turn = 0; turn < turns; turn++)
        {
            var go = new List<TaskCompletionSource>();
            for (var i = 0; i < limit; i++)
            {
                var (volume, one) = await held.Reader.ReadAsync().AsTask().WaitAsync(TestCluster.Patience);
                order.Add(volume);
                go.Add(one);
            }
            // All of this turn stand at the same time, and nobody else is under way.
            Assert.Equal(limit, _cluster.Current.OpenMoves.Count(m => m.State is > MoveState.Planned and < MoveState.CutOver));
            Assert.Equal(0, held.Reader.Count);
            foreach (var one in go) one.SetResult();
        }
        var state = await _cluster.Until(s => s.Nodes[A].Drain!.State == DrainState.Done, "the end of the drain");
        Assert.All(state.Instances.Values, i => Assert.Equal(B, i.Node));
        Assert.All(state.Moves.Values, m => Assert.Equal(MoveState.Done, m.State));
        Assert.Equal(Enumerable.Range(Apps - limit + 1, limit).Select(n => $"data{n}"), order.Take(limit).Order());
        Assert.Empty(MoveInvariants.Breaches(state));
        await done.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => serving);
    }

    [Fact]
    public async Task A_drain_goes_on_after_a_restart_of_the_control_plane()
    {
        _agents.Answer = (_, step) => step.WorkCase == Step.WorkOneofCase.Round ? new TaskCompletionSource<StepResult>().Task : null;
        await Start();
        await Commands.Drain(A, 2, default);
        await _cluster.Until(s => s.OpenMoves.Count(m => m.State == MoveState.Seeding) == 2, "two under way");
        await StopLoops();
        await _cluster.Restart();
        await Connect();
        _agents.Answer = null;
        using var done = new CancellationTokenSource();
        var serving = Serve(done.Token);
        await Start();
        var state = await _cluster.Until(s => s.Nodes[A].Drain!.State == DrainState.Done, "the end of the drain");
        Assert.Equal((Apps, Apps), (state.Nodes[A].Drain!.Apps, state.Moves.Values.Count(m => m.State == MoveState.Done)));
        await done.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => serving);
    }

    [Fact]
    public async Task Nodes_are_cordoned_drained_stopped_and_uncordoned_over_the_api()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var cordoned = await doors.Send("POST", "/api/v1/nodes/node2/cordon");
        Assert.Equal((200, true), (cordoned.Status, cordoned.Body.Deserialize(ApiJson.Default.NodeView)!.Cordoned));
        // The database may only run on a spinning disk, and there is one node of them.
        var refused = await doors.Send("POST", "/api/v1/nodes/node1/drain", "{}");
        Assert.Equal(422, refused.Status);
        Assert.Contains("'/mongo' has nowhere to go", refused.Body.Deserialize(ApiJson.Default.ErrorView)!.Message, StringComparison.Ordinal);
        Assert.False(doors.Cluster.Current.Nodes[new("node1")].Cordoned);
        Assert.Equal(404, (await doors.Send("GET", "/api/v1/nodes/node1/drain")).Status);

        await doors.Cluster.Given(Doors.Machine("node3", "172.16.255.253", "spinning"));
        var plan = (await doors.Send("POST", "/api/v1/nodes/node1/drain", """{"dryRun":true}""")).Body.Deserialize(ApiJson.Default.DrainView)!;
        Assert.Equal(("Planned", 4, "/mongo", "node3", ByteCount.MiB(64).Bytes), (plan.State, plan.Limit, Assert.Single(plan.Apps).App, plan.Apps[0].To, plan.Apps[0].Bytes));
        Assert.Null(doors.Cluster.Current.Nodes[new("node1")].Drain);

        var begun = await doors.Send("POST", "/api/v1/nodes/node1/drain");
        Assert.Equal((202, "Draining", 1), (begun.Status, begun.Body.Deserialize(ApiJson.Default.DrainView)!.State, begun.Body.Deserialize(ApiJson.Default.DrainView)!.Total));
        Assert.Equal(422, (await doors.Send("POST", "/api/v1/nodes/node1/uncordon")).Status);
        Assert.Equal("Stopped", (await doors.Send("POST", "/api/v1/nodes/node1/drain/stop")).Body.Deserialize(ApiJson.Default.DrainView)!.State);
        Assert.Equal("Stopped", (await doors.Send("GET", "/api/v1/nodes/node1/drain")).Body.Deserialize(ApiJson.Default.DrainView)!.State);
        Assert.False((await doors.Send("POST", "/api/v1/nodes/node1/uncordon")).Body.Deserialize(ApiJson.Default.NodeView)!.Cordoned);
    }

    [Fact]
    public async Task A_limit_of_transfers_is_stored_with_the_node_and_shown()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var set = await doors.Send("PUT", "/api/v1/nodes/node1/limit", """{"bytesPerSecond":50000000}""");
        Assert.Equal((200, 50_000_000), (set.Status, set.Body.Deserialize(ApiJson.Default.NodeView)!.TransferLimit));
        Assert.Equal(50_000_000, (await doors.Send("GET", "/api/v1/nodes/node1")).Body.Deserialize(ApiJson.Default.NodeView)!.TransferLimit);
        Assert.Null((await doors.Send("PUT", "/api/v1/nodes/node1/limit", """{"bytesPerSecond":0}""")).Body.Deserialize(ApiJson.Default.NodeView)!.TransferLimit);
    }

    [Theory]
    [InlineData("POST", "/api/v1/nodes/nowhere/drain", "{}", 404)]
    [InlineData("POST", "/api/v1/nodes/nowhere/cordon", null, 404)]
    [InlineData("POST", "/api/v1/nodes/nowhere/drain", """{"dryRun":true}""", 404)]
    [InlineData("POST", "/api/v1/nodes/node1/drain", """{"limit":-1}""", 400)]
    [InlineData("POST", "/api/v1/nodes/node1/drain", """{"limit":17}""", 400)]
    [InlineData("POST", "/api/v1/nodes/node1/drain", """{"limit":"four"}""", 400)]
    [InlineData("POST", "/api/v1/nodes/node1/drain", "[", 400)]
    [InlineData("POST", "/api/v1/nodes/node1/drain/stop", null, 422)]
    [InlineData("GET", "/api/v1/nodes/node1/cordon", null, 405)]
    [InlineData("PUT", "/api/v1/nodes/nowhere/limit", """{"bytesPerSecond":50000000}""", 404)]
    [InlineData("PUT", "/api/v1/nodes/node1/limit", """{"bytesPerSecond":-1}""", 400)]
    [InlineData("PUT", "/api/v1/nodes/node1/limit", """{"bytesPerSecond":1e300}""", 400)]
    [InlineData("PUT", "/api/v1/nodes/node1/limit", """{"bytesPerSecond":5}""", 422)]
    [InlineData("PUT", "/api/v1/nodes/node1/limit", "{}", 400)]
    [InlineData("POST", "/api/v1/nodes/node1/limit", "{}", 405)]
    [InlineData("POST", "/api/v1/rebalance", "{}", 400)]
    [InlineData("POST", "/api/v1/rebalance", """{"apply":"yes"}""", 400)]
    [InlineData("GET", "/api/v1/rebalance", null, 405)]
    public async Task What_cannot_be_done_to_a_node_is_refused_with_a_remedy_and_changes_nothing(string method, string path, string? body, int status)
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var before = doors.Cluster.Current.Revision;
        var answer = await doors.Send(method, path, body);
        Assert.Equal(status, answer.Status);
        Assert.NotNull(answer.Body.Deserialize(ApiJson.Default.ErrorView)!.Remedy);
        Assert.Equal(before, doors.Cluster.Current.Revision);
    }

    [Fact]
    public async Task A_rebalance_is_shown_first_and_done_when_asked()
    {
        await using var doors = await Doors.Open([Node(A), Node(B), .. Enumerable.Range(1, Apps).SelectMany(n => Db(n))]);
        await doors.Cluster.Given([.. new[] { A, B }.Select(id => new ClusterChange.PutPresence(new(id, true, Samples.Moment, ByteCount.MiB(100), ByteCount.MiB(50), default)))]);
        var plan = (await doors.Send("POST", "/api/v1/rebalance", """{"apply":false}""")).Body.Deserialize(ApiJson.Default.RebalanceView)!;
        Assert.NotEmpty(plan.Moves);
        Assert.True(plan is { Applied: false } && plan.After < plan.Before && plan.PeakAfter <= plan.PeakBefore);
        Assert.Empty(doors.Cluster.Current.Moves);
        Assert.Equal(202, (await doors.Send("POST", "/api/v1/rebalance", """{"apply":true}""")).Status);
        Assert.Equal(plan.Moves.Select(m => m.App).Order(), doors.Cluster.Current.OpenMoves.Select(m => m.App.Value).Order());
    }
}
