using Drover.Core.Apps;
using Xunit;

namespace Drover.Core.Tests.Apps;

public sealed class UpgradeBoundsTests
{
    // wanted, minimumHealthCapacity, maximumOverCapacity, copies alive -> must serve, may exist
    [Theory]
    [InlineData(10, 1, 1, 10, 10, 20)]
    [InlineData(10, 1, 0.5, 10, 10, 15)]
    [InlineData(10, 1, 0, 10, 10, 11)]
    [InlineData(10, 1, 0, 9, 10, 10)]
    [InlineData(10, 1, 0, 12, 10, 11)]
    [InlineData(10, 0.5, 0, 10, 5, 10)]
    [InlineData(10, 0.5, 0.5, 10, 5, 15)]
    [InlineData(10, 0.5, 1, 10, 5, 20)]
    [InlineData(10, 0, 0, 10, 0, 10)]
    [InlineData(10, 0, 1, 10, 0, 20)]
    [InlineData(5, 0.5, 0, 5, 3, 5)]
    [InlineData(5, 0.5, 0.5, 5, 3, 7)]
    [InlineData(5, 0.75, 0.25, 5, 4, 6)]
    [InlineData(3, 0.34, 0.34, 3, 2, 4)]
    [InlineData(2, 0.5, 0.5, 2, 1, 3)]
    [InlineData(1, 1, 1, 1, 1, 2)]
    [InlineData(1, 1, 0.5, 1, 1, 2)]
    [InlineData(1, 0.5, 0.5, 1, 1, 2)]
    [InlineData(1, 0, 0, 1, 0, 1)]
    [InlineData(1, 0.5, 0, 1, 1, 2)]
    [InlineData(1, 1, 0, 0, 1, 1)]
    [InlineData(0, 1, 1, 3, 0, 1)]
    [InlineData(100, 0.07, 0.15, 100, 7, 115)]
    [InlineData(1000, 0.001, 0.001, 1000, 1, 1001)]
    public void What_must_serve_is_rounded_up_what_may_exist_is_rounded_down_and_where_they_meet_one_more_may(
        int wanted, double minHealth, double over, int alive, int least, int most) =>
        Assert.Equal(new UpgradeBounds(least, most), UpgradeBounds.Of(wanted, new(minHealth, over), alive));

    [Fact]
    public void However_the_capacities_are_chosen_something_can_always_move()
    {
        for (var wanted = 1; wanted <= 40; wanted++)
        {
            for (var min = 0; min <= 20; min++)
            {
                for (var over = 0; over <= 20; over++)
                {
                    var bounds = UpgradeBounds.Of(wanted, new(min / 20.0, over / 20.0), wanted);
                    Assert.InRange(bounds.MinHealthy, 0, wanted);
                    Assert.InRange(bounds.MaxCapacity, wanted, (2 * wanted) + 1);
                    Assert.True(bounds.MinHealthy < wanted || bounds.MaxCapacity > wanted, $"{wanted} {min} {over}: {bounds}");
                }
            }
        }
    }
}
