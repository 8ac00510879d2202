using Drover.Agent.Link;
using Drover.Agent.Transfers;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

/// <summary>What the control plane said of revoked peers holds at the next connection, without a restart, from both ends.</summary>
public sealed class RevokedPeerTests
{
    [Theory]
    [InlineData("node2", "node1", true, false)]
    [InlineData("node2", "node1", false, false)]
    [InlineData("node1", "node2", true, false)]
    [InlineData("node1", "node2", false, false)]
    [InlineData("node1", "node3", true, true)]
    public async Task A_revoked_peer_is_refused_by_name_and_by_serial(string knows, string revoked, bool byName, bool passes)
    {
        await using var pair = await TransferPair.Open();
        var folders = new[] { "node1", "node2", "node3" }.ToDictionary(n => n, pair.Cluster.Of);
        pair.SendAs("node1", folders["node1"]);
        // Both ends have read their folders after this: what follows is a change.
        await pair.Sender.Send(pair.Round("first"), "m1", pair.Progress.Enqueue, default);
        new IdentityFiles(folders[knows]).WriteRevoked(byName ? new([], [revoked]) : new([new IdentityFiles(folders[revoked]).ReadNode().SerialNumber], []));
        var round = pair.Sender.Send(pair.Round("second"), "m1", pair.Progress.Enqueue, default);
        if (passes) await round;
        else await Assert.ThrowsAsync<RoundFailed>(() => round);
        Assert.Equal(passes, (await pair.Target.Inspect(TransferPair.Db, default))!.Snapshots.Any(s => s.Name.Value == "second"));
    }
}
