using System.Runtime.CompilerServices;
using System.Text;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Volumes;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using Instance = Drover.Core.Apps.Instance;

namespace Drover.Agent.Tests.Reconcile;

/// <summary>The control plane's loop and an agent together, without a wire between them: what one decides the other does, and either may die.</summary>
public sealed class VolumeLifeTests : IAsyncLifetime
{
    private static readonly VolumeName Data = new("data");
    private static readonly NodeId Node = new("node1");
    private static readonly AppId App = new("/db");
    private static readonly InstanceId Copy = new("db.instance-1");
    private static readonly AppSpec Spec = new() { Id = App, Cpus = 0.1, Container = new Core.Apps.ContainerSpec { Image = "app", Volumes = [new VolumeMount(Data, "/data", false, VolumeNaming.HostPath)] } };

    private TestCluster _cluster = null!;
    private RigAgents _agents = null!;
    private VolumeDriver _driver = null!;

    public async ValueTask InitializeAsync()
    {
        var now = Samples.Moment;
        _cluster = await TestCluster.Start(
            new ClusterChange.PutNode(new Node(Node, "node1", "127.0.0.1", 4525, [], new(4, 4096, 10000, 0, []), "btrfs", "1", false, now, now)),
            new ClusterChange.PutPresence(new(Node, true, now, ByteCount.GiB(10), ByteCount.GiB(9), default)),
            new ClusterChange.PutApp(new App(Spec, now, now, now)), new ClusterChange.PutVolume(new Volume(Data, Node, new(1), false, null, App, now)),
            new ClusterChange.PutInstance(new Instance(Copy, App, Spec, now, 1, Node, [], InstanceGoal.Running, InstanceState.Running, now)));
        _agents = new(_cluster, await new NodeRig().Start());
        _agents.Order();
        await _agents.Rig.Told.Instance(Copy.Task(1).Value, InstanceCondition.Running);
        await _cluster.Given(new ClusterChange.PutVolume(_cluster.Current.Volumes[Data] with { Initialized = true }));
        Write("old");
        _driver = await Drive();
    }

    public async ValueTask DisposeAsync()
    {
        await _driver.StopAsync(default);
        _driver.Dispose();
        await _agents.Rig.DisposeAsync();
        await _cluster.DisposeAsync();
    }

    private async Task<VolumeDriver> Drive()
    {
        var driver = new VolumeDriver(_cluster, _agents, _cluster.Chance, _cluster.Time, NullLogger<VolumeDriver>.Instance);
        await driver.StartAsync(default);
        return driver;
    }

    private void Write(string row) => _agents.Rig.Volumes.Write(Data, "row", Encoding.UTF8.GetBytes(row));

    private string Read(VolumeName volume) => Encoding.UTF8.GetString(_agents.Rig.Volumes.Read(volume, "row")!);

    private async Task<VolumeOperation> Do(Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>> request)
    {
        var answer = await new VolumeCommands(_cluster, _cluster.Chance, _cluster.Time).Ask(request, default);
        var id = Assert.IsType<VolumeAnswer.Begun>(answer).Operation.Id;
        var ended = (await _cluster.Until(s => s.Operations[id].Ended, "the operation's end")).Operations[id];
        Assert.Null(ended.Failure);
        return ended;
    }

    private async Task<VolumeOperation> Restore(string snapshot)
    {
        var done = await Do((s, id, now) => VolumeRequests.Restore(s, Data, new(snapshot), id, now));
        await _cluster.Decide(s => InstanceLifecycle.Resume(s, _cluster.Time.GetUtcNow()));
        _agents.Order();
        await _agents.Rig.Told.Instance(_cluster.Current.Instances[Copy].Task.Value, InstanceCondition.Running);
        return done;
    }

    // 1: before the step comes; 2: while it is at work; 3: when it is done and not told.
    public static TheoryData<int, int> Kills => [.. from step in Enumerable.Range(0, 3) from moment in Enumerable.Range(1, 3) select (step, moment)];

    [Theory, MemberData(nameof(Kills))]
    public async Task A_restore_brings_the_app_back_with_the_old_data_whenever_the_agent_dies(int step, int moment)
    {
        await Do((s, id, now) => VolumeRequests.Snapshot(s, Data, "good", SnapshotOrigin.Asked, id, now));
        Write("new");
        _agents.KillAt(step, moment);
        var done = await Restore("good");
        Assert.True(_agents.Killed);
        Assert.Equal("old", Read(Data));
        Assert.Equal((new Epoch(2), 2), (_cluster.Current.Volumes[Data].Epoch, _cluster.Current.Instances[Copy].Incarnation));
        // And back: what was live before the restore is kept.
        await Restore(done.Safety!.Value.Value);
        Assert.Equal("new", Read(Data));
        Assert.Equal(new Epoch(3), _cluster.Current.Volumes[Data].Epoch);
    }

    [Theory, InlineData(0), InlineData(1), InlineData(2)]
    public async Task A_control_plane_that_dies_in_a_restore_goes_on_from_its_store(int step)
    {
        await Do((s, id, now) => VolumeRequests.Snapshot(s, Data, "good", SnapshotOrigin.Asked, id, now));
        Write("new");
        var reached = _agents.Pause(step);
        var answer = await new VolumeCommands(_cluster, _cluster.Chance, _cluster.Time).Ask((s, id, now) => VolumeRequests.Restore(s, Data, new("good"), id, now), default);
        await reached;
        await _driver.StopAsync(default);
        _driver.Dispose();
        await _cluster.Restart();
        await _cluster.Given(new ClusterChange.PutPresence(new(Node, true, Samples.Moment, ByteCount.GiB(10), ByteCount.GiB(9), default)));
        _driver = await Drive();
        var id = ((VolumeAnswer.Begun)answer).Operation.Id;
        await _cluster.Until(s => s.Operations[id].Stage == VolumeStage.Done, "the restore's end");
        await _cluster.Decide(s => InstanceLifecycle.Resume(s, _cluster.Time.GetUtcNow()));
        _agents.Order();
        await _agents.Rig.Told.Instance(Copy.Task(2).Value, InstanceCondition.Running);
        Assert.Equal("old", Read(Data));
    }

    [Fact]
    public async Task A_volumes_whole_life()
    {
        await Do((s, id, now) => VolumeRequests.Create(s, "fresh", null, ByteCount.GiB(1), id, now));
        Assert.Equal(ByteCount.GiB(1), (await _agents.Rig.Volumes.Inspect(new("fresh"), default))!.Limit);
        await Do((s, id, now) => VolumeRequests.Clone(s, Data, "copy", null, id, now));
        Write("new");
        Assert.Equal("old", Read(new("copy")));
        await Do((s, id, now) => VolumeRequests.Resize(s, new("copy"), ByteCount.GiB(2), id, now));
        await _cluster.Decide(s => VolumeRequests.Delete(s, new("copy"), VolumeRequests.Kept, _cluster.Time.GetUtcNow()));
        Assert.Equal("old", Read(new("copy")));
        await Do((s, id, now) => VolumeRequests.Purge(s, new("copy"), "copy", id, now));
        Assert.Null(await _agents.Rig.Volumes.Inspect(new("copy"), default));
        Assert.False(_cluster.Current.Volumes.ContainsKey(new("copy")));
        Assert.Equal("new", Read(Data));
    }

    [Fact]
    public async Task What_lies_on_a_node_under_a_new_volumes_name_is_left_alone_and_said()
    {
        await _agents.Rig.Volumes.Make(new Drover.Agent.Volumes.LiveOrder.Empty(new("lost"), new(5)), default);
        var answer = await new VolumeCommands(_cluster, _cluster.Chance, _cluster.Time).Ask((s, id, now) => VolumeRequests.Create(s, "lost", null, null, id, now), default);
        var operation = (await _cluster.Until(s => s.Operations[((VolumeAnswer.Begun)answer).Operation.Id].Ended, "the end")).Operations.Values.Single(o => o.Volume.Value == "lost");
        Assert.Contains("epoch", operation.Failure, StringComparison.Ordinal);
        Assert.False(_cluster.Current.Volumes.ContainsKey(new("lost")));
        Assert.NotNull(await _agents.Rig.Volumes.Inspect(new("lost"), default));
    }

    /// <summary>Hands steps to the agent of one node, which dies where a test says.</summary>
    private sealed class RigAgents(TestCluster cluster, NodeRig rig) : IAgentConnections
    {
        private long _generation;
        private int _step, _killStep = -1, _killMoment, _pauseStep = -1;
        private TaskCompletionSource? _paused;

        public NodeRig Rig { get; private set; } = rig;
        public bool Killed { get; private set; }

        public void KillAt(int step, int moment) => (_step, _killStep, _killMoment) = (0, step, moment);

        /// <summary>The step is done by the agent, and its answer never comes.</summary>
        public Task Pause(int step)
        {
            (_step, _pauseStep, _paused) = (0, step, new(TaskCreationOptions.RunContinuationsAsynchronously));
            return _paused.Task;
        }

        public void Order()
        {
            var desired = DesiredState.For(cluster.Current, Node);
            desired.Generation = ++_generation;
            Rig.Orders.Replace(desired);
        }

        public async Task<StepResult> Run(NodeId node, Step step, Action<StepProgress>? progress, CancellationToken cancel)
        {
            var (moment, pause) = (_step == _killStep ? _killMoment : 0, _step == _pauseStep);
            _step++;
            if (moment == 1) await Kill();
            Order();
            Rig.Steps.Accept(step);
            if (moment == 3) await Rig.Told.Result(step.StepId);
            if (moment > 1) await Kill();
            if (moment > 1) Order();
            if (moment > 1) Rig.Steps.Accept(step);
            var result = await Rig.Told.Result(step.StepId);
            if (!pause) return result;
            _pauseStep = -1;
            _paused!.TrySetResult();
            return await new TaskCompletionSource<StepResult>().Task.WaitAsync(cancel);
        }

        private async Task Kill()
        {
            await Rig.Stop();
            Rig = await new NodeRig(Rig).Start();
            (Killed, _killStep) = (true, -1);
        }

        public async IAsyncEnumerable<LogChunk> Logs(NodeId node, TaskId task, bool follow, int tail, [EnumeratorCancellation] CancellationToken cancel)
        {
            await Task.CompletedTask;
            yield break;
        }

        public bool IsConnected(NodeId node) => true;
    }
}
