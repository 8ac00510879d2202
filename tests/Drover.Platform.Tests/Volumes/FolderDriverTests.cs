using Drover.Agent.Volumes;
using Drover.Conformance;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>The laws of a volume driver on plain folders.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed class FolderDriverTests : VolumeDriverSuite
{
    protected override async Task<IPoolBench> NewPool(long? mebibytes = null) => await FolderPool.Make(mebibytes ?? 512);
}

/// <summary>The same laws where every second pool is of another kind: what one kind sends, the other receives.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed class UnlikeDriversTests : VolumeDriverSuite
{
    private int _pools;

    protected override StreamFormat? Format => StreamFormat.Tree1;
    protected override async Task<IPoolBench> NewPool(long? mebibytes = null) => _pools++ % 2 == 0 ? await LoopPool.Make(mebibytes ?? 512) : await FolderPool.Make(mebibytes ?? 512);
}
