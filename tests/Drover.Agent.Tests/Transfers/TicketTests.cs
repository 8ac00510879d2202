using Drover.Agent.Transfers;
using Drover.Contracts.Agent;
using Drover.Testing;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

public sealed class TicketTests
{
    private static async Task IsRefused(TransferPair pair, string ticket, string why, StepErrorKind kind = StepErrorKind.Refused)
    {
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1", ticket: ticket)));
        Assert.Equal(kind, failed.Kind);
        Assert.Contains(why, failed.Message, StringComparison.Ordinal);
        Assert.Empty(await pair.Arrived());
    }

    [Fact]
    public async Task A_forged_ticket_is_refused()
    {
        await using var pair = await TransferPair.Open();
        using var others = new TestCertificates();
        var good = pair.Ticket("s1");
        await IsRefused(pair, others.Ticket("""{"move":"m1","volume":"db"}"""), "not signed");
        await IsRefused(pair, good[..good.IndexOf('.', StringComparison.Ordinal)] + ".AAAA", "not signed");
        await IsRefused(pair, "nonsense", "form");
        await IsRefused(pair, "", "form");
    }

    [Fact]
    public async Task A_ticket_is_good_for_what_it_names_and_nothing_else()
    {
        await using var pair = await TransferPair.Open();
        await IsRefused(pair, pair.Ticket("s2"), "allows db/s2");
        await IsRefused(pair, pair.Ticket("s1", volume: "other"), "allows other/s1");
        await IsRefused(pair, pair.Ticket("s1", epoch: 2), "epoch 2");
        await IsRefused(pair, pair.Ticket("s1", source: "node3"), "node3");
        await IsRefused(pair, pair.Ticket("s1", target: "node3"), "node3");
    }

    [Fact]
    public async Task A_ticket_that_has_ended_is_refused()
    {
        await using var pair = await TransferPair.Open();
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        await IsRefused(pair, pair.Ticket("s1", notAfter: now - 5), "ended", StepErrorKind.Retry);
        await IsRefused(pair, pair.Ticket("s1", notAfter: now + 100_000), "longer than a day");
        await IsRefused(pair, pair.Ticket("s1", nonce: ""), "nonce");
    }

    [Fact]
    public async Task A_ticket_serves_once_and_the_next_try_brings_a_new_one()
    {
        await using var pair = await TransferPair.Open();
        var ticket = pair.Ticket("s1");
        await pair.Send(pair.Round("s1", ticket: ticket));
        await pair.Until(r => r.Count == 0);
        var failed = await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1", ticket: ticket)));
        Assert.Equal(StepErrorKind.Retry, failed.Kind);
        Assert.Contains("used before", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_of_another_cluster_is_not_let_in()
    {
        await using var pair = await TransferPair.Open();
        using var others = new TestCertificates();
        pair.SendAs("node1", others.Of("node1"));
        Assert.Equal(StepErrorKind.Operator, (await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1")))).Kind);
        Assert.Empty(await pair.Arrived());
    }

    [Fact]
    public async Task A_ticket_shown_by_another_node_is_refused()
    {
        await using var pair = await TransferPair.Open();
        pair.SendAs("node3", pair.Cluster.Of("node3"));
        await IsRefused(pair, pair.Ticket("s1"), "shown by node3");
    }

    [Fact]
    public async Task A_sender_turns_away_from_a_target_of_another_name()
    {
        await using var pair = await TransferPair.Open();
        var round = pair.Round("s1");
        round.TargetNode = "node9";
        Assert.Equal(StepErrorKind.Operator, (await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(round))).Kind);
        Assert.Empty(await pair.Arrived());
    }

    [Fact]
    public async Task A_used_ticket_stays_used_when_the_target_starts_again()
    {
        await using var pair = await TransferPair.Open();
        var ticket = pair.Ticket("s1");
        await pair.Send(pair.Round("s1", ticket: ticket));
        await pair.RestartTarget();
        Assert.Contains("used before", (await Assert.ThrowsAsync<RoundFailed>(() => pair.Send(pair.Round("s1", ticket: ticket)))).Message, StringComparison.Ordinal);
        // A fresh one still serves.
        await pair.Send(pair.Round("s1"));
    }

    [Fact]
    public async Task Who_was_refused_and_why_is_told_to_the_control_plane_once_for_many()
    {
        await using var pair = await TransferPair.Open();
        for (var i = 0; i < 5; i++) await IsRefused(pair, pair.Ticket("s1", source: "node3"), "node3");
        var told = (await pair.Told.Until(m => m.RefusedIdentity is not null)).RefusedIdentity;
        Assert.Equal(("ticket-foreign", "node1"), (told.Kind, told.Peer));
        Assert.Contains("node3", told.Reason, StringComparison.Ordinal);
        Assert.Single(pair.Told.All, m => m.RefusedIdentity is not null);
        await IsRefused(pair, "nonsense", "form");
        Assert.Equal("ticket-forged", (await pair.Told.Until(m => m.RefusedIdentity is { Kind: "ticket-forged" })).RefusedIdentity.Kind);
    }

    [Theory]
    [InlineData("a b"), InlineData("a\\nb"), InlineData("")]
    public async Task A_nonce_that_could_not_be_kept_is_refused(string nonce)
    {
        await using var pair = await TransferPair.Open();
        await IsRefused(pair, pair.Ticket("s1", nonce: nonce), "nonce");
    }
}
