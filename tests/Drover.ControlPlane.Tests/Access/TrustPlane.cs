using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Drover.Agent;
using Drover.Agent.Link;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Store.InMemory;
using Drover.Core.Trust;
using Drover.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Access;

/// <summary>A whole control plane on loopback, real TLS, its clock in the test's hand; and machines that join it.</summary>
public sealed class TrustPlane : IAsyncDisposable
{
    private readonly TemporaryFolder _temporary = new();
    private readonly DataFolder _folder;

    private TrustPlane() => _folder = DataFolder.Hold(_temporary.File("control"));

    // Both ends judge certificates, and the agent's end by the machine's clock.
    public FakeTimeProvider Time { get; } = new(TimeProvider.System.GetUtcNow());
    public InMemoryStore Store { get; private set; } = null!;
    public WebApplication App { get; private set; } = null!;
    public HttpClient Http { get; private set; } = null!;
    public DataFolder Folder => _folder;
    public TrustBook Book => Get<TrustBook>();
    public AuditLog Audit => Get<AuditLog>();
    public Authorities Authorities => Get<Authorities>();
    public IPEndPoint Agents => Get<OpenDoors>().Agents;

    public static async Task<TrustPlane> Start(Func<ControlPlaneOptions, ControlPlaneOptions>? set = null, string? adminSecret = null)
    {
        var plane = new TrustPlane();
        plane.Store = new InMemoryStore(plane.Time);
        if (adminSecret is not null) await plane.Give(await TrustBook.Open(plane.Store), "admin", ApiRole.Admin, adminSecret);
        var options = new ControlPlaneOptions(plane.Folder.Path, new(IPAddress.Loopback, 0), new(IPAddress.Loopback, 0), false, "test") { CertificateLife = TimeSpan.FromHours(24) };
        plane.App = await Program.Build(set?.Invoke(options) ?? options, plane.Folder, plane.Store, plane.Time, new SeededChance(1));
        await plane.App.StartAsync();
        plane.Http = new HttpClient { BaseAddress = new Uri($"http://{plane.Get<OpenDoors>().Http}") };
        return plane;
    }

    public T Get<T>() where T : notnull => App.Services.GetRequiredService<T>();

    public async Task Give(TrustBook book, string name, ApiRole role, string secret, TimeSpan? life = null) =>
        Assert.Null(await book.Decide(s => TrustRules.AddToken(s, new(name, role, Secrets.Hash(secret), Time.GetUtcNow(), Time.GetUtcNow() + life), Time.GetUtcNow()), default));

    public async Task<(int Status, JsonElement Body, HttpResponseMessage Whole)> Send(string method, string path, string? body = null, string? authorization = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(Http.BaseAddress!.ToString().TrimEnd('/') + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (authorization is not null) request.Headers.TryAddWithoutValidation("Authorization", authorization);
        var response = await Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, text.StartsWith('{') ? JsonDocument.Parse(text).RootElement : default, response);
    }

    public async Task<string> Token(string body = "{}")
    {
        var (status, made, _) = await Send("POST", "/api/v1/nodes/tokens", body);
        Assert.Equal(201, status);
        return made.GetProperty("token").GetString()!;
    }

    public string DataOf(string node) => _temporary.File(node);

    public IdentityFiles FilesOf(string node) => new(JoinCommand.IdentityIn(DataOf(node)));

    /// <summary>As `drover-agent join` on that machine.</summary>
    public async Task<string> Join(string token, string node, string? data = null)
    {
        using var output = new StringWriter();
        await new JoinCommand(TimeProvider.System).Run(["-", "--name", node, "--data", DataOf(data ?? node)], new StringReader(token), output, default);
        return output.ToString();
    }

    public async Task<InvalidOperationException> Refused(string token, string node) =>
        await Assert.ThrowsAsync<InvalidOperationException>(() => Join(token, node));

    public async Task Member(string node) => await Join(await Token(), node);

    public SimulatedAgent Dial(string node) => Dial(FilesOf(node).ReadNode());

    public SimulatedAgent Dial(X509Certificate2 own) => SimulatedAgent.Dial(Agents, Authorities.BundlePem, own.ExportCertificatePem(), own.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());

    /// <summary>The agent's part that keeps a node trusted, as it runs in the agent.</summary>
    public Kept Keep(string node) => new(this, node);

    public async Task<TrustState> Until(Func<TrustState, bool> holds)
    {
        while (true)
        {
            var changed = Book.Changed;
            if (holds(Book.State)) return Book.State;
            await changed.WaitAsync(TestCluster.Patience);
        }
    }

    /// <summary>The first such line after that many, now or to come.</summary>
    public async Task<AuditEntry> Written(long after, Func<AuditEntry, bool> what)
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        await foreach (var _ in Store.Watch("trust/audit", limit.Token))
            if ((await Audit.Tail(100, limit.Token)).FirstOrDefault(e => e.Sequence > after && what(e)) is { } found) return found;
        throw new InvalidOperationException("never written");
    }

    public async Task<AuditEntry> Last() => Assert.Single(await Audit.Tail(1, default));

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        Http.Dispose();
        await App.StopAsync(limit.Token);
        await App.DisposeAsync();
        await Store.DisposeAsync();
        _folder.Dispose();
        _temporary.Dispose();
    }

    public sealed class Kept : IAsyncDisposable
    {
        private readonly IdentityKeeper _keeper;

        public Kept(TrustPlane plane, string node)
        {
            Identity = AgentIdentity.Read(plane.FilesOf(node).Folder, node);
            var options = new AgentOptions { Node = node, Control = new Uri($"https://{plane.Agents}"), Address = "127.0.0.1", Certificates = plane.FilesOf(node).Folder, Pool = "/none" };
            _keeper = new IdentityKeeper(options, Identity, plane.Time, new SeededChance(3), Log);
            _ = _keeper.StartAsync(default);
        }

        public AgentIdentity Identity { get; }
        public Lines<IdentityKeeper> Log { get; } = new();

        public async ValueTask DisposeAsync()
        {
            await _keeper.StopAsync(default);
            _keeper.Dispose();
            Identity.Dispose();
        }
    }
}

/// <summary>A log that a test can wait on.</summary>
public sealed class Lines<T> : ILogger<T>
{
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();

    public async Task<string> Until(string words)
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        await foreach (var line in _lines.Reader.ReadAllAsync(limit.Token)) if (line.Contains(words, StringComparison.Ordinal)) return line;
        throw new InvalidOperationException($"never said: {words}");
    }

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => _lines.Writer.TryWrite(formatter(state, exception));
}
