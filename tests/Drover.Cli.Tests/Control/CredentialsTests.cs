using System.Net;
using Drover.Cli.Commands;
using Drover.Cli.Commands.Trust;
using Drover.Cli.Control;
using Drover.Contracts.Api;
using Drover.ControlPlane;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Store.InMemory;
using Drover.Core.Trust;
using Drover.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Drover.Cli.Tests.Control;

/// <summary>The command line against a control plane that asks for HTTPS and a token.</summary>
public sealed class CredentialsTests : IAsyncLifetime
{
    private const string Token = "drvt_test";
    private readonly TemporaryFolder _temporary = new();
    private DataFolder _folder = null!;
    private InMemoryStore _store = null!;
    private WebApplication _app = null!;

    private Uri Address => new($"https://{_app.Services.GetRequiredService<OpenDoors>().Http}");
    private string Pin => _app.Services.GetRequiredService<Authorities>().Current.Pin;

    public async ValueTask InitializeAsync()
    {
        _folder = DataFolder.Hold(_temporary.File("control"));
        _store = new InMemoryStore(TimeProvider.System);
        using (var book = await TrustBook.Open(_store))
            Assert.Null(await book.Decide(s => TrustRules.AddToken(s, new("ann", ApiRole.Admin, Secrets.Hash(Token), TimeProvider.System.GetUtcNow(), null), TimeProvider.System.GetUtcNow()), default));
        var options = new ControlPlaneOptions(_folder.Path, new(IPAddress.Loopback, 0), new(IPAddress.Loopback, 0), false, "test") { Https = true, RequireToken = true };
        _app = await ControlPlane.Program.Build(options, _folder, _store, TimeProvider.System, new SeededChance(1));
        await _app.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        await _store.DisposeAsync();
        _folder.Dispose();
        _temporary.Dispose();
    }

    private async Task<TokensView> Ask(Credentials credentials)
    {
        using var client = new ControlClient(Address, credentials);
        return await client.Get("/api/v1/tokens", TrustApiJson.Default.TokensView, default);
    }

    [Fact]
    public async Task With_the_authority_and_a_token_file_it_is_let_in()
    {
        var file = _temporary.File("token");
        await File.WriteAllTextAsync(file, Token + "\n");
        var credentials = Credentials.Read(_folder.AuthorityCertificate, null, file, _ => null);
        Assert.Equal("ann", Assert.Single((await Ask(credentials)).Tokens).Name);
    }

    [Fact]
    public async Task A_pin_does_instead_of_the_authority_and_the_environment_instead_of_options() =>
        Assert.Single((await Ask(Credentials.Read(null, null, null, name => name switch { "DROVER_CA_PIN" => Pin, "DROVER_TOKEN" => Token, _ => null }))).Tokens);

    [Fact]
    public async Task A_wrong_pin_or_none_ends_before_the_token_is_sent()
    {
        var failure = await Assert.ThrowsAsync<CommandFailure>(() => Ask(new(null, new('0', 64), Token)));
        Assert.Contains("--ca-pin", failure.Message, StringComparison.Ordinal);
        failure = await Assert.ThrowsAsync<CommandFailure>(() => Ask(new(null, null, Token)));
        Assert.Contains("its certificate is not trusted: give --ca", failure.Message, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Unreachable, failure.ExitCode);
    }

    [Fact]
    public async Task Without_a_token_it_says_how_to_get_one() =>
        Assert.Contains("drover token create", (await Assert.ThrowsAsync<CommandFailure>(() => Ask(new(null, Pin, null)))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_token_file_that_holds_none_or_is_not_there_is_named()
    {
        var file = _temporary.File("empty");
        File.WriteAllText(file, "\n");
        Assert.Contains("holds no token", Assert.Throws<CommandFailure>(() => Credentials.Read(null, null, file, _ => null)).Message, StringComparison.Ordinal);
        Assert.Contains("--token-file", Assert.Throws<CommandFailure>(() => Credentials.Read(null, null, file + "2", _ => null)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("token", null, null)]
    [InlineData(null, "pem", null)]
    [InlineData(null, null, "pin")]
    public void Over_plain_http_to_another_machine_nothing_is_told_and_nothing_ignored(string? token, string? authorities, string? pin)
    {
        var failure = Assert.Throws<CommandFailure>(() => new ControlClient(new Uri("http://192.0.2.1:8080"), new(authorities, pin, token)));
        Assert.Contains("https://192.0.2.1:8080", failure.Message, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Usage, failure.ExitCode);
        using var here = new ControlClient(new Uri("http://127.0.0.1:8080"), new(authorities, pin, token));
        using var bare = new ControlClient(new Uri("http://192.0.2.1:8080"));
    }

    [Theory]
    [InlineData("90s", 90)]
    [InlineData("30m", 1800)]
    [InlineData("12h", 43200)]
    [InlineData("7d", 604800)]
    public void A_span_is_read_with_its_unit(string text, long seconds) => Assert.Equal(seconds, Span.Seconds(text, "--ttl"));

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("-1h")]
    [InlineData("0h")]
    [InlineData("h")]
    [InlineData("1.5h")]
    [InlineData("99999999999999999999d")]
    public void A_span_that_is_none_is_refused_with_an_example(string text) => Assert.Contains("30m", Assert.Throws<CommandFailure>(() => Span.Seconds(text, "--ttl")).Message, StringComparison.Ordinal);

    [Fact]
    public async Task A_copy_of_the_log_is_verified_against_a_head_that_was_kept()
    {
        using var client = new ControlClient(Address, new(null, Pin, Token));
        for (var i = 0; i < 3; i++) await client.SendJson(HttpMethod.Post, "/api/v1/nodes/tokens", "{}", default);
        var verdict = await client.Get("/api/v1/audit/verify", TrustApiJson.Default.AuditVerdictView, default);
        var copy = _temporary.File("copy");
        File.Copy(_folder.Audit, copy);
        Assert.True(AuditCommand.OfFile(copy, $"3:{verdict.Head}").Ok);
        await File.WriteAllLinesAsync(copy, (await File.ReadAllLinesAsync(copy))[..2]);
        Assert.True(AuditCommand.OfFile(copy, null).Ok);
        Assert.Equal(3, AuditCommand.OfFile(copy, $"3:{verdict.Head}").Line);
        Assert.Throws<CommandFailure>(() => AuditCommand.OfFile(copy, "3"));
        Assert.Throws<CommandFailure>(() => AuditCommand.OfFile(copy + "2", null));
        // The folder with all of its files, in the order of their numbers whatever else lies there.
        var folder = Directory.CreateDirectory(_temporary.File("copies")).FullName;
        Assert.Contains("no audit.jsonl", Assert.Throws<CommandFailure>(() => AuditCommand.OfFile(folder, null)).Message, StringComparison.Ordinal);
        var lines = await File.ReadAllLinesAsync(_folder.Audit);
        await File.WriteAllLinesAsync(Path.Combine(folder, AuditSegments.NameOf(1)), lines[..1]);
        await File.WriteAllLinesAsync(Path.Combine(folder, AuditSegments.NameOf(2)), lines[1..2]);
        await File.WriteAllLinesAsync(Path.Combine(folder, AuditSegments.Current), lines[2..]);
        await File.WriteAllTextAsync(Path.Combine(folder, "audit-notes.jsonl"), "x");
        Assert.True(AuditCommand.OfFile(folder, $"3:{verdict.Head}").Ok);
        File.Delete(Path.Combine(folder, AuditSegments.NameOf(2)));
        var broken = AuditCommand.OfFile(folder, null);
        Assert.Equal((false, AuditSegments.Current, 1L, 2L), (broken.Ok, broken.File, broken.LineOfFile, broken.Line));
    }
}
