using System.Text;
using Drover.Contracts.Agent;
using Drover.Core;
using Xunit;
using static Drover.Agent.Tests.Reconcile.NodeRig;

namespace Drover.Agent.Tests.Reconcile;

public sealed class VolumeWorkTests
{
    private static readonly VolumeName Data = new("data"), Copy = new("copy");
    private static readonly CancellationToken None = CancellationToken.None;

    private static async Task<NodeRig> Serving()
    {
        var rig = await new NodeRig().Start();
        rig.Order(1, Instance(epoch: 1), Primary(1, empty: true));
        await rig.Told.Instance(Task(1), InstanceCondition.Running);
        rig.Volumes.Write(Data, "row", "old"u8.ToArray());
        return rig;
    }

    private static async Task<StepResult> Do(NodeRig rig, Step step)
    {
        rig.Steps.Accept(step);
        return await rig.Told.Result(step.StepId);
    }

    private static Step Take(string snapshot, long epoch = 1, string needs = "", string id = "t") => new() { StepId = id + snapshot, MoveId = "o1", TakeSnapshot = new() { Name = "data", Epoch = epoch, Snapshot = snapshot, Needs = needs } };

    private static Step StopIt() => new() { StepId = "stop", MoveId = "o1", Stop = new() { InstanceId = "db.instance-1", TaskId = Task(1), GraceMs = 1000, Volumes = { "data" } } };

    private static Step Back(long epoch = 2) => new() { StepId = $"make{epoch}", MoveId = "o1", MakeVolume = new() { Name = "data", Epoch = epoch, Source = "data", Snapshot = "s-good" } };

    [Fact]
    public async Task A_snapshot_is_taken_while_the_app_runs()
    {
        await using var rig = await Serving();
        var result = await Do(rig, Take("s-good"));
        Assert.Equal(("", "s-good"), (result.Error, result.Snapshot.Name));
        Assert.Single(rig.Docker.Running);
    }

    // The agent is killed between each two steps of a restore, and after the last: the steps go on where they were and the app serves at the end.
    [Theory, InlineData(0), InlineData(1), InlineData(2), InlineData(3), InlineData(4)]
    public async Task A_restore_survives_a_killed_agent_between_each_two_steps(int killedAfter)
    {
        var rig = await Serving();
        await Do(rig, Take("s-good"));
        rig.Volumes.Write(Data, "row", "new"u8.ToArray());
        rig.Order(2, Instance(epoch: 1, wish: InstanceWish.Hold), Primary(1));
        Step[] steps = [StopIt(), Take("s-before", needs: "s-good"), Back()];
        var generation = 2L;
        for (var i = 0; i < steps.Length; i++)
        {
            if (killedAfter == i) rig = await Killed(rig);
            if (i == 2) rig.Order(++generation, Instance(epoch: 2, wish: InstanceWish.Hold), Primary(2, from: "s-good"));
            else if (killedAfter == i) rig.Order(++generation, Instance(epoch: 1, wish: InstanceWish.Hold), Primary(1));
            Assert.Equal("", (await Do(rig, steps[i])).Error);
            // The answer was lost with the agent, and the step comes again.
            if (killedAfter != i + 1) continue;
            rig = await Killed(rig);
            rig.Order(++generation, Instance(epoch: i == 2 ? 2 : 1, wish: InstanceWish.Hold), i == 2 ? Primary(2, from: "s-good") : Primary(1));
            Assert.Equal("", (await Do(rig, steps[i])).Error);
        }
        if (killedAfter == 4) rig = await Killed(rig);
        Assert.Empty(rig.Docker.Running);
        rig.Order(++generation, Instance(2, epoch: 2), Primary(2, from: "s-good"));
        await rig.Told.Instance(Task(2), InstanceCondition.Running);
        Assert.Equal("old", Encoding.UTF8.GetString(rig.Volumes.Read(Data, "row")!));
        Assert.Contains((await rig.Volumes.Inspect(Data, None))!.Snapshots, s => s.Name.Value == "s-before");
        await rig.DisposeAsync();
    }

    private static async Task<NodeRig> Killed(NodeRig rig)
    {
        await rig.Stop();
        return await new NodeRig(rig).Start();
    }

    [Fact]
    public async Task A_restore_to_what_is_not_here_is_refused_before_anything_is_done()
    {
        await using var rig = await Serving();
        var result = await Do(rig, Take("s-before", needs: "s-good"));
        Assert.Equal(StepErrorKind.Operator, result.ErrorKind);
        Assert.Empty((await rig.Volumes.Inspect(Data, None))!.Snapshots);
    }

    [Fact]
    public async Task New_live_data_is_not_made_under_a_running_container()
    {
        await using var rig = await Serving();
        await Do(rig, Take("s-good"));
        Assert.Equal(StepErrorKind.Retry, (await Do(rig, Back())).ErrorKind);
        Assert.Equal(1, (await rig.Volumes.Inspect(Data, None))!.Epoch.Value);
    }

    [Fact]
    public async Task A_restore_does_not_wait_for_a_limit_that_cannot_be()
    {
        await using var rig = await Serving();
        rig.Volumes.Write(Data, "big", new byte[2 << 20]);
        await Do(rig, Take("s-good"));
        rig.Order(2, Instance(epoch: 1, wish: InstanceWish.Hold), Primary(1));
        await Do(rig, StopIt());
        var back = Back();
        back.MakeVolume.SizeBytes = 1 << 20;
        Assert.Equal("", (await Do(rig, back)).Error);
        Assert.Equal(2, (await rig.Volumes.Inspect(Data, None))!.Epoch.Value);
    }

    [Fact]
    public async Task A_clone_is_independent()
    {
        await using var rig = await Serving();
        await Do(rig, Take("s-good"));
        var clone = new Step { StepId = "c", MoveId = "o1", MakeVolume = new() { Name = "copy", Epoch = 1, Source = "data", Snapshot = "s-good" } };
        Assert.Equal("", (await Do(rig, clone)).Error);
        rig.Volumes.Write(Data, "row", "new"u8.ToArray());
        Assert.Equal("old", Encoding.UTF8.GetString(rig.Volumes.Read(Copy, "row")!));
        clone.StepId = "c2"; // its answer was lost
        Assert.Equal("", (await Do(rig, clone)).Error);
    }

    [Fact]
    public async Task A_clone_that_cannot_be_limited_leaves_its_name_free_and_one_that_was_there_alone()
    {
        await using var rig = await Serving();
        rig.Volumes.Write(Data, "big", new byte[2 << 20]);
        await Do(rig, Take("s-good"));
        Step Clone(string id, long bytes) => new() { StepId = id, MoveId = "o1", MakeVolume = new() { Name = "copy", Epoch = 1, Source = "data", Snapshot = "s-good", SizeBytes = bytes } };
        Assert.NotEqual("", (await Do(rig, Clone("c1", 1 << 20))).Error);
        Assert.Null(await rig.Volumes.Inspect(Copy, None));
        Assert.Single((await rig.Volumes.Inspect(Data, None))!.Snapshots);
        Assert.Equal("", (await Do(rig, Clone("c2", 4 << 20))).Error);
        Assert.NotEqual("", (await Do(rig, Clone("c3", 1 << 20))).Error);
        Assert.True((await rig.Volumes.Inspect(Copy, None))!.HasLive);
    }

    [Fact]
    public async Task The_whole_of_a_volume_goes_only_when_nobody_runs_with_it_and_no_newer_epoch_is_known()
    {
        await using var rig = await Serving();
        await Do(rig, Take("s-good"));
        Step Whole(string id, long epoch) => new() { StepId = id, MoveId = "o1", DropData = new() { Name = "data", Epoch = epoch, Whole = true } };
        Assert.Equal(StepErrorKind.Retry, (await Do(rig, Whole("w1", 1))).ErrorKind);
        rig.Order(2, Instance(epoch: 1, wish: InstanceWish.Hold), Primary(1));
        await Do(rig, StopIt());
        Assert.Equal(StepErrorKind.Refused, (await Do(rig, Whole("w2", 0))).ErrorKind);
        Assert.NotNull(await rig.Volumes.Inspect(Data, None));
        Assert.Equal("", (await Do(rig, Whole("w3", 1))).Error);
        Assert.Null(await rig.Volumes.Inspect(Data, None));
        Assert.Equal("", (await Do(rig, Whole("w4", 1))).Error);
    }

    [Fact]
    public async Task Dropping_snapshots_never_takes_the_last_complete_data()
    {
        await using var rig = await Serving();
        await Do(rig, Take("s-good"));
        rig.Order(2, Instance(epoch: 1, wish: InstanceWish.Hold), Primary(1));
        await Do(rig, StopIt());
        Assert.True((await rig.Volumes.Remove(Data, new([], Live: true, new(2), Everything: false), None)).Ok);
        var drop = new Step { StepId = "d", MoveId = "o1", DropData = new() { Name = "data", Epoch = 2, Snapshots = { "s-good" } } };
        Assert.NotEqual("", (await Do(rig, drop)).Error);
        Assert.Single((await rig.Volumes.Inspect(Data, None))!.Snapshots);
    }

    [Fact]
    public async Task A_size_is_taken_at_once_and_again()
    {
        await using var rig = await Serving();
        Step Resize(string id, long bytes) => new() { StepId = id, MoveId = "o1", ResizeVolume = new() { Name = "data", Epoch = 1, SizeBytes = bytes } };
        Assert.Equal("", (await Do(rig, Resize("r1", 1 << 20))).Error);
        Assert.Throws<IOException>(() => rig.Volumes.Write(Data, "big", new byte[2 << 20]));
        Assert.Equal("", (await Do(rig, Resize("r2", 0))).Error);
        rig.Volumes.Write(Data, "big", new byte[2 << 20]);
    }
}
