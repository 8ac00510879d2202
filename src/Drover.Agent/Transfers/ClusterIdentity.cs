using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Drover.Agent.Link;

namespace Drover.Agent.Transfers;

/// <summary>This node's certificate, the cluster's authorities and who was revoked, from the identity folder. Read again when the files change.</summary>
internal sealed class ClusterIdentity(string folder)
{
    /// <summary>The cheapest first: encryption is most of what a transfer costs the processor, and 128 bits are as far out of reach as 256.</summary>
    private static readonly CipherSuitesPolicy Suites = new(
        [TlsCipherSuite.TLS_AES_128_GCM_SHA256, TlsCipherSuite.TLS_AES_256_GCM_SHA384, TlsCipherSuite.TLS_CHACHA20_POLY1305_SHA256]);
    private readonly Lock _gate = new();
    private readonly IdentityFiles _files = new(folder);
    private Loaded? _loaded;

    private sealed record Loaded(X509Certificate2 Node, X509Certificate2Collection Authorities, Revocations Revoked, (DateTime, DateTime, DateTime, DateTime) Written);

    public SslServerAuthenticationOptions Server()
    {
        var own = Current();
        return new()
        {
            ServerCertificate = own.Node, ClientCertificateRequired = true, EnabledSslProtocols = SslProtocols.Tls13, AllowTlsResume = false, CipherSuitesPolicy = Suites,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            RemoteCertificateValidationCallback = (_, peer, _, _) => IsOfCluster(peer, own),
        };
    }

    /// <param name="target">Name that the peer's certificate must carry.</param>
    public SslClientAuthenticationOptions Client(string target)
    {
        var own = Current();
        return new()
        {
            TargetHost = target, ClientCertificates = [own.Node], EnabledSslProtocols = SslProtocols.Tls13, AllowTlsResume = false, CipherSuitesPolicy = Suites,
            LocalCertificateSelectionCallback = (_, _, _, _, _) => own.Node,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            RemoteCertificateValidationCallback = (_, peer, _, _) => IsOfCluster(peer, own) && NameOf(peer) == target,
        };
    }

    /// <summary>The common name: the node's id.</summary>
    public static string? NameOf(X509Certificate? certificate) => (certificate as X509Certificate2)?.GetNameInfo(X509NameType.SimpleName, forIssuer: false);

    private static bool IsOfCluster(X509Certificate? certificate, Loaded own)
    {
        if (certificate is not X509Certificate2 peer) return false;
        if (own.Revoked.Serials.Contains(peer.SerialNumber) || own.Revoked.Nodes.Contains(NameOf(peer))) return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(own.Authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        return chain.Build(peer);
    }

    private Loaded Current()
    {
        // Before the files: one that changes meanwhile is read again the next time.
        var written = _files.Written;
        lock (_gate)
        {
            if (_loaded is { } known && known.Written == written) return known;
            return _loaded = new(_files.ReadNode(), _files.ReadAuthorities(), _files.ReadRevoked(), written);
        }
    }
}
