using System.Collections.Concurrent;
using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Volumes;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

/// <summary>What a node allows its transfers together: places, rate, space.</summary>
public sealed class LimitTests
{
    private static async Task Volumes(TransferPair pair, params string[] names)
    {
        foreach (var name in names)
        {
            await pair.Source.CreateEmpty(new(name), new(1), default);
            await pair.Source.Mount(new(name), new(1), default);
            pair.Source.Write(new(name), "a", new byte[100_000]);
        }
    }

    private static SendRound Round(TransferPair pair, string volume, bool final = false)
    {
        var round = pair.Round("s1", ticket: pair.Ticket("s1", volume: volume), final: final);
        round.Volumes[0].Name = volume;
        return round;
    }

    /// <summary>Starts a round and waits for its word that fits.</summary>
    private static async Task<Task<RoundOutcome>> SendUntil(RoundSender sender, SendRound round, string says)
    {
        var said = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        var sending = sender.Send(round, "m1", p => { if (p.Doing.Contains(says, StringComparison.Ordinal)) said.TrySetResult(p.Doing); }, default);
        await Task.WhenAny(said.Task, sending);
        Assert.True(said.Task.IsCompleted, $"'{says}' was not said");
        return sending;
    }

    [Fact]
    public async Task The_third_round_of_a_node_waits_says_so_and_a_final_one_passes_it()
    {
        await using var pair = await TransferPair.Open();
        await Volumes(pair, "v1", "v2", "v3", "v4");
        var open = new TaskCompletionSource();
        pair.Target.BeforeReceive = () => open.Task;
        var first = new[] { await SendUntil(pair.Sender, Round(pair, "v1"), "taking a snapshot"), await SendUntil(pair.Sender, Round(pair, "v2"), "taking a snapshot") };
        var third = await SendUntil(pair.Sender, Round(pair, "v3"), "waits: 1st in the queue, 2 transfers run (limit 2)");
        var final = await SendUntil(pair.Sender, Round(pair, "v4", final: true), "sealing");
        Assert.False(third.IsCompleted);
        Assert.Null(await pair.Target.Inspect(new("v3"), default));
        open.SetResult();
        await Task.WhenAll([.. first, third, final]);
        Assert.NotNull(await pair.Target.Inspect(new("v3"), default));
    }

    [Fact]
    public async Task A_target_that_receives_from_others_lets_wait_and_the_sender_says_for_whom()
    {
        await using var pair = await TransferPair.Open();
        await Volumes(pair, "v1", "v2", "v3");
        var (open, receives) = (new TaskCompletionSource(), 0);
        var both = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        pair.Target.BeforeReceive = () =>
        {
            if (Interlocked.Increment(ref receives) == 2) both.TrySetResult();
            return open.Task;
        };
        var first = new[] { pair.Send(Round(pair, "v1")), pair.Send(Round(pair, "v2")) };
        await both.Task;
        // A sender of its own, as on another node: only the target's places are taken.
        pair.RestartSource();
        var third = await SendUntil(pair.Sender, Round(pair, "v3"), "node node2 has no place yet: waits: 1st in the queue, 2 transfers run (limit 2)");
        Assert.Equal(2, receives);
        open.SetResult();
        await Task.WhenAll([.. first, third]);
    }

    [Fact]
    public async Task All_rounds_of_a_node_share_its_limit_and_the_control_plane_changes_it()
    {
        var time = new FakeTimeProvider();
        var limits = new Drover.Agent.Transfers.TransferLimits(new() { Node = "n", Control = new("https://127.0.0.1:1"), Address = "127.0.0.1", Certificates = "/nowhere", Pool = "/nowhere", TransferLimit = 1_000_000 }, time);
        await limits.Rate.Take(250_000, default);
        var waits = limits.Rate.Take(250_000, default);
        time.Advance(TimeSpan.FromMilliseconds(249));
        Assert.False(waits.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await waits;
        limits.Set(new() { BytesPerSecond = 4_000_000, Outgoing = 1 });
        Assert.True(limits.Rate.Take(1_000_000, default).IsCompletedSuccessfully);
        Assert.False(limits.Rate.Take(100_000, default).IsCompleted);
        using (await limits.Outgoing.Enter(false, _ => { }, default))
            Assert.False(limits.Outgoing.Enter(false, _ => { }, default).IsCompleted);
        // Nothing said any more: as the agent was started.
        limits.Set(new());
        Assert.Equal(125_000, limits.Rate.Piece);
    }

    [Fact]
    public async Task A_receive_stops_before_the_pool_is_full_and_leaves_nothing()
    {
        await using var pair = await TransferPair.Open();
        pair.Source.Write(TransferPair.Db, "big", new byte[60_000_000]);
        pair.Target.Pool.Size = SpaceReserve.Of(new(0)).Bytes;
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1")));
        Assert.Equal(StepErrorKind.Operator, failed.Kind);
        Assert.Contains("kept in reserve: free space there, or move elsewhere", failed.Message, StringComparison.Ordinal);
        await pair.Until(r => r.Count == 0);
        Assert.Empty(await pair.Arrived());
        // A small one still goes: the end of a move must not fail of a few bytes.
        pair.Source.Delete(TransferPair.Db, "big");
        await pair.Send(pair.Round("s2"));
    }

    [Theory]
    [InlineData(1, 16), InlineData(10, 204), InlineData(1000, 1024)]
    public void The_reserve_grows_with_the_pool_and_has_bounds(long gibibytes, long mebibytes) =>
        Assert.InRange(SpaceReserve.Of(new(gibibytes << 30)).Bytes, mebibytes << 20, (mebibytes + 5) << 20);
}
