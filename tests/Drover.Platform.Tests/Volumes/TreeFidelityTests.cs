using System.IO.Pipelines;
using System.Text;
using System.Text.RegularExpressions;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Trees;
using Drover.Conformance;
using Drover.Core;
using Xunit;

#pragma warning disable RS0030 // one test needs a process of its own

namespace Drover.Platform.Tests.Volumes;

/// <summary>Everything a filesystem can hold arrives as it was, between all kinds of drivers, whole and as a difference. What arrived is compared by other programs.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed partial class TreeFidelityTests
{
    private static readonly VolumeName Db = new("db");

    private const string Make = """
        mkdir -p dir/sub empty 'with space' gone/deep; chmod 1777 empty; chmod 750 dir
        echo one > dir/file; chmod 4711 dir/file; chown 12345:54321 dir/file; touch -d '2001-02-03 04:05:06.123456789' dir/file
        head -c 300000 /dev/urandom > big; cp big same; ln big second; ln big dir/third
        truncate -s 100M sparse; echo middle | dd of=sparse bs=1M seek=50 conv=notrunc status=none
        ln -s dir/file link; ln -s /nowhere/at/all dangling; chown -h 7:8 link; touch -h -d '2002-02-02' link; ln dangling dangling2
        mkfifo fifo; mknod null c 1 3; mknod disk b 7 200; chmod 640 null
        touch -- "$(printf 'no\377utf8')" "$(printf 'new\nline')" '-dash' '*'; : > zero
        for i in $(seq 300); do echo $i > gone/deep/$i; done
        python3 -c 'import socket; s=socket.socket(socket.AF_UNIX); s.bind("sock")'
        python3 -c 'import os; os.setxattr("big","user.colour",b"red\0green"); os.setxattr("dir","user.kind",b"folder"); os.setxattr("dir/file","security.capability",bytes.fromhex("0100000202000000000000000000000000000000"))'
        touch -d '2003-03-03' dir
        """;

    private const string Change = """
        printf X | dd of=big bs=1 seek=200000 conv=notrunc status=none
        rm second; cp same second; ln same again
        truncate -s 60M sparse; fallocate -p -o 50M -l 1M sparse 2> /dev/null || dd if=/dev/zero of=sparse bs=1M seek=50 count=1 conv=notrunc status=none; echo end | dd of=sparse bs=1M seek=55 conv=notrunc status=none
        rm -r gone; echo 'now a file' > gone; rm fifo; mkdir fifo; echo in > fifo/in; rm link; ln -s elsewhere link; rm null; mknod null c 1 5
        chmod 700 dir/sub; chown 1:1 same; touch -d '1999-09-09' zero; mv empty moved; mv dir/third third
        python3 -c 'import os; os.removexattr("big","user.colour"); os.setxattr("dir","user.kind",b"other"); os.setxattr("zero","user.new",b"")'
        echo appended >> dir/file; rm sock; rm "$(printf 'no\377utf8')"
        head -c 131072 /dev/zero > zeros; head -c 131073 /dev/urandom > edge; rm dangling
        """;

    /// <summary>Of every entry all that `find` can tell, then contents and attributes.</summary>
    private const string Look = """
        find . -type d -printf '%P|%y|%m|%U|%G|%T@\0' -o -printf '%P|%y|%m|%U|%G|%T@|%n|%l|%s\0' | LC_ALL=C sort -z | tr '\0' '\n'
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
        find . -type b -o -type c | LC_ALL=C sort | xargs stat -c '%n %t %T'
        python3 -c 'import os
        names = {}
        for d, ds, fs in os.walk(b"."):
          for n in fs: names.setdefault(os.lstat(os.path.join(d, n)).st_ino, []).append(os.path.join(d, n))
        print(sorted(sorted(g) for g in names.values() if len(g) > 1))
        for d, ds, fs in sorted(os.walk(b".")):
          for n in sorted(ds + fs) + [b"."]:
            p = os.path.join(d, n)
            print(p, [(a, os.getxattr(p, a, follow_symlinks=False)) for a in sorted(os.listxattr(p, follow_symlinks=False)) if a != "security.selinux"])'
        """;

    [Theory]
    [InlineData("btrfs", "btrfs")]
    [InlineData("btrfs", "directory")]
    [InlineData("directory", "btrfs")]
    [InlineData("directory", "directory")]
    public Task All_arrives_as_it_was(string from, string to) => Arrives(from, to);

    internal static async Task Arrives(string from, string to)
    {
        await using var source = await Pools.Of(from);
        await using var target = await Pools.Of(to);
        await source.Driver.CreateEmpty(Db, new(1), default);
        await source.Driver.Mount(Db, new(1), default);
        var live = Pools.MountOf(source, Db);
        await Shell(live, Make);
        await Bring(source, target, "s1", null, 2);
        await Same(live, target);
        await Shell(live, Change);
        await Bring(source, target, "s2", "s1", 3);
        await Same(live, target);
        await Bring(source, target, "s3", "s2", 4);
        await Same(live, target);
    }

    [Fact]
    public async Task A_difference_carries_only_the_blocks_that_changed()
    {
        foreach (var kind in new[] { "btrfs", "directory" })
        {
            await using var pool = await Pools.Of(kind);
            await pool.Driver.CreateEmpty(Db, new(1), default);
            await pool.Driver.Mount(Db, new(1), default);
            await Shell(Pools.MountOf(pool, Db), "head -c 50000000 /dev/urandom > big; for i in $(seq 1000); do echo $i > f$i; done");
            Assert.True((await pool.Driver.Snapshot(Db, new("s1"), new(1), default)).Ok);
            await Shell(Pools.MountOf(pool, Db), "printf X | dd of=big bs=1 seek=30000000 conv=notrunc status=none");
            Assert.True((await pool.Driver.Snapshot(Db, new("s2"), new(1), default)).Ok);
            Assert.InRange((await Stream(pool, "s2", "s1")).Length, 128 * 1024, 140 * 1024);
        }
    }

    [Fact]
    public async Task Unchanged_files_take_no_second_room_in_folders()
    {
        await using var pool = await Pools.Of("directory");
        await pool.Driver.CreateEmpty(Db, new(1), default);
        await pool.Driver.Mount(Db, new(1), default);
        await Shell(Pools.MountOf(pool, Db), "head -c 50000000 /dev/urandom > big");
        await pool.Driver.Snapshot(Db, new("s1"), new(1), default);
        var before = (await pool.Driver.Space(default)).Free.Bytes;
        await Shell(Pools.MountOf(pool, Db), "echo little > little");
        for (var i = 2; i < 6; i++) await pool.Driver.Snapshot(Db, new($"s{i}"), new(1), default);
        Assert.InRange(before - (await pool.Driver.Space(default)).Free.Bytes, 0, 1_000_000);
    }

    [Fact]
    public async Task A_volume_of_folders_is_not_sealed_while_a_container_has_it()
    {
        await using var pool = await Pools.Of("directory");
        await pool.Driver.CreateEmpty(Db, new(1), default);
        await pool.Driver.Mount(Db, new(1), default);
        var mount = Pools.MountOf(pool, Db);
        // A mount namespace of its own with another root, as a container's; it opens nothing for writing yet, but could at any time.
        var script = $"mkdir -p /tmp/root.$$ && mount -t tmpfs none /tmp/root.$$ && cd /tmp/root.$$ && mkdir data old usr bin lib lib64 proc && mount --bind {mount} data && mount --rbind /usr usr && "
            + "for d in bin lib lib64; do rmdir $d; ln -s usr/$d $d; done && pivot_root . old && cd / && echo ready && read -r _";
        var start = new System.Diagnostics.ProcessStartInfo("unshare", ["-m", "--propagation", "private", "bash", "-c", script]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        using var container = System.Diagnostics.Process.Start(start)!;
        Assert.Equal("ready", await container.StandardOutput.ReadLineAsync());
        Assert.True((await pool.Driver.Unmount(Db, default)).Ok);
        var refused = await pool.Driver.Seal(Db, true, new(1), default);
        Assert.Equal(VolumeOutcomeKind.Busy, refused.Kind);
        Assert.Contains("bash", refused.Message, StringComparison.Ordinal);
        Assert.False((await pool.Driver.Inspect(Db, default))!.Sealed);
        Directory.Delete($"/tmp/root.{container.Id}");
        container.StandardInput.Close();
        await container.WaitForExitAsync();
        Assert.True((await pool.Driver.Seal(Db, true, new(1), default)).Ok);
    }

    [Fact]
    public async Task Folders_on_a_filesystem_that_shares_blocks_share_them()
    {
        await using var pool = await FolderPool.Make(filesystem: "btrfs");
        await pool.Driver.Recover(default);
        await pool.Driver.CreateEmpty(Db, new(1), default);
        await pool.Driver.Mount(Db, new(1), default);
        await Shell(Pools.MountOf(pool, Db), "head -c 60000000 /dev/urandom > big");
        await pool.Driver.Snapshot(Db, new("s1"), new(1), default);
        await pool.Driver.Sync(default);
        var before = (await pool.Driver.Space(default)).Free.Bytes;
        Assert.True((await pool.Driver.Promote(Db, new("s1"), new(2), default)).Ok);
        Assert.InRange(before - (await pool.Driver.Space(default)).Free.Bytes, 0, 10_000_000);
        Assert.Equal(pool.Contents(Db, new(1)), pool.Contents(Db, new(2)));
    }

    [Theory]
    [InlineData("/nowhere/at/all", "does not exist")]
    [InlineData("/proc/1", "cannot hold volumes")]
    public async Task A_folder_that_cannot_hold_volumes_is_refused_with_what_to_do(string pool, string words)
    {
        var driver = new Drover.Agent.Volumes.Folders.FolderDriver(pool, "/flocker", new Drover.Testing.SeededChance(1));
        var failed = await Assert.ThrowsAsync<InvalidOperationException>(() => driver.Recover(default));
        Assert.Contains(words, failed.Message, StringComparison.Ordinal);
    }

    private static async Task Bring(IPoolBench source, IPoolBench target, string snapshot, string? basis, long epoch)
    {
        Assert.True((await source.Driver.Snapshot(Db, new(snapshot), new(1), default)).Ok);
        var stream = await Stream(source, snapshot, basis);
        SnapshotName? from = basis is null ? null : new(basis);
        await using (var incoming = await target.Driver.Receive(Db, new(snapshot), from, StreamFormat.Tree1, PipeReader.Create(new(stream)), default)) await incoming.Accept(default);
        var promoted = await target.Driver.Promote(Db, new(snapshot), new(epoch), default);
        Assert.True(promoted.Ok, promoted.Message);
        Assert.True((await target.Driver.Mount(Db, new(epoch), default)).Ok);
    }

    private static async Task<byte[]> Stream(IPoolBench pool, string snapshot, string? basis)
    {
        var pipe = new Pipe();
        var sending = pool.Driver.Send(Db, new(snapshot), basis is null ? null : new(basis), StreamFormat.Tree1, pipe.Writer, default);
        var bytes = new MemoryStream();
        await pipe.Reader.CopyToAsync(bytes);
        await sending;
        return bytes.ToArray();
    }

    private static async Task Same(string live, IPoolBench target)
    {
        var (there, here) = (await Shell(live, Look), await Shell(Pools.MountOf(target, Db), Look));
        // zfs-fuse takes whole seconds only.
        if (target is ZfsPool) (there, here) = (Fraction().Replace(there, ""), Fraction().Replace(here, ""));
        Assert.True(there.Length > 1000);
        Assert.Equal(there, here);
        Assert.InRange(TreeSize.Of(Pools.MountOf(target, Db)), 1, 5_000_000);
    }

    [GeneratedRegex(@"(?<=\|\d+)\.\d{10}")]
    private static partial Regex Fraction();

    private static Task<string> Shell(string folder, string script) => LoopPool.Run("bash", "-c", $"set -eu -o pipefail; cd {folder}\n{script}");
}
