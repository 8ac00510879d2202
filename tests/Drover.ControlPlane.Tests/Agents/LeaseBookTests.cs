using Drover.Contracts.Agent;
using Drover.ControlPlane.Agents;
using Drover.Core;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Agents;

public sealed class LeaseBookTests : IAsyncLifetime
{
    private static readonly NodeId Node1 = new("node1");
    private static readonly LeaseTerms Terms = new(TimeSpan.FromSeconds(60));
    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.Start();

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    private LeaseBook Book() => new(_cluster, Terms, _cluster.Time);

    private void Pass(double seconds) => _cluster.Time.Advance(TimeSpan.FromSeconds(seconds));

    private static async Task<LeaseGrant?> Told(AgentSession session)
    {
        await foreach (var order in session.Orders) return order.Lease;
        return null;
    }

    private static AgentSession Session(long revision, bool ready = true) => new(Node1, default) { Revision = revision, Ready = ready, Asked = new LeaseRequest { AskedAtUs = 7 } };

    [Fact]
    public async Task A_grant_gives_back_what_was_asked_and_counts_from_the_answer()
    {
        var book = Book();
        Pass(100);
        Assert.Equal(TimeSpan.Zero, book.Left(Node1));
        using var session = Session(0);
        book.Serve(session);
        Assert.Equal(new LeaseGrant { AskedAtUs = 7, LengthMs = 60_000 }, await Told(session));
        Assert.Null(session.Asked);
        Assert.Equal(TimeSpan.FromSeconds(65), book.Left(Node1));
        Pass(65);
        Assert.Equal(TimeSpan.Zero, book.Left(Node1));
    }

    [Fact]
    public void A_session_without_its_orders_gets_none()
    {
        using var session = Session(0, ready: false);
        Book().Serve(session);
        Assert.NotNull(session.Asked);
    }

    [Fact]
    public void A_control_plane_that_starts_takes_every_node_for_one_that_may_write_for_the_longest_lease_there_was()
    {
        var book = Book();
        Assert.Equal(TimeSpan.FromSeconds(65), book.Left(new("a node never seen")));
    }

    [Fact]
    public async Task What_is_decided_without_a_node_bars_its_lease_until_its_orders_know_of_it()
    {
        var book = Book();
        Pass(100);
        using var session = Session(_cluster.Current.Revision);
        var during = false;
        var done = await book.DecideWithout(Node1, (state, left) =>
        {
            book.Serve(session);
            during = session.Asked is null;
            return left > TimeSpan.Zero ? false : Decision.Of(true, [new ClusterChange.PutNode(Samples.Node with { Id = new("node9") })]);
        }, default);
        Assert.True(done);
        Assert.False(during);
        book.Serve(session);
        Assert.NotNull(session.Asked);
        session.Revision = _cluster.Current.Revision;
        book.Serve(session);
        Assert.Null(session.Asked);
    }

    [Fact]
    public async Task Where_nothing_was_decided_nothing_is_barred()
    {
        var book = Book();
        Assert.Equal(TimeSpan.FromSeconds(65), await book.DecideWithout<TimeSpan>(Node1, (_, left) => left, default));
        using var session = Session(0);
        book.Serve(session);
        Assert.Null(session.Asked);
    }

    [Fact]
    public async Task Another_agent_of_the_same_name_is_refused_while_the_first_may_write_also_by_a_control_plane_that_starts_again()
    {
        var book = Book();
        Assert.Null(book.Sit(Node1, "boot/1"));
        using var session = Session(0);
        book.Serve(session);
        Assert.Null(book.Sit(Node1, "boot/1"));
        var refused = book.Sit(Node1, "other/1");
        Assert.True(refused is { First: true });
        Assert.Contains("another agent is node 'node1'", refused.Value.Why, StringComparison.Ordinal);
        Assert.Contains("65 s", refused.Value.Why, StringComparison.Ordinal);
        Assert.True(book.Sit(Node1, "other/1") is { First: false });

        await _cluster.Given(new ClusterChange.PutNode(Samples.Node with { Seat = "boot/1", Lease = TimeSpan.FromSeconds(600) }));
        await _cluster.Restart();
        var again = Book();
        Assert.NotNull(again.Sit(Node1, "other/1"));
        Assert.Equal(TimeSpan.FromSeconds(600), again.Longest);
        Pass(631);
        Assert.NotNull(again.Sit(Node1, "other/1"));
        Pass(1);
        Assert.Equal(TimeSpan.FromSeconds(60), again.Longest);
        Assert.Null(again.Sit(Node1, "other/1"));
        Assert.Null(again.Sit(Node1, "other/1"));
    }
}
