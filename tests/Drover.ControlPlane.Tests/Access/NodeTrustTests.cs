using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Drover.Agent;
using Drover.Agent.Link;
using Drover.Contracts.Agent;
using Drover.Contracts.Trust;
using Drover.ControlPlane.Access;
using Drover.Core.State;
using Drover.Testing;
using Grpc.Core;
using Xunit;

namespace Drover.ControlPlane.Tests.Access;

/// <summary>Nodes coming in, renewing, going out: the agent's real parts against the real control plane, over real TLS.</summary>
public sealed class NodeTrustTests : IAsyncLifetime
{
    private TrustPlane _plane = null!;

    public async ValueTask InitializeAsync() => _plane = await TrustPlane.Start();

    public ValueTask DisposeAsync() => _plane.DisposeAsync();

    [Fact]
    public async Task A_machine_joins_with_one_string_and_is_a_node()
    {
        var said = await _plane.Join(await _plane.Token(), "node1");
        Assert.Contains("as node1", said, StringComparison.Ordinal);
        var files = _plane.FilesOf("node1");
        foreach (var file in new[] { files.Node, files.Authorities, files.About }) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        var options = AgentOptionsReader.Read(["--state", _plane.DataOf("node1"), "--pool", "/p"], _ => null, f => File.Exists(f) ? File.ReadAllText(f) : null);
        Assert.Equal(("node1", new Uri($"https://{_plane.Agents}"), "127.0.0.1"), (options.Node, options.Control, options.Address));
        await using var agent = _plane.Dial("node1");
        await agent.Join(SimulatedAgent.Greeting("node1"));
        var written = Assert.Single(await _plane.Audit.Tail(9, default), e => e.What == "node join");
        Assert.Equal(("node1", "node", "127.0.0.1", "done"), (written.Who, written.Role, written.From, written.Outcome));
    }

    [Fact]
    public async Task A_token_is_good_once()
    {
        var token = await _plane.Token();
        await _plane.Join(token, "node1");
        Assert.Contains("used already, by node1", (await _plane.Refused(token, "node2")).Message, StringComparison.Ordinal);
        await NothingCame("node2", "used already, by node1");
    }

    [Fact]
    public async Task A_token_runs_out()
    {
        var token = await _plane.Token("""{"ttlSeconds":60}""");
        _plane.Time.Advance(TimeSpan.FromSeconds(61));
        Assert.Contains("ran out", (await _plane.Refused(token, "node1")).Message, StringComparison.Ordinal);
        await NothingCame("node1", "ran out");
    }

    [Fact]
    public async Task A_token_for_one_name_is_not_good_for_another()
    {
        var token = await _plane.Token("""{"name":"node1"}""");
        Assert.Contains("for node node1", (await _plane.Refused(token, "node2")).Message, StringComparison.Ordinal);
        await NothingCame("node2", "for node node1");
        await _plane.Join(token, "node1");
    }

    [Fact]
    public async Task A_secret_that_was_made_up_is_refused()
    {
        var real = Invitation.Parse(await _plane.Token())!;
        Assert.Contains("not one of this cluster", (await _plane.Refused((real with { Secret = "made up" }).ToString(), "node1")).Message, StringComparison.Ordinal);
        await NothingCame("node1", "not one of this cluster");
    }

    [Fact]
    public async Task The_secret_is_not_told_to_a_control_plane_with_another_key()
    {
        await using var elsewhere = await TrustPlane.Start();
        var real = Invitation.Parse(await elsewhere.Token())!;
        var led = real with { Addresses = [$"https://{_plane.Agents}"] };
        Assert.Contains("is not the control plane that made this token", (await _plane.Refused(led.ToString(), "node1")).Message, StringComparison.Ordinal);
        Assert.DoesNotContain(await _plane.Audit.Tail(9, default), e => e.What is "Join" or "node join");
    }

    [Theory]
    [InlineData("")]
    [InlineData("drover1.")]
    [InlineData("drover1.e30")]
    [InlineData("drover2.abc")]
    public async Task What_is_no_token_is_said_so(string text) =>
        Assert.Contains("no join token", (await Assert.ThrowsAsync<OptionsInvalid>(() => _plane.Join(text + "\n", "node1"))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("a/b")]
    [InlineData("../../etc")]
    [InlineData("..")]
    [InlineData("a b")]
    [InlineData("x,CN=node1")]
    [InlineData("drover-control")]
    [InlineData("")]
    [InlineData("300")]
    public async Task A_bad_name_is_refused_and_does_not_spend_the_token(string name)
    {
        if (name == "300") name = new('a', 300);
        var token = await _plane.Token();
        Assert.Contains("name '", (await Assert.ThrowsAsync<InvalidOperationException>(() => _plane.Join(token, name, "machine"))).Message, StringComparison.Ordinal);
        Assert.Empty(_plane.Book.State.Nodes);
        Assert.Equal(("Join", "refused"), ((await _plane.Last()).What, (await _plane.Last()).Outcome));
        Assert.False(Directory.Exists(_plane.FilesOf("machine").Folder));
        await _plane.Join(token, "node1");
    }

    [Fact]
    public async Task Only_a_signed_request_of_a_key_of_the_agreed_kind_is_certified_and_another_does_not_spend_the_token()
    {
        var secret = Invitation.Parse(await _plane.Token())!.Secret;
        using var rsa = RSA.Create(2048);
        using var p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        var good = IdentityFiles.MakeRequest("node1").Request;
        var forged = (byte[])good.Clone();
        forged[^1] ^= 1;
        byte[][] bad = [[], [1, 2, 3], forged, [.. good, 0], new CertificateRequest("CN=node1", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).CreateSigningRequest(),
            new CertificateRequest("CN=node1", p384, HashAlgorithmName.SHA256).CreateSigningRequest()];
        foreach (var request in bad)
            Assert.Contains("PKCS#10", (await _plane.Get<NodeTrust>().Join(secret, "node1", request, default)).Refusal, StringComparison.Ordinal);
        Assert.Empty(_plane.Book.State.Nodes);
        var (refusal, certificate) = await _plane.Get<NodeTrust>().Join(secret, "node1", good, default);
        Assert.Null(refusal);
        Assert.Equal("node1", Authorities.NameOf(certificate!));
    }

    [Fact]
    public async Task A_stranger_is_refused_with_the_reason_and_written_down()
    {
        await Stranger(MakeForged("node1"), "not signed by this cluster");
        using var strange = new TemporaryFolder();
        using var other = CertificateAuthority.OpenOrCreate(DataFolder.Share(strange.Path), _plane.Time);
        var (pem, key) = other.Issue("node1", []);
        await Stranger(X509Certificate2.CreateFromPem(pem, key), "not signed by this cluster");
        await _plane.Member("node1");
        _plane.Time.Advance(TimeSpan.FromHours(25));
        await Stranger(_plane.FilesOf("node1").ReadNode(), "expired at");
        Assert.Empty(_plane.Get<ICluster>().Current.Nodes);
    }

    [Fact]
    public async Task Without_a_certificate_nothing_but_the_meeting_answers()
    {
        using var channel = Anonymous();
        var reply = await new Meeting.MeetingClient(channel).AuthoritiesAsync(new AuthoritiesRequest());
        Assert.Contains("BEGIN CERTIFICATE", reply.AuthoritiesPem, StringComparison.Ordinal);
        var refused = await Assert.ThrowsAsync<RpcException>(() => new Trust.TrustClient(channel).RenewAsync(new RenewRequest()).ResponseAsync);
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        Assert.Contains("no certificate", refused.Status.Detail, StringComparison.Ordinal);
        using var call = new AgentLink.AgentLinkClient(channel).Connect();
        refused = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(default));
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        Assert.Equal("identity refused", (await _plane.Last()).What);
    }

    [Fact]
    public async Task A_node_that_says_it_is_another_is_written_down()
    {
        await _plane.Member("node1");
        await using var agent = _plane.Dial("node1");
        await agent.Say(SimulatedAgent.Greeting("node2"));
        await Assert.ThrowsAsync<RpcException>(() => agent.Hear(ToAgent.KindOneofCase.Welcome));
        var last = await _plane.Last();
        Assert.Equal(("node1", "Connect", "refused"), (last.Who, last.What, last.Outcome));
        Assert.Contains("'node2'", last.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_node_refused_for_its_identity_is_written_down()
    {
        await _plane.Member("node1");
        await using var agent = _plane.Dial("node1");
        await agent.Join(SimulatedAgent.Greeting("node1"));
        await agent.Say(new FromAgent { RefusedIdentity = new() { Kind = "ticket-forged", Peer = "10.9.9.9", Reason = "the ticket is not signed by this cluster's control plane", More = 3 } });
        var written = await _plane.Written(0, e => e.What == "transfer to node1");
        Assert.Equal(("stranger", "10.9.9.9", "refused"), (written.Role, written.From, written.Outcome));
        Assert.Contains("3 more", written.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_certificate_renews_itself_at_two_thirds_and_the_next_connection_uses_it()
    {
        await _plane.Member("node1");
        await using var kept = _plane.Keep("node1");
        var before = kept.Identity.Own.SerialNumber;
        // A day, and the hour before it for clocks that differ: two thirds are over after 15 h 40 min.
        await kept.Log.Until("Heard who is trusted");
        for (var hour = 1; hour <= 15; hour++)
        {
            await kept.Log.Until("renewed in");
            _plane.Time.Advance(TimeSpan.FromHours(1));
        }
        await kept.Log.Until("renewed in 00:");
        Assert.Equal(before, kept.Identity.Own.SerialNumber);
        _plane.Time.Advance(TimeSpan.FromHours(1));
        await kept.Log.Until("Certificate renewed");
        Assert.NotEqual(before, kept.Identity.Own.SerialNumber);
        Assert.Equal(kept.Identity.Own.SerialNumber, _plane.FilesOf("node1").ReadNode().SerialNumber);
        Assert.Equal("node renew", (await _plane.Last()).What);
        // Past the end of the first: only the renewed one gets in.
        _plane.Time.Advance(TimeSpan.FromHours(10));
        await using var agent = _plane.Dial("node1");
        await agent.Join(SimulatedAgent.Greeting("node1"));
    }

    [Fact]
    public async Task A_revoked_node_is_put_out_at_once_and_its_peers_hear_of_it()
    {
        await _plane.Member("node1");
        await _plane.Member("node2");
        await using var peer = _plane.Keep("node2");
        await using var agent = _plane.Dial("node1");
        await agent.Join(SimulatedAgent.Greeting("node1"));
        var serial = _plane.FilesOf("node1").ReadNode().SerialNumber;

        Assert.Equal(200, (await _plane.Send("POST", "/api/v1/nodes/node1/revoke", "{}")).Status);
        await Assert.ThrowsAnyAsync<Exception>(() => agent.Hear(ToAgent.KindOneofCase.Desired));
        await peer.Log.Until("Revoked are now: node1");
        var revoked = _plane.FilesOf("node2").ReadRevoked();
        Assert.Equal((serial, "node1"), (Assert.Single(revoked.Serials), Assert.Single(revoked.Nodes)));

        await Stranger(_plane.FilesOf("node1").ReadNode(), "node node1 was revoked");
        Assert.Equal(409, (await _plane.Send("POST", "/api/v1/nodes/node1/revoke", "{}")).Status);

        await _plane.Join(await _plane.Token("""{"name":"node1"}"""), "node1");
        await using var anew = _plane.Dial("node1");
        await anew.Join(SimulatedAgent.Greeting("node1"));
    }

    [Fact]
    public async Task The_authority_changes_under_running_nodes_and_the_old_one_goes_when_none_uses_it()
    {
        await _plane.Member("node1");
        await _plane.Member("away");
        await using var kept = _plane.Keep("node1");
        var first = _plane.FilesOf("away").ReadNode();
        Assert.Equal(409, (await _plane.Send("POST", "/api/v1/ca/finish", "{}")).Status);
        Assert.Equal(200, (await _plane.Send("POST", "/api/v1/ca/rotate", "{}")).Status);
        await kept.Log.Until("authorities changed: 2 trusted");
        await kept.Log.Until("Certificate renewed");
        await _plane.Until(s => s.Node("node1")!.Issued[^1].Authority == 2);
        // The one that was away knows only the old authority and is let in with it.
        await using (var agent = SimulatedAgent.Dial(_plane.Agents, File.ReadAllText(_plane.FilesOf("away").Authorities), first.ExportCertificatePem(), first.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem()))
            await agent.Join(SimulatedAgent.Greeting("away"));
        // One that comes now is trusted before and after.
        await _plane.Member("late");

        var (status, body, _) = await _plane.Send("POST", "/api/v1/ca/finish", "{}");
        Assert.Equal(409, status);
        Assert.StartsWith("away still use", body.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(200, (await _plane.Send("POST", "/api/v1/ca/finish", """{"force":true}""")).Status);
        Assert.False(File.Exists(_plane.Folder.AuthorityKeyOf(1)));
        await kept.Log.Until("authorities changed: 1 trusted");
        await Stranger(first, "not signed by this cluster");
        foreach (var node in new[] { "node1", "late" })
        {
            await using var agent = _plane.Dial(node);
            await agent.Join(SimulatedAgent.Greeting(node));
        }
    }

    [Fact]
    public async Task Who_was_trusted_is_known_after_a_restart()
    {
        await _plane.Member("node1");
        await _plane.Send("POST", "/api/v1/nodes/node1/revoke", "{}");
        await _plane.Send("POST", "/api/v1/ca/rotate", "{}");
        using var book = await TrustBook.Open(_plane.Store);
        Assert.True(book.State.Node("node1")!.Revoked);
        Assert.Equal((2, 1), (book.State.Authority, book.State.OldAuthority));
        using var authorities = new Authorities(_plane.Folder, book, _plane.Time, []);
        Assert.Equal(_plane.Authorities.BundlePem, authorities.BundlePem);
    }

    private Grpc.Net.Client.GrpcChannel Anonymous() => Grpc.Net.Client.GrpcChannel.ForAddress($"https://{_plane.Agents}", new()
    {
        HttpHandler = new SocketsHttpHandler { SslOptions = new() { RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null } }, DisposeHttpClient = true,
    });

    private async Task NothingCame(string node, string why)
    {
        Assert.Null(_plane.Book.State.Node(node));
        Assert.False(Directory.Exists(_plane.FilesOf(node).Folder));
        var last = await _plane.Last();
        Assert.Equal(("stranger", "Join", "refused"), (last.Role, last.What, last.Outcome));
        Assert.Contains(why, last.Detail, StringComparison.Ordinal);
    }

    private async Task Stranger(X509Certificate2 certificate, string why)
    {
        var before = (await _plane.Audit.Verify(default)).Lines;
        await using var agent = _plane.Dial(certificate);
        await Assert.ThrowsAnyAsync<Exception>(() => agent.Join(SimulatedAgent.Greeting("node1")));
        var written = await _plane.Written(before, e => e.What == "identity refused");
        Assert.Equal(("refused", IPAddress.Loopback.ToString()), (written.Outcome, written.From));
        Assert.Contains(why, written.Detail, StringComparison.Ordinal);
    }

    /// <summary>Everything as in a real one, but signed by a key of the forger's.</summary>
    private X509Certificate2 MakeForged(string node)
    {
        using var real = X509Certificate2.CreateFromPem(_plane.Authorities.Current.CertificatePem);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={node}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(real, true, false));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.2")], false));
        using var forger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var now = _plane.Time.GetUtcNow();
        using var made = request.Create(real.SubjectName, X509SignatureGenerator.CreateForECDsa(forger), now.AddHours(-1), now.AddHours(1), [1, 2, 3]);
        return made.CopyWithPrivateKey(key);
    }

    [Fact]
    public async Task A_node_that_is_away_for_good_is_retired_with_its_identity_and_not_while_it_may_write()
    {
        await _plane.Member("node1");
        var cluster = _plane.Get<ICluster>();
        await using (var agent = _plane.Dial("node1"))
        {
            await agent.Join(SimulatedAgent.Greeting("node1"));
            await agent.Say(new FromAgent { Lease = new LeaseRequest { AskedAtUs = 5 } });
            await agent.Hear(ToAgent.KindOneofCase.Lease);
            var (status, body, _) = await _plane.Send("DELETE", "/api/v1/nodes/node1");
            Assert.Equal(409, status);
            Assert.Contains("is connected", body.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
        while (cluster.Current.IsConnected(new("node1"))) await Task.Yield();
        Assert.Contains("may still write", (await _plane.Send("DELETE", "/api/v1/nodes/node1")).Body.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.False(_plane.Book.State.Node("node1")!.Revoked);
        Assert.Equal(200, (await _plane.Send("GET", "/api/v1/nodes/node1")).Status);
        _plane.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(200, (await _plane.Send("DELETE", "/api/v1/nodes/node1")).Status);
        Assert.Equal(("DELETE /api/v1/nodes/node1", "200"), ((await _plane.Last()).What, (await _plane.Last()).Outcome));
        Assert.Empty(cluster.Current.Nodes);
        await Stranger(_plane.FilesOf("node1").ReadNode(), "node node1 was revoked");
        Assert.Equal(404, (await _plane.Send("DELETE", "/api/v1/nodes/node1")).Status);
        // Its name is free for a machine that an admin lets in.
        await _plane.Join(await _plane.Token(), "node1", data: "another");
    }
}
