using System.IO.Pipelines;
using System.Text;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Btrfs;
using Drover.Agent.Volumes.Trees;
using Drover.Core;
using Drover.Core.Volumes;
using Drover.Testing;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>Live data made ready ahead: that it is used, what is left of it after deaths and power cuts, and what is left to `btrfs receive`.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed class AheadTests : IAsyncLifetime
{
    private static readonly VolumeName Db = new("db");
    private static readonly SnapshotName Base = new("base"), Last = new("last");
    private LoopPool _a = null!, _b = null!;

    private string Live => Path.Combine(_b.Pool, "volumes/db/live/2");
    private string Data => Path.Combine(_b.Pool, "volumes/db/snapshots/last/data");

    public async ValueTask InitializeAsync()
    {
        (_a, _b) = (await LoopPool.Make(), await LoopPool.Make());
        await _a.Driver.Recover(default);
        await _b.Driver.Recover(default);
        Done(await _a.Driver.CreateEmpty(Db, new(1), default));
        Done(await _a.Driver.Mount(Db, new(1), default));
        _a.Write(Db, "kept", new byte[300_000]);
        _a.Write(Db, "changed", Encoding.UTF8.GetBytes(new string('x', 50_000)));
        _a.Write(Db, "folder/inside", "1"u8.ToArray());
        _a.Write(Db, "folder/goes", "2"u8.ToArray());
        await Take(Base);
        await (await Receive(Base, null)).Accept(default);
        Done(await Ahead());
    }

    public async ValueTask DisposeAsync()
    {
        await _a.DisposeAsync();
        await _b.DisposeAsync();
    }

    [Fact]
    public async Task The_last_difference_goes_right_into_what_becomes_the_live_data()
    {
        var ready = Subvolume.Find(Live)!.Value.Uuid;
        await Change();
        await Arrive();
        Assert.Equal([Base, Last], (await See()).Snapshots.Select(s => s.Name));
        Assert.False(Directory.Exists(Data), "no snapshot is made while the app stands still");
        Done(await _b.Driver.Promote(Db, Last, new(2), default));
        Assert.False(Directory.Exists(Data));
        Assert.Equal(ready, Subvolume.Find(Live)!.Value.Uuid);
        Assert.Equal(_a.Contents(Db, new(1)), _b.Contents(Db, new(2)));
        // The way back needs it read-only, unchanged by what is written meanwhile.
        Done(await _b.Driver.Mount(Db, new(2), default));
        _b.Write(Db, "changed", "otherwise"u8.ToArray());
        Done(await _b.Driver.Remove(Db, new([Base], false, Epoch.None, false), default));
        Assert.Equal([Last], (await See()).Snapshots.Select(s => s.Name));
        Assert.Equal(_a.Contents(Db, new(1)), TreeHash.Of(Data));
        Assert.True(Subvolume.Find(Data)!.Value.IsReadOnly);
        Assert.Equal((await _a.Driver.Inspect(Db, default))!.Snapshots.Single(s => s.Name == Last).Identity, (await See()).Snapshots.Single().Identity);
    }

    [Fact]
    public async Task What_has_arrived_survives_a_power_cut()
    {
        await Change();
        await Arrive();
        await _b.LosePower();
        await _b.Driver.Recover(default);
        Assert.Equal([Base, Last], (await See()).Snapshots.Select(s => s.Name));
        Assert.Equal(_a.Contents(Db, new(1)), TreeHash.Of(Data));
        Done(await _b.Driver.Promote(Db, Last, new(2), default));
        Assert.Equal(_a.Contents(Db, new(1)), _b.Contents(Db, new(2)));
    }

    [Fact]
    public async Task What_was_promoted_and_written_to_survives_a_power_cut()
    {
        await Change();
        await Arrive();
        Done(await _b.Driver.Promote(Db, Last, new(2), default));
        Done(await _b.Driver.Mount(Db, new(2), default));
        using (var file = new FileStream(Path.Combine(_b.MountRoot, "db/changed"), FileMode.Open))
        {
            file.Write("acknowledged"u8);
            file.Flush(flushToDisk: true);
        }
        var there = _b.Contents(Db, new(2));
        await _b.LosePower();
        await _b.Driver.Recover(default);
        var seen = await See();
        Assert.Equal((new Epoch(2), true), (seen.Epoch, seen.HasLive));
        Assert.Equal(there, _b.Contents(Db, new(2)));
    }

    [Theory]
    [InlineData("received data synced", false)]
    [InlineData("snapshot renamed", true)]
    public async Task A_death_leaves_it_whole_or_not_at_all(string point, bool isThere)
    {
        await Change();
        _b.CutShortAt(point);
        await using var arriving = await Receive(Last, Base);
        await Assert.ThrowsAsync<Conformance.CutShort>(() => arriving.Accept(default));
        await _b.Restart();
        await _b.Driver.Recover(default);
        Assert.Equal(isThere, (await See()).Snapshots.Any(s => s.Name == Last));
        Assert.Equal(isThere, Directory.Exists(Live));
        if (!isThere) await Arrive();
        Done(await _b.Driver.Promote(Db, Last, new(2), default));
        Assert.Equal(_a.Contents(Db, new(1)), _b.Contents(Db, new(2)));
    }

    [Fact]
    public async Task A_promotion_that_dies_before_its_commit_is_done_again()
    {
        await Change();
        await Arrive();
        _b.CutShortAt("live made");
        await Assert.ThrowsAsync<Conformance.CutShort>(() => _b.Driver.Promote(Db, Last, new(2), default));
        await _b.Restart();
        await _b.Driver.Recover(default);
        Assert.False((await See()).HasLive);
        Done(await _b.Driver.Promote(Db, Last, new(2), default));
        Assert.Equal(_a.Contents(Db, new(1)), _b.Contents(Db, new(2)));
    }

    [Fact]
    public async Task An_undone_move_leaves_nothing()
    {
        await Change();
        await Arrive();
        Done(await _b.Driver.Remove(Db, new([Last], false, Epoch.None, false), default));
        Assert.Equal([Base], (await See()).Snapshots.Select(s => s.Name));
        Assert.False(Directory.Exists(Live));
        Assert.False(Directory.Exists(Data));
    }

    [Fact]
    public async Task A_full_pool_keeps_neither_the_agent_nor_the_undo_of_a_move_from_anything()
    {
        await Change();
        await Arrive();
        var filler = Path.Combine(_b.Pool, "filler");
        try
        {
            using var file = File.Create(filler, bufferSize: 0);
            while (true) file.Write(new byte[64 * 1024]);
        }
        catch (IOException) { /* that was the aim */ }
        await _b.Restart();
        await _b.Driver.Recover(default);
        Assert.Contains(Last, (await See()).Snapshots.Select(s => s.Name));
        Done(await _b.Driver.Remove(Db, new([Last], false, Epoch.None, false), default));
        Assert.Equal([Base], (await See()).Snapshots.Select(s => s.Name));
        Assert.False(Directory.Exists(Live));
    }

    [Fact]
    public async Task The_same_snapshot_by_another_way_is_the_same_snapshot()
    {
        await Change();
        await using var late = await Receive(Last, Base);
        await using (var first = await Receive(Last, Base)) await first.Accept(default);
        Assert.True(Directory.Exists(Data));
        Assert.Equal(Last, (await late.Accept(default)).Name);
        await late.DisposeAsync();
        Assert.False(Directory.Exists(Live));
        Done(await _b.Driver.Promote(Db, Last, new(2), default));
        Assert.Equal(_a.Contents(Db, new(1)), _b.Contents(Db, new(2)));
    }

    [Fact]
    public async Task An_attempt_that_is_dropped_leaves_nothing()
    {
        await Change();
        await (await Receive(Last, Base)).DisposeAsync();
        Assert.Equal([Base], (await See()).Snapshots.Select(s => s.Name));
        Assert.False(Directory.Exists(Live));
        await Arrive();
        Done(await _b.Driver.Promote(Db, Last, new(2), default));
        Assert.Equal(_a.Contents(Db, new(1)), _b.Contents(Db, new(2)));
    }

    [Fact]
    public async Task Other_live_data_of_that_epoch_takes_its_place()
    {
        await Change();
        await Arrive();
        Done(await _b.Driver.Promote(Db, Base, new(2), default));
        Assert.Equal(TreeHash.Of(Path.Combine(_b.Pool, "volumes/db/snapshots/base/data")), _b.Contents(Db, new(2)));
        Assert.Equal(_a.Contents(Db, new(1)), TreeHash.Of(Data));
        await _b.Restart();
        await _b.Driver.Recover(default);
        Assert.Equal(TreeHash.Of(Path.Combine(_b.Pool, "volumes/db/snapshots/base/data")), _b.Contents(Db, new(2)));
    }

    [Theory]
    [InlineData("attributes")]
    [InlineData("link")]
    [InlineData("long")]
    [InlineData("further name")]
    public async Task What_is_not_done_here_is_done_by_the_program(string what)
    {
        var root = Path.Combine(_a.MountRoot, "db");
        switch (what)
        {
            case "attributes":
                using (var folder = TreeCalls.OpenRoot(root)) TreeAttributes.Set(folder, RawName.Of("changed"u8), [new(Encoding.UTF8.GetBytes("user.note"), Encoding.UTF8.GetBytes("kept"))]);
                break;
            case "link": File.CreateSymbolicLink(Path.Combine(root, "link"), "changed"); break;
            case "further name": await LoopPool.Run("ln", Path.Combine(root, "changed"), Path.Combine(root, "again")); break;
            default: _a.Write(Db, "large", Enumerable.Range(0, 9 << 20).Select(i => (byte)(i * 31 >> 3)).ToArray()); break;
        }
        await Arrive();
        Done(await _b.Driver.Promote(Db, Last, new(2), default));
        Assert.Equal(_a.Contents(Db, new(1)), _b.Contents(Db, new(2)));
        Assert.Equal(what != "further name", Directory.Exists(Data));
    }

    [Fact]
    public async Task A_way_through_a_link_is_refused_and_leaves_nothing()
    {
        var outside = Path.Combine(_b.MountRoot, "outside");
        Directory.CreateDirectory(outside);
        // The base has a link to a folder outside: a stream must not write through it.
        File.CreateSymbolicLink(Path.Combine(_a.MountRoot, "db/way"), outside);
        await Take(new("linked"));
        await (await Receive(new("linked"), Base)).Accept(default);
        Done(await _b.Driver.Make(new LiveOrder.Ahead(Db, new(2), new("linked")), default));
        var basis = (await _b.Driver.Inspect(Db, default))!.Snapshots.Single(s => s.Name.Value == "linked").Identity;
        var hostile = new StreamWriter1().Snapshot(new("11111111-2222-3333-4444-555555555555"), new Guid(basis)).MakeFile("way/escaped").End();
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync(hostile);
        await pipe.Writer.CompleteAsync();
        await Assert.ThrowsAsync<InvalidDataException>(() => _b.Driver.Receive(Db, Last, new("linked"), StreamFormat.BtrfsSend1, pipe.Reader, default));
        Assert.Empty(Directory.EnumerateFileSystemEntries(outside));
        Assert.False(Directory.Exists(Live));
    }

    private async Task Change()
    {
        var root = Path.Combine(_a.MountRoot, "db");
        using (var file = new FileStream(Path.Combine(root, "changed"), FileMode.Open)) { file.Position = 20_000; file.Write("in the middle"u8); }
        using (var file = new FileStream(Path.Combine(root, "kept"), FileMode.Open)) file.SetLength(100_000);
        File.Delete(Path.Combine(root, "folder/goes"));
        Directory.CreateDirectory(Path.Combine(root, "fresh/deep"));
        _a.Write(Db, "fresh/deep/new", "3"u8.ToArray());
        File.Move(Path.Combine(root, "folder/inside"), Path.Combine(root, "fresh/moved"));
        Directory.Delete(Path.Combine(root, "folder"));
        await LoopPool.Run("chown", "123:456", Path.Combine(root, "fresh/moved"));
        await LoopPool.Run("chmod", "4711", Path.Combine(root, "fresh/deep"));
    }

    private async Task Arrive()
    {
        await Take(Last);
        await using var incoming = await Receive(Last, Base);
        await incoming.Accept(default);
    }

    private Task<VolumeOutcome> Ahead() => _b.Driver.Make(new LiveOrder.Ahead(Db, new(2), Base), default);

    private async Task Take(SnapshotName name)
    {
        if ((await _a.Driver.Inspect(Db, default))!.Snapshots.All(s => s.Name != name)) Done(await _a.Driver.Snapshot(Db, name, new(1), default));
    }

    private async Task<IIncoming> Receive(SnapshotName name, SnapshotName? from)
    {
        await Take(name);
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 16 << 20, resumeWriterThreshold: 8 << 20));
        var sending = _a.Driver.Send(Db, name, from, StreamFormat.BtrfsSend1, pipe.Writer, default);
        var incoming = await _b.Driver.Receive(Db, name, from, StreamFormat.BtrfsSend1, pipe.Reader, default);
        await sending;
        return incoming;
    }

    private async Task<ReplicaView> See() => (await _b.Driver.Inspect(Db, default))!;

    private static void Done(VolumeOutcome outcome) => Assert.True(outcome.Ok, outcome.Message);
}
