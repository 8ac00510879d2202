using Drover.Agent.Volumes;
using Drover.Conformance;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>The laws of a volume driver on ZFS.</summary>
[Collection("pools")]
[Trait("needs", "root"), Trait("pool", "zfs")]
public sealed class ZfsDriverTests : VolumeDriverSuite
{
    protected override async Task<IPoolBench> NewPool(long? mebibytes = null) => await ZfsPool.Make(mebibytes ?? 512);
}

/// <summary>The same laws where the pools exchange trees.</summary>
[Collection("pools")]
[Trait("needs", "root"), Trait("pool", "zfs")]
public sealed class ZfsTreeTests : VolumeDriverSuite
{
    protected override StreamFormat? Format => StreamFormat.Tree1;
    protected override async Task<IPoolBench> NewPool(long? mebibytes = null) => await ZfsPool.Make(mebibytes ?? 512);
}

/// <summary>The same laws where every second pool is of another kind, btrfs and folders in turn.</summary>
[Collection("pools")]
[Trait("needs", "root"), Trait("pool", "zfs")]
public sealed class ZfsUnlikeTests : VolumeDriverSuite
{
    private int _pools;

    protected override StreamFormat? Format => StreamFormat.Tree1;
    protected override async Task<IPoolBench> NewPool(long? mebibytes = null) => (_pools++ % 4) switch
    {
        1 => await LoopPool.Make(mebibytes ?? 512),
        3 => await FolderPool.Make(mebibytes ?? 512),
        _ => await ZfsPool.Make(mebibytes ?? 512),
    };
}
