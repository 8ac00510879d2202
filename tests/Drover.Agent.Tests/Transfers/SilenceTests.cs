using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Transfers;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

/// <summary>A link that is cut says nothing, and neither does a process that is stopped: both are found, and a slow target is not taken for either.</summary>
public sealed class SilenceTests
{
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void One_that_was_heard_every_second_is_missed_after_a_while_and_any_word_counts(bool urgent)
    {
        using var silence = new Silence(urgent, _time, default);
        silence.Heard(FrameType.Wait);
        _time.Advance(silence.Limit - Moment);
        silence.Heard(FrameType.Credit);
        _time.Advance(silence.Limit - Moment);
        Assert.False(silence.Fell);
        _time.Advance(Moment);
        Assert.True(silence.Fell);
        Assert.True(silence.Token.IsCancellationRequested);
    }

    [Fact]
    public void One_that_never_said_it_would_is_not_missed()
    {
        using var silence = new Silence(true, _time, default);
        silence.Heard(FrameType.Credit);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.False(silence.Fell);
    }

    [Fact]
    public void While_the_app_stands_still_it_is_missed_sooner_and_never_within_a_few_of_its_beats()
    {
        using var urgent = new Silence(true, _time, default);
        using var patient = new Silence(false, _time, default);
        Assert.True(urgent.Limit < patient.Limit);
        Assert.True(urgent.Limit >= 4 * Silence.Beat);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_link_that_is_cut_in_the_middle_is_given_up_and_the_rest_goes_over_another(bool final)
    {
        await using var pair = await TransferPair.Open(_time);
        pair.Source.Write(TransferPair.Db, "big", new byte[60_000_000]);
        await using var proxy = CuttingProxy.FallingSilent(pair.Port, 3_000_000);
        pair.Port = proxy.Port;
        var sending = pair.Send(pair.Round("s1", final: final));
        await proxy.Silent;
        // The cluster's clock goes on only until it is found: the second connection beats by the real one.
        while (!pair.Progress.Any(p => p.Doing.Contains("nothing was heard", StringComparison.Ordinal)) && !sending.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }
        var outcome = await sending;
        Assert.Equal((1, 2), (outcome.Redials, proxy.Connections));
        Assert.True(outcome.ResentBytes < outcome.Bytes);
        Assert.True((await pair.Target.Promote(TransferPair.Db, new("s1"), new(2), default)).Ok);
        Assert.Equal(pair.Source.Contents(TransferPair.Db, new(1)), pair.Target.Contents(TransferPair.Db, new(2)));
    }

    [Fact]
    public async Task A_target_that_does_not_answer_while_the_app_stands_still_ends_the_round_at_once()
    {
        await using var pair = await TransferPair.Open(_time);
        await using var proxy = CuttingProxy.FallingSilent(pair.Port, 0);
        pair.Port = proxy.Port;
        var sending = pair.Send(pair.Round("s1", final: true));
        await proxy.Silent;
        while (!sending.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => sending);
        Assert.Equal(Contracts.Agent.StepErrorKind.Refused, failed.Kind);
        Assert.Contains("does not answer", failed.Message, StringComparison.Ordinal);
    }
}
