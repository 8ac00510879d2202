using Drover.Cli.Lab;
using Drover.Testing.Labs;
using Xunit;

namespace Drover.Cli.Tests.Lab;

/// <summary>Names of the labs that tests make: none meets another run's, and only a dead run's are taken down.</summary>
public sealed class LabRunTests
{
    [Theory, InlineData(1), InlineData(35), InlineData(36), InlineData(4711), InlineData(4194303)]
    public void A_name_is_good_for_a_lab_and_says_whose_it_is(int pid)
    {
        var name = LabRun.NameOf("e2e", pid);
        LabPlan.CheckName(name);
        Assert.Equal(pid, LabRun.OwnerOf("e2e", name));
        Assert.Null(LabRun.OwnerOf("tla", name));
        Assert.NotEqual(name, LabRun.NameOf("e2e", pid + 1));
    }

    [Theory, InlineData("e2e"), InlineData("e2etest"), InlineData("e2e000010"), InlineData("e2e0000_1"), InlineData("lab"), InlineData("")]
    public void A_lab_of_people_is_no_runs(string lab) => Assert.Null(LabRun.OwnerOf("e2e", lab));

    [Fact]
    public void Only_what_a_dead_run_left_is_taken_down()
    {
        var (mine, theirs, dead) = (LabRun.Name("e2e"), LabRun.NameOf("e2e", 77), LabRun.NameOf("e2e", 78));
        Assert.Equal([dead], LabRun.Dead("e2e", [mine, theirs, dead, "lab", "e2e"], pid => pid != 78));
        Assert.True(LabRun.Lives(Environment.ProcessId));
        Assert.False(LabRun.Lives(1 << 22));
    }

    [Fact]
    public void Networks_are_different_and_free()
    {
        var nets = LabRun.FreeNetworks(3);
        Assert.Equal(3, nets.Distinct().Count());
        Assert.All(nets, n => Assert.Matches("^172\\.30\\.[0-9]+$", n));
    }
}
