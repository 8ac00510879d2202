using Drover.Cli.Commands;
using Drover.Cli.Commands.Volumes;
using Drover.Cli.Control;
using Xunit;

namespace Drover.Cli.Tests;

public sealed class VolumeCommandTests
{
    [Theory]
    [InlineData("volume create data --node node1 --size 10GiB")]
    [InlineData("volume list --deleted --json")]
    [InlineData("volumes --deleted")]
    [InlineData("volume show data")]
    [InlineData("volume snapshot data before-upgrade -d")]
    [InlineData("volume snapshot data old --delete")]
    [InlineData("volume schedule data --every 1h --keep 24")]
    [InlineData("volume restore data before-upgrade")]
    [InlineData("volume clone data copy --snapshot before-upgrade")]
    [InlineData("volume resize data 20GiB")]
    [InlineData("volume delete data --keep 7d")]
    [InlineData("volume delete data --purge --confirm data")]
    [InlineData("volume undelete data")]
    [InlineData("volume operations")]
    [InlineData("volume export data nightly data.drovervol --limit 50MB/s")]
    [InlineData("volume export data data.drovervol --force")]
    [InlineData("volume export data -")]
    [InlineData("volume import copy data.drovervol --node node2 --size none --limit 50MB/s")]
    [InlineData("volume import copy -")]
    [InlineData("node limit node1 50MB/s")]
    [InlineData("node limit node1 none")]
    [InlineData("node remove node1 --accept-loss")]
    public void Each_line_is_understood(string line) => Assert.Empty(RootCommands.Build().Parse(line.Split(' ')).Errors);

    [Theory, InlineData("90s", 90), InlineData("15m", 900), InlineData("1.5h", 5400), InlineData("7d", 604800)]
    public void A_span_is_read_with_its_unit(string text, double seconds) => Assert.Equal(seconds, VolumeCommands.Span(text, "--every").TotalSeconds);

    [Theory, InlineData(""), InlineData("h"), InlineData("soon"), InlineData("-1h"), InlineData("5"), InlineData("99999999999d")]
    public void A_span_that_is_none_is_refused_with_an_example(string text)
    {
        var failure = Assert.Throws<CommandFailure>(() => VolumeCommands.Span(text, "--every"));
        Assert.Equal(ExitCode.Usage, failure.ExitCode);
        Assert.Contains("1h", failure.Message, StringComparison.Ordinal);
    }

    [Theory, InlineData("volume delete data --purge"), InlineData("volume delete data --purge --confirm dat"), InlineData("volume schedule data"), InlineData("volume snapshot data --delete")]
    public async Task What_is_half_said_is_a_usage_error_and_asks_nobody(string line)
    {
        var failure = await Assert.ThrowsAsync<CommandFailure>(() => RootCommands.Build().Parse(line.Split(' ')).InvokeAsync(new System.CommandLine.InvocationConfiguration { EnableDefaultExceptionHandler = false }, CancellationToken.None));
        Assert.Equal(ExitCode.Usage, failure.ExitCode);
    }

    [Theory]
    [InlineData("../x"), InlineData("a/b"), InlineData("..")]
    public void A_name_that_leads_elsewhere_is_refused_before_anything_is_asked(string name)
    {
        var path = $"/api/v1/volumes/{Uri.EscapeDataString(name)}/import";
        Assert.Contains($"'{name}' is no name", Assert.Throws<CommandFailure>(() => ControlClient.Straight(path)).Message, StringComparison.Ordinal);
        Assert.Equal("/v2/apps/group/app?force=a%2Fb", ControlClient.Straight("/v2/apps/group/app?force=a%2Fb"));
    }
}
