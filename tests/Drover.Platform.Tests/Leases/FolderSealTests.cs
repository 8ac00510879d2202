using Drover.Agent.Guard;
using Drover.Agent.Host;
using Drover.Agent.Volumes;
using Drover.Core;
using Drover.Platform.Tests.Volumes;
using Xunit;

namespace Drover.Platform.Tests.Leases;

/// <summary>Plain folders have no flag against writes: the guard takes writing from their mounts.</summary>
[Collection("pools"), Trait("needs", "root")]
public sealed class FolderSealTests
{
    [Fact]
    public async Task What_the_guard_sealed_takes_no_writes_until_it_is_mounted_anew()
    {
        var data = new VolumeName("data");
        await using var pool = await FolderPool.Make(64);
        await pool.Driver.Recover(default);
        Assert.True((await pool.Driver.CreateEmpty(data, new(1), default)).Ok);
        Assert.True((await pool.Driver.Mount(data, new(1), default)).Ok);
        pool.Write(data, "file", [1]);
        var hands = new GuardHands(new BootClock());
        Assert.True(hands.Seal(pool.Driver.SealPath(data, new(1))!));
        Assert.Throws<IOException>(() => pool.Write(data, "file", [2]));
        Assert.True(await pool.Driver.Inspect(data, default) is { HasLive: true, Mounted: false });
        Assert.True((await pool.Driver.Mount(data, new(1), default)).Ok);
        pool.Write(data, "file", [3]);
        Assert.True(await pool.Driver.Inspect(data, default) is { Mounted: true });
    }

    [Fact]
    public async Task A_hung_mount_of_somebody_else_holds_no_seal_up()
    {
        var data = new VolumeName("data");
        await using var pool = await FolderPool.Make(64);
        await pool.Driver.Recover(default);
        Assert.True((await pool.Driver.CreateEmpty(data, new(1), default)).Ok);
        Assert.True((await pool.Driver.Mount(data, new(1), default)).Ok);
        pool.Write(data, "file", [1]);
        using var hung = new HungMount();
        var looks = Task.Run(() => Native.PlaceOf(hung.At));
        var seals = Task.Run(() => new GuardHands(new BootClock()).Seal(pool.Driver.SealPath(data, new(1))!));
        // Whichever is first: one that looks at the mount never comes back, so no time is measured. A minute only makes a hang a failure.
        Assert.Same(seals, await Task.WhenAny(seals, looks, Task.Delay(TimeSpan.FromMinutes(1), TimeProvider.System)));
        Assert.True(await seals);
        Assert.False(looks.IsCompleted);
        Assert.Throws<IOException>(() => pool.Write(data, "file", [2]));
        hung.LetGo();
        await looks;
    }
}
