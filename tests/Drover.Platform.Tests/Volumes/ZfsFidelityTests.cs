using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>The fidelity of trees, to and from ZFS.</summary>
[Collection("pools")]
[Trait("needs", "root"), Trait("pool", "zfs")]
public sealed class ZfsFidelityTests
{
    [Theory]
    [InlineData("zfs", "btrfs")]
    [InlineData("btrfs", "zfs")]
    [InlineData("zfs", "directory")]
    public Task All_arrives_as_it_was(string from, string to) => TreeFidelityTests.Arrives(from, to);
}
