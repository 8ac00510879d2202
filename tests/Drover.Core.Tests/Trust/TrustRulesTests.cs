using Drover.Core.Trust;
using Xunit;

namespace Drover.Core.Tests.Trust;

public sealed class TrustRulesTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);

    private static TrustState With(string secret, string? node = null, TrustState? to = null) =>
        TrustRules.AddJoin(to ?? TrustState.Empty, new(Secrets.Hash(secret), node, Now, Now.AddHours(1), null), Now).Next!;

    private static TrustState Joined(TrustState state, string secret, string node, string serial) =>
        TrustRules.WhyNotJoin(state, secret, node, "drover-control", Now) is { } why ? throw new InvalidOperationException(why) : TrustRules.Joined(state, secret, node, new(serial, 1, Now.AddHours(24)), Now);

    [Theory]
    [InlineData("node1", true)]
    [InlineData("Node_1.rack-2", true)]
    [InlineData("9", true)]
    [InlineData("", false)]
    [InlineData("a/b", false)]
    [InlineData("../a", false)]
    [InlineData("a..b", false)]
    [InlineData(".", false)]
    [InlineData("-a", false)]
    [InlineData("a b", false)]
    [InlineData("a\n", false)]
    [InlineData("a\0", false)]
    [InlineData("ä", false)]
    public void Names_are_what_may_be_part_of_paths_and_certificates(string name, bool good) => Assert.Equal(good, TrustRules.NameFault(name) is null);

    [Fact]
    public void A_name_may_not_be_longer_than_a_host_names_part()
    {
        Assert.Null(TrustRules.NameFault(new('a', 63)));
        Assert.Contains("300 characters", TrustRules.NameFault(new('a', 300)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_free_token_cannot_take_the_place_of_a_node_and_one_for_its_name_can()
    {
        var state = Joined(With("s1"), "s1", "node1", "A1");
        Assert.Contains("is a node's already", TrustRules.WhyNotJoin(With("s2", null, state), "s2", "node1", "drover-control", Now), StringComparison.Ordinal);
        var replaced = Joined(With("s3", "node1", state), "s3", "node1", "A2");
        Assert.NotNull(replaced.WhyRevoked("node1", "A1"));
        Assert.Null(replaced.WhyRevoked("node1", "A2"));
        // The machine that was replaced cannot renew its way back in; the one that replaced it can.
        Assert.Contains("A1 of node1 was revoked", TrustRules.Renewed(replaced, "node1", "A1", new("A3", 1, Now.AddHours(24)), Now).Refusal, StringComparison.Ordinal);
        Assert.NotNull(TrustRules.Renewed(replaced, "node1", "A2", new("A3", 1, Now.AddHours(24)), Now).Next);
    }

    [Fact]
    public void A_free_token_cannot_take_a_name_whose_certificate_ran_out_nor_one_of_the_clusters_nodes()
    {
        var state = Joined(With("s1"), "s1", "node1", "A1");
        var later = Now.AddDays(30);
        TrustState Invite(string secret, string? node) => TrustRules.AddJoin(state, new(Secrets.Hash(secret), node, later, later.AddHours(1), null), later).Next!;
        Assert.Contains("is a node's already", TrustRules.WhyNotJoin(Invite("s2", null), "s2", "node1", "drover-control", later), StringComparison.Ordinal);
        Assert.Null(TrustRules.WhyNotJoin(Invite("s2", "node1"), "s2", "node1", "drover-control", later));
        Assert.Null(TrustRules.WhyNotJoin(Invite("s2", null), "s2", "node2", "drover-control", later));
        Assert.Contains("is a node's already", TrustRules.WhyNotJoin(Invite("s2", null), "s2", "node2", "drover-control", later, isNode: true), StringComparison.Ordinal);
        Assert.Null(TrustRules.WhyNotJoin(Invite("s2", "node2"), "s2", "node2", "drover-control", later, isNode: true));
    }

    [Fact]
    public void A_revoked_node_is_out_until_it_joins_anew_and_its_old_certificate_stays_out()
    {
        var state = Joined(With("s1"), "s1", "node1", "A1");
        state = TrustRules.Revoke(state, "node1", Now).Next!;
        Assert.NotNull(state.WhyRevoked("node1", "A1"));
        Assert.NotNull(state.WhyRevoked("node1", "never seen"));
        Assert.Contains("was revoked", TrustRules.Renewed(state, "node1", "A0", new("A2", 1, Now.AddHours(24)), Now).Refusal, StringComparison.Ordinal);
        state = Joined(With("s2", null, state), "s2", "node1", "A3");
        Assert.Equal((true, false), (state.WhyRevoked("node1", "A1") is not null, state.WhyRevoked("node1", "A3") is not null));
    }

    [Fact]
    public void What_is_remembered_stays_bounded()
    {
        var state = Joined(With("s1"), "s1", "node1", "A0");
        for (var i = 1; i < TrustRules.MostIssued; i++) state = TrustRules.Renewed(state, "node1", "A0", new($"A{i}", 1, Now.AddHours(24)), Now).Next!;
        Assert.NotNull(TrustRules.Renewed(state, "node1", "A0", new("more", 1, Now.AddHours(24)), Now).Refusal);
        var later = Now.AddHours(25);
        state = TrustRules.Renewed(state, "node1", "A0", new("B", 1, later.AddHours(24)), later).Next!;
        Assert.Single(state.Node("node1")!.Issued);
        state = TrustRules.Revoke(state, "node1", later).Next!;
        Assert.Single(state.Revoked);
        Assert.Empty(TrustRules.Revoke(state, "node2", later.AddDays(30)).Next!.Revoked);
        Assert.Empty(TrustRules.Revoke(state, "node2", later.AddDays(30)).Next!.Joins);
    }

    [Fact]
    public void The_old_authority_goes_when_nobody_uses_it_or_by_force()
    {
        var state = Joined(With("s1"), "s1", "node1", "A1");
        Assert.Contains("not changing", TrustRules.FinishRotation(state, true, Now).Refusal, StringComparison.Ordinal);
        state = TrustRules.BeginRotation(state, 2).Next!;
        Assert.Contains("changing already", TrustRules.BeginRotation(state, 3).Refusal, StringComparison.Ordinal);
        Assert.StartsWith("node1 still", TrustRules.FinishRotation(state, false, Now).Refusal, StringComparison.Ordinal);
        Assert.NotNull(TrustRules.FinishRotation(state, true, Now).Next);
        // Run out or revoked: it does not hold up the others.
        Assert.NotNull(TrustRules.FinishRotation(state, false, Now.AddHours(25)).Next);
        Assert.NotNull(TrustRules.FinishRotation(TrustRules.Revoke(state, "node1", Now).Next!, false, Now).Next);
        state = TrustRules.Renewed(state, "node1", "A0", new("A2", 2, Now.AddHours(24)), Now).Next!;
        Assert.Null(TrustRules.FinishRotation(state, false, Now).Next!.OldAuthority);
    }
}
