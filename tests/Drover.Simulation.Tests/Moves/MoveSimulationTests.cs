using Xunit;

namespace Drover.Simulation.Tests.Moves;

public sealed class MoveSimulationTests
{
    [Fact]
    public void Without_faults_every_move_is_done_and_all_after_the_first_send_only_the_difference()
    {
        for (var seed = 1; seed <= 20; seed++)
        {
            var run = new Simulation(seed, 0, 4);
            var breach = run.Run();
            Assert.True(breach is null, $"seed {seed}: {breach}\n{string.Join('\n', run.World.Story)}");
            Assert.Equal((4, 0, 3), (run.Done, run.Undone, run.Incremental));
        }
    }

    [Theory]
    [InlineData(1, 1000, 0.03)]
    [InlineData(100_001, 1000, 0.12)]
    [InlineData(200_001, 1000, 0.35)]
    public void Whatever_fails_there_is_one_writer_no_acknowledged_write_is_lost_and_every_move_ends(int first, int count, double likelihood)
    {
        int done = 0, undone = 0;
        for (var seed = first; seed < first + count; seed++)
        {
            var run = new Simulation(seed, likelihood, 3);
            var breach = run.Run();
            Assert.True(breach is null, $"seed {seed}: {breach}\n{string.Join('\n', run.World.Story)}");
            (done, undone) = (done + run.Done, undone + run.Undone);
        }
        // A simulation in which nothing goes wrong, or nothing ever goes well, shows nothing.
        Assert.True(done > count / 10 && undone > count / 100, $"{done} done, {undone} undone");
    }
}
