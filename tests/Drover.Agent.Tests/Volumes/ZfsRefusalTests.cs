using Drover.Agent.Host;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Zfs;
using Xunit;

namespace Drover.Agent.Tests.Volumes;

/// <summary>What the words of versions old and new come to; and what a pool is set to.</summary>
public sealed class ZfsRefusalTests
{
    private static Exception Of(string words, bool isDifference = true) => ZfsRefusal.Of(new CommandResult(1, "", $"cannot receive {(isDifference ? "incremental" : "new filesystem")} stream: {words}\n"), "db/s2", "/pool", isDifference);

    [Theory]
    [InlineData("destination tank/volumes/db/c-1 has been modified\nsince most recent snapshot")]
    [InlineData("most recent snapshot of tank/volumes/db/c-1 does not\nmatch incremental source")]
    [InlineData("local origin for clone tank/c-1 does not exist")]
    [InlineData("incremental send stream requires -L (--large-block), to match previous receive.")]
    public void What_a_stream_of_everything_cures_asks_for_one(string words)
    {
        Assert.IsType<BaseUnusable>(Of(words));
        // It is one already: to ask again would never end.
        Assert.IsType<InvalidDataException>(Of(words, isDifference: false));
    }

    [Theory]
    [InlineData("pool must be upgraded to receive this stream.")]
    [InlineData("stream has unsupported feature, feature flags = 1400004 (unknown flags = 1000000)")]
    public void What_this_version_cannot_read_says_what_to_do(string words)
    {
        var refused = Assert.IsType<InvalidOperationException>(Of(words));
        Assert.Contains("zpool upgrade", refused.Message, StringComparison.Ordinal);
        Assert.Contains(words, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_full_pool_and_a_damaged_stream_are_told_apart()
    {
        Assert.Contains("make room", Assert.IsType<IOException>(Of("out of space")).Message, StringComparison.Ordinal);
        Assert.IsType<InvalidDataException>(Of("invalid stream (checksum mismatch)"));
    }

    private static IReadOnlyList<string> Missing(params string[] told) => ZfsSettings.Missing(string.Concat(told.Select(t => t.Replace('=', '\t') + "\n")));

    [Fact]
    public void A_pool_is_set_to_what_differs_and_this_version_knows()
    {
        Assert.Equal(["com.sun:auto-snapshot=false"], Missing("type=filesystem", "snapdir=hidden", "readonly=off"));
        Assert.Equal(["snapdir=hidden", "acltype=posixacl", "xattr=on", "readonly=off", "com.sun:auto-snapshot=false"],
            Missing("snapdir=visible", "acltype=off", "xattr=off", "readonly=on", "com.sun:auto-snapshot=true"));
        Assert.Empty(Missing("snapdir=disabled", "acltype=posix", "xattr=sa", "readonly=off", "com.sun:auto-snapshot=false"));
    }
}
