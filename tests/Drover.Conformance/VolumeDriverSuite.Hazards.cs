using Drover.Agent.Volumes;
using Drover.Core.Volumes;
using Xunit;

namespace Drover.Conformance;

/// <summary>Four ways in which Flocker, the data mover of 2015, could lose data or have it written twice.</summary>
public abstract partial class VolumeDriverSuite
{
    [Fact]
    public async Task Hazard_stale_data_is_not_promoted_after_a_stream_was_cut_short()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        await Copy(A, B, "s1");
        A.Write(Db, "late", Text(new string('z', 200_000)));
        await Take(A, "s2", 1);
        var stream = await StreamOf(A, "s2", "s1");
        await Assert.ThrowsAsync<InvalidDataException>(() => Receive(B, stream[..(stream.Length / 2)], "s2", "s1"));
        // What was there before does not stand in for what did not come.
        Is(VolumeOutcomeKind.Missing, await B.Driver.Promote(Db, Snap("s2"), At(2), default));
        Assert.False((await See(B)).HasLive);
        await Copy(A, B, "s2", "s1");
        IsDone(await B.Driver.Promote(Db, Snap("s2"), At(2), default));
        Assert.Equal(A.Contents(Db, At(1)), B.Contents(Db, At(2)));
    }

    [Fact]
    public async Task Hazard_there_are_no_two_owners_when_taking_over_is_cut_short()
    {
        await Begin(A);
        IsDone(await A.Driver.Unmount(Db, default));
        IsDone(await A.Driver.Seal(Db, true, At(1), default));
        await Take(A, "s1", 1);
        await Copy(A, B, "s1");
        B.CutShortAt("live made");
        await Assert.ThrowsAsync<CutShort>(() => B.Driver.Promote(Db, Snap("s1"), At(2), default));
        await B.Restart();
        await B.Driver.Recover(default);
        // Neither may write now; and each takes over only by an order of its own.
        Assert.False((await See(B)).HasLive);
        Assert.True((await See(A)).Sealed);
        IsDone(await B.Driver.Promote(Db, Snap("s1"), At(2), default));
        IsDone(await A.Driver.Remove(Db, new Removal([], true, At(2), false), default));
        Assert.Equal(VolumeOutcomeKind.Stale, (await A.Driver.Seal(Db, false, At(1), default)).Kind);
    }

    [Fact]
    public async Task Hazard_a_volume_that_is_known_is_never_made_empty_however_long_nobody_spoke_of_it()
    {
        await Begin(A);
        IsDone(await A.Driver.Unmount(Db, default));
        await A.Restart();
        await A.Driver.Recover(default);
        var before = A.Contents(Db, At(1));
        Is(VolumeOutcomeKind.Conflict, await A.Driver.CreateEmpty(Db, At(2), default));
        Assert.Equal(before, A.Contents(Db, At(1)));
    }

    [Fact]
    public async Task Hazard_a_volume_is_not_taken_from_under_who_writes_it()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        using (var open = A.Open(Db, "log"))
        {
            open.Write(Text("one"));
            Is(VolumeOutcomeKind.Busy, await A.Driver.Unmount(Db, default));
            Is(VolumeOutcomeKind.Busy, await A.Driver.Promote(Db, Snap("s1"), At(2), default));
            Is(VolumeOutcomeKind.Busy, await A.Driver.Remove(Db, new Removal([], true, At(2), false), default));
            open.Write(Text("two"));
        }
        Assert.True((await See(A)).HasLive);
    }
}
