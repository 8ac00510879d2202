using System.Net;
using System.Net.Security;
using Drover.Agent.Transfers;
using Drover.Testing.Transfers;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

/// <summary>Whoever connects and keeps silent takes no transfer's place. No clock runs here: nothing gets better by waiting.</summary>
public sealed class DoorwayTests
{
    private static readonly IPAddress Ann = IPAddress.Parse("10.0.0.1"), Ben = IPAddress.Parse("10.0.0.2"), Cat = IPAddress.Parse("10.0.0.3");

    // The limit is there only so that a server that lets nobody in any more is a failure and not a silence.
    [Theory(Timeout = 60_000)]
    [InlineData(1, 100), InlineData(1, 300), InlineData(25, 16)]
    public async Task A_move_passes_silent_connections_however_many(int addresses, int each)
    {
        await using var pair = await TransferPair.Open(new FakeTimeProvider(TimeProvider.System.GetUtcNow()));
        using var silent = new SilentConnections();
        for (var a = 1; a <= addresses; a++) await silent.Open(pair.Port, each, $"127.0.0.{a}");
        await pair.Send(pair.Round("s1"), TestContext.Current.CancellationToken);
        Assert.Equal(["s1"], await pair.Arrived());
        Assert.InRange(pair.Server.Door.Count, 1, 256);
    }

    [Fact(Timeout = 60_000)]
    public async Task One_that_says_nothing_is_closed_when_its_time_is_over()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var pair = await TransferPair.Open(time);
        using var silent = new SilentConnections();
        await silent.Open(pair.Port, 1);
        // Accepted in the order they came: when this round is through, the silent one stands at the door.
        await pair.Send(pair.Round("s1"), TestContext.Current.CancellationToken);
        Assert.Equal(1, pair.Server.Door.Count);
        time.Advance(TransferServer.GreetingTime);
        await silent.Closed(0, TestContext.Current.CancellationToken);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_node_that_shows_its_certificate_and_no_ticket_is_closed_too()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var pair = await TransferPair.Open(time);
        await using var mute = new SslStream(await Wire.Dial("127.0.0.1", pair.Port, urgent: false, default));
        await mute.AuthenticateAsClientAsync(new ClusterIdentity(pair.Cluster.Of("node1")).Client("node2"), TestContext.Current.CancellationToken);
        Assert.Equal(1, pair.Server.Door.Count);
        var closed = mute.ReadAsync(new byte[1], TestContext.Current.CancellationToken).AsTask();
        // Its side may be done before the server has looked at the certificate, and the time counts from then.
        while (!closed.IsCompleted)
        {
            time.Advance(Doorway.PatienceWithKnown);
            await Task.Yield();
        }
        Assert.Equal(0, await closed);
    }

    [Fact]
    public void Of_one_address_the_longest_waiting_goes()
    {
        var door = new Doorway(most: 10, mostOfOne: 2, TimeSpan.FromSeconds(5), new FakeTimeProvider());
        var (first, other) = (door.Enter(Ann, default), door.Enter(Ben, default));
        var (second, third) = (door.Enter(Ann, default), door.Enter(Ann, default));
        Assert.Equal("True False False False", string.Join(' ', new[] { first, second, third, other }.Select(v => v.Ended.IsCancellationRequested)));
        Assert.Equal(3, door.Count);
    }

    [Fact]
    public void A_full_door_sends_away_one_of_those_who_have_most_and_never_the_few()
    {
        var door = new Doorway(most: 4, mostOfOne: 3, TimeSpan.FromSeconds(5), new FakeTimeProvider());
        var ben = door.Enter(Ben, default);
        var anns = Enumerable.Range(0, 3).Select(_ => door.Enter(Ann, default)).ToList();
        var cat = door.Enter(Cat, default);
        Assert.True(anns[0].Ended.IsCancellationRequested);
        Assert.DoesNotContain(true, new[] { ben, cat, anns[1], anns[2] }.Select(v => v.Ended.IsCancellationRequested));
    }

    [Fact]
    public void Who_left_counts_no_more_and_time_ends_who_stays()
    {
        var time = new FakeTimeProvider();
        var door = new Doorway(most: 2, mostOfOne: 1, TimeSpan.FromSeconds(5), time);
        door.Enter(Ann, default).Dispose();
        var visit = door.Enter(Ann, default);
        Assert.Equal(1, door.Count);
        Assert.False(visit.Ended.IsCancellationRequested);
        time.Advance(TimeSpan.FromSeconds(5));
        Assert.True(visit.Ended.IsCancellationRequested);
        Assert.Contains("did not say in time", visit.Why, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_strangers_one_line_in_ten_seconds_with_the_number_of_the_others()
    {
        var time = new FakeTimeProvider();
        var door = new Doorway(most: 2, mostOfOne: 1, TimeSpan.FromSeconds(5), time);
        Assert.Equal("True:0 False False", $"{door.MayTell(out var none)}:{none} {door.MayTell(out _)} {door.MayTell(out _)}");
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.True(door.MayTell(out var untold));
        Assert.Equal(2, untold);
    }

    [Fact]
    public void Who_is_known_has_time_and_is_pushed_out_by_no_stranger()
    {
        var time = new FakeTimeProvider();
        var door = new Doorway(most: 2, mostOfOne: 1, TimeSpan.FromSeconds(5), time);
        using var known = door.Enter(IPAddress.Loopback, default);
        known.Recognise();
        using var stranger = door.Enter(IPAddress.Loopback, default);
        using var another = door.Enter(IPAddress.Loopback, default);
        Assert.True(stranger.Ended.IsCancellationRequested);
        time.Advance(TimeSpan.FromSeconds(60));
        Assert.False(known.Ended.IsCancellationRequested);
        Assert.True(another.Ended.IsCancellationRequested);
        time.Advance(Doorway.PatienceWithKnown);
        Assert.True(known.Ended.IsCancellationRequested);
    }
}
