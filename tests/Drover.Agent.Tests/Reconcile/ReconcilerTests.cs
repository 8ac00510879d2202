using Drover.Agent.Containers;
using Drover.Contracts.Agent;
using Drover.Core;
using Xunit;
using static Drover.Agent.Tests.Reconcile.NodeRig;

namespace Drover.Agent.Tests.Reconcile;

public sealed class ReconcilerTests
{
    private static readonly VolumeName Data = new("data");
    private static readonly CancellationToken None = CancellationToken.None;

    private static async Task<NodeRig> Running(NodeRig rig)
    {
        await rig.Start();
        rig.Order(1, Instance(epoch: 1), Primary(1, empty: true));
        await rig.Told.Instance(Task(1), InstanceCondition.Running);
        return rig;
    }

    [Fact]
    public async Task A_first_placement_makes_the_volume_gives_it_to_the_image_s_user_and_starts()
    {
        await using var rig = await Running(new());
        var replica = await rig.Volumes.Inspect(Data, None);
        Assert.True(replica is { HasLive: true, Mounted: true, Sealed: false, Epoch.Value: 1 });
        Assert.Equal(new MountOwner(999, 999, 0b111_101_101), Assert.Single(rig.Owners.Given).Value);
        Assert.Equal([$"create {Task(1)}", $"start {Task(1)}"], rig.Docker.Calls);
        var seen = await rig.Told.Instance(Task(1), InstanceCondition.Running);
        Assert.True(seen.Start.PromoteUs > 0 && seen.Start.MountUs > 0 && seen.Start.StartUs > 0);
        Assert.Contains(rig.Told.All, m => m.Volume is { Name: "data", Ready: true, Mounted: true });
    }

    [Fact]
    public async Task A_volume_s_size_holds_for_live_data_of_every_epoch()
    {
        await using var rig = new NodeRig();
        await rig.Start();
        var order = Primary(1, empty: true);
        order.SizeBytes = 1 << 20;
        rig.Order(1, Instance(epoch: 1), order);
        await rig.Told.Instance(Task(1), InstanceCondition.Running);
        Assert.Equal(new ByteCount(1 << 20), (await rig.Volumes.Inspect(Data, None))!.Limit);
        await rig.Volumes.Snapshot(Data, new("s"), new(1), None);
        rig.Docker.End(new(Task(1)), 0);
        var next = Primary(2, from: "s");
        next.SizeBytes = 1 << 20;
        rig.Order(2, Instance(2, epoch: 2), next);
        await rig.Told.Instance(Task(2), InstanceCondition.Running);
        Assert.Equal((2, 1 << 20), ((await rig.Volumes.Inspect(Data, None)) is { } here ? ((int)here.Epoch.Value, (int)here.Limit!.Value.Bytes) : default));
    }

    [Fact]
    public async Task Nothing_is_started_or_stopped_before_control_has_spoken()
    {
        var first = await Running(new());
        await first.Stop();
        await using var second = new NodeRig(first);
        await second.Start();
        Assert.Equal([new TaskId(Task(1))], second.Docker.Running);
        var seen = Assert.Single(second.Reconciler.Observed());
        Assert.Equal((Task(1), InstanceCondition.Running), (seen.TaskId, seen.Condition));
        second.Order(2, Instance(epoch: 1), Primary(1, empty: true));
        await second.Told.Instance(Task(1), InstanceCondition.Running);
        Assert.Equal([$"create {Task(1)}", $"start {Task(1)}"], second.Docker.Calls);
    }

    [Fact]
    public async Task A_container_that_control_does_not_list_is_taken_down()
    {
        var first = await Running(new());
        await first.Stop();
        await using var second = new NodeRig(first);
        await second.Start();
        var gone = new TaskCompletionSource();
        second.Docker.Before = (verb, _) => { if (verb == "remove") gone.TrySetResult(); return System.Threading.Tasks.Task.CompletedTask; };
        second.Order(2, null, Primary(1));
        await gone.Task;
        await second.Told.Until(m => m.Volume is { Name: "data", Mounted: false });
        Assert.Empty(await second.Docker.List(None));
        Assert.True(await second.Volumes.Inspect(Data, None) is { HasLive: true, Mounted: false });
    }

    [Fact]
    public async Task A_container_that_ends_is_told_and_not_started_again_until_a_new_task_comes()
    {
        await using var rig = await Running(new());
        rig.Docker.End(new(Task(1)), 3);
        var seen = await rig.Told.Instance(Task(1), InstanceCondition.Failed);
        Assert.Equal(3, seen.ExitCode);
        Assert.Contains("code 3", seen.Message, StringComparison.Ordinal);
        Assert.Empty(rig.Docker.Running);
        rig.Order(2, Instance(2, epoch: 1), Primary(1, empty: true));
        await rig.Told.Instance(Task(2), InstanceCondition.Running);
        Assert.Equal([$"create {Task(1)}", $"start {Task(1)}", $"remove {Task(1)}", $"create {Task(2)}", $"start {Task(2)}"], rig.Docker.Calls);
    }

    [Fact]
    public async Task A_container_removed_behind_the_agent_s_back_is_told_and_not_made_again()
    {
        await using var rig = await Running(new());
        rig.Docker.Vanish(new(Task(1)));
        var seen = await rig.Told.Instance(Task(1), InstanceCondition.Failed);
        Assert.Contains("not by Drover", seen.Message, StringComparison.Ordinal);
        Assert.Equal([$"create {Task(1)}", $"start {Task(1)}"], rig.Docker.Calls);
    }

    [Fact]
    public async Task An_image_that_cannot_be_had_fails_the_task_with_the_engine_s_words()
    {
        await using var rig = await new NodeRig().Start();
        var wanted = Instance();
        wanted.Container.Image = "nowhere:1";
        rig.Order(1, wanted);
        Assert.Contains("nowhere:1", (await rig.Told.Instance(Task(1), InstanceCondition.Failed)).Message, StringComparison.Ordinal);
        Assert.Equal(["pull nowhere:1"], rig.Docker.Calls);
        rig.Order(2, Instance(wish: InstanceWish.Remove));
        await rig.Told.Instance(Task(1), InstanceCondition.Gone);
    }

    [Fact]
    public async Task A_task_under_removal_whose_container_vanished_is_gone()
    {
        await using var rig = await Running(new());
        rig.Docker.Before = (verb, task) =>
        {
            if (verb == "stop") rig.Docker.Vanish(task);
            return System.Threading.Tasks.Task.CompletedTask;
        };
        rig.Order(2, Instance(epoch: 1, wish: InstanceWish.Remove), Primary(1));
        await rig.Told.Instance(Task(1), InstanceCondition.Gone);
    }

    [Fact]
    public async Task A_program_that_ends_at_once_is_told_with_its_last_words_the_first_time()
    {
        await using var rig = await new NodeRig().Start();
        rig.Order(1, Instance(command: "echo no such file; exit 127"));
        await rig.Told.Instance(Task(1), InstanceCondition.Failed);
        var first = rig.Told.All.First(m => m.Instance is { Condition: InstanceCondition.Failed }).Instance;
        Assert.Contains("no such file", first.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_known_volume_whose_data_is_not_here_is_waited_for_with_the_reason()
    {
        await using var rig = await new NodeRig().Start();
        rig.Order(1, Instance(epoch: 4), Primary(4, from: "m1-final"));
        Assert.Contains("m1-final", (await rig.Told.Instance(Task(1), InstanceCondition.Waiting)).Message, StringComparison.Ordinal);
        Assert.Null(await rig.Volumes.Inspect(Data, None));
        Assert.Empty(rig.Docker.Running);
    }

    [Fact]
    public async Task A_removed_instance_is_stopped_its_volume_unmounted_and_its_data_kept()
    {
        await using var rig = await Running(new());
        rig.Order(2, Instance(epoch: 1, wish: InstanceWish.Remove), Primary(1));
        await rig.Told.Instance(Task(1), InstanceCondition.Gone);
        Assert.Empty(await rig.Docker.List(None));
        Assert.True(await rig.Volumes.Inspect(Data, None) is { HasLive: true, Mounted: false });
    }

    [Fact]
    public async Task A_check_that_fails_to_its_limit_stops_the_task_and_says_so()
    {
        await using var rig = await new NodeRig().Start();
        rig.Probe.Answer = _ => "refused";
        var wanted = Instance();
        wanted.HealthChecks.Add(new HealthCheck { Protocol = HealthProtocol.Tcp, Port = 1, IntervalMs = 1000, MaxConsecutiveFailures = 2 });
        rig.Order(1, wanted);
        await rig.Told.Instance(Task(1), InstanceCondition.Running);
        var failed = rig.Told.Instance(Task(1), InstanceCondition.Failed);
        while (!failed.IsCompleted) { rig.Time.Advance(TimeSpan.FromMilliseconds(100)); await System.Threading.Tasks.Task.Yield(); }
        Assert.True(Assert.Single((await failed).Health).Kill);
        Assert.Contains("health check 0 failed 2 times in a row", (await failed).Message, StringComparison.Ordinal);
        Assert.Contains("refused", (await failed).Message, StringComparison.Ordinal);
        Assert.Empty(rig.Docker.Running);
    }

    [Fact]
    public async Task A_task_that_does_not_answer_yet_says_which_check_fails_and_why()
    {
        await using var rig = await new NodeRig().Start();
        rig.Probe.Answer = _ => "connection refused";
        var wanted = Instance();
        wanted.HealthChecks.Add(new HealthCheck { Protocol = HealthProtocol.Tcp, Port = 1, IntervalMs = 1000, GraceMs = 3_600_000 });
        rig.Order(1, wanted);
        var seen = await rig.Told.Until(m => m.Instance is { Condition: InstanceCondition.Running, Message.Length: > 0 });
        Assert.Equal("a first healthy answer; health check 0: connection refused", seen.Instance.Message);
    }

    [Fact]
    public async Task The_first_healthy_answer_is_measured_and_told()
    {
        await using var rig = await new NodeRig().Start();
        var wanted = Instance();
        wanted.HealthChecks.Add(new HealthCheck { Protocol = HealthProtocol.Tcp, Port = 1, IntervalMs = 1000, GraceMs = 60_000 });
        rig.Order(1, wanted);
        var seen = (await rig.Told.Until(m => m.Instance is { Health: [{ Alive: true }] })).Instance;
        Assert.Equal(InstanceCondition.Running, seen.Condition);
        Assert.True(seen.Start.FirstAnswerUs > 0);
    }

    [Fact]
    public async Task Readiness_is_told_with_the_running_task_and_no_more_asked_once_it_is_ready()
    {
        await using var rig = await new NodeRig().Start();
        var asked = 0;
        rig.Probe.Readiness = (_, check) => new() { Name = check.Name, Ready = Interlocked.Increment(ref asked) >= 3, Status = 503 };
        var wanted = Instance();
        wanted.ReadinessChecks.Add(new ReadinessCheck { Name = "warm", IntervalMs = 1000, KeepAnswer = true });
        rig.Order(1, wanted);
        Assert.Equal(503, (await rig.Told.Until(m => m.Instance is { Condition: InstanceCondition.Running, Readiness: [{ Ready: false }] })).Instance.Readiness[0].Status);
        var ready = rig.Told.Until(m => m.Instance is { Readiness: [{ Name: "warm", Ready: true }] });
        while (!ready.IsCompleted) { rig.Time.Advance(TimeSpan.FromMilliseconds(100)); await System.Threading.Tasks.Task.Yield(); }
        await ready;
        Assert.Equal(3, asked);
    }

    [Fact]
    public async Task A_stop_that_fails_is_tried_again_until_the_container_is_gone()
    {
        await using var rig = await Running(new());
        var tries = 0;
        rig.Docker.Before = (verb, _) => verb == "stop" && Interlocked.Increment(ref tries) < 4 ? throw new InvalidOperationException("the engine is busy") : System.Threading.Tasks.Task.CompletedTask;
        rig.Order(2, Instance(epoch: 1, wish: InstanceWish.Remove), Primary(1));
        var gone = rig.Told.Instance(Task(1), InstanceCondition.Gone);
        while (!gone.IsCompleted) { rig.Time.Advance(TimeSpan.FromSeconds(1)); await System.Threading.Tasks.Task.Yield(); }
        await gone;
        Assert.Equal(4, tries);
        Assert.Empty(rig.Docker.Running);
    }

    [Fact]
    public async Task An_older_change_is_refused()
    {
        await using var rig = await Running(new());
        Assert.False(rig.Orders.Apply(new DesiredChange { Generation = 1, RemovedInstances = { "db.instance-1" } }));
        Assert.Single(rig.Orders.Current.Instances);
        Assert.Equal([new TaskId(Task(1))], rig.Docker.Running);
    }
}
