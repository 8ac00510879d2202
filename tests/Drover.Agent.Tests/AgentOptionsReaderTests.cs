using Xunit;

namespace Drover.Agent.Tests;

public sealed class AgentOptionsReaderTests
{
    private static readonly string[] Enough = ["--node", "node1", "--control", "https://172.16.255.250:4524", "--address", "172.16.255.251", "--certificates", "/c", "--pool", "/p"];

    private static AgentOptions Read(string[] arguments, Dictionary<string, string>? environment = null, string? file = null) =>
        AgentOptionsReader.Read(arguments, name => environment?.GetValueOrDefault(name), _ => file);

    [Fact]
    public void The_required_ones_are_enough()
    {
        var options = Read(Enough);
        Assert.Equal(("node1", "/flocker", 4525, "31000-32000"), (options.Node, options.MountRoot, options.TransferPort, options.Ports));
    }

    [Fact]
    public void Volumes_are_on_btrfs_unless_another_driver_is_named()
    {
        Assert.Equal("btrfs", Read(Enough).VolumeDriver);
        Assert.Equal("directory", Read([.. Enough, "--volume-driver", "directory"]).VolumeDriver);
        Assert.Equal("zfs", Read([.. Enough, "--volume-driver", "zfs"]).VolumeDriver);
    }

    [Fact]
    public void The_command_line_wins_over_the_environment_and_that_over_the_file()
    {
        const string file = """{ "node": "file", "control": "https://1.2.3.4:1", "address": "1.2.3.4", "certificates": "/f", "pool": "/f", "attributes": { "disk": "ssd" }, "transfer-port": 99 }""";
        var options = Read(["--node", "line", "--attribute", "rack=7", "--attribute=disk=spinning"], new() { ["DROVER_POOL"] = "/env", ["DROVER_NODE"] = "env" }, file);
        Assert.Equal(("line", "/env", "/f", 99), (options.Node, options.Pool, options.Certificates, options.TransferPort));
        Assert.Equal("spinning", options.Attributes["disk"]);
        Assert.Equal("ssd", Read([], null, file).Attributes["disk"]);
    }

    [Theory]
    [InlineData("50MB/s", 50_000_000), InlineData("1GiB/s", 1L << 30), InlineData("2048", 2048), InlineData("1.5M", 1_500_000)]
    public void A_limit_of_transfers_is_a_rate(string text, long rate) => Assert.Equal(rate, Read([.. Enough, "--transfer-limit", text]).TransferLimit);

    [Theory]
    [InlineData("fast"), InlineData("0"), InlineData("-5M"), InlineData("1e9G"), InlineData("100"), InlineData("5 parsecs/s")]
    public void A_limit_that_is_none_is_refused(string text) =>
        Assert.Contains("--transfer-limit '", Assert.Throws<OptionsInvalid>(() => Read([.. Enough, "--transfer-limit", text])).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("--node is missing", "--control", "https://1.2.3.4:1")]
    [InlineData("--nodes is no option", "--nodes", "x")]
    [InlineData("--pool needs a value", "--pool")]
    [InlineData("'x' is not understood", "x")]
    public void What_is_missing_or_unknown_is_named(string words, params string[] arguments) =>
        Assert.Contains(words, Assert.Throws<OptionsInvalid>(() => Read(arguments)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("only TLS", "--control", "http://1.2.3.4:4524")]
    [InlineData("no IPv4", "--address", "::1")]
    [InlineData("--transfer-port '0'", "--transfer-port", "0")]
    [InlineData("'9000-7000' is no range", "--ports", "80-81,9000-7000")]
    [InlineData("NAME=VALUE", "--attribute", "ssd")]
    [InlineData("absolute path", "--mount-root", "flocker")]
    [InlineData("this agent has btrfs, zfs, directory", "--volume-driver", "tape")]
    public void A_wrong_value_is_refused_with_the_remedy(string words, params string[] more) =>
        Assert.Contains(words, Assert.Throws<OptionsInvalid>(() => Read([.. Enough, .. more])).Message, StringComparison.Ordinal);

    [Fact]
    public void A_damaged_file_is_named() => Assert.Contains("agent.json", Assert.Throws<OptionsInvalid>(() => Read(Enough, null, "{")).Message, StringComparison.Ordinal);
}
