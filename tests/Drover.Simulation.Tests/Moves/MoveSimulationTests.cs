using Xunit;

namespace Drover.Simulation.Tests.Moves;

public sealed class MoveSimulationTests(ITestOutputHelper output)
{
    private static readonly string[] Everything =
        ["throttled", "paused", "cut asked", "preStop Done", "preStop Failed", "frozen", "thawed", "taken back", "queued", "two at once"];

    [Fact]
    public void Without_faults_every_move_is_done_and_all_after_the_first_send_only_the_difference()
    {
        for (var seed = 1; seed <= 20; seed++)
        {
            var run = new Simulation(seed, new Setting(0, 4, Plain: true));
            var breach = run.Run();
            Assert.True(breach is null, $"seed {seed}: {breach}\n{string.Join('\n', run.World.Story)}");
            Assert.Equal((4, 0, 3), (run.Done, run.Undone, run.Incremental));
        }
    }

    [Theory]
    [InlineData(1, 700, 0.03)]
    [InlineData(100_001, 700, 0.12)]
    [InlineData(200_001, 700, 0.35)]
    public void Whatever_fails_there_is_one_writer_no_acknowledged_write_is_lost_and_every_move_ends(int first, int count, double likelihood)
    {
        int done = 0, undone = 0;
        var seen = new HashSet<string>();
        var begun = TimeProvider.System.GetTimestamp();
        for (var seed = first; seed < first + count; seed++)
        {
            var run = new Simulation(seed, new Setting(likelihood, 4));
            var breach = run.Run();
            Assert.True(breach is null, $"seed {seed}: {breach}\n{string.Join('\n', run.World.Story)}");
            (done, undone) = (done + run.Done, undone + run.Undone);
            seen.UnionWith(run.Seen);
        }
        var span = TimeProvider.System.GetElapsedTime(begun);
        output.WriteLine($"{count} seeds at {likelihood:P0}: {count / span.TotalMinutes:0} seeds a minute, {done} moves done, {undone} undone");
        // A simulation in which nothing goes wrong, or nothing ever goes well, or that never comes where it matters, shows nothing.
        Assert.True(done > count / 10 && undone > count / 100, $"{done} done, {undone} undone");
        Assert.Empty(Everything.Except(seen));
    }

    [Fact]
    public void Agents_that_do_not_hold_the_app_still_before_the_last_snapshot_are_noticed()
    {
        var noticed = 0;
        for (var seed = 1; seed <= 40; seed++) noticed += new Simulation(seed, new Setting(0, 4, Blind: true)).Run()?.Contains("no complete copy", StringComparison.Ordinal) == true ? 1 : 0;
        Assert.InRange(noticed, 1, 40);
    }

    /// <summary>Seeds that once found a fault, in the rules or in the model.</summary>
    public static TheoryData<int, double> Found => new() { { 2, 0.03 }, { 100_002, 0.12 }, { 200_004, 0.35 } };

    [Theory]
    [MemberData(nameof(Found), DisableDiscoveryEnumeration = true)]
    public void What_once_failed_does_not_fail_again(int seed, double likelihood)
    {
        var run = new Simulation(seed, new Setting(likelihood, 4));
        Assert.Null(run.Run());
    }
}
