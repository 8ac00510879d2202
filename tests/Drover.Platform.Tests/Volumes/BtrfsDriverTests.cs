using Drover.Conformance;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>The laws of a volume driver on real btrfs.</summary>
[Trait("needs", "root")]
public sealed class BtrfsDriverTests : VolumeDriverSuite
{
    protected override async Task<IPoolBench> NewPool() => await LoopPool.Make();
}
