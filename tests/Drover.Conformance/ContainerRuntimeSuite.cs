using System.Text;
using Drover.Agent.Containers;
using Drover.Contracts.Agent;
using Drover.Core;
using Xunit;

namespace Drover.Conformance;

/// <summary>What every container runtime must do: run on the fake and on real ones, so that the fake cannot lie.</summary>
public abstract class ContainerRuntimeSuite
{
    private static int _numbers;

    /// <summary>Ends on SIGTERM with 0.</summary>
    protected virtual string RunsOn => "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    protected abstract string Image { get; }
    protected abstract IContainerRuntime Runtime { get; }

    protected static readonly CancellationToken None = CancellationToken.None;

    protected DesiredInstance Instance(string command)
    {
        var number = Interlocked.Increment(ref _numbers);
        return new DesiredInstance
        {
            InstanceId = $"suite.instance-{number}", TaskId = $"suite.instance-{number}._app.1", AppId = "/suite", Incarnation = 1, StopGraceMs = 3000,
            Container = new ContainerSpec { Image = Image, Command = command, Network = "none", Cpus = 0.5, MemoryMib = 64 },
        };
    }

    private static ContainerOrder Order(DesiredInstance instance) => new(instance, [], "");

    private static TaskId TaskOf(DesiredInstance instance) => new(instance.TaskId);

    private async Task<TaskId> Started(string command)
    {
        var instance = Instance(command);
        Assert.True((await Runtime.Create(Order(instance), None)).Ok);
        Assert.Equal(ContainerOutcome.Done, await Runtime.Start(TaskOf(instance), None));
        return TaskOf(instance);
    }

    [Fact]
    public async Task Creating_does_not_start()
    {
        var instance = Instance(RunsOn);
        Assert.Equal(ContainerOutcome.Done, await Runtime.Create(Order(instance), None));
        var view = await Runtime.Inspect(TaskOf(instance), None);
        Assert.Equal(ContainerState.Created, view?.State);
        Assert.Null(view?.StartedAt);
        Assert.Equal("/suite", view?.App.Value);
    }

    [Fact]
    public async Task Frozen_it_runs_and_stands_still_thawed_it_goes_on_and_each_may_be_repeated()
    {
        var task = await Started(RunsOn);
        for (var i = 0; i < 2; i++) Assert.Equal(ContainerOutcome.Done, await Runtime.Freeze(task, None));
        Assert.True(await Runtime.Inspect(task, None) is { State: ContainerState.Running, Frozen: true });
        for (var i = 0; i < 2; i++) Assert.Equal(ContainerOutcome.Done, await Runtime.Thaw(task, None));
        Assert.True(await Runtime.Inspect(task, None) is { State: ContainerState.Running, Frozen: false });
        await Runtime.Stop(task, TimeSpan.FromSeconds(3), None);
        Assert.Equal(ContainerOutcomeKind.Failed, (await Runtime.Freeze(task, None)).Kind);
    }

    [Fact]
    public async Task A_frozen_one_is_stopped_by_force()
    {
        var task = await Started(RunsOn);
        await Runtime.Freeze(task, None);
        var stopped = await Runtime.Stop(task, TimeSpan.FromSeconds(30), None);
        Assert.Equal((true, true, 137), (stopped.WasRunning, stopped.Killed, stopped.ExitCode));
        Assert.True(await Runtime.Inspect(task, None) is { State: ContainerState.Exited, Frozen: false });
    }

    [Fact]
    public async Task Slowed_down_twice_it_is_free_again_after_one_word()
    {
        var task = await Started(RunsOn);
        Assert.False((await Runtime.Inspect(task, None))!.Throttled);
        for (var i = 0; i < 2; i++) Assert.Equal(ContainerOutcome.Done, await Runtime.Throttle(task, None));
        Assert.True((await Runtime.Inspect(task, None))!.Throttled);
        for (var i = 0; i < 2; i++) Assert.Equal(ContainerOutcome.Done, await Runtime.Unthrottle(task, None));
        Assert.False((await Runtime.Inspect(task, None))!.Throttled);
        Assert.Equal(ContainerOutcomeKind.NoContainer, (await Runtime.Throttle(new("suite.none"), None)).Kind);
    }

    [Fact]
    public async Task The_same_create_again_succeeds_and_another_one_conflicts()
    {
        var instance = Instance(RunsOn);
        Assert.True((await Runtime.Create(Order(instance), None)).Ok);
        var first = await Runtime.Inspect(TaskOf(instance), None);
        Assert.True((await Runtime.Create(Order(instance), None)).Ok);
        var other = instance.Clone();
        other.Container.Command = "exit 0";
        var conflict = await Runtime.Create(Order(other), None);
        Assert.Equal(ContainerOutcomeKind.Conflict, conflict.Kind);
        Assert.NotNull(conflict.Message);
        Assert.Equal(first?.ContainerId, (await Runtime.Inspect(TaskOf(instance), None))?.ContainerId);
    }

    [Fact]
    public async Task An_image_that_is_nowhere_is_said_so()
    {
        var outcome = await Runtime.Pull("no-such-image:1", false, None);
        Assert.Equal(ContainerOutcomeKind.NoImage, outcome.Kind);
        Assert.Contains("no-such-image:1", outcome.Message, StringComparison.Ordinal);
        Assert.Equal(ContainerOutcome.Done, await Runtime.Pull(Image, false, None));
    }

    [Fact]
    public async Task An_unknown_docker_parameter_is_refused_by_name()
    {
        var instance = Instance(RunsOn);
        instance.Container.Parameters.Add(new DockerParameter { Key = "no-such-option", Value = "x" });
        var outcome = await Runtime.Create(Order(instance), None);
        Assert.Equal(ContainerOutcomeKind.Failed, outcome.Kind);
        Assert.Contains("no-such-option", outcome.Message, StringComparison.Ordinal);
        Assert.Null(await Runtime.Inspect(TaskOf(instance), None));
    }

    [Fact]
    public async Task Starting_stopping_and_removing_may_each_be_repeated()
    {
        var task = await Started(RunsOn);
        Assert.True((await Runtime.Start(task, None)).Ok);
        Assert.Equal(ContainerState.Running, (await Runtime.Inspect(task, None))?.State);
        var stop = await Runtime.Stop(task, TimeSpan.FromSeconds(10), None);
        Assert.True(stop.WasRunning);
        Assert.Equal(0, stop.ExitCode);
        Assert.False((await Runtime.Stop(task, TimeSpan.FromSeconds(10), None)).WasRunning);
        Assert.Equal(ContainerState.Exited, (await Runtime.Inspect(task, None))?.State);
        Assert.True((await Runtime.Remove(task, None)).Ok);
        Assert.True((await Runtime.Remove(task, None)).Ok);
        Assert.Null(await Runtime.Inspect(task, None));
        Assert.False((await Runtime.Stop(task, TimeSpan.FromSeconds(1), None)).WasRunning);
        Assert.Equal(ContainerOutcomeKind.NoContainer, (await Runtime.Start(task, None)).Kind);
    }

    [Fact]
    public async Task A_running_container_is_not_removed()
    {
        var task = await Started(RunsOn);
        Assert.Equal(ContainerOutcomeKind.Conflict, (await Runtime.Remove(task, None)).Kind);
        Assert.Equal(ContainerState.Running, (await Runtime.Inspect(task, None))?.State);
        await Runtime.Stop(task, TimeSpan.Zero, None);
    }

    [Fact]
    public async Task The_end_of_a_container_is_told_with_its_exit_code_and_it_stays_down()
    {
        using var enough = new CancellationTokenSource();
        var instance = Instance("exit 3");
        Assert.True((await Runtime.Create(Order(instance), None)).Ok);
        var watching = Runtime.Watch(enough.Token).GetAsyncEnumerator(enough.Token);
        var next = watching.MoveNextAsync().AsTask();
        Assert.True((await Runtime.Start(TaskOf(instance), None)).Ok);
        while (await next && !(watching.Current.Task == TaskOf(instance) && watching.Current.Kind == ContainerEventKind.Died)) next = watching.MoveNextAsync().AsTask();
        Assert.Equal(3, watching.Current.ExitCode);
        var view = await Runtime.Inspect(TaskOf(instance), None);
        Assert.Equal((ContainerState.Exited, (int?)3), (view!.State, view.ExitCode));
        Assert.NotNull(view.FinishedAt);
        await enough.CancelAsync();
    }

    [Fact]
    public async Task What_it_made_is_listed_with_its_labels()
    {
        var instance = Instance(RunsOn);
        instance.Volumes.Add(new InstanceVolume { Name = "b", Epoch = 2, ContainerPath = "/b" });
        instance.Volumes.Add(new InstanceVolume { Name = "a", Epoch = 7, ContainerPath = "/a" });
        Assert.True((await Runtime.Create(Order(instance), None)).Ok);
        var view = Assert.Single(await Runtime.List(None), v => v.Task == TaskOf(instance));
        Assert.Equal("a=7,b=2", view.Labels[ContainerLabels.Epochs]);
        Assert.Equal("3000", view.Labels[ContainerLabels.Grace]);
        Assert.Equal(instance.InstanceId, view.Instance.Value);
    }

    [Fact]
    public async Task A_command_inside_answers_its_exit_code()
    {
        var task = await Started(RunsOn);
        Assert.Equal(0, (await Runtime.Exec(task, ["/bin/sh", "-c", "exit 0"], TimeSpan.FromSeconds(20), None)).ExitCode);
        Assert.Equal(4, (await Runtime.Exec(task, ["/bin/sh", "-c", "exit 4"], TimeSpan.FromSeconds(20), None)).ExitCode);
        await Runtime.Stop(task, TimeSpan.Zero, None);
    }

    [Fact]
    public async Task Output_is_kept_for_reading_after_the_end()
    {
        using var enough = new CancellationTokenSource();
        var instance = Instance("echo hello; exit 0");
        Assert.True((await Runtime.Create(Order(instance), None)).Ok);
        Assert.True((await Runtime.Start(TaskOf(instance), None)).Ok);
        var text = new StringBuilder();
        await foreach (var line in Runtime.Logs(TaskOf(instance), true, 0, None))
        {
            Assert.False(line.StandardError);
            text.Append(Encoding.UTF8.GetString(line.Data.Span));
        }
        Assert.Equal("hello\n", text.ToString());
    }
}
