using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Xunit;
using static Drover.Agent.Tests.Reconcile.NodeRig;

namespace Drover.Agent.Tests.Reconcile;

public sealed class StepTests
{
    private static readonly VolumeName Data = new("data");
    private static readonly CancellationToken None = CancellationToken.None;

    private static async Task<NodeRig> Source(InstanceWish wish = InstanceWish.Run)
    {
        var rig = await new NodeRig().Start();
        rig.Order(1, Instance(epoch: 1), Primary(1, empty: true));
        await rig.Told.Instance(Task(1), InstanceCondition.Running);
        if (wish == InstanceWish.Hold) rig.Order(2, Instance(epoch: 1, wish: wish), Primary(1));
        return rig;
    }

    private static Step StopStep(string id = "s1") => new() { StepId = id, MoveId = "m1", Stop = new StopInstance { InstanceId = "db.instance-1", TaskId = Task(1), GraceMs = 1000, Volumes = { "data" } } };

    private static Step RoundStep(bool final, string id = "r1") => new()
    {
        StepId = id, MoveId = "m1", Round = new SendRound { Number = 1, Final = final, Volumes = { new RoundVolume { Name = "data", Epoch = 1, Snapshot = "m1-r1" } } },
    };

    [Fact]
    public async Task Stopping_syncs_first_says_how_long_the_app_took_and_unmounts()
    {
        await using var rig = await Source(InstanceWish.Hold);
        var syncs = rig.Volumes.Pool.Syncs;
        rig.Steps.Accept(StopStep());
        var result = await rig.Told.Result("s1");
        Assert.Equal("", result.Error);
        Assert.True(result.AppStopUs > 0);
        Assert.True(rig.Volumes.Pool.Syncs > syncs);
        Assert.True(await rig.Volumes.Inspect(Data, None) is { HasLive: true, Mounted: false });
        Assert.Equal(InstanceCondition.Stopped, (await rig.Told.Instance(Task(1), InstanceCondition.Stopped)).Condition);
        Assert.Empty(rig.Docker.Running);
    }

    [Fact]
    public async Task A_stop_says_how_long_ago_the_engine_was_asked_unless_the_app_had_ended_before()
    {
        await using var rig = await Source(InstanceWish.Hold);
        rig.Steps.Accept(StopStep());
        Assert.True((await rig.Told.Result("s1")).SinceStopUs > 0);
        rig.Steps.Accept(StopStep("s2"));
        var again = await rig.Told.Result("s2");
        Assert.Equal(("", 0L), (again.Error, again.SinceStopUs));
    }

    [Fact]
    public async Task A_freeze_says_how_long_ago_the_engine_was_asked_unless_the_app_stood_still_before()
    {
        await using var rig = await Source(InstanceWish.Hold);
        rig.Steps.Accept(FreezeStep());
        Assert.True((await rig.Told.Result("f1")).SinceStopUs > 0);
        var second = FreezeStep();
        second.StepId = "f2";
        rig.Steps.Accept(second);
        var again = await rig.Told.Result("f2");
        Assert.Equal(("", 0L), (again.Error, again.SinceStopUs));
    }

    private static Step FreezeStep()
    {
        var step = StopStep("f1");
        step.Stop.Freeze = true;
        return step;
    }

    private static Step UnwindStep() => new()
    {
        StepId = "u1", MoveId = "m1", Unwind = new Unwind { InstanceId = "db.instance-1", TaskId = Task(1), Source = true, Volumes = { new RetireVolume { Name = "data", Epoch = 1 } } },
    };

    [Fact]
    public async Task A_frozen_container_lets_the_final_round_pass_and_an_undo_thaws_it()
    {
        await using var rig = await Source(InstanceWish.Hold);
        rig.Steps.Accept(FreezeStep());
        Assert.Equal("", (await rig.Told.Result("f1")).Error);
        Assert.True(await rig.Docker.Inspect(new(Task(1)), None) is { Frozen: true });
        rig.Steps.Accept(RoundStep(true));
        Assert.Equal("", (await rig.Told.Result("r1")).Error);
        rig.Steps.Accept(UnwindStep());
        Assert.Equal("", (await rig.Told.Result("u1")).Error);
        Assert.True(await rig.Docker.Inspect(new(Task(1)), None) is { State: Drover.Agent.Containers.ContainerState.Running, Frozen: false });
    }

    [Fact]
    public async Task A_container_that_was_thawed_during_the_final_round_makes_it_fail()
    {
        await using var rig = await Source(InstanceWish.Hold);
        rig.Steps.Accept(FreezeStep());
        await rig.Told.Result("f1");
        rig.Rounds.Outcome = async (_, cancel) => { await rig.Docker.Thaw(new(Task(1)), cancel); return new RoundOutcome { Bytes = 1 }; };
        rig.Steps.Accept(RoundStep(true));
        Assert.Equal(StepErrorKind.Refused, (await rig.Told.Result("r1")).ErrorKind);
    }

    [Fact]
    public async Task A_freeze_waits_for_the_order_that_holds_the_container()
    {
        await using var rig = await Source();
        rig.Steps.Accept(FreezeStep());
        rig.Steps.Accept(RoundStep(false));
        await rig.Told.Result("r1");
        Assert.True(await rig.Docker.Inspect(new(Task(1)), None) is { Frozen: false });
        rig.Order(2, Instance(epoch: 1, wish: InstanceWish.Hold), Primary(1));
        Assert.Equal("", (await rig.Told.Result("f1")).Error);
        Assert.True(await rig.Docker.Inspect(new(Task(1)), None) is { Frozen: true });
    }

    [Fact]
    public async Task A_frozen_container_that_is_no_longer_wanted_ends_without_running_and_one_that_should_run_is_thawed()
    {
        await using var rig = await Source(InstanceWish.Hold);
        rig.Steps.Accept(FreezeStep());
        await rig.Told.Result("f1");
        rig.Order(3, Instance(epoch: 1), Primary(1));
        await rig.Docker.Until($"thaw {Task(1)}");
        rig.Order(4, Instance(epoch: 1, wish: InstanceWish.Hold), Primary(1));
        rig.Told.Forget();
        var again = FreezeStep();
        again.StepId = "f2";
        rig.Steps.Accept(again);
        await rig.Told.Result("f2");
        rig.Order(5, null);
        await rig.Docker.Until($"remove {Task(1)}");
        Assert.Single(rig.Docker.Calls, c => c.StartsWith("thaw", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(0, "", true, "")]
    [InlineData(3, "no such database", false, "exit code 3: no such database")]
    public async Task What_a_command_before_the_stop_comes_to_is_told_and_stops_nothing(int exit, string output, bool ok, string said)
    {
        await using var rig = await Source();
        rig.Docker.OnExec = (_, command) => command is ["/bin/sh", "-c", "checkpoint"] ? new(false, exit, output) : new(false, 99, "");
        rig.Steps.Accept(new Step { StepId = "p1", MoveId = "m1", PreStop = new RunPreStop { InstanceId = "db.instance-1", TaskId = Task(1), Command = "checkpoint", LimitMs = 1000 } });
        var result = await rig.Told.Result("p1");
        Assert.Equal(("", ok, said), (result.Error, result.PreStop.Ok, result.PreStop.Said));
        Assert.NotEmpty(rig.Docker.Running);
    }

    [Fact]
    public async Task A_container_that_was_slowed_down_is_freed_before_its_stop_and_by_an_undo_also_by_an_agent_that_did_not_slow_it()
    {
        var first = await Source(InstanceWish.Hold);
        first.Steps.Accept(new Step { StepId = "t1", MoveId = "m1", Throttle = new ThrottleInstance { InstanceId = "db.instance-1", TaskId = Task(1), Level = 1 } });
        Assert.Equal("", (await first.Told.Result("t1")).Error);
        await first.Stop();
        await using var rig = await new NodeRig(first).Start();
        rig.Order(2, Instance(epoch: 1, wish: InstanceWish.Hold), Primary(1));
        rig.Steps.Accept(UnwindStep());
        Assert.Equal("", (await rig.Told.Result("u1")).Error);
        Assert.True(await rig.Docker.Inspect(new(Task(1)), None) is { Throttled: false });
        rig.Steps.Accept(new Step { StepId = "t2", MoveId = "m1", Throttle = new ThrottleInstance { InstanceId = "db.instance-1", TaskId = Task(1), Level = 1 } });
        await rig.Told.Result("t2");
        rig.Steps.Accept(StopStep());
        await rig.Told.Result("s1");
        Assert.Equal([$"unthrottle {Task(1)}", $"stop {Task(1)}"], rig.Docker.Calls.TakeLast(2));
    }

    [Fact]
    public async Task A_step_asked_again_is_answered_again_and_not_done_again()
    {
        await using var rig = await Source();
        rig.Steps.Accept(RoundStep(false));
        Assert.Equal(7, (await rig.Told.Result("r1")).Round.Bytes);
        rig.Told.Forget();
        rig.Steps.Accept(RoundStep(false));
        Assert.Equal(7, (await rig.Told.Result("r1")).Round.Bytes);
        Assert.Single(rig.Rounds.Sent);
    }

    [Fact]
    public async Task A_question_asked_again_is_looked_at_again()
    {
        await using var rig = await Source();
        var question = new Step { StepId = "q1", MoveId = "o1", CheckVolume = new() { Name = "other", Epoch = 1 } };
        rig.Steps.Accept(question);
        Assert.Contains("no live data of epoch 1", (await rig.Told.Result("q1")).Error, StringComparison.Ordinal);
        rig.Told.Forget();
        await rig.Volumes.CreateEmpty(new("other"), new(1), None);
        rig.Steps.Accept(question);
        Assert.Equal("", (await rig.Told.Result("q1")).Error);
    }

    [Fact]
    public async Task A_step_asked_again_while_it_is_at_work_is_joined()
    {
        await using var rig = await Source();
        var go = new TaskCompletionSource();
        rig.Rounds.Outcome = async (_, _) => { await go.Task; return new RoundOutcome { Bytes = 9 }; };
        rig.Steps.Accept(RoundStep(false));
        await rig.Told.Until(m => m.Progress is { StepId: "r1", MoveId: "m1" });
        rig.Steps.Accept(RoundStep(false));
        go.SetResult();
        Assert.Equal(9, (await rig.Told.Result("r1")).Round.Bytes);
        Assert.Single(rig.Rounds.Sent);
    }

    [Fact]
    public async Task A_cancelled_round_ends_and_may_be_asked_for_again()
    {
        await using var rig = await Source();
        rig.Rounds.Outcome = async (_, cancel) => { await System.Threading.Tasks.Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel); return new(); };
        rig.Steps.Accept(RoundStep(false));
        await rig.Told.Until(m => m.Progress is not null);
        rig.Steps.Cancel("r1");
        Assert.Equal(StepErrorKind.Retry, (await rig.Told.Result("r1")).ErrorKind);
        rig.Told.Forget();
        rig.Rounds.Outcome = (_, _) => System.Threading.Tasks.Task.FromResult(new RoundOutcome { Bytes = 1 });
        rig.Steps.Accept(RoundStep(false));
        Assert.Equal(1, (await rig.Told.Result("r1")).Round.Bytes);
    }

    [Fact]
    public async Task The_final_round_is_refused_while_a_container_runs_on_the_volume()
    {
        await using var rig = await Source(InstanceWish.Hold);
        rig.Steps.Accept(RoundStep(true));
        var result = await rig.Told.Result("r1");
        Assert.Equal(StepErrorKind.Refused, result.ErrorKind);
        Assert.Contains(Task(1), result.Error, StringComparison.Ordinal);
        Assert.Empty(rig.Rounds.Sent);
    }

    [Fact]
    public async Task A_failed_round_carries_the_sender_s_kind()
    {
        await using var rig = await Source();
        rig.Rounds.Outcome = (_, _) => throw new RoundFailed(StepErrorKind.Operator, "the disk is full");
        rig.Steps.Accept(RoundStep(false));
        Assert.Equal((StepErrorKind.Operator, "the disk is full"), ((await rig.Told.Result("r1")).ErrorKind, (await rig.Told.Result("r1")).Error));
    }

    [Fact]
    public async Task Preparing_makes_the_container_that_the_cutover_then_starts_and_unwinding_removes_it()
    {
        await using var rig = await new NodeRig().Start();
        var prepared = Instance(2, InstanceWish.Hold, epoch: 2);
        rig.Order(1, prepared);
        rig.Steps.Accept(new Step { StepId = "p", MoveId = "m1", Prepare = new PrepareTarget { Instance = prepared, Volumes = { "data" }, BytesNeeded = 1 } });
        var result = await rig.Told.Result("p");
        Assert.Equal("", result.Error);
        Assert.True(result.PoolFreeBytes > 0);
        Assert.Equal([$"create {Task(2)}"], rig.Docker.Calls);
        rig.Steps.Accept(new Step { StepId = "u", MoveId = "m1", Unwind = new Unwind { InstanceId = "db.instance-1", TaskId = Task(2), Volumes = { new RetireVolume { Name = "data", Epoch = 1, Drop = { "m1-r1" } } } } });
        Assert.Equal("", (await rig.Told.Result("u")).Error);
        Assert.Empty(await rig.Docker.List(None));
    }

    [Fact]
    public async Task A_pool_without_room_is_told_before_anything_is_sent()
    {
        await using var rig = await new NodeRig().Start();
        rig.Steps.Accept(new Step { StepId = "p", MoveId = "m1", Prepare = new PrepareTarget { BytesNeeded = long.MaxValue } });
        Assert.Equal(StepErrorKind.Operator, (await rig.Told.Result("p")).ErrorKind);
    }

    [Fact]
    public async Task Unwinding_the_source_unseals_so_that_the_next_task_runs_on_the_same_data()
    {
        await using var rig = await Source(InstanceWish.Hold);
        rig.Steps.Accept(StopStep());
        await rig.Told.Result("s1");
        Assert.True((await rig.Volumes.Seal(Data, true, new(1), None)).Ok);
        rig.Steps.Accept(new Step { StepId = "u", MoveId = "m1", Unwind = new Unwind { Source = true, InstanceId = "db.instance-1", TaskId = Task(1), Volumes = { new RetireVolume { Name = "data", Epoch = 1 } } } });
        Assert.Equal("", (await rig.Told.Result("u")).Error);
        rig.Order(3, Instance(2, epoch: 1), Primary(1));
        await rig.Told.Instance(Task(2), InstanceCondition.Running);
        Assert.True(await rig.Volumes.Inspect(Data, None) is { Sealed: false, Mounted: true, Epoch.Value: 1 });
    }

    [Fact]
    public async Task Unwinding_a_first_copy_leaves_a_snapshot_that_another_move_brought()
    {
        await using var rig = await new NodeRig().Start();
        await rig.Volumes.CreateEmpty(Data, new(1), None);
        await rig.Volumes.Snapshot(Data, new("m0-f"), new(1), None);
        await rig.Volumes.Snapshot(Data, new("m1-r1"), new(1), None);
        Assert.True((await rig.Volumes.Remove(Data, new([], Live: true, new(2), Everything: false), None)).Ok);
        rig.Steps.Accept(new Step { StepId = "u", MoveId = "m1", Unwind = new Unwind { Volumes = { new RetireVolume { Name = "data", Epoch = 2, Drop = { "m1-r1", "m1-f" } } } } });
        Assert.Equal("", (await rig.Told.Result("u")).Error);
        Assert.Equal([new SnapshotName("m0-f")], (await rig.Volumes.Inspect(Data, None))!.Snapshots.Select(s => s.Name));
    }

    [Fact]
    public async Task A_task_that_ends_during_a_seeding_round_is_followed_by_the_next_at_once()
    {
        await using var rig = await Source();
        var go = new TaskCompletionSource();
        rig.Rounds.Outcome = async (_, _) => { await go.Task; return new RoundOutcome(); };
        rig.Steps.Accept(RoundStep(false));
        await rig.Told.Until(m => m.Progress is { StepId: "r1" });
        rig.Order(2, Instance(2, epoch: 1), Primary(1));
        await rig.Told.Instance(Task(2), InstanceCondition.Running);
        go.SetResult();
        Assert.Equal("", (await rig.Told.Result("r1")).Error);
    }

    [Fact]
    public async Task A_primary_that_never_served_gets_its_live_data_by_the_round_that_takes_it_away()
    {
        await using var rig = await new NodeRig().Start();
        rig.Order(1, null, Primary(1, empty: true));
        rig.Steps.Accept(RoundStep(true));
        Assert.Equal("", (await rig.Told.Result("r1")).Error);
        Assert.True(await rig.Volumes.Inspect(Data, None) is { HasLive: true, Epoch.Value: 1 });
    }
}
