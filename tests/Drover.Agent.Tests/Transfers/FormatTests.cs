using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

public sealed class FormatTests
{
    private static readonly StreamFormat Btrfs = StreamFormat.BtrfsSend1, Tree = StreamFormat.Tree1, Other = new("zfs-send-1");

    [Fact]
    public async Task Unlike_drivers_use_the_first_format_of_the_sender_that_both_know_also_after_a_cut()
    {
        // The fake's stream begins with its format's name, and the fake refuses a stream of another than it was told.
        await using var pair = await TransferPair.Open(null, [Other, Tree], [Btrfs, Tree]);
        await using var proxy = Drover.Testing.Transfers.CuttingProxy.Open(pair.Port, 1_000_000);
        pair.Source.Write(TransferPair.Db, "big", new byte[3_000_000]);
        pair.Port = proxy.Port;
        Assert.Equal(1, (await pair.Send(pair.Round("s1"))).Redials);
        pair.Source.Write(TransferPair.Db, "b", [1]);
        Assert.InRange((await pair.Send(pair.Round("s2", "s1"))).Bytes, 1, 1000);
        Assert.True((await pair.Target.Promote(TransferPair.Db, new("s2"), new(2), default)).Ok);
        Assert.Equal(pair.Source.Contents(TransferPair.Db, new(1)), pair.Target.Contents(TransferPair.Db, new(2)));
    }

    [Fact]
    public async Task Drivers_without_a_format_in_common_are_refused_with_what_to_do()
    {
        await using var pair = await TransferPair.Open(null, [Other], [Btrfs, Tree]);
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1")));
        Assert.Equal(StepErrorKind.Operator, failed.Kind);
        Assert.Contains("zfs-send-1", failed.Message, StringComparison.Ordinal);
        Assert.Contains("btrfs-send-1, tree-1", failed.Message, StringComparison.Ordinal);
        Assert.Contains("move to a node", failed.Message, StringComparison.Ordinal);
        Assert.Empty(await pair.Arrived());
    }
}
