using Drover.Agent.Transfers;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

public sealed class TransferQueueTests
{
    private static readonly Action<QueuePlace> Nobody = _ => { };

    [Fact]
    public async Task Who_waits_is_told_its_place_and_why_and_comes_in_order()
    {
        var queue = new TransferQueue(2);
        var told = new List<string>[] { [], [] };
        var first = await queue.Enter(false, Nobody, default);
        var second = await queue.Enter(false, Nobody, default);
        var third = queue.Enter(false, p => told[0].Add(p.ToString()), default);
        var fourth = queue.Enter(false, p => told[1].Add(p.ToString()), default);
        Assert.Equal("waits: 2nd in the queue, 2 transfers run (limit 2)", told[1][^1]);
        first.Dispose();
        first.Dispose();
        using var third_ = await third;
        Assert.False(fourth.IsCompleted);
        Assert.Equal("waits: 1st in the queue, 2 transfers run (limit 2)", told[1][^1]);
        second.Dispose();
        (await fourth).Dispose();
        Assert.All(told[0], t => Assert.StartsWith("waits: 1st", t, StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_urgent_one_does_not_wait_and_counts()
    {
        var queue = new TransferQueue(1);
        var first = await queue.Enter(false, Nobody, default);
        var urgent = await queue.Enter(true, Nobody, default);
        var next = queue.Enter(false, Nobody, default);
        first.Dispose();
        Assert.False(next.IsCompleted);
        urgent.Dispose();
        (await next).Dispose();
    }

    [Fact]
    public async Task Who_gives_up_leaves_the_queue_and_a_raised_limit_lets_others_in()
    {
        var queue = new TransferQueue(1);
        var places = new List<int>();
        using var first = await queue.Enter(false, Nobody, default);
        using var stop = new CancellationTokenSource();
        var leaving = queue.Enter(false, Nobody, stop.Token);
        var staying = queue.Enter(false, p => places.Add(p.Place), default);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);
        Assert.Equal([2, 1], places);
        Assert.False(staying.IsCompleted);
        queue.SetLimit(2);
        (await staying).Dispose();
    }

    [Theory]
    [InlineData(1, "1st"), InlineData(2, "2nd"), InlineData(3, "3rd"), InlineData(4, "4th"), InlineData(11, "11th"), InlineData(12, "12th"), InlineData(21, "21st"), InlineData(113, "113th")]
    public void Places_are_said_as_people_say_them(int place, string said) => Assert.StartsWith($"waits: {said} in", new QueuePlace(place, 1, 1).ToString(), StringComparison.Ordinal);
}
