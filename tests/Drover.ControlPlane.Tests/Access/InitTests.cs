using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Store.Sqlite;
using Drover.Core.Trust;
using Drover.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Drover.ControlPlane.Tests.Access;

public sealed class InitTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    private async Task<string> Init(string names = "", bool again = false)
    {
        using var output = new StringWriter();
        await InitCommand.Run(new(_temporary.Path, names, again), output, TimeProvider.System);
        return output.ToString();
    }

    private static string Field(string text, string name) => text.Split('\n').Single(l => l.StartsWith(name, StringComparison.Ordinal))[name.Length..].Trim();

    [Fact]
    public async Task It_makes_the_authority_and_an_admin_once_and_the_api_speaks_https_with_both()
    {
        var said = await Init("control.lan,10.9.8.7");
        Assert.Contains("already", (await Assert.ThrowsAsync<InvalidOperationException>(() => Init())).Message, StringComparison.Ordinal);

        using var folder = DataFolder.Hold(_temporary.Path);
        await using var store = SqliteStore.Open(folder.Database, TimeProvider.System);
        var options = new ControlPlaneOptions(_temporary.Path, new(IPAddress.Loopback, 0), new(IPAddress.Loopback, 0), false, "test") { Https = true, RequireToken = true };
        await using var app = await Program.Build(options, folder, store, TimeProvider.System, new SeededChance(1));
        await app.StartAsync();
        X509Certificate2? shown = null;
        using var authority = X509CertificateLoader.LoadCertificateFromFile(Field(said, "authority"));
        using var http = new HttpClient(new SocketsHttpHandler
        {
            SslOptions = new()
            {
                CertificateChainPolicy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { authority }, RevocationMode = X509RevocationMode.NoCheck },
                RemoteCertificateValidationCallback = (_, certificate, _, errors) => (shown = X509CertificateLoader.LoadCertificate(certificate!.GetRawCertData())) is not null && errors == System.Net.Security.SslPolicyErrors.None,
            },
        }) { BaseAddress = new Uri($"https://{app.Services.GetRequiredService<OpenDoors>().Http}") };
        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync("/v2/apps")).StatusCode);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Field(said, "token"));
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/api/v1/tokens")).StatusCode);
        Assert.True(shown!.MatchesHostname("control.lan") && shown.MatchesHostname("10.9.8.7") && shown.MatchesHostname("127.0.0.1"));
        Assert.Equal(Field(said, "pin"), app.Services.GetRequiredService<Authorities>().Current.Pin);
        await app.StopAsync();
    }

    [Fact]
    public async Task Another_admin_can_be_made_when_all_tokens_are_lost()
    {
        var first = await Init();
        var second = await Init(again: true);
        Assert.NotEqual(Field(first, "token"), Field(second, "token"));
        Assert.Equal(Field(first, "pin"), Field(second, "pin"));
        await using var store = SqliteStore.Open(Path.Combine(_temporary.Path, "drover.db"), TimeProvider.System);
        using var book = await TrustBook.Open(store);
        Assert.Equal(["admin", "admin-2"], book.State.Tokens.Select(t => t.Name));
        Assert.All(new[] { first, second }, t => Assert.NotNull(TrustRules.Holder(book.State, Field(t, "token"), TimeProvider.System.GetUtcNow())));
    }

    [Fact]
    public async Task It_waits_for_no_running_control_plane()
    {
        using var held = DataFolder.Hold(_temporary.Path);
        Assert.Contains("Another drover-control", (await Assert.ThrowsAsync<InvalidOperationException>(() => Init())).Message, StringComparison.Ordinal);
    }
}
