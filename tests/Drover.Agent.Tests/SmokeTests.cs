using Xunit;

namespace Drover.Agent.Tests;

public sealed class SmokeTests
{
    [Fact]
    public void The_test_project_runs() => Assert.Equal(2, int.Parse("2", System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>Programs of a web server's kind get one heap for each processor unless told otherwise: hundreds of mebibytes beside what the machine is for.</summary>
    [Theory]
    [InlineData("drover-agent")]
    [InlineData("drover-control")]
    public void The_programs_have_one_heap(string program)
    {
        var settings = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, $"{program}.runtimeconfig.json"));
        Assert.Contains("\"System.GC.Server\": false", settings, StringComparison.Ordinal);
    }
}
