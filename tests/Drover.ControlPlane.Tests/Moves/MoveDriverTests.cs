using Drover.Contracts.Agent;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Moves;
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
using WorkCase = Drover.Contracts.Agent.Step.WorkOneofCase;

namespace Drover.ControlPlane.Tests.Moves;

public sealed class MoveDriverTests : IAsyncLifetime
{
    private static readonly AppId App = new("/db");
    private static readonly NodeId A = new("a");
    private static readonly NodeId B = new("b");
    private static readonly VolumeName Data = new("data");
    private static readonly InstanceId Copy = new("db.1");

    private readonly FakeMoveAgents _agents = new();
    private readonly List<MoveDriver> _drivers = [];
    private TestCluster _cluster = null!;

    private static Core.Apps.ContainerSpec Container => new() { Image = "db", Volumes = [new VolumeMount(Data, "/data", false, VolumeNaming.HostPath)] };

    public async ValueTask InitializeAsync()
    {
        var spec = new AppSpec { Id = App, Cpus = 0.1, Container = Container, Constraints = [new("disk", ConstraintOperator.Cluster, "spinning")] };
        var moment = Samples.Moment;
        _cluster = await TestCluster.Start(
            Node(A, "spinning"), Node(B, "ssd"), new ClusterChange.PutApp(new App(spec, moment, moment, moment)),
            new ClusterChange.PutVolume(new Volume(Data, A, new(1), true, null, App, moment) { Used = ByteCount.MiB(1) }),
            new ClusterChange.PutInstance(new Instance(Copy, App, spec, moment, 1, A, [], InstanceGoal.Running, InstanceState.Running, moment)));
        await Connect();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var driver in _drivers) await Stop(driver);
        await _cluster.DisposeAsync();
    }

    private static ClusterChange.PutNode Node(NodeId id, string disk) => new(new Node(
        id, id.Value, $"10.0.0.{id.Value[0] - 'a' + 1}", 4525, [new("disk", disk)], new(4, 4096, 10000, 0, [new(7000, 7100)]), "btrfs", "1", false, Samples.Moment, Samples.Moment));

    private Task Connect() => _cluster.Given(
        new ClusterChange.PutPresence(new(A, true, _cluster.Time.GetUtcNow(), ByteCount.GiB(10), ByteCount.GiB(9), default)),
        new ClusterChange.PutPresence(new(B, true, _cluster.Time.GetUtcNow(), ByteCount.GiB(10), ByteCount.GiB(9), default)));

    private async Task<MoveDriver> Drive()
    {
        var board = new MoveProgressBoard();
        var runner = new MoveStepRunner(_cluster, _agents, new MoveOrders(DesiredState.For, new FakeTickets()), board, _cluster.Time, NullLogger<MoveStepRunner>.Instance);
        var driver = new MoveDriver(_cluster, runner, board, _cluster.Time, NullLogger<MoveDriver>.Instance);
        _drivers.Add(driver);
        await driver.StartAsync(CancellationToken.None);
        return driver;
    }

    private static async Task Stop(MoveDriver driver)
    {
        await driver.StopAsync(CancellationToken.None);
        driver.Dispose();
    }

    private MoveCommands Commands => new(_cluster, _cluster.Chance, _cluster.Time);

    private static MoveWish By(string attribute) => new(App, null, AttributeValue.Parse(attribute), MoveOverrides.None);

    private static MoveWish To(string node) => new(App, new(node), null, MoveOverrides.None);

    private Task<ClusterState> Until(MoveState state) => _cluster.Until(s => s.Moves.Values.Any(m => m.State == state), $"a move in {state}");

    private Task Serve() => _cluster.Decide(s => Decision.Of(true, [new ClusterChange.PutInstance(s.Instances[Copy] with
    {
        State = InstanceState.Running, WaitsFor = null, Start = new(TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(100), TimeSpan.Zero),
    })]));

    [Fact]
    public async Task A_move_takes_data_and_container_over_and_keeps_the_old_primary_as_standby()
    {
        await Drive();
        var started = await Commands.Start(By("disk=ssd"), default);
        Assert.Null(started.Refusal);
        await Until(MoveState.CutOver);
        await Serve();
        var state = await Until(MoveState.Done);

        var (volume, instance, move) = (state.Volumes[Data], state.Instances[Copy], state.Moves.Values.Single());
        Assert.Equal((B, 2L, MoveSnapshots.Final(move.Id)), (volume.Primary!.Value, volume.Epoch.Value, volume.Base!.Value));
        Assert.Equal((A, MoveSnapshots.Final(move.Id)), (volume.Standbys[0].Node, volume.Standbys[0].Snapshot));
        Assert.Equal((B, 2), (instance.Node!.Value, instance.Incarnation));
        Assert.Equal("ssd", state.Apps[App].Spec.Constraints[0].Value);
        Assert.Equal([WorkCase.Round, WorkCase.Round, WorkCase.Stop, WorkCase.Round],
            _agents.Asked.Select(a => a.Step.WorkCase).Where(w => w is WorkCase.Round or WorkCase.Stop));
        Assert.Equal(2, _agents.Asked.Count(a => a.Step.WorkCase == WorkCase.Retire));
        Assert.Empty(MoveInvariants.Breaches(state));
        Assert.Equal(["app stop", "snapshot", "send", "receive", "commit", "promote", "start", "first answer"], Waterfall.Of(move)!.Spans.Select(s => s.Name));
    }

    [Fact]
    public async Task A_target_that_has_everything_and_says_nothing_gets_nothing()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _agents.Answer = (node, step) =>
        {
            if (step.WorkCase != WorkCase.Attend) return null;
            Assert.Equal(B, node);
            asked.TrySetResult();
            return new TaskCompletionSource<StepResult>().Task;
        };
        await Drive();
        await Commands.Start(By("disk=ssd"), default);
        await asked.Task.WaitAsync(TestCluster.Patience);
        var undone = Until(MoveState.Undone);
        while (!undone.IsCompleted)
        {
            _cluster.Time.Advance(MoveStepRunner.AttendLimit);
            await Task.WhenAny(undone, Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System));
        }
        var state = await undone;
        Assert.Equal((A, 1L), (state.Volumes[Data].Primary!.Value, state.Volumes[Data].Epoch.Value));
        Assert.Contains("does not answer", state.Moves.Values.Single().Failure, StringComparison.Ordinal);
        Assert.Empty(MoveInvariants.Breaches(state));
    }

    [Fact]
    public async Task A_round_carries_ticket_base_and_where_to_send()
    {
        await Drive();
        await Commands.Start(By("disk=ssd"), default);
        var move = (await Until(MoveState.CutOver)).Moves.Values.Single();
        var final = _agents.Asked.Select(a => a.Step.Round).Last(r => r is not null);
        Assert.True(final.Final);
        Assert.Equal(("10.0.0.2", 4525, "b"), (final.TargetAddress, final.TargetPort, final.TargetNode));
        Assert.Equal((MoveSnapshots.Final(move.Id).Value, MoveSnapshots.Round(move.Id, 2).Value), (final.Volumes[0].Snapshot, final.Volumes[0].Base));
        Assert.Equal($"data@1 {MoveSnapshots.Final(move.Id)} a>b", final.Volumes[0].Ticket);
    }

    [Fact]
    public async Task The_target_is_prepared_with_the_copy_as_it_will_run()
    {
        await Drive();
        await Commands.Start(By("disk=ssd"), default);
        await Until(MoveState.CutOver);
        var prepare = _agents.Asked.Single(a => a.Step.WorkCase == WorkCase.Prepare);
        Assert.Equal((B, Copy.Task(2).Value, InstanceWish.Hold), (prepare.Node, prepare.Step.Prepare.Instance.TaskId, prepare.Step.Prepare.Instance.Wish));
    }

    [Fact]
    public async Task What_cannot_be_prepared_is_undone_and_the_source_keeps_everything()
    {
        _agents.Answer = (_, step) => step.WorkCase == WorkCase.Prepare
            ? Task.FromResult(new StepResult { StepId = step.StepId, Error = "the image does not exist: push it first", ErrorKind = StepErrorKind.Operator }) : null;
        var before = _cluster.Current.Apps[App];
        await Drive();
        await Commands.Start(By("disk=ssd"), default);
        var state = await Until(MoveState.Undone);
        Assert.Equal((before.Spec, before.LastConfigChangeAt), (state.Apps[App].Spec, state.Apps[App].LastConfigChangeAt));
        Assert.Equal((A, 1L), (state.Volumes[Data].Primary!.Value, state.Volumes[Data].Epoch.Value));
        Assert.Contains("push it first", state.Moves.Values.Single().Failure, StringComparison.Ordinal);
        Assert.Equal([A, B], _agents.Asked.Where(a => a.Step.WorkCase == WorkCase.Unwind).Select(a => a.Node).Order());
    }

    [Fact]
    public async Task After_a_restart_the_step_under_way_is_asked_again_under_the_same_id()
    {
        var asked = new TaskCompletionSource();
        _agents.Answer = (_, step) =>
        {
            if (step.WorkCase != WorkCase.Round) return null;
            asked.TrySetResult();
            return new TaskCompletionSource<StepResult>().Task;
        };
        var first = await Drive();
        await Commands.Start(By("disk=ssd"), default);
        await asked.Task.WaitAsync(TestCluster.Patience);
        await Stop(first);
        _drivers.Clear();
        await _cluster.Restart();
        await Connect();
        _agents.Answer = null;
        await Drive();
        await Until(MoveState.CutOver);
        var rounds = _agents.Asked.Where(a => a.Step.WorkCase == WorkCase.Round).Select(a => a.Step.StepId).ToList();
        Assert.Equal(rounds[0], rounds[1]);
        Assert.Equal(rounds.Count - 1, rounds.Distinct().Count());
    }

    [Fact]
    public async Task A_deleted_app_undoes_its_move_while_a_round_is_under_way()
    {
        _agents.Answer = (_, step) => step.WorkCase == WorkCase.Round ? new TaskCompletionSource<StepResult>().Task : null;
        await Drive();
        await Commands.Start(By("disk=ssd"), default);
        await Until(MoveState.Seeding);
        await _cluster.Given(new ClusterChange.RemoveInstance(Copy));
        Assert.Contains("not wanted any more", (await Until(MoveState.Undone)).Moves.Values.Single().Failure, StringComparison.Ordinal);
    }

    private static readonly (string, string)[] Prepared = [(MoveSettings.PreStopLabel, "checkpoint")];

    private Task Labelled(params (string Name, string Value)[] labels) => _cluster.Decide(s => Decision.Of(true,
    [
        new ClusterChange.PutApp(s.Apps[App] with { Spec = s.Apps[App].Spec with { Labels = labels.Select(l => new Label(l.Name, l.Value)).ToEquatableList() } }),
    ]));

    [Fact]
    public async Task An_operator_s_undo_ends_a_round_under_way_and_gives_the_source_back()
    {
        _agents.Answer = (_, step) => step.WorkCase == WorkCase.Round ? new TaskCompletionSource<StepResult>().Task : null;
        await Drive();
        var move = (await Commands.Start(By("disk=ssd"), default)).Move!;
        await Until(MoveState.Seeding);
        Assert.Equal(MoveState.Unwinding, Assert.IsType<MoveActOutcome.Taken>(await Commands.Undo(move.Id, default)).Move.State);
        Assert.Contains("operator", (await Until(MoveState.Undone)).Moves.Values.Single().Failure, StringComparison.Ordinal);
        Assert.IsType<MoveActOutcome.Taken>(await Commands.Undo(move.Id, default));
    }

    [Fact]
    public async Task The_app_s_command_is_ordered_once_before_the_stop_and_a_round_comes_between()
    {
        await Labelled(Prepared);
        _agents.Answer = (_, step) => step.WorkCase != WorkCase.PreStop ? null
            : Task.FromResult(new StepResult { StepId = step.StepId, PreStop = new() { Ok = false, Said = "exit code 1" } });
        await Drive();
        await Commands.Start(By("disk=ssd"), default);
        var move = (await Until(MoveState.CutOver)).Moves.Values.Single();
        Assert.Equal([WorkCase.Round, WorkCase.Round, WorkCase.PreStop, WorkCase.Round, WorkCase.Stop, WorkCase.Round],
            _agents.Asked.Select(a => a.Step.WorkCase).Where(w => w is WorkCase.Round or WorkCase.Stop or WorkCase.PreStop));
        Assert.Equal(("checkpoint", Copy.Task(1).Value), (_agents.Asked.Single(a => a.Step.PreStop is not null).Step.PreStop.Command, _agents.Asked.Single(a => a.Step.PreStop is not null).Step.PreStop.TaskId));
        Assert.Equal((PreStopState.Failed, "exit code 1"), (move.PreStop, move.PreStopSaid));
    }

    [Fact]
    public async Task A_freeze_asked_for_this_move_alone_reaches_the_agent()
    {
        await Drive();
        await Commands.Start(By("disk=ssd") with { Overrides = MoveOverrides.None with { Quiesce = Quiesce.Freeze } }, default);
        await Until(MoveState.CutOver);
        Assert.True(_agents.Asked.Single(a => a.Step.WorkCase == WorkCase.Stop).Step.Stop.Freeze);
    }

    [Fact]
    public async Task A_move_that_waits_for_its_app_goes_on_when_the_operator_says_cut()
    {
        _agents.Answer = (_, step) => step.WorkCase != WorkCase.Round || step.Round.Final ? null : Task.FromResult(new StepResult
        {
            StepId = step.StepId, Round = new() { Bytes = 1L << 30, ElapsedUs = 10_000_000, SendUs = 10_000_000, SnapshotAtUnixMs = 1_767_614_400_000 + step.Round.Number * 10_000L },
        });
        await Drive();
        var move = (await Commands.Start(By("disk=ssd") with { Overrides = MoveOverrides.None with { NonConvergence = NonConvergence.Wait } }, default)).Move!;
        await _cluster.Until(s => s.Moves[move.Id].NextRoundAt is not null, "a pause");
        await Commands.Cut(move.Id, default);
        Assert.Equal(3, (await Until(MoveState.CutOver)).Moves[move.Id].Rounds.Items.Count(r => !r.Final));
        Assert.IsType<MoveActOutcome.Refused>(await Commands.Cut(move.Id, default));
        Assert.Contains("commit point", Assert.IsType<MoveActOutcome.Refused>(await Commands.Undo(move.Id, default)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refusals_name_field_reason_and_remedy_and_change_nothing()
    {
        var before = _cluster.Current.Revision;
        Assert.IsType<MoveRefusal.UnknownApp>((await Commands.Start(To("b") with { App = new("/nothing") }, default)).Refusal);
        Assert.IsType<MoveRefusal.UnknownNode>((await Commands.Start(To("c"), default)).Refusal);
        Assert.IsType<MoveRefusal.AlreadyThere>((await Commands.Start(To("a"), default)).Refusal);
        Assert.Contains("disk", Assert.IsType<MoveRefusal.DoesNotFit>((await Commands.Start(To("b"), default)).Refusal).Message, StringComparison.Ordinal);
        Assert.IsType<MoveRefusal.NoNodeFits>((await Commands.Start(By("disk=tape"), default)).Refusal);
        Assert.Equal(before, _cluster.Current.Revision);
        await Commands.Start(By("disk=ssd"), default);
        Assert.IsType<MoveRefusal.AlreadyMoving>((await Commands.Start(By("disk=ssd"), default)).Refusal);
    }

    [Fact]
    public void A_dry_run_tells_what_would_be_sent()
    {
        var plan = Commands.Forecast(By("disk=ssd")).Plan!;
        Assert.Equal(("a", "b", ByteCount.MiB(1).Bytes, ByteCount.MiB(1).Bytes, false), (plan.From, plan.To, plan.VolumeBytes, plan.BytesToSend, plan.Incremental));
    }
}
