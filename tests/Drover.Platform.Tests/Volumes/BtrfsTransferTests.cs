using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Transfers;
using Xunit;

#pragma warning disable RS0030 // one test needs a process of its own

namespace Drover.Platform.Tests.Volumes;

/// <summary>Rounds between real pools over TLS, and what only real btrfs can get wrong.</summary>
// One after the other: a process being started by one test holds, until it execs, the files that another has open, and so keeps its volume busy.
[Collection("pools")]
[Trait("needs", "root")]
public sealed class BtrfsTransferTests(ITestOutputHelper output)
{
    private static readonly VolumeName Db = BtrfsPair.Db;

    private static byte[] Noise(int bytes, int seed)
    {
        var noise = new byte[bytes];
        var chance = new SeededChance(seed);
        for (var i = 0; i + 16 <= bytes; i += 16) chance.NewGuid().TryWriteBytes(noise.AsSpan(i));
        return noise;
    }

    [Fact]
    public async Task Seed_rounds_and_a_final_one_bring_the_same_contents()
    {
        await using var pair = await BtrfsPair.Open();
        pair.Source.Write(Db, "big", Noise(50_000_000, 1));
        await pair.Send("s1");
        pair.Source.Write(Db, "dir/b", Noise(100_000, 2));
        await pair.Send("s2", "s1");
        pair.Source.Delete(Db, "dir/b");
        pair.Source.Write(Db, "c", Noise(100_000, 3));
        var final = await pair.Send("s3", "s2", final: true);
        var time = TimeProvider.System;
        var began = time.GetTimestamp();
        Assert.True((await pair.Target.Driver.Promote(Db, new("s3"), new(2), default)).Ok);
        var promoted = time.GetElapsedTime(began);
        Assert.True((await pair.Target.Driver.Mount(Db, new(2), default)).Ok);
        output.WriteLine($"final round: {final.ElapsedUs / 1000.0} ms (seal and snapshot {final.SnapshotUs / 1000.0}, send {final.SendUs / 1000.0}, of it sync {final.SyncUs / 1000.0}); promote {promoted.TotalMilliseconds}, with mount {time.GetElapsedTime(began).TotalMilliseconds} ms");
        Assert.Equal(pair.Source.Contents(Db, new(1)), pair.Target.Contents(Db, new(2)));
        Assert.InRange(final.Bytes, 100_000, 300_000);
    }

    /// <summary>What `btrfs subvolume snapshot -r` of a received subvolume leaves, or a flag set by hand: another subvolume says that it is the base. btrfs looks bases up by that alone.</summary>
    [Fact]
    public async Task A_stale_received_uuid_never_stands_in_for_the_base()
    {
        await using var pair = await BtrfsPair.Open();
        pair.Source.Write(Db, "a", Noise(1_000_000, 1));
        pair.Source.Write(Db, "b", Noise(1_000_000, 2));
        await pair.Send("s1");
        var received = $"{pair.Target.Pool}/volumes/db/snapshots/s1/data";
        var original = Agent.Volumes.Btrfs.Subvolume.Find(received)!.Value.Original;
        // Several, before and after it in whatever order they are looked up; each with other contents.
        foreach (var twin in new[] { "twin1", "twin2", "twin3" })
        {
            Agent.Volumes.Btrfs.Subvolume.Snapshot(received, pair.Target.Pool, twin, isReadOnly: false);
            File.WriteAllText($"{pair.Target.Pool}/{twin}/a", "stale");
            Agent.Volumes.Btrfs.Subvolume.SetReceivedUuid($"{pair.Target.Pool}/{twin}", original);
            Agent.Volumes.Btrfs.Subvolume.SetReadOnly($"{pair.Target.Pool}/{twin}", true);
        }
        for (var round = 2; round <= 5; round++)
        {
            pair.Source.Write(Db, $"new{round}", Noise(10_000, round));
            await pair.Send($"s{round}", $"s{round - 1}");
        }
        Assert.True((await pair.Target.Driver.Promote(Db, new("s5"), new(2), default)).Ok);
        Assert.Equal(pair.Source.Contents(Db, new(1)), pair.Target.Contents(Db, new(2)));
        // And what was promoted and snapshotted there has an identity of its own: it is no twin of what came.
        Assert.True((await pair.Target.Driver.Mount(Db, new(2), default)).Ok);
        pair.Target.Write(Db, "there", Noise(10_000, 9));
        var taken = await pair.Target.Driver.Snapshot(Db, new("back"), new(2), default);
        Assert.NotEqual(original.ToString(), taken.Value!.Identity);
        Assert.Equal(Guid.Empty, Agent.Volumes.Btrfs.Subvolume.Find($"{pair.Target.Pool}/volumes/db/snapshots/back/data")!.Value.ReceivedUuid);
    }

    [Fact]
    public async Task A_killed_send_fails_the_round_clearly_and_leaves_nothing()
    {
        var killer = new KillingCommands();
        await using var pair = await BtrfsPair.Open(sourceCommands: killer);
        pair.Source.Write(Db, "big", Noise(20_000_000, 1));
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => pair.Send("s1"));
        Assert.Contains("btrfs send", failed.Message, StringComparison.Ordinal);
        Assert.Null(await pair.Target.Driver.Inspect(Db, default));
        await pair.Send("s1");
        Assert.True((await pair.Target.Driver.Promote(Db, new("s1"), new(2), default)).Ok);
        Assert.Equal(pair.Source.Contents(Db, new(1)), pair.Target.Contents(Db, new(2)));
    }

    [Theory]
    [InlineData(10), InlineData(50), InlineData(90)]
    public async Task A_cut_on_the_way_sends_at_most_a_tenth_again(int percent)
    {
        const int size = 120_000_000;
        await using var pair = await BtrfsPair.Open();
        for (var i = 0; i < 4; i++) pair.Source.Write(Db, $"f{i}", Noise(size / 4, i));
        await using var proxy = CuttingProxy.Open(pair.Port, (long)size * percent / 100);
        pair.Port = proxy.Port;
        var outcome = await pair.Send("s1");
        output.WriteLine($"cut at {percent} %: {outcome.Bytes} bytes, {outcome.ResentBytes} sent again, {outcome.WireBytes} on the wire");
        Assert.Equal(1, outcome.Redials);
        Assert.InRange(outcome.ResentBytes, 0, outcome.Bytes / 10);
        Assert.True((await pair.Target.Driver.Promote(Db, new("s1"), new(2), default)).Ok);
        Assert.Equal(pair.Source.Contents(Db, new(1)), pair.Target.Contents(Db, new(2)));
    }

    /// <summary>Also for a difference: the second time `btrfs send` runs, it makes the same stream, and what the target has is not sent.</summary>
    [Theory]
    [InlineData(false), InlineData(true)]
    public async Task A_sender_that_started_again_compares_and_goes_on(bool difference)
    {
        const int size = 60_000_000;
        await using var pair = await BtrfsPair.Open();
        pair.Source.Write(Db, "a", Noise(1_000_000, 1));
        if (difference) await pair.Send("s0");
        pair.Source.Write(Db, "b", Noise(size, 2));
        var straight = pair.Port;
        await using (var proxy = CuttingProxy.OpenOnce(pair.Port, size * 9 / 10))
        {
            pair.Port = proxy.Port;
            using var stop = new CancellationTokenSource();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pair.Send("s1", difference ? "s0" : "",
                progress: p => { if (p.Doing.Contains("dialling again", StringComparison.Ordinal)) stop.Cancel(); }, cancel: stop.Token));
        }
        pair.Port = straight;
        // What is written beside it meanwhile changes nothing in the stream of a snapshot.
        pair.Source.Write(Db, "c", Noise(5_000_000, 3));
        pair.RestartSource();
        var outcome = await pair.Send("s1", difference ? "s0" : "");
        output.WriteLine($"{outcome.Bytes} bytes, {outcome.ResumedBytes} were there, {outcome.WireBytes} on the wire");
        Assert.InRange(outcome.ResumedBytes, size / 2, size);
        Assert.InRange(outcome.WireBytes, 1, outcome.Bytes - outcome.ResumedBytes + 100_000);
        await pair.Send("s2", "s1");
        Assert.True((await pair.Target.Driver.Promote(Db, new("s2"), new(2), default)).Ok);
        Assert.Equal(pair.Source.Contents(Db, new(1)), pair.Target.Contents(Db, new(2)));
    }

    [Fact]
    public async Task A_target_pool_that_is_too_small_stops_the_receive_before_it_is_full_and_stays_usable()
    {
        await using var pair = await BtrfsPair.Open(mebibytes: 900, targetMebibytes: 300);
        for (var i = 0; i < 4; i++) pair.Source.Write(Db, $"f{i}", Noise(100_000_000, i));
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => pair.Send("s1"));
        Assert.Equal(StepErrorKind.Operator, failed.Kind);
        Assert.Contains("kept in reserve", failed.Message, StringComparison.Ordinal);
        Assert.Null(await pair.Target.Driver.Inspect(Db, default));
        // What arrived is gone, and its space comes back when btrfs has cleaned up: something smaller has its place.
        await LoopPool.Run("btrfs", "subvolume", "sync", pair.Target.Pool);
        for (var i = 0; i < 3; i++) pair.Source.Delete(Db, $"f{i}");
        await pair.Send("s2");
        Assert.True((await pair.Target.Driver.Promote(Db, new("s2"), new(2), default)).Ok);
        Assert.Equal(pair.Source.Contents(Db, new(1)), pair.Target.Contents(Db, new(2)));
    }

    [Fact]
    public async Task A_volume_with_a_subvolume_inside_is_refused_not_copied_without_it()
    {
        await using var pool = await LoopPool.Make();
        await pool.Driver.Recover(default);
        await pool.Driver.CreateEmpty(Db, new(1), default);
        await pool.Driver.Mount(Db, new(1), default);
        await LoopPool.Run("btrfs", "subvolume", "create", Path.Combine(pool.MountRoot, "db", "inner"));
        var outcome = await pool.Driver.Snapshot(Db, new("s1"), new(1), default);
        Assert.Equal(VolumeOutcomeKind.Conflict, outcome.Kind);
        Assert.Contains("subvolume", outcome.Message, StringComparison.Ordinal);
        Assert.True((await pool.Driver.Remove(Db, new([], false, Epoch.None, true), default)).Ok);
        Assert.Null(await pool.Driver.Inspect(Db, default));
    }

    [Fact]
    public async Task A_writer_in_a_container_keeps_the_seal_away_after_the_host_unmounted()
    {
        await using var pool = await LoopPool.Make();
        await pool.Driver.Recover(default);
        await pool.Driver.CreateEmpty(Db, new(1), default);
        await pool.Driver.Mount(Db, new(1), default);
        var file = Path.Combine(pool.MountRoot, "db", "log");
        // A mount namespace of its own, as a container's, with a file open for writing; it says so when it has it, and ends when its input does.
        var start = new System.Diagnostics.ProcessStartInfo("unshare", ["-m", "--propagation", "private", "bash", "-c", $"exec 3>>{file}; echo open; read -r _"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        using var container = System.Diagnostics.Process.Start(start)!;
        Assert.Equal("open", await container.StandardOutput.ReadLineAsync());
        Assert.True((await pool.Driver.Unmount(Db, default)).Ok);
        var outcome = await pool.Driver.Seal(Db, true, new(1), default);
        Assert.Equal(VolumeOutcomeKind.Busy, outcome.Kind);
        Assert.Contains("bash", outcome.Message, StringComparison.Ordinal);
        container.StandardInput.Close();
        await container.WaitForExitAsync();
        Assert.True((await pool.Driver.Seal(Db, true, new(1), default)).Ok);
    }

    [Fact]
    public async Task A_pool_that_is_none_is_refused_with_what_to_do()
    {
        using var folder = new TemporaryFolder();
        var driver = new Drover.Agent.Volumes.Btrfs.BtrfsDriver(folder.Path, folder.Path, new Drover.Agent.Host.HostCommands(), new SeededChance(1), TimeProvider.System);
        var failed = await Assert.ThrowsAsync<InvalidOperationException>(() => driver.Recover(default));
        Assert.Contains("mount", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Data_without_a_ledger_is_left_alone()
    {
        await using var pool = await LoopPool.Make();
        await pool.Driver.Recover(default);
        await pool.Driver.CreateEmpty(Db, new(1), default);
        await pool.Driver.Mount(Db, new(1), default);
        pool.Write(Db, "a", [1]);
        await pool.Driver.Unmount(Db, default);
        var before = pool.Contents(Db, new(1));
        File.Delete(Path.Combine(pool.Pool, "volumes", "db", "ledger.json"));
        await pool.Restart();
        await pool.Driver.Recover(default);
        Assert.Equal(VolumeOutcomeKind.Conflict, (await pool.Driver.CreateEmpty(Db, new(1), default)).Kind);
        Assert.NotNull((await pool.Driver.Inspect(Db, default))!.ForeignTrace);
        // Not even where everything is to go: an undone move asks for that where it brought the first copy.
        Assert.Equal(VolumeOutcomeKind.Conflict, (await pool.Driver.Remove(Db, new([], Live: true, new(9), Everything: true), default)).Kind);
        Assert.Equal(before, pool.Contents(Db, new(1)));
    }

#if MEASURE // dotnet run -p:DefineConstants=MEASURE: measurements are no tests of right and wrong
    /// <summary>Says where the time of a cutover goes.</summary>
    [Fact]
    public async Task Times_of_the_verbs_of_a_cutover()
    {
        await using var pool = await LoopPool.Make();
        var (driver, time) = (pool.Driver, TimeProvider.System);
        await driver.Recover(default);
        await driver.CreateEmpty(Db, new(1), default);
        for (var i = 0; i < 5; i++)
        {
            await driver.Mount(Db, new(1), default);
            pool.Write(Db, "a", Noise(100_000, i));
            await driver.Sync(default);
            var marks = new List<string>();
            foreach (var (name, verb) in new (string, Func<Task>)[]
            {
                ("unmount", () => driver.Unmount(Db, default)), ("seal", () => driver.Seal(Db, true, new(1), default)),
                ("snapshot", () => driver.Snapshot(Db, new($"s{i}"), new(1), default)), ("unseal", () => driver.Seal(Db, false, new(1), default)),
                ("promote", () => driver.Promote(Db, new($"s{i}"), new(1), default)), ("mount", () => driver.Mount(Db, new(1), default)),
            })
            {
                var began = time.GetTimestamp();
                await verb();
                marks.Add($"{name} {time.GetElapsedTime(began).TotalMilliseconds:F1}");
            }
            output.WriteLine(string.Join(", ", marks) + " ms");
        }
    }

    /// <summary>Says how fast it goes here, beside a bare pipe between the same programs: three times each, in turn.</summary>
    [Fact]
    public async Task Rate_of_one_gibibyte()
    {
        await using var pair = await BtrfsPair.Open(mebibytes: 6000);
        for (var i = 0; i < 16; i++) pair.Source.Write(Db, $"f{i}", Noise(64 << 20, i));
        await pair.Source.Driver.Sync(default);
        var time = TimeProvider.System;
        var (ours, bares) = (new List<double>(), new List<double>());
        for (var n = 0; n < 3; n++)
        {
            var cpu = Environment.CpuUsage;
            var round = await pair.Send($"s{n}");
            var used = (User: Environment.CpuUsage.UserTime - cpu.UserTime, Kernel: Environment.CpuUsage.PrivilegedTime - cpu.PrivilegedTime);
            ours.Add(round.Bytes * 1e6 / round.ElapsedUs);
            Assert.True(round.Bytes > 1L << 30);
            output.WriteLine($"over TLS: {round.Bytes} bytes in {round.ElapsedUs / 1000} ms ({ours[^1] / 1e6:F0} MB/s), of it sync {round.SyncUs / 1000} ms; processor of both agents {used.User.TotalMilliseconds:F0} + {used.Kernel.TotalMilliseconds:F0} ms");
            if (n < 2) Assert.True((await pair.Target.Driver.Remove(Db, new([], false, Epoch.None, true), default)).Ok);
            await pair.Target.Driver.Sync(default);
            var into = Path.Combine(pair.Target.Pool, $"bare{n}");
            Directory.CreateDirectory(into);
            var began = time.GetTimestamp();
            await LoopPool.Run("bash", "-c", $"set -o pipefail; btrfs send -q --proto 2 {pair.Source.Pool}/volumes/db/snapshots/s{n}/data | btrfs receive -q {into}; btrfs filesystem sync {into}");
            bares.Add(round.Bytes / time.GetElapsedTime(began).TotalSeconds);
            output.WriteLine($"bare pipe with sync: {time.GetElapsedTime(began).TotalMilliseconds:F0} ms ({bares[^1] / 1e6:F0} MB/s)");
            await LoopPool.Run("btrfs", "subvolume", "delete", "-c", Path.Combine(into, "data"));
            await LoopPool.Run("btrfs", "subvolume", "sync", pair.Target.Pool);
        }
        output.WriteLine($"median over TLS {ours.Order().ElementAt(1) / 1e6:F0} MB/s, bare {bares.Order().ElementAt(1) / 1e6:F0} MB/s, ratio {ours.Order().ElementAt(1) / bares.Order().ElementAt(1):F2}");
    }
#endif
}
