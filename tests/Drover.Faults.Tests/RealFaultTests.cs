using Drover.Cli.Lab;
using Xunit;

namespace Drover.Faults.Tests;

/// <summary>A short table on real parts, and the three builds that are broken on purpose: what the table is there to find, it finds.</summary>
[Trait("needs", "root")]
public sealed class RealFaultTests
{
    private static async Task<(int Code, string[] Lines)> Table(params string[] arguments)
    {
        var said = await new HostPrograms().Run(Path.Combine(AppContext.BaseDirectory, "../../Drover.Faults/debug/Drover.Faults"), ["faults", .. arguments], CancellationToken.None);
        Assert.True(said.Output.Length > 0, said.Error);
        return (said.ExitCode, said.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task Faults_in_every_step_lose_nothing()
    {
        var (code, lines) = await Table("--short");
        Assert.Equal(["faults survived 16/16", "acknowledged writes lost 0", "moments with two writers 0", "moments with no complete copy 0"], lines.TakeLast(4));
        Assert.Equal(0, code);
    }

    [Theory]
    [InlineData("verify", "acknowledged writes lost ")]
    [InlineData("epoch", "moments with two writers ")]
    [InlineData("retire", "moments with no complete copy ")]
    public async Task A_broken_build_is_noticed(string broken, string line)
    {
        var (code, lines) = await Table("--broken", broken);
        var count = Assert.Single(lines, l => l.StartsWith(line, StringComparison.Ordinal));
        Assert.True(int.Parse(count[line.Length..], System.Globalization.CultureInfo.InvariantCulture) > 0, string.Join('\n', lines));
        Assert.Equal(1, code);
    }
}
