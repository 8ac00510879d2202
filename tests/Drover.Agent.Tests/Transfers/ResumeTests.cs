using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Transfers;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

/// <summary>A connection that breaks: the next goes on where the target is, and never with anything but the same bytes.</summary>
public sealed class ResumeTests
{
    private const int Size = 100_000_000;
    private static readonly VolumeName Db = TransferPair.Db;

    private static byte[] Noise(int bytes, int seed)
    {
        var noise = new byte[bytes];
        var chance = new SeededChance(seed);
        for (var i = 0; i + 16 <= bytes; i += 16) chance.NewGuid().TryWriteBytes(noise.AsSpan(i));
        return noise;
    }

    private static async Task<TransferPair> Pair(int size, TimeProvider? time = null)
    {
        var pair = await TransferPair.Open(time);
        pair.Source.Write(Db, "big", Noise(size / 2, 1));
        pair.Source.Write(Db, "big2", Noise(size / 2, 2));
        return pair;
    }

    private static async Task IsTheSame(TransferPair pair, string snapshot = "s1")
    {
        Assert.True((await pair.Target.Promote(Db, new(snapshot), new(2), default)).Ok);
        Assert.Equal(pair.Source.Contents(Db, new(1)), pair.Target.Contents(Db, new(2)));
    }

    /// <summary>Sends until the connection is cut and the target keeps what it has; the sending side ends there.</summary>
    private static async Task SendUntilCut(TransferPair pair, long cutAfter, string? ticket = null, string snapshot = "s1")
    {
        var straight = pair.Port;
        await using (var proxy = CuttingProxy.OpenOnce(straight, cutAfter))
        {
            pair.Port = proxy.Port;
            using var stop = new CancellationTokenSource();
            var sending = pair.Sender.Send(pair.Round(snapshot, ticket: ticket), "m1", p => { if (p.Doing.Contains("dialling again", StringComparison.Ordinal)) stop.Cancel(); }, stop.Token);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        }
        await pair.Until(r => r.Parked == 1);
        Assert.DoesNotContain(snapshot, await pair.Arrived());
        pair.Port = straight;
    }

    [Theory]
    [InlineData(0), InlineData(10), InlineData(50), InlineData(90), InlineData(99)]
    public async Task A_cut_sends_at_most_a_tenth_again(int percent)
    {
        await using var pair = await Pair(Size);
        // At 0: after the handshake and the greeting, with the first data.
        await using var proxy = CuttingProxy.Open(pair.Port, Math.Max(300_000, (long)Size * percent / 100));
        pair.Port = proxy.Port;
        var outcome = await pair.Send(pair.Round("s1"));
        Assert.Equal((1, 2, 0), (outcome.Redials, proxy.Connections, outcome.ResumedBytes));
        Assert.InRange(outcome.ResentBytes, 0, Size / 10);
        Assert.InRange(outcome.WireBytes, outcome.Bytes, outcome.Bytes + outcome.ResentBytes + Size / 1000);
        await IsTheSame(pair);
    }

    [Fact]
    public async Task Many_cuts_cost_no_more_than_what_was_under_way_at_each()
    {
        await using var pair = await Pair(Size);
        await using var proxy = CuttingProxy.Open(pair.Port, 20_000_000, 20_000_000, 20_000_000, 20_000_000);
        pair.Port = proxy.Port;
        var outcome = await pair.Send(pair.Round("s1"));
        Assert.Equal(4, outcome.Redials);
        Assert.InRange(outcome.ResentBytes, 0, 4 * Ring.Window);
        await IsTheSame(pair);
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public async Task A_sender_that_started_again_sends_only_the_rest(bool sameTicket)
    {
        await using var pair = await Pair(20_000_000);
        var ticket = pair.Ticket("s1");
        await SendUntilCut(pair, 18_000_000, ticket);
        pair.RestartSource();
        var outcome = await pair.Send(pair.Round("s1", ticket: sameTicket ? ticket : null));
        Assert.InRange(outcome.ResumedBytes, 8_000_000, 18_000_000);
        Assert.Equal(0, outcome.ResentBytes);
        Assert.InRange(outcome.WireBytes, outcome.Bytes - outcome.ResumedBytes, outcome.Bytes - outcome.ResumedBytes + 100_000);
        await IsTheSame(pair);
    }

    [Fact]
    public async Task A_stream_that_is_another_one_the_second_time_begins_from_zero()
    {
        await using var pair = await Pair(20_000_000);
        pair.Source.Unsteady = true;
        await SendUntilCut(pair, 15_000_000);
        pair.RestartSource();
        var outcome = await pair.Send(pair.Round("s1"));
        Assert.Equal(0, outcome.ResumedBytes);
        await IsTheSame(pair);
        await pair.Until(r => r.Count == 0);
    }

    [Fact]
    public async Task A_connection_lost_while_the_target_finishes_costs_no_data_and_no_new_ticket()
    {
        await using var pair = await Pair(3_000_000);
        await using var proxy = CuttingProxy.Open(pair.Port);
        pair.Port = proxy.Port;
        pair.Target.Reached = point => { if (point == "received data synced") proxy.Cut(); };
        var outcome = await pair.Send(pair.Round("s1"));
        Assert.Equal((1, 0L, 1), (outcome.Redials, outcome.ResentBytes, pair.Target.Pool.Accepted));
        await IsTheSame(pair);
    }

    [Fact]
    public async Task What_nobody_comes_back_for_is_dropped_and_its_ticket_is_used_up()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var pair = await Pair(20_000_000, time);
        var ticket = pair.Ticket("s1");
        await SendUntilCut(pair, 15_000_000, ticket);
        time.Advance(TransferServer.ParkFor);
        await pair.Until(r => r.Count == 0);
        Assert.Contains("used before", (await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1", ticket: ticket)))).Message, StringComparison.Ordinal);
        Assert.Equal(0, (await pair.Send(pair.Round("s1"))).ResumedBytes);
        await IsTheSame(pair);
    }

    [Fact]
    public async Task Another_attempt_takes_the_place_of_one_that_waits()
    {
        await using var pair = await Pair(20_000_000);
        await SendUntilCut(pair, 15_000_000);
        Assert.Equal(0, (await pair.Send(pair.Round("s2"))).ResumedBytes);
        await pair.Until(r => r.Count == 0);
        Assert.Equal(["s2"], await pair.Arrived());
        await IsTheSame(pair, "s2");
    }

    [Fact]
    public async Task An_undone_move_leaves_nothing_that_waits()
    {
        await using var pair = await Pair(20_000_000);
        await SendUntilCut(pair, 15_000_000);
        await pair.Server.CallOff(Db, default);
        Assert.Equal(0, pair.Server.Receptions.Count);
        Assert.Equal(0, (await pair.Send(pair.Round("s1"))).ResumedBytes);
    }

    [Fact]
    public async Task A_target_that_started_again_gets_everything_once_more()
    {
        await using var pair = await Pair(20_000_000);
        await SendUntilCut(pair, 15_000_000);
        await pair.RestartTarget();
        Assert.Equal(0, (await pair.Send(pair.Round("s1"))).ResumedBytes);
        await IsTheSame(pair);
    }

    [Fact]
    public async Task A_sender_with_another_ticket_of_the_same_move_goes_on_and_a_foreign_one_does_not()
    {
        await using var pair = await Pair(20_000_000);
        var ticket = pair.Ticket("s1");
        await SendUntilCut(pair, 15_000_000, ticket);
        pair.SendAs("node3", pair.Cluster.Of("node3"));
        Assert.Equal(StepErrorKind.Refused, (await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1", ticket: ticket)))).Kind);
        Assert.Equal(1, pair.Server.Receptions.Parked);
        pair.RestartSource();
        Assert.InRange((await pair.Send(pair.Round("s1"))).ResumedBytes, 1_000_000, 20_000_000);
        await IsTheSame(pair);
    }
}
