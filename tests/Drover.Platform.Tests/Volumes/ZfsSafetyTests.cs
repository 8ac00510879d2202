using System.IO.MemoryMappedFiles;
using Drover.Agent.Volumes;
using Drover.Core;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>What must not be lost, and what is not ours to take away.</summary>
[Collection("pools")]
[Trait("needs", "root")]
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
        Assert.Contains("live-1@s2", await pool.Datasets(), StringComparison.Ordinal);
        await Done(pool.Driver.Remove(Db, new([], true, new(9), true), default));
        Assert.DoesNotContain("/db", await pool.Datasets(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_snapshot_has_what_was_written_to_mapped_memory_before_it()
    {
        await using var pool = await Pool();
        pool.Write(Db, "mapped", new byte[64 * 1024]);
        using var file = MemoryMappedFile.CreateFromFile(Path.Combine(pool.MountRoot, "db", "mapped"), FileMode.Open);
        using var memory = file.CreateViewAccessor();
        for (byte round = 1; round <= 3; round++)
        {
            for (var page = 0; page < 16; page++) memory.Write(page * 4096, round);
            await Take(pool, $"s{round}");
            await Done(pool.Driver.Make(new LiveOrder.CloneOf(new($"of{round}"), new(1), Db, new($"s{round}")), default));
            await Done(pool.Driver.Mount(new($"of{round}"), new(1), default));
            var there = await File.ReadAllBytesAsync(Path.Combine(pool.MountRoot, $"of{round}", "mapped"));
            Assert.All(Enumerable.Range(0, 16), page => Assert.Equal(round, there[page * 4096]));
        }
    }
}
