using Drover.Agent.Volumes;
using Drover.Core;
using Xunit;

namespace Drover.Conformance;

/// <summary>Restored, cloned, resized; streams that can be gone on with.</summary>
public abstract partial class VolumeDriverSuite
{
    private static readonly VolumeName Other = new("other");

    [Fact]
    public async Task A_restore_goes_back_and_puts_the_newer_data_away()
    {
        await Begin(A);
        await Take(A, "good", 1);
        var good = A.Contents(Db, At(1));
        A.Write(Db, "a", Text("spoilt"));
        var spoilt = A.Contents(Db, At(1));
        IsDone(await A.Driver.Make(new LiveOrder.OfSnapshot(Db, At(2), Snap("good")), default));
        Assert.Equal(good, A.Contents(Db, At(2)));
        Assert.Equal(spoilt, A.Contents(Db, At(1)));
        Assert.Equal((At(2), true, false), ((await See(A)).Epoch, (await See(A)).HasLive, (await See(A)).Mounted));
        Is(VolumeOutcomeKind.Stale, await A.Driver.Mount(Db, At(1), default));
        IsDone(await A.Driver.Mount(Db, At(2), default));
        A.Write(Db, "b", Text("on from there"));
        IsDone(await A.Driver.Remove(Db, new([], true, At(2), false), default));
        Assert.Null(A.Contents(Db, At(1)));
        Assert.Equal(["good"], await SnapshotsOf(A));
    }

    [Fact]
    public async Task A_clone_shares_nothing_that_either_can_change()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        var before = A.Contents(Db, At(1));
        var clone = new LiveOrder.CloneOf(Other, At(1), Db, Snap("s1"));
        IsDone(await A.Driver.Make(clone, default));
        Assert.Equal(before, A.Contents(Other, At(1)));
        IsDone(await A.Driver.Mount(Other, At(1), default));
        A.Write(Other, "a", Text("mine"));
        var mine = A.Contents(Other, At(1));
        IsDone(await A.Driver.Make(clone, default));
        Assert.Equal(mine, A.Contents(Other, At(1)));
        Assert.Equal(before, A.Contents(Db, At(1)));
        IsDone(await A.Driver.Remove(Db, new([], true, At(9), true), default));
        Assert.Equal(mine, A.Contents(Other, At(1)));
    }

    [Fact]
    public async Task A_clone_never_takes_the_place_of_a_known_volume()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        var before = A.Contents(Db, At(1));
        IsDone(await A.Driver.CreateEmpty(Other, At(1), default));
        Is(VolumeOutcomeKind.Conflict, await A.Driver.Make(new LiveOrder.CloneOf(Other, At(1), Db, Snap("s1")), default));
        Is(VolumeOutcomeKind.Conflict, await A.Driver.Make(new LiveOrder.CloneOf(Other, At(2), Db, Snap("s1")), default));
        Is(VolumeOutcomeKind.Conflict, await A.Driver.Make(new LiveOrder.CloneOf(Db, At(2), Db, Snap("s1")), default));
        Assert.Equal(before, A.Contents(Db, At(1)));
        Assert.Equal("", A.Contents(Other, At(1)));
    }

    [Fact]
    public async Task A_clone_of_what_is_not_here_is_refused_and_leaves_no_trace()
    {
        await Begin(A);
        Is(VolumeOutcomeKind.Missing, await A.Driver.Make(new LiveOrder.CloneOf(Other, At(1), Db, Snap("s1")), default));
        Is(VolumeOutcomeKind.Missing, await A.Driver.Make(new LiveOrder.CloneOf(Other, At(1), new("nobody"), Snap("s1")), default));
        Assert.Null(await A.Driver.Inspect(Other, default));
        IsDone(await A.Driver.CreateEmpty(Other, At(1), default));
    }

    [Fact]
    public async Task A_clone_cut_short_is_done_again()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        var clone = new LiveOrder.CloneOf(Other, At(1), Db, Snap("s1"));
        A.CutShortAt("live made");
        await Assert.ThrowsAsync<CutShort>(() => A.Driver.Make(clone, default));
        await A.Restart();
        await A.Driver.Recover(default);
        Assert.Null(await A.Driver.Inspect(Other, default));
        IsDone(await A.Driver.Make(clone, default));
        Assert.Equal(A.Contents(Db, At(1)), A.Contents(Other, At(1)));
    }

    [Fact]
    public async Task A_volume_grows_to_its_limit_and_no_further_or_the_limit_is_refused()
    {
        const int large = 8 << 20;
        await Begin(A);
        var outcome = await A.Driver.Resize(Db, new(large), At(1), default);
        if (!A.Driver.Abilities.Quotas)
        {
            Is(VolumeOutcomeKind.Unable, outcome);
            IsDone(await A.Driver.Resize(Db, null, At(1), default));
            Assert.Null((await See(A)).Limit);
            return;
        }
        IsDone(outcome);
        IsDone(await A.Driver.Resize(Db, new(large), At(1), default));
        Assert.Equal(new ByteCount(large), (await See(A)).Limit);
        A.Write(Db, "fits", new byte[large / 2]);
        Assert.ThrowsAny<IOException>(() => A.Write(Db, "too much", new byte[large]));
        Is(VolumeOutcomeKind.Conflict, await A.Driver.Resize(Db, new(large / 4), At(1), default));
        IsDone(await A.Driver.Resize(Db, null, At(1), default));
        Assert.Null((await See(A)).Limit);
        A.Write(Db, "too much", new byte[large]);
        // It belongs to the live data of one epoch.
        IsDone(await A.Driver.Resize(Db, new(4L * large), At(1), default));
        await Take(A, "s1", 1);
        IsDone(await A.Driver.Promote(Db, Snap("s1"), At(2), default));
        Assert.Null((await See(A)).Limit);
        Assert.Equal(A.Contents(Db, At(1)), A.Contents(Db, At(2)));
    }

    [Fact]
    public async Task A_size_needs_live_data_of_its_epoch()
    {
        Is(VolumeOutcomeKind.Missing, await A.Driver.Resize(Db, new(1 << 20), At(1), default));
        await Begin(A);
        await Hop(A, B, "s1", null, 1);
        Is(VolumeOutcomeKind.Stale, await B.Driver.Resize(Db, null, At(1), default));
    }

    [Fact]
    public async Task Each_format_gives_the_same_bytes_every_time()
    {
        await Begin(A, new string('y', 500_000));
        A.Write(Db, "sub/dir/file", Text("deep"));
        await Take(A, "s1", 1);
        A.Write(Db, "b", Text("more"));
        A.Write(Db, "a", Text(new string('y', 300_000) + new string('z', 200_000)));
        A.Delete(Db, "sub/dir/file");
        await Take(A, "s2", 1);
        foreach (var format in A.Driver.Abilities.Formats)
        {
            var (whole, difference) = (await StreamOf(A, "s2", null, format), await StreamOf(A, "s2", "s1", format));
            // What happens around the snapshot changes nothing of it.
            A.Write(Db, "later", Text(format.Name));
            await Take(A, $"after-{format}", 1);
            await A.Restart();
            await A.Driver.Recover(default);
            Assert.Equal(whole, await StreamOf(A, "s2", null, format));
            Assert.Equal(difference, await StreamOf(A, "s2", "s1", format));
        }
    }

    [Fact]
    public async Task Each_format_carries_everything_and_differences()
    {
        await Begin(A, new string('y', 500_000));
        A.Write(Db, "sub/dir/file", Text("deep"));
        await Take(A, "s1", 1);
        A.Write(Db, "b", Text("more"));
        A.Delete(Db, "sub/dir/file");
        await Take(A, "s2", 1);
        foreach (var format in A.Driver.Abilities.Formats)
        {
            var target = await AddPool();
            Assert.Equal((await See(A)).Snapshots[0].Identity, (await Copy(A, target, "s1", null, format)).Identity);
            await Copy(A, target, "s2", "s1", format);
            IsDone(await target.Driver.Promote(Db, Snap("s2"), At(2), default));
            Assert.Equal(A.Contents(Db, At(1)), target.Contents(Db, At(2)));
        }
    }

    [Fact]
    public async Task A_format_that_the_driver_does_not_know_is_refused()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        var stream = await StreamOf(A, "s1");
        var unknown = new StreamFormat("punched-cards-1");
        await Assert.ThrowsAsync<ArgumentException>(() => StreamOf(A, "s1", null, unknown));
        await Assert.ThrowsAsync<ArgumentException>(() => Receive(B, stream, "s1", null, unknown));
        Assert.Empty(await SnapshotsOf(B));
    }

    [Fact]
    public async Task A_stream_in_another_format_than_agreed_is_damaged()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        foreach (var format in A.Driver.Abilities.Formats)
            foreach (var other in B.Driver.Abilities.Formats.Where(f => f != format))
            {
                var stream = await StreamOf(A, "s1", null, format);
                await Assert.ThrowsAsync<InvalidDataException>(() => Receive(B, stream, "s1", null, other));
                Assert.Empty(await SnapshotsOf(B));
            }
    }

    [Fact]
    public async Task A_full_pool_takes_nothing_and_gives_back_what_it_took()
    {
        const int smallest = 128;
        var full = await AddPool(smallest);
        await Begin(A);
        var formats = A.Driver.Abilities.Formats.Intersect(full.Driver.Abilities.Formats).ToList();
        foreach (var format in formats)
        {
            await Take(A, $"little-{format}", 1);
            await Copy(A, full, $"little-{format}", null, format);
        }
        var little = await SnapshotsOf(full);
        var chance = new Random(1);
        for (var i = 0; i < 10; i++)
        {
            var noise = new byte[16 << 20];
            chance.NextBytes(noise);
            A.Write(Db, $"noise{i}", noise);
        }
        await Take(A, "much", 1);
        Assert.Equal(formats.Count, little.Length);
        foreach (var format in formats)
        {
            var stream = await StreamOf(A, "much", $"little-{format}", format);
            var failed = await Assert.ThrowsAsync<IOException>(() => Receive(full, stream, "much", $"little-{format}", format));
            Assert.Contains("full", failed.Message, StringComparison.Ordinal);
            Assert.Equal(little, await SnapshotsOf(full));
        }
        await full.Restart();
        await full.Driver.Recover(default);
        Assert.Equal(little, await SnapshotsOf(full));
        IsDone(await full.Driver.Promote(Db, Snap(little[0]), At(2), default));
        IsDone(await full.Driver.Mount(Db, At(2), default));
        full.Write(Db, "room again", new byte[1 << 20]);
    }
}
