using Xunit;

namespace Drover.Simulation.Tests.Leases;

public sealed class LeaseSimulationTests
{
    [Theory]
    [InlineData(1, 2000)]
    [InlineData(500_001, 2000)]
    public void Whatever_is_cut_killed_stopped_or_started_anew_there_are_never_two_writers(int first, int count)
    {
        var (promotions, forks, waits, wrote) = (0, 0, 0, 0);
        for (var seed = first; seed < first + count; seed++)
        {
            var run = new LeaseSimulation(seed, Broken.Nothing);
            var breach = run.Run();
            Assert.True(breach is null, $"seed {seed}: {breach}\n{string.Join('\n', run.World.Story)}");
            (promotions, forks, waits, wrote) = (promotions + run.Promotions, forks + run.Forks, waits + run.Waits, wrote + (run.Wrote ? 1 : 0));
        }
        // A simulation in which nobody writes, or nobody is promoted, shows nothing.
        Assert.True(promotions > count / 2 && forks > count / 10 && waits > count && wrote > count * 9 / 10, $"{promotions} promotions, {forks} forks kept, {waits} waits, {wrote} runs with a writer");
    }

    [Theory]
    [InlineData(nameof(Broken.Slack))]
    [InlineData(nameof(Broken.Guard))]
    [InlineData(nameof(Broken.Seal))]
    [InlineData(nameof(Broken.RestartForgets))]
    public void The_check_notices_what_is_taken_away(string broken)
    {
        for (var seed = 1; seed <= 3000; seed++)
            if (new LeaseSimulation(seed, Enum.Parse<Broken>(broken)).Run() is not null) return;
        Assert.Fail("3000 runs without a breach: the check is blind to it");
    }
}
