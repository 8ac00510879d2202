using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Drover.ControlPlane.Access;
using Drover.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Access;

public sealed class AccessTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();
    private readonly FakeTimeProvider _time = new(Samples.Moment);

    private DataFolder Folder => DataFolder.Share(_temporary.Path);

    public void Dispose() => _temporary.Dispose();

    [Fact]
    public void The_authority_is_made_once_and_its_key_is_nobody_elses_to_read()
    {
        using var first = CertificateAuthority.OpenOrCreate(Folder, _time);
        using var again = CertificateAuthority.OpenOrCreate(Folder, _time);
        Assert.Equal(first.CertificatePem, again.CertificatePem);
        Assert.Equal(DataFolder.Secret, File.GetUnixFileMode(Folder.AuthorityKey));
    }

    [Fact]
    public void What_it_issues_names_the_node_and_its_address_and_is_trusted_in_its_time_only()
    {
        using var authority = CertificateAuthority.OpenOrCreate(Folder, _time);
        var (pem, key) = authority.Issue("node1", [IPAddress.Parse("172.16.255.251")]);
        using var certificate = X509Certificate2.CreateFromPem(pem, key);
        Assert.Equal("node1", certificate.GetNameInfo(X509NameType.SimpleName, false));
        Assert.True(certificate.MatchesHostname("172.16.255.251"));
        Assert.True(certificate.MatchesHostname("node1"));
        Assert.False(certificate.MatchesHostname("node2"));
        Assert.True(authority.Trusts(certificate));
        _time.Advance(TimeSpan.FromDays(398));
        Assert.False(authority.Trusts(certificate));
    }

    [Fact]
    public void Another_authority_of_the_same_name_is_not_trusted()
    {
        using var authority = CertificateAuthority.OpenOrCreate(Folder, _time);
        using var elsewhere = new TemporaryFolder();
        using var stranger = CertificateAuthority.OpenOrCreate(DataFolder.Share(elsewhere.Path), _time);
        var (pem, key) = stranger.Issue("node1", []);
        using var certificate = X509Certificate2.CreateFromPem(pem, key);
        Assert.False(authority.Trusts(certificate));
    }

    [Fact]
    public void A_lost_key_is_not_replaced_silently()
    {
        CertificateAuthority.OpenOrCreate(Folder, _time).Dispose();
        File.Delete(Folder.AuthorityKey);
        Assert.Contains("restore the key", Assert.Throws<InvalidOperationException>(() => CertificateAuthority.OpenOrCreate(Folder, _time)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_crash_between_key_and_certificate_is_mended_at_the_next_start()
    {
        File.WriteAllText(Folder.AuthorityKey, "half a key");
        using var authority = CertificateAuthority.OpenOrCreate(Folder, _time);
        var (pem, key) = authority.Issue("node1", []);
        using var certificate = X509Certificate2.CreateFromPem(pem, key);
        Assert.True(authority.Trusts(certificate));
    }

    [Fact]
    public void A_ticket_is_signed_over_its_json_and_is_one_of_its_kind()
    {
        using var tickets = Tickets.OpenOrCreate(Folder, new SeededChance(1));
        var grant = new TransferGrant(new("m1"), new("data"), new(3), new("m1-r1"), new("node1"), new("node2"), Samples.Moment);
        var parts = tickets.Sign(grant).Split('.');
        using var key = ECDsa.Create();
        key.ImportFromPem(tickets.PublicKeyPem);
        var json = Base64Url.DecodeFromChars(parts[0]);
        Assert.True(key.VerifyData(json, Base64Url.DecodeFromChars(parts[1]), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));
        using var ticket = JsonDocument.Parse(json);
        Assert.Equal(["move", "volume", "epoch", "snapshot", "source", "target", "notAfter", "nonce"], ticket.RootElement.EnumerateObject().Select(p => p.Name));
        Assert.Equal(("m1", "data", 3L, "m1-r1"), (Text("move"), Text("volume"), ticket.RootElement.GetProperty("epoch").GetInt64(), Text("snapshot")));
        Assert.Equal(("node1", "node2", Samples.Moment.ToUnixTimeSeconds()), (Text("source"), Text("target"), ticket.RootElement.GetProperty("notAfter").GetInt64()));
        Assert.NotEqual(parts[0], tickets.Sign(grant).Split('.')[0]);

        string? Text(string name) => ticket.RootElement.GetProperty(name).GetString();
    }

    [Fact]
    public void The_ticket_key_stays_the_same()
    {
        using var first = Tickets.OpenOrCreate(Folder, new SeededChance(1));
        using var again = Tickets.OpenOrCreate(Folder, new SeededChance(1));
        Assert.Equal(first.PublicKeyPem, again.PublicKeyPem);
        Assert.Equal(DataFolder.Secret, File.GetUnixFileMode(Folder.TicketKey));
    }

    [Fact]
    public void A_data_folder_is_held_by_one()
    {
        using (DataFolder.Hold(_temporary.Path))
            Assert.Contains("Another drover-control", Assert.Throws<InvalidOperationException>(() => DataFolder.Hold(_temporary.Path)).Message, StringComparison.Ordinal);
        DataFolder.Hold(_temporary.Path).Dispose();
    }
}
