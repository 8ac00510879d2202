using Drover.Contracts.Metrics;
using Drover.ControlPlane.Observability;
using Drover.Core;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Testing;
using Drover.Testing.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Drover.ControlPlane.Tests.Observability;

public sealed class CommitMeterTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Asked = new(2026, 1, 5, 11, 50, 0, TimeSpan.Zero);
    private readonly MetricBook _book = new(TimeProvider.System);
    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.Start();

    public async ValueTask DisposeAsync()
    {
        _book.Dispose();
        await _cluster.DisposeAsync();
    }

    private void Count(params ICommitMeter[] meters) => _cluster.Observed = new CommitMeters(meters, NullLogger<CommitMeters>.Instance).Seen;

    private static Round Round(int number, long bytes, long wire, long resent) => new(number, false, new(bytes), TimeSpan.FromSeconds(1), default, default, default, Asked, null) { WireBytes = new(wire), ResentBytes = new(resent) };

    private static Move Move(string id, MoveState state) => Samples.Move with { Id = new(id), State = state, Trigger = MoveTrigger.Drain, RequestedAt = Asked, History = [new(state, Asked)], Rounds = [], Timings = CutoverTimings.None };

    [Fact]
    public async Task A_moves_rounds_count_as_they_come_and_its_end_once_also_where_one_commit_changes_it_twice()
    {
        Count(new MoveMeter(_book, _cluster, _cluster.Time));
        var seeding = Move("a", MoveState.Seeding) with { Rounds = [Round(1, 100, 60, 5)] };
        await _cluster.Given(new ClusterChange.PutMove(Move("a", MoveState.Planned)), new ClusterChange.PutMove(seeding));
        Assert.Equal((100, 60, 5, 1), (_book.Value("drover_move_sent_bytes_total"), _book.Value("drover_move_wire_bytes_total"), _book.Value("drover_move_resent_bytes_total"), _book.Value("drover_moves_open", "seeding")));
        Assert.Equal(600, _book.Value("drover_move_longest_in_state_seconds", "seeding"));
        var done = seeding with
        {
            State = MoveState.Done, Rounds = [.. seeding.Rounds, Round(2, 10, 10, 0)],
            Timings = CutoverTimings.None with { StopRequestedAt = Asked, ServingAt = Asked.AddSeconds(3), AppStop = TimeSpan.FromSeconds(1), AppStart = TimeSpan.FromSeconds(1.5) },
        };
        await _cluster.Given(new ClusterChange.PutMove(done), new ClusterChange.PutMove(done with { WaitsFor = null, Attempts = 0 }));
        Assert.Equal((110, 1), (_book.Value("drover_move_sent_bytes_total"), _book.Value("drover_moves_total", "drain", "done")));
        Assert.Equal((3, 0.5, 600, 2), (_book.Value("drover_move_stop_seconds"), _book.Value("drover_move_added_cutover_seconds"), _book.Value("drover_move_seconds", "done"), _book.Value("drover_move_rounds")));
        Assert.Equal(double.NaN, _book.Value("drover_moves_open", "seeding"));
    }

    [Fact]
    public async Task A_move_that_is_undone_says_nothing_of_a_stop()
    {
        Count(new MoveMeter(_book, _cluster, _cluster.Time));
        await _cluster.Given(new ClusterChange.PutMove(Move("b", MoveState.Unwinding)));
        await _cluster.Given(new ClusterChange.PutMove(Move("b", MoveState.Undone)));
        await _cluster.Given(new ClusterChange.PutMove(Move("b", MoveState.Undone) with { Failure = "because" }));
        Assert.Equal((1L, 0L, 1L), ((long)_book.Value("drover_moves_total", "drain", "undone"), _book.Count("drover_move_stop_seconds"), _book.Count("drover_move_seconds", "undone")));
    }

    [Fact]
    public async Task Deployments_are_counted_by_how_they_end_also_those_that_begin_and_end_in_one_commit()
    {
        Count(new DeploymentMeter(_book, _cluster, _cluster.Time));
        var deployment = Samples.Deployment with { StartedAt = _cluster.Time.GetUtcNow().AddSeconds(-90) };
        await _cluster.Given(new ClusterChange.PutDeployment(deployment), new ClusterChange.PutDeployment(deployment with { WaitsFor = "this" }));
        Assert.Equal((1, 0, 1, 90), (_book.Value("drover_deployments_started_total"), _book.Value("drover_deployments", "false"), _book.Value("drover_deployments", "true"), _book.Value("drover_deployment_oldest_seconds")));
        await _cluster.Decide(_ => Decision.Of(true, [new ClusterChange.RemoveDeployment(deployment.Id)], new ClusterEvent("deployment.done", deployment.Id.Value, "done") { Deployment = deployment.Id }));
        var brief = deployment with { Id = new("brief") };
        await _cluster.Given(new ClusterChange.PutDeployment(brief), new ClusterChange.RemoveDeployment(brief.Id));
        Assert.Equal((2, 1, 1, 0), (_book.Value("drover_deployments_started_total"), _book.Value("drover_deployments_ended_total", "done"), _book.Value("drover_deployments_ended_total", "cancelled"), _book.Value("drover_deployment_oldest_seconds")));
        Assert.Equal(90, _book.Value("drover_deployment_seconds", "done"));
    }

    [Fact]
    public async Task Copies_wait_from_the_moment_they_have_no_node_and_are_placed_once()
    {
        Count(new QueueMeter(_book, _cluster, _cluster.Time));
        var copy = Samples.Instance with { Node = null, Goal = Core.Apps.InstanceGoal.Running, WaitsFor = "an offer" };
        await _cluster.Given(new ClusterChange.PutInstance(copy));
        _cluster.Time.Advance(TimeSpan.FromSeconds(40));
        await _cluster.Given(new ClusterChange.PutInstance(copy with { WaitsFor = "its backoff: it ended" }));
        Assert.Equal((double.NaN, 1, 40), (_book.Value("drover_queue", "offer"), _book.Value("drover_queue", "backoff"), _book.Value("drover_queue_oldest_seconds", "backoff")));
        var placed = copy with { Node = new NodeId("node1"), WaitsFor = null };
        await _cluster.Given(new ClusterChange.PutInstance(placed), new ClusterChange.PutInstance(placed with { ContainerId = "c" }));
        await _cluster.Given(new ClusterChange.PutInstance(placed with { Node = new NodeId("node2") }));
        Assert.Equal((1, double.NaN), (_book.Value("drover_placements_total"), _book.Value("drover_queue", "backoff")));
    }

    [Fact]
    public async Task Volumes_are_told_apart_by_where_their_data_is()
    {
        Count(new VolumeMeter(_book, _cluster));
        await _cluster.Given(
            new ClusterChange.PutVolume(Samples.Volume with { Name = new("a"), Used = new(7), DeletedAt = null, Standbys = [new(new("node2"), new("s"), new(1), Asked)], Forks = [] }),
            new ClusterChange.PutVolume(new Volume(new("b"), null, new(1), Initialized: true, null, null, Asked)),
            new ClusterChange.PutVolume(new Volume(new("c"), null, new(0), Initialized: false, null, null, Asked)),
            new ClusterChange.PutOperation(Samples.Operation with { Stage = VolumeStage.Failed }), new ClusterChange.PutOperation(Samples.Operation with { Stage = VolumeStage.Failed, Failure = "why" }));
        Assert.Equal((1, 1, 1, 7), (_book.Value("drover_volumes", "ready"), _book.Value("drover_volumes", "lost"), _book.Value("drover_volumes", "new"), _book.Value("drover_volume_used_bytes")));
        Assert.Equal((1, 1, 0, 1), (_book.Value("drover_replicas", "primary"), _book.Value("drover_replicas", "standby"), _book.Value("drover_replicas", "fork"), _book.Value("drover_volume_operations_total", "restore", "failed")));
    }

    [Fact]
    public async Task A_meter_that_fails_keeps_no_commit_from_counting()
    {
        var deployments = new DeploymentMeter(_book, _cluster, _cluster.Time);
        Count(new Broken(), deployments);
        await _cluster.Given(new ClusterChange.PutDeployment(Samples.Deployment));
        Assert.True(_cluster.Current.Deployments.ContainsKey(Samples.Deployment.Id));
        Assert.Equal(1, _book.Value("drover_deployments_started_total"));
    }

    private sealed class Broken : ICommitMeter
    {
        public void Seen(Committed commit) => throw new InvalidOperationException("broken");
    }
}
