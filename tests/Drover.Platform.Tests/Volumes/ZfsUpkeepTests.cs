using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Drover.Agent.Volumes;
using Drover.Core;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>What only ZFS has: datasets that depend on each other, and what that must never be felt of.</summary>
[Collection("pools")]
[Trait("needs", "root"), Trait("pool", "zfs")]
public sealed class ZfsUpkeepTests
{
    private static readonly VolumeName Db = new("db"), Other = new("other");

    private static async Task<ZfsPool> Pool()
    {
        var pool = await ZfsPool.Make();
        await pool.Driver.Recover(default);
        return pool;
    }

    private static async Task Done(Task<VolumeOutcome> verb) => Assert.True((await verb).Ok, (await verb).Message);

    private static async Task Take(ZfsPool pool, string snapshot, long epoch) => Assert.True((await pool.Driver.Snapshot(Db, new(snapshot), new(epoch), default)).Ok);

    private static async Task<long> Copy(ZfsPool source, ZfsPool target, string snapshot, string? basis)
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        SnapshotName? from = basis is null ? null : new(basis);
        await source.Driver.Send(Db, new(snapshot), from, StreamFormat.ZfsSend1, pipe.Writer, default);
        var bytes = new MemoryStream();
        await pipe.Reader.CopyToAsync(bytes);
        await using var incoming = await target.Driver.Receive(Db, new(snapshot), from, StreamFormat.ZfsSend1, PipeReader.Create(new ReadOnlySequence<byte>(bytes.ToArray())), default);
        await incoming.Accept(default);
        return bytes.Length;
    }

    [Fact]
    public async Task Moves_to_and_fro_leave_no_datasets_behind()
    {
        await using var a = await Pool();
        await using var b = await Pool();
        await Done(a.Driver.CreateEmpty(Db, new(1), default));
        var (source, target) = (a, b);
        for (var i = 1; i <= 6; i++)
        {
            var basis = i == 1 ? null : $"final{i - 1}";
            await Done(source.Driver.Mount(Db, new(i), default));
            source.Write(Db, $"f{i}", new byte[100_000]);
            await Take(source, $"seed{i}", i);
            await Copy(source, target, $"seed{i}", basis);
            source.Write(Db, "last", Encoding.UTF8.GetBytes($"{i}"));
            await Done(source.Driver.Unmount(Db, default));
            await Done(source.Driver.Seal(Db, true, new(i), default));
            await Take(source, $"final{i}", i);
            Assert.True(await Copy(source, target, $"final{i}", $"seed{i}") < 50_000);
            await Done(target.Driver.Promote(Db, new($"final{i}"), new(i + 1), default));
            Assert.Equal(source.Contents(Db, new(i)), target.Contents(Db, new(i + 1)));
            var old = new List<SnapshotName> { new($"seed{i}") };
            if (basis is not null) old.Add(new(basis));
            await Done(source.Driver.Remove(Db, new(old, true, new(i + 1), false), default));
            await Done(target.Driver.Remove(Db, new(old, false, Epoch.None, false), default));
            (source, target) = (target, source);
        }
        // The pool, its folder of volumes, the volume, one dataset and one snapshot; nothing depends on anything.
        foreach (var pool in new[] { a, b })
        {
            var lines = (await pool.Datasets()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.True(lines.Length == 5 && lines.All(l => l.EndsWith("\t-", StringComparison.Ordinal)), string.Join('\n', lines));
        }
    }

    [Fact]
    public async Task A_clone_runs_on_while_the_volume_it_comes_from_is_removed()
    {
        await using var pool = await Pool();
        await Done(pool.Driver.CreateEmpty(Db, new(1), default));
        await Done(pool.Driver.Mount(Db, new(1), default));
        pool.Write(Db, "a", new byte[100_000]);
        await Take(pool, "s1", 1);
        await Done(pool.Driver.Make(new LiveOrder.CloneOf(Other, new(1), Db, new("s1")), default));
        await Done(pool.Driver.Mount(Other, new(1), default));
        using (var open = pool.Open(Other, "log"))
        {
            open.Write(Encoding.UTF8.GetBytes("one"));
            await Done(pool.Driver.Remove(Db, new([new("s1")], false, Epoch.None, false), default));
            open.Write(Encoding.UTF8.GetBytes("two"));
            Assert.Empty((await pool.Driver.Inspect(Db, default))!.Snapshots);
            await Done(pool.Driver.Remove(Db, new([], true, new(9), true), default));
            open.Write(Encoding.UTF8.GetBytes("three"));
        }
        Assert.Equal("onetwothree", await File.ReadAllTextAsync(Path.Combine(pool.MountRoot, "other", "log")));
        var left = Assert.Single(await pool.Driver.List(default));
        Assert.Equal((Other, true, true, 0), (left.Name, left.HasLive, left.Mounted, left.Snapshots.Count));
        // What it still needed of the other went with its last use.
        await Done(pool.Driver.Remove(Other, new([], false, Epoch.None, false), default));
        Assert.DoesNotContain("@", await pool.Datasets(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_a_restore_a_base_that_lies_beside_the_way_is_replaced_by_everything()
    {
        await using var a = await Pool();
        await using var b = await Pool();
        await Done(a.Driver.CreateEmpty(Db, new(1), default));
        await Done(a.Driver.Mount(Db, new(1), default));
        a.Write(Db, "a", new byte[300_000]);
        await Take(a, "s1", 1);
        a.Write(Db, "b", new byte[300_000]);
        await Take(a, "s2", 1);
        await Copy(a, b, "s1", null);
        await Copy(a, b, "s2", "s1");
        await Done(a.Driver.Promote(Db, new("s1"), new(2), default));
        await Done(a.Driver.Mount(Db, new(2), default));
        a.Write(Db, "c", new byte[1000]);
        await Take(a, "s3", 2);
        Assert.True(await Copy(a, b, "s3", "s2") > 300_000);
        await Done(b.Driver.Promote(Db, new("s3"), new(3), default));
        Assert.Equal(a.Contents(Db, new(2)), b.Contents(Db, new(3)));
        // Against its real base it is a difference.
        Assert.True(await Copy(a, b, "s3", "s1") < 50_000);
    }

    [Fact]
    public async Task What_a_reader_looks_at_is_gone_when_it_is_done()
    {
        await using var pool = await Pool();
        await Done(pool.Driver.CreateEmpty(Db, new(1), default));
        await Take(pool, "s1", 1);
        await Take(pool, "s2", 1);
        var before = await pool.Datasets();
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        await pool.Driver.Send(Db, new("s2"), new("s1"), StreamFormat.Tree1, pipe.Writer, default);
        Assert.Equal(before, await pool.Datasets());
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(pool.Pool, "volumes", "db", "views")));
    }

    [Fact]
    public async Task The_guard_takes_writing_away_and_a_mount_gives_it_back()
    {
        await using var pool = await Pool();
        await Done(pool.Driver.CreateEmpty(Db, new(1), default));
        await Done(pool.Driver.Mount(Db, new(1), default));
        Assert.True(Mounts.MakeReadOnly(pool.Driver.SealPath(Db, new(1))!));
        Assert.ThrowsAny<IOException>(() => pool.Write(Db, "a", new byte[1]));
        Assert.False((await pool.Driver.Inspect(Db, default))!.Mounted);
        await Done(pool.Driver.Mount(Db, new(1), default));
        pool.Write(Db, "a", new byte[1]);
    }

    [Fact]
    public async Task A_folder_where_no_dataset_is_mounted_is_refused_with_what_to_do()
    {
        var driver = new Drover.Agent.Volumes.Zfs.ZfsDriver("/nowhere/at/all", "/flocker", new Drover.Agent.Host.HostCommands(), new Drover.Testing.SeededChance(1), TimeProvider.System);
        Assert.Contains("zfs create -o mountpoint=/nowhere/at/all", (await Assert.ThrowsAsync<InvalidOperationException>(() => driver.Recover(default))).Message, StringComparison.Ordinal);
    }
}
