using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Transfers;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

public sealed class TransferTests
{
    private static readonly VolumeName Db = TransferPair.Db;

    private static byte[] Noise(int bytes)
    {
        var noise = new byte[bytes];
        var chance = new SeededChance(7);
        for (var i = 0; i + 16 <= bytes; i += 16) chance.NewGuid().TryWriteBytes(noise.AsSpan(i));
        return noise;
    }

    [Fact]
    public async Task A_round_arrives_whole_and_is_synced_before_it_counts()
    {
        await using var pair = await TransferPair.Open();
        pair.Source.Write(Db, "big", Noise(3_000_000));
        var outcome = await pair.Send(pair.Round("s1"));
        Assert.InRange(outcome.Bytes, 3_000_000, 3_100_000);
        Assert.Equal(["s1"], await pair.Arrived());
        Assert.Equal((1, 1), (pair.Source.Pool.Syncs, pair.Target.Pool.Accepted));
        await pair.Target.Promote(Db, new("s1"), new(2), default);
        Assert.Equal(pair.Source.Contents(Db, new(1)), pair.Target.Contents(Db, new(2)));
        Assert.Contains(pair.Progress, p => p.Bytes == outcome.Bytes && p.Volume == "db" && p.MoveId == "m1");
    }

    [Fact]
    public async Task The_second_round_sends_only_the_difference()
    {
        await using var pair = await TransferPair.Open();
        pair.Source.Write(Db, "big", Noise(1_000_000));
        await pair.Send(pair.Round("s1"));
        pair.Source.Write(Db, "b", [9]);
        Assert.InRange((await pair.Send(pair.Round("s2", "s1"))).Bytes, 1, 1000);
        Assert.Equal(["s1", "s2"], await pair.Arrived());
    }

    [Fact]
    public async Task A_base_that_the_target_lacks_means_a_full_round()
    {
        await using var pair = await TransferPair.Open();
        pair.Source.Write(Db, "big", Noise(1_000_000));
        await pair.Source.Snapshot(Db, new("s0"), new(1), default);
        Assert.True((await pair.Send(pair.Round("s1", "s0"))).Bytes > 1_000_000);
        Assert.Equal(["s1"], await pair.Arrived());
    }

    [Fact]
    public async Task A_base_that_turns_out_unusable_means_a_full_round_on_the_same_ticket()
    {
        await using var pair = await TransferPair.Open();
        pair.Source.Write(Db, "big", Noise(1_000_000));
        await pair.Send(pair.Round("s1"));
        pair.Source.Write(Db, "big2", Noise(30_000_000));
        var tries = 0;
        pair.Target.BeforeReceive = () => tries++ == 0 ? throw new Drover.Agent.Volumes.BaseUnusable("cannot find parent subvolume") : Task.CompletedTask;
        Assert.True((await pair.Send(pair.Round("s2", "s1"))).Bytes > 31_000_000);
        Assert.Equal((2, "s1 s2"), (tries, string.Join(' ', await pair.Arrived())));
    }

    [Fact]
    public async Task A_round_done_again_sends_nothing()
    {
        await using var pair = await TransferPair.Open();
        await pair.Send(pair.Round("s1"));
        pair.Source.Write(Db, "later", [1]);
        Assert.Equal(0, (await pair.Send(pair.Round("s1"))).Bytes);
        Assert.Equal(["s1"], await pair.Arrived());
    }

    [Fact]
    public async Task A_final_round_unmounts_and_seals_and_can_be_done_again()
    {
        await using var pair = await TransferPair.Open();
        await pair.Send(pair.Round("s1", final: true));
        var seen = (await pair.Source.Inspect(Db, default))!;
        Assert.Equal((true, false), (seen.Sealed, seen.Mounted));
        Assert.Equal(0, (await pair.Send(pair.Round("s1", final: true))).Bytes);
    }

    [Fact]
    public async Task A_final_round_is_refused_while_a_container_works_in_the_volume()
    {
        await using var pair = await TransferPair.Open();
        using (pair.Source.Use(Db))
            Assert.Equal(StepErrorKind.Retry, (await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1", final: true)))).Kind);
        Assert.Empty(await pair.Arrived());
        Assert.Empty((await pair.Source.Inspect(Db, default))!.Snapshots);
    }

    [Fact]
    public async Task A_send_that_breaks_leaves_nothing_and_says_why()
    {
        await using var pair = await TransferPair.Open();
        pair.Source.Write(Db, "big", Noise(3_000_000));
        pair.Source.Sending = at => { if (at > 1_000_000) throw new IOException("btrfs send was killed"); };
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1")));
        Assert.Equal(StepErrorKind.Retry, failed.Kind);
        Assert.Contains("btrfs send was killed", failed.Message, StringComparison.Ordinal);
        Assert.Empty(await pair.Arrived());
        pair.Source.Sending = _ => { };
        await pair.Send(pair.Round("s1"));
        Assert.Equal(["s1"], await pair.Arrived());
    }

    [Fact]
    public async Task A_target_that_cannot_write_says_why()
    {
        await using var pair = await TransferPair.Open();
        pair.Source.Write(Db, "big", Noise(60_000_000));
        pair.Target.BeforeReceive = () => throw new IOException("the pool is full");
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1")));
        Assert.Contains("the pool is full", failed.Message, StringComparison.Ordinal);
        Assert.Empty(await pair.Arrived());
    }

    [Fact]
    public async Task A_slow_target_holds_the_sender_back()
    {
        // Both rings, the window, and what sockets hold.
        const long bound = Ring.Ahead + Ring.Bytes + Ring.Window + (8 << 20);
        await using var pair = await TransferPair.Open();
        pair.Source.Write(Db, "big", Noise(100_000_000));
        await pair.Source.CreateEmpty(new("other"), new(1), default);
        await pair.Source.Mount(new("other"), new(1), default);
        pair.Source.Write(new("other"), "big", Noise(32_000_000));
        var (open, full) = (new TaskCompletionSource(), new TaskCompletionSource());
        var receives = 0;
        var overrun = false;
        pair.Target.BeforeReceive = () => Interlocked.Increment(ref receives) == 1 ? open.Task : Task.CompletedTask;
        pair.Source.Sending = at =>
        {
            // What else is under way is the sockets' affair.
            if (at >= Ring.Bytes + Ring.Ahead / 2) full.TrySetResult();
            overrun |= at > bound && !open.Task.IsCompleted;
        };
        var held = pair.Send(pair.Round("s1"));
        await Task.WhenAny(full.Task, held);
        // Another volume goes all the way meanwhile: the held one would run on too, if nothing held it.
        var other = pair.Round("o1", ticket: pair.Ticket("o1", volume: "other"));
        other.Volumes[0].Name = "other";
        await pair.Send(other);
        var (ranOn, arrived) = (overrun, await pair.Arrived());
        // Before anything is judged: what waits for it would wait for ever.
        open.SetResult();
        await held;
        Assert.False(ranOn);
        Assert.Empty(arrived);
        Assert.Equal(["s1"], await pair.Arrived());
    }

    [Fact]
    public async Task A_bit_flipped_on_the_way_costs_a_connection_and_nothing_else()
    {
        await using var pair = await TransferPair.Open();
        await using var proxy = CuttingProxy.Flipping(pair.Port, at: 700_000);
        pair.Source.Write(Db, "big", Noise(3_000_000));
        pair.Port = proxy.Port;
        Assert.Equal(1, (await pair.Send(pair.Round("s1"))).Redials);
        await pair.Target.Promote(Db, new("s1"), new(2), default);
        Assert.Equal(pair.Source.Contents(Db, new(1)), pair.Target.Contents(Db, new(2)));
    }

    [Fact]
    public async Task A_past_epoch_is_refused()
    {
        await using var pair = await TransferPair.Open();
        await pair.Send(pair.Round("s1"));
        await pair.Target.Promote(Db, new("s1"), new(2), default);
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s2", "s1")));
        Assert.Equal(StepErrorKind.Refused, failed.Kind);
        Assert.Contains("epoch", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nobody_listening_is_said_with_what_to_do()
    {
        await using var pair = await TransferPair.Open();
        pair.Port = 1;
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1")));
        Assert.Equal(StepErrorKind.Retry, failed.Kind);
        Assert.Contains("127.0.0.1:1", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_round_leaves_nothing()
    {
        await using var pair = await TransferPair.Open();
        pair.Source.Write(Db, "big", Noise(3_000_000));
        using var stop = new CancellationTokenSource();
        pair.Source.Sending = at => { if (at > 1_000_000) stop.Cancel(); };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pair.Send(pair.Round("s1"), stop.Token));
        Assert.Empty(await pair.Arrived());
    }
}
