using System.Collections.Concurrent;
using Drover.Agent.Containers;
using Drover.Agent.Reconcile;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing.Agents;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Agent.Tests.Reconcile;

public sealed class HealthChecksTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly IReadOnlyDictionary<string, string> NoLabels = new Dictionary<string, string>();
    private readonly FakeTimeProvider _time = new();
    private readonly FakeProbe _probe = new();
    private readonly HealthChecks _checks;
    private readonly ConcurrentQueue<(InstanceId Instance, bool Act)> _changes = new();
    private readonly SemaphoreSlim _changed = new(0);

    public HealthChecksTests()
    {
        _checks = new(_probe, _time, NullLogger<HealthChecks>.Instance);
        _checks.Changed += (instance, act) => { _changes.Enqueue((instance, act)); _changed.Release(); };
    }

    public async ValueTask DisposeAsync()
    {
        await _checks.DisposeAsync();
        _changed.Dispose();
    }

    [Theory]
    [InlineData(HealthProtocol.Http, ProbeTurns.AtOnce)]
    [InlineData(HealthProtocol.Command, ProbeTurns.CommandsAtOnce)]
    public async Task Never_more_than_so_many_are_asked_at_once_and_each_has_its_turn(HealthProtocol protocol, int most)
    {
        var (now, peak, copies) = (0, 0, most * 3);
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _probe.Before = async _ =>
        {
            var at = Interlocked.Increment(ref now);
            lock (_probe) peak = Math.Max(peak, at);
            if (at == most) open.TrySetResult();
            await open.Task;
            Interlocked.Decrement(ref now);
        };
        for (var n = 0; n < copies; n++) Watch($"web.instance-{n}", new() { Protocol = protocol, IntervalMs = 60_000 });
        for (var n = 0; n < copies; n++) Assert.True(await _changed.WaitAsync(Patience), $"only {n} of {copies} were asked");
        Assert.Equal(copies, _changes.Select(c => c.Instance).Distinct().Count());
        Assert.Equal(most, peak);
    }

    [Fact]
    public async Task A_copy_is_not_stopped_for_its_health_while_control_cannot_be_reached_and_is_once_it_is_back()
    {
        _probe.Answer = _ => "refused";
        _checks.MayStop = false;
        var notes = Watch("web.instance-1", new() { Protocol = HealthProtocol.Http, IntervalMs = 100, MaxConsecutiveFailures = 2 });
        await Until(() => Told("web.instance-1") is { ConsecutiveFailures: >= 4 });
        Assert.DoesNotContain(_changes, c => c.Act);
        Assert.False(notes.Kill);
        _checks.MayStop = true;
        await Until(() => notes.Kill);
        Assert.Contains("failed 2 times in a row", notes.KillCause, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_that_says_nothing_changes_nothing()
    {
        var asked = new SemaphoreSlim(0);
        var probe = new SilentProbe(asked);
        await using var checks = new HealthChecks(probe, _time, NullLogger<HealthChecks>.Instance);
        checks.Watch(Instance("web.instance-1", new HealthCheck { Protocol = HealthProtocol.Http, IntervalMs = 100, IgnoreHttp1Xx = true, MaxConsecutiveFailures = 1 }), View("web.instance-1"), new());
        for (var n = 0; n < 20; n++)
        {
            while (!await asked.WaitAsync(TimeSpan.FromMilliseconds(1), TestContext.Current.CancellationToken)) _time.Advance(TimeSpan.FromMilliseconds(100));
        }
        var told = Assert.Single(checks.Of(new("web.instance-1"), Instance("web.instance-1")));
        Assert.Equal((false, 0), (told.Known, told.ConsecutiveFailures));
    }

    [Fact]
    public async Task Readiness_is_asked_until_it_is_ready_told_as_it_changes_and_then_asked_no_more()
    {
        var asked = 0;
        _probe.Readiness = (_, check) => new() { Name = check.Name, Ready = Interlocked.Increment(ref asked) >= 4, Status = asked < 3 ? 503 : 200 };
        var instance = Instance("web.instance-1");
        instance.ReadinessChecks.Add(new ReadinessCheck { Name = "warm", IntervalMs = 1000, KeepAnswer = true });
        _checks.Watch(instance, View("web.instance-1"), new());
        await Until(() => _checks.ReadinessOf(new("web.instance-1"), instance).SingleOrDefault() is { Ready: true });
        for (var n = 0; n < 50; n++) await Elapse();
        Assert.Equal(4, asked);
        Assert.Equal(3, _changes.Count);
    }

    [Fact]
    public async Task A_new_task_is_asked_for_its_readiness_anew()
    {
        var instance = Instance("web.instance-1");
        instance.ReadinessChecks.Add(new ReadinessCheck { Name = "warm", IntervalMs = 1000 });
        _checks.Watch(instance, View("web.instance-1"), new());
        await Until(() => _checks.ReadinessOf(new("web.instance-1"), instance).SingleOrDefault() is { Ready: true });
        var next = new DesiredInstance(instance) { TaskId = "web.instance-1._app.2" };
        Assert.Empty(_checks.ReadinessOf(new("web.instance-1"), next));
        _probe.Readiness = (_, check) => new() { Name = check.Name };
        _checks.Watch(next, View("web.instance-1") with { ContainerId = "c2", Task = new("web.instance-1._app.2") }, new());
        await Until(() => _checks.ReadinessOf(new("web.instance-1"), next).SingleOrDefault() is not null);
        Assert.False(_checks.ReadinessOf(new("web.instance-1"), next).Single().Ready);
    }

    private HealthObserved? Told(string instance) => _checks.Of(new(instance), Instance(instance)).SingleOrDefault();

    /// <summary>Time goes on until this holds.</summary>
    private async Task Until(Func<bool> holds)
    {
        for (var looks = 0; !holds(); looks++)
        {
            Assert.True(looks < 10_000, "it never came");
            await Elapse();
        }
    }

    private async Task Elapse()
    {
        _time.Advance(TimeSpan.FromMilliseconds(100));
        await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
    }

    private TaskNotes Watch(string id, HealthCheck check)
    {
        var notes = new TaskNotes();
        _checks.Watch(Instance(id, check), View(id), notes);
        return notes;
    }

    private static DesiredInstance Instance(string id, params HealthCheck[] checks)
    {
        var instance = new DesiredInstance { InstanceId = id, TaskId = $"{id}._app.1", AppId = "/web", Wish = InstanceWish.Run, Container = new() { Image = "app", Network = "bridge" } };
        instance.HealthChecks.AddRange(checks);
        return instance;
    }

    private static ContainerView View(string id) =>
        new(new($"{id}._app.1"), new(id), new("/web"), "c1", ContainerState.Running, null, null, DateTimeOffset.UnixEpoch, null, "127.0.0.1", NoLabels, false);

    /// <summary>Answers, and says nothing by it.</summary>
    private sealed class SilentProbe(SemaphoreSlim asked) : IHealthProbe
    {
        public Task<ProbeAnswer> Ask(DesiredInstance instance, HealthCheck check, ContainerView container, CancellationToken cancel)
        {
            asked.Release();
            return Task.FromResult(ProbeAnswer.Nothing);
        }

        public Task<ReadinessObserved> AskReady(DesiredInstance instance, ReadinessCheck check, ContainerView container, CancellationToken cancel) => throw new NotSupportedException();
    }
}
