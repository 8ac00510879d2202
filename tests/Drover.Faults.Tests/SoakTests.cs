using Drover.Faults.Soak;
using Xunit;

namespace Drover.Faults.Tests;

public sealed class SoakTests
{
    private static IReadOnlyList<Holdings> Samples(int count, Func<int, Holdings> of) => [.. Enumerable.Range(0, count).Select(of)];

    [Fact]
    public void The_same_seed_gives_the_same_plan_and_another_one_another()
    {
        List<SoakAction> Plan(int seed)
        {
            var plan = new SoakPlan(seed, 4);
            return [.. Enumerable.Range(0, 50).Select(_ => plan.Next())];
        }

        Assert.Equal(Plan(7), Plan(7));
        Assert.NotEqual(Plan(7), Plan(8));
        Assert.Contains(Plan(7), a => a is SoakAction.Redeploy);
        Assert.Contains(Plan(7), a => a is SoakAction.Move);
        Assert.All(Plan(7).OfType<SoakAction.Strike>(), s => Assert.InRange(s.Turn, 1, 3));
    }

    [Fact]
    public void What_comes_and_goes_is_no_growth() => Assert.Empty(Growth.Of(Samples(40, i => new(150 + (i % 5 * 10), 300 + (i % 3 * 20), 3 + (i % 3), 20))));

    [Fact]
    public void A_warm_up_is_no_growth() => Assert.Empty(Growth.Of(Samples(40, i => new(Math.Min(100 + (i * 20), 250), 300, 3, 20))));

    [Theory]
    [InlineData(3, 0, 0, 0, "memory")]
    [InlineData(0, 5, 0, 0, "handles")]
    [InlineData(0, 0, 1, 0, "snapshots")]
    [InlineData(0, 0, 0, 1, "files")]
    public void Each_kind_of_growth_is_found(double memory, double handles, double snapshots, double files, string what) =>
        Assert.StartsWith(what, Assert.Single(Growth.Of(Samples(40, i => new(150 + (i * memory), 300 + (i * handles), 3 + (i * snapshots), 20 + (i * files))))), StringComparison.Ordinal);

    [Fact]
    public void A_rise_is_measured_without_the_first_quarter() => Assert.Equal(29, Growth.Rise([.. Enumerable.Range(0, 40).Select(i => (double)i)]), 3);
}
