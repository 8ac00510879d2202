using Drover.Contracts.Agent;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Volumes;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.ControlPlane.Tests.Api;
using Drover.Testing;
using Drover.Testing.Moves;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using WorkCase = Drover.Contracts.Agent.Step.WorkOneofCase;

namespace Drover.ControlPlane.Tests.Volumes;

public sealed class VolumeDriverTests : IAsyncLifetime
{
    private static readonly VolumeName Data = new("mongodata");
    private static readonly NodeId Node1 = new("node1");

    private readonly FakeMoveAgents _agents = new();
    private readonly List<VolumeDriver> _drivers = [];
    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.Start(
    [
        .. Doors.RunningMongo(),
        new ClusterChange.PutVolume(new Volume(Data, Node1, new(1), true, null, new("/mongo"), Samples.Moment) { Snapshots = [new(new("good"), Node1, new(1), Samples.Moment, new(7), SnapshotOrigin.Asked)] }),
    ]);

    public async ValueTask DisposeAsync()
    {
        foreach (var driver in _drivers) await Stop(driver);
        await _cluster.DisposeAsync();
    }

    private async Task<VolumeDriver> Drive()
    {
        var driver = new VolumeDriver(_cluster, _agents, _cluster.Chance, _cluster.Time, NullLogger<VolumeDriver>.Instance);
        _drivers.Add(driver);
        await driver.StartAsync(CancellationToken.None);
        return driver;
    }

    private static async Task Stop(VolumeDriver driver)
    {
        await driver.StopAsync(CancellationToken.None);
        driver.Dispose();
    }

    private async Task<OperationId> Restore()
    {
        var answer = await new VolumeCommands(_cluster, _cluster.Chance, _cluster.Time).Ask((s, id, now) => VolumeRequests.Restore(s, Data, new("good"), id, now), default);
        return Assert.IsType<VolumeAnswer.Begun>(answer).Operation.Id;
    }

    private Task<ClusterState> Until(OperationId id, VolumeStage stage) => _cluster.Until(s => s.Operations[id].Stage == stage, $"operation in {stage}");

    private InstanceWish Wish() => DesiredState.For(_cluster.Current, Node1).Instances.Single().Wish;

    [Fact]
    public async Task A_restore_goes_step_by_step_holds_the_app_and_lets_it_go()
    {
        var gate = new TaskCompletionSource();
        _agents.Answer = (_, step) => step.WorkCase == WorkCase.MakeVolume ? gate.Task.ContinueWith(_ => FakeMoveAgents.Good(step), TaskScheduler.Default) : null;
        await Drive();
        var id = await Restore();
        await Until(id, VolumeStage.Making);
        Assert.Equal(InstanceWish.Hold, Wish());
        var order = Assert.Single(DesiredState.For(_cluster.Current, Node1).Volumes);
        Assert.Equal((2L, "s-good", false), (order.Epoch, order.Base, order.CreateEmpty));
        gate.SetResult();
        await Until(id, VolumeStage.Done);
        Assert.Equal(InstanceWish.Run, Wish());
        Assert.Equal([WorkCase.Stop, WorkCase.TakeSnapshot, WorkCase.MakeVolume], _agents.Asked.Select(a => a.Step.WorkCase));
        Assert.Single(InstanceLifecycle.Resume(_cluster.Current, _cluster.Time.GetUtcNow()).Changes);
    }

    [Theory, InlineData(VolumeStage.Stopping), InlineData(VolumeStage.Taking), InlineData(VolumeStage.Making)]
    public async Task A_control_plane_that_is_killed_in_a_stage_asks_again_with_the_same_id(VolumeStage stage)
    {
        var at = stage switch { VolumeStage.Stopping => WorkCase.Stop, VolumeStage.Taking => WorkCase.TakeSnapshot, _ => WorkCase.MakeVolume };
        var reached = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        _agents.Answer = (_, step) =>
        {
            if (step.WorkCase != at) return null;
            reached.TrySetResult(step.StepId);
            return new TaskCompletionSource<StepResult>().Task;
        };
        var driver = await Drive();
        var id = await Restore();
        var first = await reached.Task.WaitAsync(TestCluster.Patience);
        _drivers.Remove(driver);
        await Stop(driver);
        await _cluster.Restart();
        _agents.Answer = null;
        await Drive();
        await Until(id, VolumeStage.Done);
        Assert.Equal(2, _agents.Asked.Count(a => a.Step.StepId == first));
        Assert.Equal(new Epoch(2), _cluster.Current.Volumes[Data].Epoch);
        Assert.Null(VolumeHold.Of(_cluster.Current, _cluster.Current.Instances.Values.Single()));
    }

    [Fact]
    public async Task A_step_that_fails_is_tried_again_under_another_id_and_says_what_it_waits_for()
    {
        var failed = 0;
        _agents.Answer = (_, step) => step.WorkCase == WorkCase.TakeSnapshot && failed++ == 0
            ? Task.FromResult(new StepResult { StepId = step.StepId, Error = "the disk says no", ErrorKind = StepErrorKind.Retry }) : null;
        await Drive();
        var id = await Restore();
        var waiting = await _cluster.Until(s => s.Operations[id].Attempts == 1, "a second attempt");
        Assert.Contains("the disk says no", waiting.Operations[id].WaitsFor, StringComparison.Ordinal);
        while (!_cluster.Current.Operations[id].Ended)
        {
            _cluster.Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        Assert.Equal(VolumeStage.Done, _cluster.Current.Operations[id].Stage);
        Assert.Equal(2, _agents.Asked.Where(a => a.Step.WorkCase == WorkCase.TakeSnapshot).Select(a => a.Step.StepId).Distinct().Count());
    }

    private static readonly NodeId Node2 = new("node2");

    private async Task<OperationId> Prune(VolumeStage stage)
    {
        var operation = new VolumeOperation(new("p1"), VolumeVerb.Prune, Data, Node2, stage, Samples.Moment);
        await _cluster.Decide(s => Decision.Of(true, [new ClusterChange.PutVolume(s.Volumes[Data] with { Standbys = [new(Node2, new("m1-f"), new(1), Samples.Moment)] }), new ClusterChange.PutOperation(operation)]));
        return operation.Id;
    }

    private Task Presence(NodeId node, bool connected) =>
        _cluster.Decide(s => Decision.Of(true, [new ClusterChange.PutPresence(new(node, connected, _cluster.Time.GetUtcNow(), default, default, default))]));

    [Fact]
    public async Task A_standby_is_dropped_after_its_primary_was_asked()
    {
        await Drive();
        await Until(await Prune(VolumeStage.Checking), VolumeStage.Done);
        Assert.Equal([(Node1, WorkCase.CheckVolume), (Node2, WorkCase.DropData)], _agents.Asked.Select(a => (a.Node, a.Step.WorkCase)));
        Assert.Empty(_cluster.Current.Volumes[Data].Standbys);
    }

    [Fact]
    public async Task A_primary_asked_before_a_crash_is_asked_anew_under_another_number()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _agents.Answer = (_, step) => step.WorkCase == WorkCase.CheckVolume ? Never(asked) : null;
        var first = await Drive();
        var id = await Prune(VolumeStage.Checking);
        await asked.Task.WaitAsync(TestCluster.Patience);
        await Stop(first);
        _drivers.Remove(first);
        _agents.Answer = (_, _) => null;
        await Drive();
        await Until(id, VolumeStage.Done);
        Assert.Equal(2, _agents.Asked.Where(a => a.Step.WorkCase == WorkCase.CheckVolume).Select(a => a.Step.StepId).Distinct().Count());
    }

    [Fact]
    public async Task A_drop_that_another_process_asked_for_is_not_done_on_its_word()
    {
        var id = await Prune(VolumeStage.Dropping);
        await Drive();
        await Until(id, VolumeStage.Failed);
        Assert.Empty(_agents.Asked);
        Assert.Single(_cluster.Current.Volumes[Data].Standbys);
    }

    [Fact]
    public async Task A_standby_stays_when_its_primary_goes_away_after_its_word()
    {
        _agents.Answer = (_, step) => step.WorkCase == WorkCase.CheckVolume ? Said() : null;
        async Task<StepResult> Said()
        {
            await Presence(Node1, connected: false);
            return new StepResult();
        }
        await Drive();
        await Until(await Prune(VolumeStage.Checking), VolumeStage.Failed);
        Assert.DoesNotContain(_agents.Asked, a => a.Step.WorkCase == WorkCase.DropData);
        Assert.Single(_cluster.Current.Volumes[Data].Standbys);
    }

    [Fact]
    public async Task A_drop_of_a_standby_is_not_waited_for_longer_than_its_primarys_word_holds()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _agents.Answer = (_, step) => step.WorkCase == WorkCase.DropData ? Never(asked) : null;
        await Drive();
        var id = await Prune(VolumeStage.Checking);
        await asked.Task.WaitAsync(TestCluster.Patience);
        _cluster.Time.Advance(VolumeDriver.WordHolds);
        Assert.Equal("a node went away: the standby stays", (await Until(id, VolumeStage.Failed)).Operations[id].Failure);
    }

    private static Task<StepResult> Never(TaskCompletionSource asked)
    {
        asked.SetResult();
        return new TaskCompletionSource<StepResult>().Task;
    }

    [Theory, InlineData(true), InlineData(false)]
    public async Task What_may_be_left_is_given_up_when_its_node_stays_away(bool awayBefore)
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _agents.Answer = (_, _) => Never(asked);
        var id = await Restore();
        if (awayBefore) await Presence(Node1, connected: false);
        await Drive();
        await asked.Task.WaitAsync(TestCluster.Patience);
        if (!awayBefore) await Presence(Node1, connected: false);
        while (!_cluster.Current.Operations[id].Ended)
        {
            _cluster.Time.Advance(TimeSpan.FromSeconds(10));
            await Task.Yield();
        }
        Assert.Contains("'node1' is away: nothing was changed", _cluster.Current.Operations[id].Failure, StringComparison.Ordinal);
        Assert.Equal(new Epoch(1), _cluster.Current.Volumes[Data].Epoch);
        Assert.Null(VolumeHold.Of(_cluster.Current, _cluster.Current.Instances.Values.Single()));
    }

    [Fact]
    public async Task A_purge_asks_the_next_node_as_soon_as_the_one_it_waits_for_was_removed()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _agents.Answer = (node, _) => node == Node2 ? Never(asked) : null;
        var old = new Volume(new("old"), Node1, new(1), true, null, null, Samples.Moment) { DeletedAt = Samples.Moment, PurgeAt = Samples.Moment, Standbys = [new(Node2, new("m1-f"), new(1), Samples.Moment)] };
        var purge = new VolumeOperation(new("p1"), VolumeVerb.Purge, old.Name, Node2, VolumeStage.Purging, Samples.Moment) { Further = [Node1] };
        await _cluster.Decide(s => Decision.Of(true, [new ClusterChange.PutVolume(old), new ClusterChange.PutOperation(purge)]));
        await Presence(Node2, connected: false);
        await Drive();
        await asked.Task.WaitAsync(TestCluster.Patience);
        Assert.IsType<RemovalOutcome.Removed>(await _cluster.Decide(s => NodeRemoval.Decide(s, Node2, TimeSpan.Zero, acceptLoss: true, _cluster.Time.GetUtcNow())));
        Assert.DoesNotContain(old.Name, (await Until(purge.Id, VolumeStage.Done)).Volumes.Keys);
        Assert.Equal([Node2, Node1], _agents.Asked.Select(a => a.Node));
    }

    [Fact]
    public async Task A_clone_is_given_up_when_its_node_stays_away_and_its_source_is_free_again()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _agents.Answer = (_, _) => Never(asked);
        await Drive();
        var answer = await new VolumeCommands(_cluster, _cluster.Chance, _cluster.Time).Ask((s, id, now) => VolumeRequests.Clone(s, Data, "copy", new("good"), id, now), default);
        var clone = Assert.IsType<VolumeAnswer.Begun>(answer).Operation;
        await asked.Task.WaitAsync(TestCluster.Patience);
        await Presence(Node1, connected: false);
        while (!_cluster.Current.Operations[clone.Id].Ended)
        {
            _cluster.Time.Advance(TimeSpan.FromSeconds(10));
            await Task.Yield();
        }
        Assert.Contains("'node1' is away", _cluster.Current.Volumes[new("copy")].Missing, StringComparison.Ordinal);
        Assert.Null(_cluster.Current.OpenOperationOf(Data));
    }

    [Fact]
    public async Task A_node_that_is_there_is_waited_for_however_long_it_works()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var gate = new TaskCompletionSource();
        _agents.Answer = (_, step) =>
        {
            if (step.WorkCase != WorkCase.TakeSnapshot) return null;
            asked.SetResult();
            return gate.Task.ContinueWith(_ => FakeMoveAgents.Good(step), TaskScheduler.Default);
        };
        await Drive();
        var id = await Restore();
        await asked.Task.WaitAsync(TestCluster.Patience);
        _cluster.Time.Advance(VolumeDriver.Patience * 2);
        gate.SetResult();
        await Until(id, VolumeStage.Done);
    }

    [Fact]
    public async Task What_a_late_agent_says_of_the_stopped_container_changes_nothing()
    {
        var gate = new TaskCompletionSource();
        _agents.Answer = (_, step) => step.WorkCase == WorkCase.MakeVolume ? gate.Task.ContinueWith(_ => FakeMoveAgents.Good(step), TaskScheduler.Default) : null;
        await Drive();
        var id = await Restore();
        var halted = (await Until(id, VolumeStage.Making)).Instances.Values.Single();
        var seen = new Core.Agents.InstanceObservation(halted.Id, halted.Task, halted.App, Core.Agents.InstanceCondition.Stopped, null, null, 143, [], false, null, null, null);
        await _cluster.Decide(s => InstanceLifecycle.Observed(s, Node1, seen, _cluster.Time.GetUtcNow()));
        Assert.Equal(halted, _cluster.Current.Instances.Values.Single());
        gate.SetResult();
        await Until(id, VolumeStage.Done);
        await _cluster.Decide(s => InstanceLifecycle.Observed(s, Node1, seen, _cluster.Time.GetUtcNow()));
        Assert.Equal(Node1, _cluster.Current.Instances.Values.Single().Node);
    }

    [Fact]
    public async Task An_import_whose_control_plane_was_killed_is_given_up_and_cleared_away()
    {
        var answer = await new VolumeCommands(_cluster, _cluster.Chance, _cluster.Time).Ask((s, id, now) => VolumeRequests.Import(s, "fresh", "node2", null, null, id, now), default);
        var id = Assert.IsType<VolumeAnswer.Begun>(answer).Operation.Id;
        await _cluster.Restart();
        await Drive();
        var state = await Until(id, VolumeStage.Failed);
        Assert.Contains("send it again", state.Operations[id].Failure, StringComparison.Ordinal);
        Assert.DoesNotContain(new VolumeName("fresh"), state.Volumes.Keys);
        var (node, step) = Assert.Single(_agents.Asked);
        Assert.Equal((new NodeId("node2"), "fresh", state.Operations[id].Snapshot!.Value.Value), (node, step.ClearImport.Name, step.ClearImport.Snapshot));
    }
}
