using System.IO.Pipelines;
using Drover.Agent.Host;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Zfs;
using Drover.Core;
using Drover.Testing;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>What must not be lost, and what is not ours to take away.</summary>
[Collection("pools")]
[Trait("needs", "root"), Trait("pool", "zfs")]
public sealed class ZfsSafetyTests
{
    private static readonly VolumeName Db = new("db"), Other = new("other");

    /// <summary>With a volume that has live data of epoch 1, mounted.</summary>
    private static async Task<ZfsPool> Pool()
    {
        var pool = await ZfsPool.Make();
        await pool.Driver.Recover(default);
        await Done(pool.Driver.CreateEmpty(Db, new(1), default));
        await Done(pool.Driver.Mount(Db, new(1), default));
        return pool;
    }

    private static async Task Done(Task<VolumeOutcome> verb) => Assert.True((await verb).Ok, (await verb).Message);

    private static async Task Take(ZfsPool pool, string snapshot, long epoch = 1) => Assert.True((await pool.Driver.Snapshot(Db, new(snapshot), new(epoch), default)).Ok);

    [Fact]
    public async Task A_restored_volume_can_be_removed()
    {
        await using var pool = await Pool();
        await Take(pool, "s1");
        await Take(pool, "s2");
        await Done(pool.Driver.Promote(Db, new("s1"), new(2), default));
        await Take(pool, "s3", 2);
        Assert.Contains("live-1@s2", await pool.Datasets(), StringComparison.Ordinal);
        await Done(pool.Driver.Remove(Db, new([], true, new(9), true), default));
        Assert.DoesNotContain("/db", await pool.Datasets(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_that_sets_properties_is_not_received()
    {
        await using var pool = await Pool();
        pool.Write(Db, "a", new byte[1000]);
        await Take(pool, "s1");
        var snapshot = $"{pool.Dataset}/volumes/db/live-1@s1";
        var guid = ulong.Parse(await Zfs(pool, "get", "-Hp", "-o", "value", "guid", snapshot), null);
        Assert.Null(await Received(pool, guid, "send", snapshot));
        Assert.Contains("sets properties", await Received(pool, guid, "send", "-p", snapshot), StringComparison.Ordinal);
        Assert.Contains("sets properties", await Received(pool, guid, "send", "-R", snapshot), StringComparison.Ordinal);
        Assert.DoesNotContain("/other/", await pool.Datasets(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_somebody_else_put_into_a_volumes_dataset_is_not_destroyed()
    {
        await using var pool = await Pool();
        var everything = new Removal([], true, new(9), true);
        foreach (var strange in new[] { "create mine", "create c-backup", "snapshot @mine" })
        {
            var path = $"{pool.Dataset}/volumes/db{(strange.Contains('@', StringComparison.Ordinal) ? "" : "/")}{strange.Split(' ')[1]}";
            await Zfs(pool, strange.Split(' ')[0], path);
            await Done(pool.Driver.Remove(Db, new([], false, Epoch.None, false), default));
            await pool.Driver.Recover(default);
            var refused = await pool.Driver.Remove(Db, everything, default);
            Assert.Contains(path, refused.Message, StringComparison.Ordinal);
            Assert.Contains(path, await pool.Datasets(), StringComparison.Ordinal);
            // What is the volume's own goes on.
            await Done(pool.Driver.Mount(Db, new(1), default));
            pool.Write(Db, "a", new byte[1]);
            await Zfs(pool, "destroy", path);
        }
        await Done(pool.Driver.Remove(Db, everything, default));
        Assert.DoesNotContain("/db", await pool.Datasets(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_ledger_that_came_back_from_a_backup_destroys_no_newer_data()
    {
        await using var pool = await Pool();
        var ledger = Path.Combine(pool.Pool, "volumes", "db", "ledger.json");
        await Take(pool, "s1");
        var old = await File.ReadAllBytesAsync(ledger);
        await Done(pool.Driver.Promote(Db, new("s1"), new(2), default));
        await Done(pool.Driver.Mount(Db, new(2), default));
        pool.Write(Db, "newer", new byte[1000]);
        await Done(pool.Driver.Unmount(Db, default));
        var (contents, now) = (pool.Contents(Db, new(2)), await File.ReadAllBytesAsync(ledger));
        await File.WriteAllBytesAsync(ledger, old);
        await pool.Restart();
        await pool.Driver.Recover(default);
        Assert.Contains("live-2", (await pool.Driver.Inspect(Db, default))!.ForeignTrace, StringComparison.Ordinal);
        Assert.Contains("live-2", (await pool.Driver.Promote(Db, new("s1"), new(2), default)).Message, StringComparison.Ordinal);
        Assert.Contains("live-2", (await pool.Driver.Promote(Db, new("s1"), new(3), default)).Message, StringComparison.Ordinal);
        Assert.Contains("live-2", (await pool.Driver.Remove(Db, new([], true, new(9), true), default)).Message, StringComparison.Ordinal);
        await Done(pool.Driver.Remove(Db, new([], true, new(9), false), default));
        await File.WriteAllBytesAsync(ledger, now);
        await Done(pool.Driver.Mount(Db, new(2), default));
        Assert.Equal(contents, pool.Contents(Db, new(2)));
    }

    [Fact]
    public async Task A_crash_before_the_mark_of_an_attempt_is_gone_leaves_no_mark_behind()
    {
        await using var pool = await Pool();
        await Zfs(pool, "set", "drover:attempt=1", $"{pool.Dataset}/volumes/db/live-1");
        await Done(pool.Driver.Mount(Db, new(1), default));
        Assert.Equal("-", await Zfs(pool, "get", "-H", "-o", "value", "drover:attempt", $"{pool.Dataset}/volumes/db/live-1"));
        await Zfs(pool, "set", "drover:attempt=1", $"{pool.Dataset}/volumes/db/live-1");
        await pool.Driver.Recover(default);
        Assert.Equal("-", await Zfs(pool, "get", "-H", "-o", "value", "drover:attempt", $"{pool.Dataset}/volumes/db/live-1"));
    }

    [Fact]
    public async Task What_is_received_does_not_go_into_the_grave_of_an_older_volume()
    {
        await using var pool = await Pool();
        await Take(pool, "s1");
        var snapshot = $"{pool.Dataset}/volumes/db/live-1@s1";
        var guid = ulong.Parse(await Zfs(pool, "get", "-Hp", "-o", "value", "guid", snapshot), null);
        await using (var incoming = await Incoming(pool, guid, "send", snapshot))
        {
            Assert.False((await pool.Driver.Remove(Other, new([], true, new(9), true), default)).Ok);
            await incoming.Accept(default);
        }
        // A removal that was cut short by a crash after its commit.
        Directory.Delete(Path.Combine(pool.Pool, "volumes", "other", "incoming"));
        Directory.Move(Path.Combine(pool.Pool, "volumes", "other"), Path.Combine(pool.Pool, "removed", $"other.{new string('a', 32)}"));
        await using (var incoming = await Incoming(pool, guid, "send", snapshot))
        {
            Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(pool.Pool, "removed")));
            await incoming.Accept(default);
        }
        await pool.Restart();
        await pool.Driver.Recover(default);
        Assert.Equal("s1", Assert.Single((await pool.Driver.Inspect(Other, default))!.Snapshots).Name.Value);
        // The same while one arrives.
        var (grave, folder) = (Path.Combine(pool.Pool, "removed", $"other.{new string('b', 32)}"), Path.Combine(pool.Pool, "volumes", "other"));
        await using var late = await Incoming(pool, guid, "send", snapshot, "s2");
        Directory.Move(folder, grave);
        Assert.Contains("was removed", (await Assert.ThrowsAsync<IOException>(() => late.Accept(default))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_another_tool_takes_snapshots_between_a_difference_asks_for_everything_and_leaves_no_clone()
    {
        await using var pool = await Pool();
        await Take(pool, "s1");
        await Take(pool, "s2");
        var stream = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        await pool.Driver.Send(Db, new("s2"), new("s1"), StreamFormat.ZfsSend1, stream.Writer, default);
        await Done(pool.Driver.Remove(Db, new([new("s2")], false, Epoch.None, false), default));
        var before = await pool.Datasets();
        var snapshots = new SnapshotsBetween(pool.Commands);
        var driver = new ZfsDriver(pool.Pool, pool.MountRoot, snapshots, new SeededChance(5), TimeProvider.System);
        await driver.Recover(default);
        await Assert.ThrowsAsync<BaseUnusable>(() => driver.Receive(Db, new("s2"), new("s1"), StreamFormat.ZfsSend1, stream.Reader, default));
        // All that is left is what the other tool made.
        var clone = snapshots.Taken!.Split('@')[0];
        await Zfs(pool, "destroy", snapshots.Taken);
        await driver.Recover(default);
        Assert.DoesNotContain(clone, await pool.Datasets(), StringComparison.Ordinal);
        Assert.Equal(before, await pool.Datasets());
    }

    /// <summary>Another tool takes a snapshot of each dataset that is about to take over others.</summary>
    private sealed class SnapshotsBetween(IHostCommands real) : IHostCommands
    {
        public string? Taken { get; private set; }

        public async Task<CommandResult> Run(HostCommand command, CancellationToken cancel)
        {
            if (command.Arguments is ["promote", var dataset] && Taken is null) (await real.Run(new("zfs", ["snapshot", Taken = $"{dataset}@s1"]), cancel)).Require(command);
            return await real.Run(command, cancel);
        }

        public IRunningCommand Start(HostCommand command) => real.Start(command);
    }

    [Fact]
    public async Task What_a_pool_is_set_to_reaches_its_volumes_again_after_somebody_changed_it()
    {
        await using var pool = await Pool();
        Task<string> Live(string property) => Zfs(pool, "get", "-H", "-o", "value", property, $"{pool.Dataset}/volumes/db/live-1");
        Assert.Equal("false", await Live("com.sun:auto-snapshot"));
        await Zfs(pool, "set", "snapdir=visible", $"{pool.Dataset}/volumes");
        await Zfs(pool, "set", "com.sun:auto-snapshot=true", $"{pool.Dataset}/volumes");
        await pool.Driver.Recover(default);
        Assert.Equal(("hidden", "false"), (await Live("snapdir"), await Live("com.sun:auto-snapshot")));
    }

    private static async Task<string> Zfs(ZfsPool pool, params string[] arguments) => (await pool.Commands.Run(new("zfs", arguments), default)).Require(new("zfs", arguments)).Trim();

    /// <summary>Receives what such a command writes, under the head of a snapshot.</summary>
    private static async Task<IIncoming> Incoming(ZfsPool pool, ulong guid, string verb, string snapshot, string name = "s1", params string[] flags)
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        var stream = new ZfsStreamWriter(pipe.Writer);
        stream.Header(new(ZfsSnapshot.IdentityOf(guid), guid, null, 0));
        await using (var sending = pool.Commands.Start(new("zfs", [verb, .. flags, snapshot])))
        {
            sending.Input.Close();
            while (await stream.Piece(sending.Output, default) > 0) { }
            Assert.True((await sending.Exited(default)).Ok);
        }
        stream.End();
        await pipe.Writer.FlushAsync();
        await pipe.Writer.CompleteAsync();
        return await pool.Driver.Receive(Other, new(name), null, StreamFormat.ZfsSend1, pipe.Reader, default);
    }

    /// <summary>Why it is not received; null: it is.</summary>
    private static async Task<string?> Received(ZfsPool pool, ulong guid, params string[] send)
    {
        try { await using var incoming = await Incoming(pool, guid, send[0], send[^1], flags: send[1..^1]); return null; }
        catch (InvalidDataException e) { return e.Message; }
    }
}
