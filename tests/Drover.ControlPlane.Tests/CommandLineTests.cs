using System.Net;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Store.InMemory;
using Drover.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests;

public sealed class CommandLineTests
{
    [Fact]
    public void Defaults_stay_on_this_machine() =>
        Assert.Equal(new CommandLine.Serve(new("d", new(IPAddress.Loopback, 8080), new(IPAddress.Loopback, 4524), false, "drover")), CommandLine.Parse(["--data", "d"]));

    [Fact]
    public void All_options_are_taken_in_both_forms() =>
        Assert.Equal(new CommandLine.Serve(new("d", IPEndPoint.Parse("10.0.0.1:80"), IPEndPoint.Parse("[::1]:81"), true, "x")),
            CommandLine.Parse(["--data=d", "--http", "10.0.0.1:80", "--agents=[::1]:81", "--allow-plain-http", "--name", "x"]));

    [Fact]
    public void A_certificate_is_asked_for_by_its_own_word() =>
        Assert.Equal(new CommandLine.Certificate("d", "node1", IPAddress.Parse("10.0.0.1"), "o"), CommandLine.Parse(["certificate", "--data", "d", "--node", "node1", "--address", "10.0.0.1", "--out", "o"]));

    [Theory]
    [InlineData("", "--data is missing")]
    [InlineData("--data", "--data needs a value")]
    [InlineData("--data d --data e", "--data is given twice")]
    [InlineData("--data d --prot 1", "'--prot' is not known")]
    [InlineData("--data d --http 8080", "--http '8080' is not ADDRESS:PORT")]
    [InlineData("--data d --agents localhost:1", "--agents 'localhost:1' is not ADDRESS:PORT")]
    [InlineData("--data d --http 127.0.0.1:1 --agents 127.0.0.1:1", "different ports")]
    [InlineData("--data d --http 0.0.0.0:80", "--allow-plain-http")]
    [InlineData("--data d --http [::]:80", "--allow-plain-http")]
    [InlineData("certificate --data d --node n --address 1.2.3.4", "--out is missing")]
    [InlineData("certificate --data d --node ../n --address 1.2.3.4 --out o", "--node '../n'")]
    [InlineData("certificate --data d --node drover-control --address 1.2.3.4 --out o", "cannot be a node's name")]
    [InlineData("certificate --data d --node n --address here --out o", "--address 'here'")]
    public void What_is_wrong_is_named_with_its_remedy(string args, string expected) =>
        Assert.Contains(expected, Assert.IsType<CommandLine.Wrong>(CommandLine.Parse(args.Split(' ', StringSplitOptions.RemoveEmptyEntries))).Why, StringComparison.Ordinal);

    [Fact]
    public async Task The_whole_control_plane_starts_and_stops()
    {
        using var temporary = new TemporaryFolder();
        using var folder = DataFolder.Hold(temporary.Path);
        var time = new FakeTimeProvider(Samples.Moment);
        await using var store = new InMemoryStore(time);
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        await using var app = await Program.Build(new(temporary.Path, new(IPAddress.Loopback, 0), new(IPAddress.Loopback, 0), false, "test"), folder, store, time, new SeededChance(1));
        await app.StartAsync(limit.Token);
        await app.StopAsync(limit.Token);
        Assert.True(File.Exists(folder.AuthorityCertificate));
    }
}
