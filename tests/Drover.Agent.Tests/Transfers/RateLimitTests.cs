using Drover.Agent.Transfers;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

public sealed class RateLimitTests
{
    [Fact]
    public async Task A_limit_lets_through_what_it_says_and_a_quarter_second_ahead()
    {
        var time = new FakeTimeProvider();
        var limit = new RateLimit(1_000_000, time);
        long passed = 0;
        for (var tick = 0; tick < 100; tick++)
        {
            Task take;
            while ((take = limit.Take(limit.Piece, default)).IsCompletedSuccessfully) passed += limit.Piece;
            passed += limit.Piece;
            while (!take.IsCompleted) time.Advance(TimeSpan.FromMilliseconds(1));
            await take;
        }
        var seconds = (time.GetUtcNow() - new FakeTimeProvider().GetUtcNow()).TotalSeconds;
        Assert.InRange(passed / seconds, 950_000, 1_000_000 * (1 + 0.3 / seconds) + limit.Piece);
        Assert.True(seconds > 5);
    }

    [Fact]
    public void Without_a_limit_nobody_waits()
    {
        var limit = new RateLimit(0, new FakeTimeProvider());
        for (var i = 0; i < 1000; i++) Assert.True(limit.Take(FrameChannel.MaxData, default).IsCompletedSuccessfully);
    }

    [Fact]
    public void A_low_limit_makes_small_pieces() => Assert.Equal(12_500, new RateLimit(100_000, new FakeTimeProvider()).Piece);
}
