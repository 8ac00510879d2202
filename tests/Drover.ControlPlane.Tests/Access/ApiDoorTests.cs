using System.Net;
using System.Text;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Marathon;
using Drover.Core.Trust;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Drover.ControlPlane.Tests.Access;

/// <summary>The HTTP door with tokens, over a real server.</summary>
public sealed class ApiDoorTests : IAsyncLifetime
{
    private const string Admin = "drvt_admin";
    private TrustPlane _plane = null!;

    public async ValueTask InitializeAsync() => _plane = await TrustPlane.Start(o => o with { RequireToken = true }, Admin);

    public ValueTask DisposeAsync() => _plane.DisposeAsync();

    private async Task<string> Make(string name, string role, int? seconds = null)
    {
        var (status, body, _) = await _plane.Send("POST", "/api/v1/tokens", $$"""{"name":"{{name}}","role":"{{role}}","ttlSeconds":{{seconds?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "null"}}}""", $"Bearer {Admin}");
        Assert.Equal(201, status);
        return body.GetProperty("secret").GetString()!;
    }

    public static TheoryData<string> Forms => ["Bearer {0}", "bearer {0}", "token={0}", "Basic {1}"];

    [Theory, MemberData(nameof(Forms))]
    public async Task A_token_is_taken_in_each_form(string form)
    {
        var secret = await Make("ann", "viewer");
        var basic = Convert.ToBase64String(Encoding.UTF8.GetBytes($"whoever:{secret}"));
        Assert.Equal(200, (await _plane.Send("GET", "/v2/apps", null, form.Replace("{0}", secret, StringComparison.Ordinal).Replace("{1}", basic, StringComparison.Ordinal))).Status);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("Bearer")]
    [InlineData("Bearer wrong")]
    [InlineData("token=")]
    [InlineData("Basic !!!")]
    [InlineData("Basic d2hvZXZlcg==")]
    [InlineData("Digest drvt_admin")]
    [InlineData("drvt_admin")]
    public async Task Without_a_good_token_it_is_401_and_says_how(string? header)
    {
        var (status, body, whole) = await _plane.Send("POST", "/v2/apps", "{}", header);
        Assert.Equal(401, status);
        Assert.Equal(["Bearer", "Basic"], whole.Headers.WwwAuthenticate.Select(w => w.Scheme));
        Assert.Contains("drover token create", body.GetProperty("remedy").GetString(), StringComparison.Ordinal);
        Assert.Equal(("anonymous", "POST /v2/apps", "refused"), ((await _plane.Last()).Who, (await _plane.Last()).What, (await _plane.Last()).Outcome));
    }

    [Fact]
    public async Task A_volume_s_data_is_for_operators_and_who_reads_it_is_written_down()
    {
        var (viewer, worker) = (await Make("vic", "viewer"), await Make("oli", "operator"));
        Assert.Equal(403, (await _plane.Send("GET", "/api/v1/volumes/data/export", null, $"Bearer {viewer}")).Status);
        Assert.Equal(403, (await _plane.Send("POST", "/api/v1/volumes/data/import", "x", $"Bearer {viewer}")).Status);
        Assert.Equal(404, (await _plane.Send("GET", "/api/v1/volumes/data/export", null, $"Bearer {worker}")).Status);
        Assert.Equal(("oli", "GET /api/v1/volumes/data/export", "404"), ((await _plane.Last()).Who, (await _plane.Last()).What, (await _plane.Last()).Outcome));
        Assert.Equal(409, (await _plane.Send("POST", "/api/v1/volumes/data/import", "x", $"Bearer {worker}")).Status);
        Assert.Equal(("oli", "POST /api/v1/volumes/data/import"), ((await _plane.Last()).Who, (await _plane.Last()).What));
    }

    [Fact]
    public async Task A_role_that_is_too_small_is_403_and_names_the_one_that_is_needed()
    {
        var (viewer, worker) = (await Make("vic", "viewer"), await Make("oli", "operator"));
        var (status, body, _) = await _plane.Send("POST", "/v2/apps", "{}", $"Bearer {viewer}");
        Assert.Equal(403, status);
        Assert.Contains("this needs the role operator", body.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(("vic", "viewer", "refused"), ((await _plane.Last()).Who, (await _plane.Last()).Role, (await _plane.Last()).Outcome));
        (status, body, _) = await _plane.Send("POST", "/api/v1/nodes/tokens", "{}", $"Bearer {worker}");
        Assert.Equal(403, status);
        Assert.Contains("this needs the role admin", body.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Empty(_plane.Book.State.Joins);
        Assert.Equal(422, (await _plane.Send("POST", "/v2/apps", "{}", $"Bearer {worker}")).Status);
    }

    [Theory]
    [InlineData("POST", "//api//v1/nodes/tokens")]
    [InlineData("POST", "/API/V1/Nodes/Tokens")]
    [InlineData("POST", "/api/v1/nodes%2Ftokens")]
    [InlineData("POST", "/api/v1/nodes/tokens/")]
    [InlineData("GET", "/api/v1/./audit")]
    [InlineData("PUT", "/api/v1/something/new")]
    public async Task Another_spelling_of_a_path_opens_nothing(string method, string path)
    {
        var worker = await Make("oli", "operator");
        Assert.Equal(403, (await _plane.Send(method, path, method == "GET" ? null : "{}", $"Bearer {worker}")).Status);
    }

    [Fact]
    public async Task A_token_ends_when_it_runs_out_or_is_revoked_and_its_secret_is_nowhere()
    {
        var (brief, kept) = (await Make("brief", "viewer", 60), await Make("kept", "viewer"));
        Assert.Equal(200, (await _plane.Send("GET", "/v2/apps", null, $"Bearer {brief}")).Status);
        _plane.Time.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(401, (await _plane.Send("GET", "/v2/apps", null, $"Bearer {brief}")).Status);
        Assert.Equal(204, (await _plane.Send("DELETE", "/api/v1/tokens/kept", null, $"Bearer {Admin}")).Status);
        Assert.Equal(401, (await _plane.Send("GET", "/v2/apps", null, $"Bearer {kept}")).Status);
        Assert.Equal(404, (await _plane.Send("DELETE", "/api/v1/tokens/kept", null, $"Bearer {Admin}")).Status);
        var stored = Encoding.UTF8.GetString((await _plane.Store.Get("trust/state", default))!.Value.Span);
        var (_, list, _) = await _plane.Send("GET", "/api/v1/tokens", null, $"Bearer {Admin}");
        foreach (var text in new[] { stored, list.GetRawText(), await File.ReadAllTextAsync(_plane.Folder.Audit) })
            foreach (var secret in new[] { brief, kept, Admin }) Assert.DoesNotContain(secret, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_last_admin_cannot_be_locked_out()
    {
        Assert.Equal(409, (await _plane.Send("DELETE", "/api/v1/tokens/admin", null, $"Bearer {Admin}")).Status);
        var other = await Make("root2", "admin");
        Assert.Equal(204, (await _plane.Send("DELETE", "/api/v1/tokens/admin", null, $"Bearer {other}")).Status);
    }

    [Theory]
    [InlineData("""{"name":"a/b","role":"viewer"}""", 422)]
    [InlineData("""{"name":"..","role":"viewer"}""", 422)]
    [InlineData("""{"name":"a b","role":"viewer"}""", 422)]
    [InlineData("""{"role":"viewer"}""", 422)]
    [InlineData("""{"name":"a","role":"root"}""", 422)]
    [InlineData("""{"name":"a","role":"2"}""", 422)]
    [InlineData("""{"name":"a"}""", 422)]
    [InlineData("""{"name":"admin","role":"viewer"}""", 422)]
    [InlineData("""{"name":"a","role":"viewer","ttlSeconds":0}""", 422)]
    [InlineData("""{"name":"a","role":"viewer","ttlSeconds":-5}""", 422)]
    [InlineData("""{"name":"a","role":"viewer","ttlSeconds":99999999999999}""", 422)]
    [InlineData("""{"name":"a","role":"viewer","ttlSeconds":"x"}""", 400)]
    [InlineData("""[]""", 400)]
    [InlineData("", 400)]
    public async Task What_is_no_token_to_make_is_refused_and_nothing_changes(string body, int expected)
    {
        var before = _plane.Book.State;
        Assert.Equal(expected, (await _plane.Send("POST", "/api/v1/tokens", body, $"Bearer {Admin}")).Status);
        Assert.Same(before, _plane.Book.State);
    }

    [Fact]
    public async Task Every_change_is_in_the_log_before_it_is_answered_and_reading_is_not()
    {
        await _plane.Send("GET", "/v2/apps", null, $"Bearer {Admin}");
        Assert.Empty(await _plane.Audit.Tail(9, default));
        await _plane.Send("POST", "/v2/apps", """{"id":"a","container":{"type":"DOCKER","docker":{"image":"busybox"}}}""", $"Bearer {Admin}");
        await _plane.Send("POST", "/api/v1/moves", """{"app":"/nowhere","to":"node1"}""", $"Bearer {Admin}");
        await _plane.Send("PATCH", "/ping", null, $"Bearer {Admin}");
        Assert.Equal([("admin", "POST /v2/apps", "201"), ("admin", "POST /api/v1/moves", "404"), ("admin", "PATCH /ping", "405")], (await _plane.Audit.Tail(9, default)).Select(e => (e.Who, e.What, e.Outcome)));
        var (_, verdict, _) = await _plane.Send("GET", "/api/v1/audit/verify", null, $"Bearer {Admin}");
        Assert.True(verdict.GetProperty("ok").GetBoolean());
    }

    [Fact]
    public async Task Ping_and_the_authority_are_for_everybody()
    {
        Assert.Equal(200, (await _plane.Send("GET", "/ping")).Status);
        Assert.Contains("BEGIN CERTIFICATE", (await _plane.Send("GET", "/api/v1/ca")).Body.GetProperty("pem").GetString(), StringComparison.Ordinal);
    }

    /// <summary>Every endpoint the server maps, and behind the two that take any path every path they say there is, with every method they do not answer 404 or 405.</summary>
    [Fact]
    public async Task Every_route_has_its_role_in_the_table()
    {
        var missing = new List<string>();
        var paths = new List<string>();
        foreach (var endpoint in _plane.App.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>())
        {
            if (endpoint.Metadata.GetMetadata<Listeners.ForAgents>() is not null) continue;
            var pattern = endpoint.RoutePattern.RawText!;
            if (pattern is "/api/v1/{**path}" or "{**path}" || pattern.Contains("unimplemented", StringComparison.Ordinal)) continue;
            paths.Add(pattern);
            foreach (var method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? ["GET", "POST"])
                if (RouteTable.Find(method, pattern) is null) missing.Add($"{method} {pattern}");
        }
        Assert.Contains("/api/v1/tokens/{name}", paths);
        var said = await _plane.Send("GET", "/api/v1/nothing", null, $"Bearer {Admin}");
        // `volumes/{name}/clone|resize`: two paths.
        var list = said.Body.GetProperty("remedy").GetString()!["there is: ".Length..].Split(", ").Select(p => p.StartsWith('/') ? p : $"/api/v1/{p}");
        string[] mine = [.. list.SelectMany(p => p[(p.LastIndexOf('/') + 1)..].Split('|').Select(last => p[..(p.LastIndexOf('/') + 1)] + last))];
        string[] theirs = [.. MarathonRoutes.There.Split(", ").Where(p => p != "/api/v1")];
        Assert.True(mine.Length > 8 && theirs.Length > 10);
        foreach (var path in mine.Concat(theirs).Concat(["/v2/queue/{id}/delay"]))
        {
            foreach (var method in new[] { "GET", "POST", "PUT", "PATCH", "DELETE" })
            {
                // 404 without a body of its own: no such thing by that name, and the route is there.
                var real = path.Replace("{id}", "x", StringComparison.Ordinal).Replace("{task}", "x", StringComparison.Ordinal).Replace("{name}", "x", StringComparison.Ordinal);
                if (path.EndsWith("events", StringComparison.Ordinal) && method == "GET") continue;
                if ((await _plane.Send(method, real, method == "GET" ? null : "{}", $"Bearer {Admin}")).Status == 405) continue;
                if (RouteTable.Find(method, real) is null) missing.Add($"{method} {path}");
            }
        }
        Assert.Empty(missing);
    }

    [Fact]
    public async Task An_open_door_asks_nobody_and_still_keeps_to_the_role_of_who_says_who_he_is()
    {
        await using var open = await TrustPlane.Start();
        Assert.Equal(201, (await open.Send("POST", "/api/v1/tokens", """{"name":"vic","role":"viewer"}""")).Status);
        Assert.Equal(("anonymous", "POST /api/v1/tokens", "201"), ((await open.Last()).Who, (await open.Last()).What, (await open.Last()).Outcome));
        await open.Give(open.Book, "max", ApiRole.Viewer, "drvt_max");
        Assert.Equal(403, (await open.Send("POST", "/api/v1/tokens", "{}", "Bearer drvt_max")).Status);
        Assert.Equal(200, (await open.Send("GET", "/v2/apps", null, "Bearer of nothing known")).Status);
    }

    [Theory]
    [InlineData("http://evil.example", null, 403)]
    [InlineData("null", null, 403)]
    [InlineData("http://127.0.0.1:1", null, 403)]
    [InlineData(null, "evil.example", 403)]
    [InlineData("http://evil.example:80", "evil.example", 403)]
    [InlineData(null, null, 201)]
    [InlineData("own", null, 201)]
    [InlineData("http://localhost:99", "LocalHost:99", 201)]
    [InlineData("http://[::1]", "[::1]:80", 201)]
    public async Task An_open_door_is_not_opened_from_another_site(string? origin, string? host, int expected)
    {
        await using var open = await TrustPlane.Start();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/tokens") { Content = new StringContent("""{"name":"vic","role":"viewer"}""", Encoding.UTF8, "text/plain") };
        if (origin is not null) request.Headers.Add("Origin", origin == "own" ? $"http://{open.Http.BaseAddress!.Authority}" : origin);
        if (host is not null) request.Headers.Host = host;
        using var response = await open.Http.SendAsync(request);
        Assert.Equal(expected, (int)response.StatusCode);
        Assert.Equal(expected == 201 ? 1 : 0, open.Book.State.Tokens.Length);
        if (expected == 403) Assert.Matches("from another site|is no name of this control plane", (await open.Last()).Detail);
    }

    [Theory]
    [InlineData("GET", "/api/v1/volumes/data/export", "cross-site", 403)]
    [InlineData("HEAD", "/api/v1/volumes/data/export", "same-site", 403)]
    [InlineData("GET", "/api/v1/volumes/data/export", "same-origin", 404)]
    [InlineData("GET", "/api/v1/volumes/data/export", "none", 404)]
    [InlineData("DELETE", "/v2/apps/none", "cross-site", 403)]
    [InlineData("GET", "/api/v1/volumes", "cross-site", 200)]
    public async Task What_changes_or_reveals_is_not_asked_by_a_page_of_another_site_that_sends_no_origin(string method, string path, string site, int expected)
    {
        await using var open = await TrustPlane.Start();
        using var request = new HttpRequestMessage(new(method), path);
        request.Headers.Add("Sec-Fetch-Site", site);
        using var response = await open.Http.SendAsync(request);
        Assert.Equal(expected, (int)response.StatusCode);
        if (expected == 403) Assert.Contains("from another site", (await open.Last()).Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "evil.example:8080", "http://evil.example:8080", 403)]
    [InlineData("GET", "evil.example:8080", null, 403)]
    [InlineData("POST", "evil.example:8080", "http://evil.example:8080", 403)]
    [InlineData("GET", "control.example.net:8080", null, 200)]
    [InlineData("GET", "10.0.0.5:8080", "http://10.0.0.5:8080", 200)]
    public async Task A_plain_door_beyond_loopback_is_not_opened_by_a_name_that_was_made_to_point_to_it(string method, string host, string? origin, int expected)
    {
        // All addresses, loopback among them: the test needs no other.
        await using var open = await TrustPlane.Start(o => o with { AllowPlainHttp = true, Http = new(IPAddress.Any, 0) });
        Assert.Null(await open.Book.Decide(s => new(s with { Names = ["control.example.net"] }, null), default));
        using var request = new HttpRequestMessage(new(method), $"http://127.0.0.1:{open.Get<OpenDoors>().Http.Port}/api/v1/tokens");
        if (method == "POST") request.Content = new StringContent("""{"name":"vic","role":"viewer"}""", Encoding.UTF8, "text/plain");
        request.Headers.Host = host;
        if (origin is not null) request.Headers.Add("Origin", origin);
        using var response = await open.Http.SendAsync(request);
        Assert.Equal(expected, (int)response.StatusCode);
        Assert.Empty(open.Book.State.Tokens);
        if (expected == 403) Assert.Contains("'evil.example' is no name of this control plane", (await open.Last()).Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false, "500")]
    [InlineData(true, "499")]
    public async Task What_failed_is_written_down_as_failed(bool gone, string outcome)
    {
        var context = new DefaultHttpContext { RequestAborted = new CancellationToken(gone) };
        context.Request.Method = "POST";
        context.Request.Path = "/v2/apps";
        context.Request.Headers.Authorization = $"Bearer {Admin}";
        await Assert.ThrowsAnyAsync<Exception>(() => _plane.Get<ApiDoorKeeper>().Pass(context, _ => throw (gone ? new OperationCanceledException() : new IOException("the disk is full"))));
        Assert.Equal(("admin", "POST /v2/apps", outcome), ((await _plane.Last()).Who, (await _plane.Last()).What, (await _plane.Last()).Outcome));
    }

    [Fact]
    public async Task Where_tokens_are_asked_for_it_does_not_start_without_an_admin() =>
        Assert.Contains("drover-control init", (await Assert.ThrowsAsync<InvalidOperationException>(() => TrustPlane.Start(o => o with { RequireToken = true }))).Message, StringComparison.Ordinal);
}
