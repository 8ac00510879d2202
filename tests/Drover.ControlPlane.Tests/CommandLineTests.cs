using System.Net;
using Microsoft.Extensions.Configuration;
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
    public void Init_is_a_word_of_its_own_and_takes_several_names() =>
        Assert.Equal(new CommandLine.Init("d", "10.0.0.1,control.lan", true), CommandLine.Parse(["init", "--data", "d", "--name", "10.0.0.1", "--name=control.lan", "--new-admin"]));

    [Theory]
    [InlineData("--data d", false, false)]
    [InlineData("--data d --https", true, false)]
    [InlineData("--data d --require-token", false, true)]
    [InlineData("--data d --http 0.0.0.0:80", true, true)]
    [InlineData("--data d --http [::]:80", true, true)]
    [InlineData("--data d --http 10.0.0.1:80 --allow-plain-http", false, false)]
    [InlineData("--data d --http 10.0.0.1:80 --allow-plain-http --require-token", false, true)]
    public void Beyond_loopback_there_is_tls_and_a_token_unless_plain_http_is_asked_for(string args, bool https, bool token)
    {
        var options = Assert.IsType<CommandLine.Serve>(CommandLine.Parse(args.Split(' '))).Options;
        Assert.Equal((https, token), (options.UsesHttps, options.NeedsToken));
    }

    [Theory]
    [InlineData("", "--data is missing")]
    [InlineData("--data", "--data needs a value")]
    [InlineData("--data d --data e", "--data is given twice")]
    [InlineData("--data d --prot 1", "'--prot' is not known")]
    [InlineData("--data d --http 8080", "--http '8080' is not ADDRESS:PORT")]
    [InlineData("--data d --agents localhost:1", "--agents 'localhost:1' is not ADDRESS:PORT")]
    [InlineData("--data d --http 127.0.0.1:1 --agents 127.0.0.1:1", "different ports")]
    [InlineData("--data d --https --allow-plain-http", "exclude each other")]
    [InlineData("--data d --certificate-hours 0", "--certificate-hours '0'")]
    [InlineData("--data d --certificate-hours 1e3", "--certificate-hours '1e3'")]
    [InlineData("init", "--data is missing")]
    [InlineData("init --data d --name a/b", "--name 'a/b'")]
    [InlineData("init --data d --http 1.2.3.4:5", "'--http' is not known")]
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

    /// <summary>To watch a file of settings is to watch every folder below it: a service runs in `/`.</summary>
    [Fact]
    public async Task Nothing_on_the_machine_is_watched_for_settings_that_change()
    {
        using var temporary = new TemporaryFolder();
        using var folder = DataFolder.Hold(temporary.Path);
        var time = new FakeTimeProvider(Samples.Moment);
        await using var store = new InMemoryStore(time);
        await using var app = await Program.Build(new(temporary.Path, new(IPAddress.Loopback, 0), new(IPAddress.Loopback, 0), false, "test"), folder, store, time, new SeededChance(1));
        var files = ((IConfigurationRoot)app.Configuration).Providers.OfType<Microsoft.Extensions.Configuration.FileConfigurationProvider>().ToList();
        Assert.All(files, f => Assert.False(f.Source.ReloadOnChange, f.Source.Path));
        Assert.Equal(AppContext.BaseDirectory.TrimEnd('/'), app.Environment.ContentRootPath.TrimEnd('/'));
    }

    [Fact]
    public void An_image_for_commands_is_taken_when_given()
    {
        Assert.Null(Assert.IsType<CommandLine.Serve>(CommandLine.Parse(["--data", "/d"])).Options.CommandImage);
        Assert.Equal("debian:12", Assert.IsType<CommandLine.Serve>(CommandLine.Parse(["--data", "/d", "--command-image", "debian:12"])).Options.CommandImage);
    }

    [Fact]
    public void Fields_of_2015_are_written_when_asked_for()
    {
        Assert.False(Assert.IsType<CommandLine.Serve>(CommandLine.Parse(["--data", "/d"])).Options.Marathon2015Fields);
        Assert.True(Assert.IsType<CommandLine.Serve>(CommandLine.Parse(["--data", "/d", "--marathon-2015-fields"])).Options.Marathon2015Fields);
    }
}
