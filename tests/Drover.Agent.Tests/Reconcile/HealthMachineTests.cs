using Drover.Agent.Reconcile;
using Drover.Contracts.Agent;
using Xunit;

namespace Drover.Agent.Tests.Reconcile;

public sealed class HealthMachineTests
{
    private static readonly DateTimeOffset Begin = DateTimeOffset.UnixEpoch;
    private static readonly HealthCheck Check = new() { Protocol = HealthProtocol.Http, GraceMs = 10_000, IntervalMs = 5_000, TimeoutMs = 1_000, MaxConsecutiveFailures = 3 };

    private static (HealthState State, bool Kill) Play(HealthCheck check, params (double Seconds, bool Well)[] probes)
    {
        var (state, kill) = (HealthState.Unknown, false);
        foreach (var (seconds, well) in probes) (state, kill) = HealthMachine.After(state, check, Begin, well ? null : "refused", Begin.AddSeconds(seconds));
        return (state, kill);
    }

    [Fact]
    public void Silence_while_it_starts_is_no_failure() => Assert.Equal((false, 0), (Play(Check, (0.02, false), (5, false), (9.9, false)).State.Known, Play(Check, (9.9, false)).State.Failures));

    [Fact]
    public void The_first_success_ends_the_grace()
    {
        var (state, kill) = Play(Check, (1, true), (6, false));
        Assert.Equal((true, false, 1, false), (state.Known, state.Alive, state.Failures, kill));
        Assert.Equal("refused", state.Cause);
    }

    [Fact]
    public void It_is_stopped_at_the_limit_and_not_before()
    {
        Assert.False(Play(Check, (1, true), (6, false), (11, false)).Kill);
        Assert.True(Play(Check, (1, true), (6, false), (11, false), (16, false)).Kill);
        Assert.False(Play(Check, (1, true), (6, false), (11, false), (14, true), (19, false)).Kill);
    }

    [Fact]
    public void Without_a_limit_it_is_never_stopped() =>
        Assert.False(Play(new HealthCheck(Check) { MaxConsecutiveFailures = 0 }, [.. Enumerable.Range(1, 50).Select(n => (10.0 + (5 * n), false))]).Kill);

    [Fact]
    public void Quick_early_probes_do_not_count_more_often_than_the_interval()
    {
        var quick = Enumerable.Range(0, 100).Select(n => (10 + (n * 0.02), false)).ToArray();
        Assert.Equal((1, false), (Play(Check, quick).State.Failures, Play(Check, quick).Kill));
    }

    [Fact]
    public void Probes_begin_every_20_ms_grow_to_the_interval_and_keep_to_it_after_the_first_success()
    {
        Assert.Equal(TimeSpan.FromMilliseconds(20), HealthMachine.Gap(HealthState.Unknown, Check));
        var (waited, probes) = (TimeSpan.Zero, 0);
        while (HealthMachine.Gap(HealthState.Unknown with { Probes = probes }, Check) < TimeSpan.FromSeconds(5)) waited += HealthMachine.Gap(HealthState.Unknown with { Probes = probes++ }, Check);
        Assert.InRange(probes, 30, 80);
        Assert.InRange(waited, TimeSpan.FromSeconds(40), TimeSpan.FromSeconds(60));
        Assert.Equal(TimeSpan.FromSeconds(5), HealthMachine.Gap(Play(Check, (1, true)).State, Check));
    }
}
