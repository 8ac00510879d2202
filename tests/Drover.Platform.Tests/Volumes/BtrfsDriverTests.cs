using Drover.Agent.Volumes;
using Drover.Conformance;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>The laws of a volume driver on real btrfs.</summary>
// One after the other: a process being started by one test holds, until it execs, the files that another has open, and so keeps its volume busy.
[Collection("pools")]
[Trait("needs", "root")]
public sealed class BtrfsDriverTests : VolumeDriverSuite
{
    protected override async Task<IPoolBench> NewPool(long? mebibytes = null) => await LoopPool.Make(mebibytes ?? 512);
}

/// <summary>The same laws where the pools exchange trees, as unlike drivers do.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed class BtrfsTreeTests : VolumeDriverSuite
{
    protected override StreamFormat? Format => StreamFormat.Tree1;
    protected override async Task<IPoolBench> NewPool(long? mebibytes = null) => await LoopPool.Make(mebibytes ?? 512);
}

/// <summary>The same laws where live data is made ready before its last difference comes.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed class BtrfsAheadTests : VolumeDriverSuite
{
    protected override async Task<IPoolBench> NewPool(long? mebibytes = null) => await AheadPool.Make(mebibytes ?? 512);
}
