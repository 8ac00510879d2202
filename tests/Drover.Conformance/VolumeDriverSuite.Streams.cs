using System.IO.Pipelines;
using Drover.Agent.Volumes;
using Drover.Core;
using Xunit;

namespace Drover.Conformance;

public abstract partial class VolumeDriverSuite
{
    [Fact]
    public async Task A_snapshot_stays_as_it_was_taken()
    {
        await Begin(A);
        var before = A.Contents(Db, At(1));
        var first = await Take(A, "s1", 1);
        A.Write(Db, "b", Text("later"));
        Assert.Equal(first.Identity, (await Take(A, "s1", 1)).Identity);
        await Copy(A, B, "s1");
        IsDone(await B.Driver.Promote(Db, Snap("s1"), At(2), default));
        Assert.Equal(before, B.Contents(Db, At(2)));
    }

    [Fact]
    public async Task A_snapshot_needs_live_data_of_its_epoch()
    {
        Is(VolumeOutcomeKind.Missing, await A.Driver.Snapshot(Db, Snap("s1"), At(1), default));
        await Begin(A);
        Is(VolumeOutcomeKind.Missing, await A.Driver.Snapshot(Db, Snap("s1"), At(2), default));
        await Hop(A, B, "s1", null, 1);
        Is(VolumeOutcomeKind.Stale, await B.Driver.Snapshot(Db, Snap("s2"), At(1), default));
        Assert.Equal(["s1"], await SnapshotsOf(B));
    }

    [Fact]
    public async Task A_snapshot_cut_short_is_never_listed_and_can_be_taken_again()
    {
        await Begin(A);
        A.CutShortAt("snapshot folder made");
        await Assert.ThrowsAsync<CutShort>(() => A.Driver.Snapshot(Db, Snap("s1"), At(1), default));
        Assert.Empty(await SnapshotsOf(A));
        await A.Restart();
        await A.Driver.Recover(default);
        Assert.Empty(await SnapshotsOf(A));
        await Take(A, "s1", 1);
        Assert.Equal(["s1"], await SnapshotsOf(A));
    }

    [Fact]
    public async Task A_copy_has_the_same_identity_and_contents()
    {
        await Begin(A, new string('y', 300_000));
        A.Write(Db, "sub/dir/file", Text("deep"));
        await Hop(A, B, "s1", null, 1);
        Assert.Equal(At(2), (await See(B)).Epoch);
        Assert.Equal(["s1"], await SnapshotsOf(B));
    }

    [Fact]
    public async Task A_difference_is_smaller_than_everything()
    {
        await Begin(A, new string('y', 500_000));
        await Take(A, "s1", 1);
        await Copy(A, B, "s1");
        A.Write(Db, "b", Text("little"));
        A.Delete(Db, "b");
        A.Write(Db, "c", Text("little more"));
        await Take(A, "s2", 1);
        Assert.True((await StreamOf(A, "s2", "s1")).Length * 10 < (await StreamOf(A, "s2")).Length);
        await Copy(A, B, "s2", "s1");
        IsDone(await B.Driver.Promote(Db, Snap("s2"), At(2), default));
        Assert.Equal(A.Contents(Db, At(1)), B.Contents(Db, At(2)));
    }

    [Fact]
    public async Task What_arrives_is_not_visible_before_it_is_accepted()
    {
        await Begin(A);
        var taken = await Take(A, "s1", 1);
        await using var incoming = await Receive(B, await StreamOf(A, "s1"), "s1");
        Assert.Equal(taken.Identity, incoming.Identity);
        Assert.Empty(await SnapshotsOf(B));
        Is(VolumeOutcomeKind.Missing, await B.Driver.Promote(Db, Snap("s1"), At(2), default));
        await incoming.Accept(default);
        Assert.Equal(["s1"], await SnapshotsOf(B));
        Assert.Equal(taken.Identity, (await incoming.Accept(default)).Identity);
    }

    [Fact]
    public async Task What_is_not_accepted_is_dropped()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        var stream = await StreamOf(A, "s1");
        await using (await Receive(B, stream, "s1")) { }
        Assert.Empty(await SnapshotsOf(B));
        await Copy(A, B, "s1");
        Assert.Equal(["s1"], await SnapshotsOf(B));
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(0.999)]
    public async Task A_stream_cut_short_leaves_nothing(double share)
    {
        await Begin(A, new string('y', 300_000));
        await Take(A, "s1", 1);
        var stream = await StreamOf(A, "s1");
        await Assert.ThrowsAsync<InvalidDataException>(() => Receive(B, stream[..(int)(stream.Length * share)], "s1"));
        Assert.Empty(await SnapshotsOf(B));
        await Copy(A, B, "s1");
        Assert.Equal(["s1"], await SnapshotsOf(B));
    }

    [Theory]
    [InlineData(0.3)]
    [InlineData(0.6)]
    [InlineData(0.9)]
    public async Task A_flipped_bit_is_found(double at)
    {
        await Begin(A, new string('y', 300_000));
        await Take(A, "s1", 1);
        var stream = await StreamOf(A, "s1");
        stream[(int)(stream.Length * at)] ^= 0x10;
        await Assert.ThrowsAsync<InvalidDataException>(() => Receive(B, stream, "s1"));
        Assert.Empty(await SnapshotsOf(B));
    }

    [Fact]
    public async Task A_stream_that_fails_on_the_way_leaves_nothing()
    {
        await Begin(A, new string('y', 300_000));
        await Take(A, "s1", 1);
        var stream = await StreamOf(A, "s1");
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        await pipe.Writer.WriteAsync(stream);
        await pipe.Writer.CompleteAsync(new IOException("the cable was pulled"));
        var failed = await Assert.ThrowsAsync<InvalidDataException>(() => B.Driver.Receive(Db, Snap("s1"), null, Best(B), pipe.Reader, default));
        Assert.Contains("the cable was pulled", failed.Message, StringComparison.Ordinal);
        Assert.Empty(await SnapshotsOf(B));
    }

    [Fact]
    public async Task A_cancelled_receive_leaves_nothing_and_the_next_one_works()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        var stream = await StreamOf(A, "s1");
        var pipe = new Pipe();
        using var stop = new CancellationTokenSource();
        var receiving = B.Driver.Receive(Db, Snap("s1"), null, Best(B), pipe.Reader, stop.Token);
        await pipe.Writer.WriteAsync(stream.AsMemory(0, stream.Length / 2));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => receiving);
        Assert.Empty(await SnapshotsOf(B));
        await Copy(A, B, "s1");
    }

    [Fact]
    public async Task A_reader_that_goes_away_ends_the_send_with_an_error()
    {
        await Begin(A, new string('y', 3_000_000));
        await Take(A, "s1", 1);
        var pipe = new Pipe();
        var sending = A.Driver.Send(Db, Snap("s1"), null, Best(A), pipe.Writer, default);
        var read = await pipe.Reader.ReadAsync();
        pipe.Reader.AdvanceTo(read.Buffer.End);
        await pipe.Reader.CompleteAsync();
        await Assert.ThrowsAsync<IOException>(() => sending);
        IsDone(await A.Driver.Remove(Db, new([Snap("s1")], false, Epoch.None, false), default));
    }

    [Fact]
    public async Task A_difference_without_its_base_asks_for_everything()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        A.Write(Db, "b", Text("more"));
        await Take(A, "s2", 1);
        var difference = await StreamOf(A, "s2", "s1");
        await Assert.ThrowsAsync<BaseUnusable>(() => Receive(B, difference, "s2", "s1"));
        await Assert.ThrowsAsync<BaseUnusable>(() => Receive(B, difference, "s2"));
        Assert.Empty(await SnapshotsOf(B));
        await Copy(A, B, "s2");
        Assert.Equal(["s2"], await SnapshotsOf(B));
    }

    [Fact]
    public async Task A_difference_against_another_base_than_agreed_is_refused()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        await Copy(A, B, "s1");
        A.Write(Db, "b", Text("more"));
        await Take(A, "s2", 1);
        await Copy(A, B, "s2", "s1");
        A.Write(Db, "c", Text("still more"));
        await Take(A, "s3", 1);
        var difference = await StreamOf(A, "s3", "s1");
        await Assert.ThrowsAsync<BaseUnusable>(() => Receive(B, difference, "s3", "s2"));
        Assert.Equal(["s1", "s2"], await SnapshotsOf(B));
    }

    [Fact]
    public async Task Two_snapshots_of_one_name_are_told_apart()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        var mine = await Copy(A, B, "s1");
        var c = await AddPool();
        await Begin(c, "other");
        await Take(c, "s1", 1);
        await using var other = await Receive(B, await StreamOf(c, "s1"), "s1");
        await Assert.ThrowsAsync<InvalidOperationException>(() => other.Accept(default));
        Assert.Equal(mine.Identity, Assert.Single((await See(B)).Snapshots).Identity);
    }

    [Fact]
    public async Task A_snapshot_arriving_twice_is_one_snapshot()
    {
        await Begin(A);
        await Take(A, "s1", 1);
        var first = await Copy(A, B, "s1");
        Assert.Equal(first.Identity, (await Copy(A, B, "s1")).Identity);
        Assert.Equal(["s1"], await SnapshotsOf(B));
    }

    [Fact]
    public async Task Sending_what_is_not_here_is_an_error()
    {
        await Begin(A);
        await Assert.ThrowsAsync<InvalidOperationException>(() => A.Driver.Send(Db, Snap("s1"), null, Best(A), new Pipe().Writer, default));
        await Take(A, "s1", 1);
        await Assert.ThrowsAsync<BaseUnusable>(() => A.Driver.Send(Db, Snap("s1"), Snap("s0"), Best(A), new Pipe().Writer, default));
    }

    [Theory]
    [InlineData("received data synced", false)]
    [InlineData("snapshot renamed", true)]
    public async Task After_a_death_while_accepting_a_snapshot_is_here_wholly_or_not_at_all(string point, bool isHere)
    {
        await Begin(A);
        await Take(A, "s1", 1);
        var incoming = await Receive(B, await StreamOf(A, "s1"), "s1");
        B.CutShortAt(point);
        await Assert.ThrowsAsync<CutShort>(() => incoming.Accept(default));
        await B.Restart();
        await B.Driver.Recover(default);
        Assert.Equal(isHere ? ["s1"] : [], await SnapshotsOf(B));
        await Copy(A, B, "s1");
        IsDone(await B.Driver.Promote(Db, Snap("s1"), At(2), default));
        Assert.Equal(A.Contents(Db, At(1)), B.Contents(Db, At(2)));
    }
}
