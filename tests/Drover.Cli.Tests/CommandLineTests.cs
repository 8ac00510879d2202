using System.Net;
using Drover.Cli.Commands.Moves;
using Drover.Cli.Control;
using Xunit;

namespace Drover.Cli.Tests;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("50MB/s", 50_000_000)]
    [InlineData("1GiB/s", 1L << 30)]
    [InlineData("800kB", 800_000)]
    [InlineData("1.5M", 1_500_000)]
    public void A_rate_is_read_with_its_unit(string text, long bytes) => Assert.Equal(bytes, MoveCommand.Rate(text));

    [Theory]
    [InlineData("fast")]
    [InlineData("-5MB/s")]
    [InlineData("0")]
    [InlineData("5 parsecs")]
    [InlineData("99999999999999GB")]
    public void A_rate_that_is_none_is_refused_with_an_example(string text)
    {
        var failure = Assert.Throws<CommandFailure>(() => MoveCommand.Rate(text));
        Assert.Equal(ExitCode.Usage, failure.ExitCode);
        Assert.Contains("50MB/s", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("150ms", 150)]
    [InlineData("1.5s", 1500)]
    [InlineData("90", 90)]
    public void A_downtime_target_is_read_with_its_unit(string text, double ms) => Assert.Equal(ms, MoveCommand.Span(text)!.Value.TotalMilliseconds);

    [Theory]
    [InlineData("0ms")]
    [InlineData("-1s")]
    [InlineData("2h")]
    [InlineData("999999999s")]
    [InlineData("soon")]
    public void A_downtime_target_that_is_none_is_refused_with_an_example(string text) =>
        Assert.Contains("150ms", Assert.Throws<CommandFailure>(() => MoveCommand.Span(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void An_address_that_is_none_names_where_it_came_from()
    {
        Assert.Contains("DROVER_CONTROL", Assert.Throws<CommandFailure>(() => ControlAddress.Resolve(null, "::nope")).Message, StringComparison.Ordinal);
        Assert.Equal(new Uri("http://10.0.0.1:8080"), ControlAddress.Resolve("http://10.0.0.1:8080", "http://elsewhere:1"));
    }

    [Fact]
    public void Marathons_error_with_details_becomes_lines_that_name_the_field()
    {
        var failure = ControlClient.Refused(HttpStatusCode.UnprocessableEntity, """{"message":"Object is not valid","details":[{"path":"/cpus","errors":["must be at least 0.001"]}]}""");
        Assert.Contains("/cpus: must be at least 0.001", failure.Message, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Failed, failure.ExitCode);
    }

    [Fact]
    public void Drovers_error_becomes_field_message_and_remedy()
    {
        var failure = ControlClient.Refused(HttpStatusCode.NotFound, """{"message":"there is no node 'node9'","field":"to","remedy":"One of: node1, node2"}""");
        Assert.Equal("to: there is no node 'node9'. One of: node1, node2", failure.Message);
        Assert.Equal(ExitCode.NotFound, failure.ExitCode);
    }

    [Fact]
    public async Task Wrong_words_end_with_2_and_nobody_there_with_3()
    {
        Assert.Equal(ExitCode.Usage, await Program.Main(["frobnicate"]));
        Assert.Equal(ExitCode.Usage, await Program.Main(["move", "mongo"]));
        Assert.Equal(ExitCode.Usage, await Program.Main(["app", "deploy", "/nowhere/at/all.json"]));
        Assert.Equal(ExitCode.Unreachable, await Program.Main(["nodes", "--control", "http://127.0.0.1:9"]));
    }
}
