using Drover.Agent.Volumes;
using Drover.Core;
using Xunit;

namespace Drover.Conformance;

public abstract partial class VolumeDriverSuite
{
    [Fact]
    public async Task An_unknown_volume_leaves_no_trace()
    {
        Assert.Null(await A.Driver.Inspect(Db, default));
        Assert.Empty(await A.Driver.List(default));
        IsDone(await A.Driver.Unmount(Db, default));
        Assert.Empty(await A.Driver.List(default));
    }

    [Fact]
    public async Task An_empty_volume_has_live_data_at_its_epoch()
    {
        IsDone(await A.Driver.CreateEmpty(Db, At(1), default));
        var seen = Assert.Single(await A.Driver.List(default));
        Assert.Equal((Db, At(1), true, false, false), (seen.Name, seen.Epoch, seen.HasLive, seen.Sealed, seen.Mounted));
        Assert.Equal(At(1), seen.Known);
        Assert.Null(seen.ForeignTrace);
    }

    [Fact]
    public async Task Creating_it_again_keeps_what_was_written()
    {
        await Begin(A);
        var before = A.Contents(Db, At(1));
        IsDone(await A.Driver.CreateEmpty(Db, At(1), default));
        Assert.Equal(before, A.Contents(Db, At(1)));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(7)]
    public async Task A_known_volume_is_never_made_again_empty(long epoch)
    {
        await Begin(A);
        var before = A.Contents(Db, At(1));
        Is(VolumeOutcomeKind.Conflict, await A.Driver.CreateEmpty(Db, At(epoch), default));
        Assert.Equal(before, A.Contents(Db, At(1)));
        Assert.Equal(At(1), (await See(A)).Epoch);
    }

    [Fact]
    public async Task A_node_with_only_a_snapshot_makes_nothing_empty()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        await Copy(A, B, "s1");
        Is(VolumeOutcomeKind.Conflict, await B.Driver.CreateEmpty(Db, At(1), default));
        Assert.False((await See(B)).HasLive);
    }

    [Fact]
    public async Task A_creation_cut_short_is_done_again()
    {
        A.CutShortAt("live made");
        await Assert.ThrowsAsync<CutShort>(() => A.Driver.CreateEmpty(Db, At(1), default));
        await A.Restart();
        await A.Driver.Recover(default);
        Assert.Null(await A.Driver.Inspect(Db, default));
        await Begin(A);
        Assert.True((await See(A)).HasLive);
    }

    [Fact]
    public async Task An_epoch_of_zero_is_refused()
    {
        Is(VolumeOutcomeKind.Conflict, await A.Driver.CreateEmpty(Db, Epoch.None, default));
        Assert.Null(await A.Driver.Inspect(Db, default));
    }

    [Theory]
    [InlineData("../outside")]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData(".hidden")]
    public async Task A_name_that_could_leave_its_folder_is_refused(string name) =>
        await Assert.ThrowsAsync<ArgumentException>(() => A.Driver.CreateEmpty(new VolumeName(name), At(1), default));

    [Fact]
    public async Task A_snapshot_name_that_could_leave_its_folder_is_refused()
    {
        await Begin(A);
        Is(VolumeOutcomeKind.Conflict, await A.Driver.Snapshot(Db, Snap("../s"), At(1), default));
    }

    [Fact]
    public async Task Mounting_twice_mounts_once()
    {
        await Begin(A);
        IsDone(await A.Driver.Mount(Db, At(1), default));
        Assert.True((await See(A)).Mounted);
        IsDone(await A.Driver.Unmount(Db, default));
        Assert.False((await See(A)).Mounted);
        IsDone(await A.Driver.Unmount(Db, default));
    }

    [Fact]
    public async Task Mounting_at_an_epoch_that_is_not_here_is_refused()
    {
        await Begin(A);
        await Hop(A, B, "s1", null, 1);
        Is(VolumeOutcomeKind.Stale, await B.Driver.Mount(Db, At(1), default));
        Is(VolumeOutcomeKind.Missing, await B.Driver.Mount(Db, At(3), default));
    }

    [Fact]
    public async Task What_is_written_stays_when_it_is_mounted_again()
    {
        await Begin(A);
        var before = A.Contents(Db, At(1));
        IsDone(await A.Driver.Unmount(Db, default));
        IsDone(await A.Driver.Mount(Db, At(1), default));
        Assert.Equal(before, A.Contents(Db, At(1)));
    }

    [Fact]
    public async Task Sealed_live_data_takes_no_writes()
    {
        await Begin(A);
        IsDone(await A.Driver.Seal(Db, true, At(1), default));
        IsDone(await A.Driver.Seal(Db, true, At(1), default));
        Assert.True((await See(A)).Sealed);
        Assert.ThrowsAny<IOException>(() => A.Write(Db, "b", Text("late")));
        Assert.ThrowsAny<IOException>(() => A.Write(Db, "a", Text("late")));
    }

    [Fact]
    public async Task A_file_open_for_writing_keeps_the_seal_away_and_loses_nothing()
    {
        await Begin(A);
        using (var open = A.Open(Db, "log"))
        {
            open.Write(Text("one"));
            Is(VolumeOutcomeKind.Busy, await A.Driver.Seal(Db, true, At(1), default));
            Assert.False((await See(A)).Sealed);
            open.Write(Text("two"));
        }
        var all = A.Contents(Db, At(1));
        IsDone(await A.Driver.Seal(Db, true, At(1), default));
        Assert.Equal(all, A.Contents(Db, At(1)));
    }

    [Fact]
    public async Task A_seal_cut_short_before_it_looked_for_writers_looks_when_it_is_repeated()
    {
        await Begin(A);
        using (A.Open(Db, "log"))
        {
            A.CutShortAt("sealed");
            await Assert.ThrowsAsync<CutShort>(() => A.Driver.Seal(Db, true, At(1), default));
            await A.Restart();
            await A.Driver.Recover(default);
            Is(VolumeOutcomeKind.Busy, await A.Driver.Seal(Db, true, At(1), default));
        }
        IsDone(await A.Driver.Seal(Db, true, At(1), default));
    }

    [Fact]
    public async Task Snapshots_are_listed_oldest_first_whatever_their_names()
    {
        await Begin(A);
        await Take(A, "s2", 1);
        await Take(A, "s3", 1);
        await Take(A, "s1", 1);
        Assert.Equal(["s2", "s3", "s1"], await SnapshotsOf(A));
        await Copy(A, B, "s3");
        await Copy(A, B, "s2");
        Assert.Equal(["s3", "s2"], await SnapshotsOf(B));
    }

    [Fact]
    public async Task Unsealing_gives_the_data_back()
    {
        await Begin(A);
        IsDone(await A.Driver.Seal(Db, true, At(1), default));
        var before = A.Contents(Db, At(1));
        IsDone(await A.Driver.Seal(Db, false, At(1), default));
        Assert.Equal(before, A.Contents(Db, At(1)));
        A.Write(Db, "b", Text("again"));
        Assert.NotEqual(before, A.Contents(Db, At(1)));
    }

    [Fact]
    public async Task Sealed_live_data_is_not_mounted()
    {
        await Begin(A);
        IsDone(await A.Driver.Unmount(Db, default));
        IsDone(await A.Driver.Seal(Db, true, At(1), default));
        Is(VolumeOutcomeKind.Conflict, await A.Driver.Mount(Db, At(1), default));
        Assert.False((await See(A)).Mounted);
    }

    [Fact]
    public async Task A_volume_in_use_is_not_unmounted()
    {
        await Begin(A);
        using (A.Open(Db, "log")) Is(VolumeOutcomeKind.Busy, await A.Driver.Unmount(Db, default));
        Assert.True((await See(A)).Mounted);
        IsDone(await A.Driver.Unmount(Db, default));
    }

    [Fact]
    public async Task Sealing_at_another_epoch_is_refused()
    {
        await Begin(A);
        await Hop(A, B, "s1", null, 1);
        Is(VolumeOutcomeKind.Stale, await B.Driver.Seal(Db, true, At(1), default));
        Is(VolumeOutcomeKind.Missing, await B.Driver.Seal(Db, true, At(3), default));
        Assert.False((await See(B)).Sealed);
    }

    [Fact]
    public async Task Sizes_are_measured_by_a_list()
    {
        await Begin(A, new string('x', 100_000));
        await Take(A, "s1", 1);
        var seen = Assert.Single(await A.Driver.List(default));
        Assert.InRange(seen.Used.Bytes, 100_000, 140_000);
        Assert.InRange(Assert.Single(seen.Snapshots).Size.Bytes, 100_000, 140_000);
        Assert.Equal(seen.Used, (await See(A)).Used);
        var space = await A.Driver.Space(default);
        Assert.True(space.Free > ByteCount.Zero && space.Free < space.Total);
    }
}
