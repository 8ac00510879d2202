using Drover.Agent.Volumes;
using Drover.Core;
using Xunit;

namespace Drover.Conformance;

public abstract partial class VolumeDriverSuite
{
    [Fact]
    public async Task Promoting_what_is_not_here_is_refused()
    {
        Is(VolumeOutcomeKind.Missing, await B.Driver.Promote(Db, Snap("s1"), At(2), default));
        Assert.Null(await B.Driver.Inspect(Db, default));
    }

    [Fact]
    public async Task Promoting_twice_keeps_what_was_written_in_between()
    {
        await Begin(A);
        await Hop(A, B, "s1", null, 1);
        B.Write(Db, "b", Text("new"));
        var before = B.Contents(Db, At(2));
        IsDone(await B.Driver.Promote(Db, Snap("s1"), At(2), default));
        Assert.Equal(before, B.Contents(Db, At(2)));
        Assert.True((await See(B)).Mounted);
    }

    [Fact]
    public async Task One_epoch_is_made_of_one_snapshot()
    {
        await Begin(A);
        await Take(A, "s0", 1);
        await Copy(A, B, "s0");
        await Hop(A, B, "s1", "s0", 1);
        Is(VolumeOutcomeKind.Conflict, await B.Driver.Promote(Db, Snap("s0"), At(2), default));
    }

    [Fact]
    public async Task Promoting_at_an_older_epoch_is_stale()
    {
        await Begin(A);
        await Hop(A, B, "s1", null, 1);
        var before = B.Contents(Db, At(2));
        Is(VolumeOutcomeKind.Stale, await B.Driver.Promote(Db, Snap("s1"), At(1), default));
        Assert.Equal(before, B.Contents(Db, At(2)));
    }

    [Fact]
    public async Task A_promotion_cut_short_leaves_the_old_data_in_force_and_can_be_done_again()
    {
        await Begin(A);
        await Hop(A, B, "s1", null, 1);
        B.Write(Db, "b", Text("back"));
        IsDone(await B.Driver.Unmount(Db, default));
        await Take(B, "s2", 2);
        await Copy(B, A, "s2", "s1");
        var old = A.Contents(Db, At(1));
        A.CutShortAt("live made");
        await Assert.ThrowsAsync<CutShort>(() => A.Driver.Promote(Db, Snap("s2"), At(3), default));
        Assert.Equal(At(1), (await See(A)).Epoch);
        await A.Restart();
        await A.Driver.Recover(default);
        Assert.Equal(At(1), (await See(A)).Epoch);
        Assert.Equal(old, A.Contents(Db, At(1)));
        Assert.Null(A.Contents(Db, At(3)));
        IsDone(await A.Driver.Promote(Db, Snap("s2"), At(3), default));
        Assert.Equal(B.Contents(Db, At(2)), A.Contents(Db, At(3)));
    }

    [Fact]
    public async Task Old_live_data_is_put_away_and_never_written_over()
    {
        await Begin(A);
        await Hop(A, B, "s1", null, 1);
        IsDone(await A.Driver.Seal(Db, false, At(1), default));
        IsDone(await A.Driver.Mount(Db, At(1), default));
        A.Write(Db, "unsent", Text("only here"));
        IsDone(await A.Driver.Unmount(Db, default));
        var unsent = A.Contents(Db, At(1));
        await Hop(B, A, "s2", "s1", 2);
        Assert.Equal(unsent, A.Contents(Db, At(1)));
        Assert.NotEqual(unsent, A.Contents(Db, At(3)));
        Assert.Equal(At(3), (await See(A)).Epoch);
    }

    [Fact]
    public async Task Live_data_in_use_is_not_promoted_over()
    {
        await Begin(A);
        await Hop(A, B, "s1", null, 1);
        IsDone(await A.Driver.Seal(Db, false, At(1), default));
        IsDone(await A.Driver.Mount(Db, At(1), default));
        using (A.Open(Db, "log")) Is(VolumeOutcomeKind.Busy, await A.Driver.Promote(Db, Snap("s1"), At(3), default));
        Assert.Equal(At(1), (await See(A)).Epoch);
        IsDone(await A.Driver.Promote(Db, Snap("s1"), At(3), default));
    }

    [Fact]
    public async Task There_and_back_five_times_the_contents_stay_the_same()
    {
        await Begin(A, new string('z', 200_000));
        string? last = null;
        for (var i = 0; i < 10; i++)
        {
            var (source, target) = i % 2 == 0 ? (A, B) : (B, A);
            source.Write(Db, $"hop{i}", Text($"written before hop {i}"));
            source.Write(Db, "a", Text(new string((char)('a' + i), 200_000 + i)));
            if (i > 1) source.Delete(Db, $"hop{i - 2}");
            await Hop(source, target, $"s{i}", last, i + 1);
            last = $"s{i}";
        }
        Assert.Equal(At(11), (await See(A)).Epoch);
    }

    [Fact]
    public async Task Over_three_nodes_every_difference_finds_its_right_base()
    {
        var c = await AddPool();
        await Begin(A, new string('z', 200_000));
        (IPoolBench From, IPoolBench To, string? Base)[] way = [(A, B, null), (B, A, "s0"), (A, c, null), (c, B, null)];
        for (var i = 0; i < way.Length; i++)
        {
            way[i].From.Write(Db, $"hop{i}", Text($"written before hop {i}"));
            way[i].From.Write(Db, "a", Text(new string((char)('a' + i), 100_000)));
            var both = (await SnapshotsOf(way[i].From)).Intersect(await SnapshotsOf(way[i].To)).LastOrDefault();
            await Hop(way[i].From, way[i].To, $"s{i}", both, i + 1);
            // And once more with the live data running on: seed rounds against what just arrived.
            way[i].To.Write(Db, $"seed{i}", Text("seed"));
        }
        Assert.Equal(At(5), (await See(B)).Epoch);
    }

    [Fact]
    public async Task There_and_back_and_elsewhere_and_back_ten_times_the_hash_stays_the_same()
    {
        IPoolBench[] stops = [B, A, await AddPool(), A];
        await Begin(A, "first");
        var (here, hashes) = (A, new HashSet<string>());
        for (var hop = 0; hop < 10 * stops.Length; hop++)
        {
            Scribble(here, hop);
            var (there, before) = (stops[hop % stops.Length], here.Contents(Db, At(hop + 1)));
            var both = (await SnapshotsOf(here)).Intersect(await SnapshotsOf(there)).LastOrDefault();
            await Hop(here, there, $"s{hop}", both, hop + 1);
            Assert.Equal(before, there.Contents(Db, At(hop + 2)));
            Assert.True(hashes.Add(before!), $"hop {hop}: nothing was different from an earlier one");
            foreach (var old in (await SnapshotsOf(here)).SkipLast(3)) IsDone(await here.Driver.Remove(Db, new([Snap(old)], false, Epoch.None, false), default));
            here = there;
        }
        Assert.Equal(At(10 * stops.Length + 1), (await See(A)).Epoch);
    }

    /// <summary>A new file, one that grows, one overwritten in its middle, and one fewer.</summary>
    private static void Scribble(IPoolBench pool, int hop)
    {
        pool.Write(Db, $"hop{hop}", Text($"written before hop {hop}"));
        pool.Write(Db, "grows", Text(new string('g', 1000 * (hop + 1))));
        pool.Write(Db, "middle", Text(new string('m', 50_000) + hop + new string('m', 50_000)));
        if (hop > 1) pool.Delete(Db, $"hop{hop - 2}");
    }

    [Fact]
    public async Task The_last_data_of_a_node_is_not_removed_by_mistake()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        await Copy(A, B, "s1");
        Is(VolumeOutcomeKind.Conflict, await B.Driver.Remove(Db, new([Snap("s1")], false, Epoch.None, false), default));
        Is(VolumeOutcomeKind.Conflict, await A.Driver.Remove(Db, new([Snap("s1")], true, At(2), false), default));
        Assert.Equal(["s1"], await SnapshotsOf(B));
        Assert.True((await See(A)).HasLive);
    }

    [Fact]
    public async Task A_retired_primary_keeps_its_base_and_takes_no_old_orders()
    {
        await Begin(A);
        await Take(A, "s0", 1);
        await Hop(A, B, "s1", null, 1);
        var retire = new Removal([Snap("s0")], true, At(2), false);
        IsDone(await A.Driver.Remove(Db, retire, default));
        IsDone(await A.Driver.Remove(Db, retire, default));
        var seen = await See(A);
        Assert.Equal((false, Epoch.None, At(2)), (seen.HasLive, seen.Epoch, seen.Known));
        Assert.Equal(["s1"], await SnapshotsOf(A));
        Assert.Null(A.Contents(Db, At(1)));
        Is(VolumeOutcomeKind.Stale, await A.Driver.Promote(Db, Snap("s1"), At(1), default));
        Is(VolumeOutcomeKind.Stale, await A.Driver.Mount(Db, At(1), default));
        await Hop(B, A, "s2", "s1", 2);
    }

    [Fact]
    public async Task Live_data_that_is_not_older_stays()
    {
        await Begin(A);
        IsDone(await A.Driver.Remove(Db, new([], true, At(1), false), default));
        Assert.True((await See(A)).HasLive);
        Assert.NotNull(A.Contents(Db, At(1)));
    }

    [Fact]
    public async Task Snapshots_beside_live_data_may_all_go()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        IsDone(await A.Driver.Remove(Db, new([Snap("s1"), Snap("never")], false, Epoch.None, false), default));
        IsDone(await A.Driver.Remove(Db, new([Snap("s1")], false, Epoch.None, false), default));
        Assert.Empty(await SnapshotsOf(A));
        Assert.True((await See(A)).HasLive);
    }

    [Fact]
    public async Task A_deleted_volume_leaves_nothing_and_its_name_is_free_again()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        var everything = new Removal([], true, At(9), true);
        using (A.Open(Db, "log")) Is(VolumeOutcomeKind.Busy, await A.Driver.Remove(Db, everything, default));
        Assert.True((await See(A)).HasLive);
        IsDone(await A.Driver.Remove(Db, everything, default));
        IsDone(await A.Driver.Remove(Db, everything, default));
        Assert.Null(await A.Driver.Inspect(Db, default));
        await A.Driver.Recover(default);
        await Begin(A);
        Assert.Equal(At(1), (await See(A)).Epoch);
    }

    [Fact]
    public async Task A_restart_changes_nothing_that_is_whole()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        IsDone(await A.Driver.Unmount(Db, default));
        IsDone(await A.Driver.Seal(Db, true, At(1), default));
        var before = A.Contents(Db, At(1));
        await A.Restart();
        await A.Driver.Recover(default);
        await A.Driver.Recover(default);
        var seen = await See(A);
        Assert.Equal((At(1), true, true), (seen.Epoch, seen.HasLive, seen.Sealed));
        Assert.Equal(before, A.Contents(Db, At(1)));
        Assert.Equal(["s1"], await SnapshotsOf(A));
    }
}
