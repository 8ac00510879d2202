using Drover.Core.Moves;
using Xunit;

namespace Drover.Core.Tests.Moves;

public sealed class SeedingTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);

    /// <summary>Rounds at 100 MiB/s, each begun when the one before was complete.</summary>
    private static EquatableList<Round> Rounds(params double[] mebibytes)
    {
        var at = Now;
        var rounds = new List<Round>();
        foreach (var size in mebibytes)
        {
            var send = TimeSpan.FromSeconds(size / 100);
            var all = send + TimeSpan.FromMilliseconds(20);
            rounds.Add(new Round(rounds.Count + 1, false, ByteCount.MiB(size), all, TimeSpan.FromMilliseconds(10), send, TimeSpan.FromMilliseconds(10), at, null));
            at += all;
        }
        return rounds.ToEquatableList();
    }

    [Fact]
    public void One_round_alone_predicts_nothing_and_another_follows()
    {
        var verdict = Seeding.Judge(MovePolicy.Default, Rounds(1000), ByteCount.Zero);
        Assert.Equal((SeedingNext.Round, (TimeSpan?)null), (verdict.Next, verdict.PredictedStop));
    }

    [Fact]
    public void A_small_expected_delta_ends_seeding()
    {
        // 50 MiB in 10 s: 5 MiB/s. While the second round ran (0.52 s) 2.6 MiB came to be, 26 ms of sending, and 20 ms for snapshot and sync.
        var verdict = Seeding.Judge(MovePolicy.Default, Rounds(1000, 50), ByteCount.Zero);
        Assert.Equal(SeedingNext.Cut, verdict.Next);
        Assert.InRange(verdict.PredictedStop!.Value.TotalMilliseconds, 44, 48);
    }

    [Theory]
    [InlineData(NonConvergence.Cut, SeedingNext.Cut)]
    [InlineData(NonConvergence.Abort, SeedingNext.Abort)]
    public void Rounds_that_no_longer_shrink_end_seeding_by_policy(NonConvergence policy, SeedingNext expected)
    {
        var verdict = Seeding.Judge(MovePolicy.Default with { NonConvergence = policy }, Rounds(1000, 800), ByteCount.Zero);
        Assert.Equal(expected, verdict.Next);
        Assert.Equal(policy == NonConvergence.Abort, verdict.Why is not null);
    }

    [Fact]
    public void Rounds_that_shrink_go_on_until_their_number_is_reached()
    {
        Assert.Equal(SeedingNext.Round, Seeding.Judge(MovePolicy.Default, Rounds(1000, 600), ByteCount.Zero).Next);
        Assert.Equal(SeedingNext.Cut, Seeding.Judge(MovePolicy.Default with { MaxRounds = 2 }, Rounds(1000, 600), ByteCount.Zero).Next);
    }

    [Fact]
    public void A_round_the_target_had_already_says_nothing_and_another_follows()
    {
        var rounds = Rounds(1000, 50);
        var repeated = new EquatableList<Round>(rounds.Items.SetItem(1, rounds[1] with { Bytes = ByteCount.Zero, SendTime = TimeSpan.Zero }));
        Assert.Equal((SeedingNext.Round, (TimeSpan?)null), (Seeding.Judge(MovePolicy.Default, repeated, ByteCount.Zero).Next, Seeding.Judge(MovePolicy.Default, repeated, ByteCount.Zero).PredictedStop));
        Assert.Equal(SeedingNext.Cut, Seeding.Judge(MovePolicy.Default with { MaxRounds = 2 }, repeated, ByteCount.Zero).Next);
    }

    [Fact]
    public void What_the_app_writes_by_stopping_is_foretold_and_no_reason_for_another_round()
    {
        var final = Rounds(1000, 50, 120);
        var written = Seeding.WrittenByStop(new EquatableList<Round>(final.Items.SetItem(2, final[2] with { Final = true })));
        Assert.InRange(written.Bytes, ByteCount.MiB(115).Bytes, ByteCount.MiB(120).Bytes);
        var verdict = Seeding.Judge(MovePolicy.Default, Rounds(1000, 50), written);
        Assert.Equal(SeedingNext.Cut, verdict.Next);
        Assert.True(verdict.PredictedStop > TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void A_rate_limit_lengthens_what_is_predicted()
    {
        var free = Seeding.DeltaTime(MovePolicy.Default, Rounds(1000, 50));
        var limited = Seeding.DeltaTime(MovePolicy.Default with { BytesPerSecond = ByteCount.MiB(10).Bytes }, Rounds(1000, 50));
        Assert.True(limited > free);
    }
}
