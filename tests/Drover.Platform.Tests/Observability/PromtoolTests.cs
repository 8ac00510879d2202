#pragma warning disable RS0030 // starts a tool of Debian's, which is no part of the product
using System.Diagnostics;
using Drover.Testing.Metrics;
using Xunit;

namespace Drover.Platform.Tests.Observability;

/// <summary>Prometheus's own tool on the alert rules.</summary>
[Trait("needs", "root")]
public sealed class PromtoolTests
{
    [Theory]
    [InlineData("check", "deploy/prometheus/drover.rules.yml")]
    [InlineData("test", "deploy/prometheus/drover.rules.test.yml")]
    public async Task The_rules_are_taken_and_fire_when_they_should(string verb, string file)
    {
        using var promtool = Process.Start(new ProcessStartInfo("promtool", [verb, "rules", Path.Combine(MetricPage.Root, file)]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (said, failed) = (promtool.StandardOutput.ReadToEndAsync(), promtool.StandardError.ReadToEndAsync());
        await promtool.WaitForExitAsync();
        Assert.True(promtool.ExitCode == 0, await said + await failed);
        Assert.Contains("SUCCESS", await said, StringComparison.Ordinal);
    }
}
