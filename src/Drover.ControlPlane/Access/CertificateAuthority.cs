using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Drover.ControlPlane.Access;

/// <summary>The cluster's own certificate authority (ECDSA P-256). Whoever holds a certificate from it is who its common name says.</summary>
public sealed class CertificateAuthority : IDisposable
{
    /// <summary>Common name of the control plane's own certificate; no node may be called so.</summary>
    public const string ControlPlane = "drover-control";

    private const string ServerUse = "1.3.6.1.5.5.7.3.1";
    private const string ClientUse = "1.3.6.1.5.5.7.3.2";
    private static readonly TimeSpan OwnLife = TimeSpan.FromDays(3652);
    private static readonly TimeSpan IssuedLife = TimeSpan.FromDays(397);
    // Clocks of nodes may be behind ours.
    private static readonly TimeSpan Skew = TimeSpan.FromHours(1);

    private readonly X509Certificate2 _own;
    private readonly TimeProvider _time;

    private CertificateAuthority(X509Certificate2 own, TimeProvider time) => (_own, _time) = (own, time);

    public string CertificatePem => _own.ExportCertificatePem();

    /// <summary>Reads `ca.pem` and `ca.key`, or makes them. Fails when the certificate is there and its key is not: a new one would lock all nodes out.</summary>
    public static CertificateAuthority OpenOrCreate(DataFolder folder, TimeProvider time)
    {
        if (File.Exists(folder.AuthorityCertificate))
        {
            if (!File.Exists(folder.AuthorityKey))
                throw new InvalidOperationException($"'{folder.AuthorityCertificate}' is there but its key '{folder.AuthorityKey}' is not: restore the key, or remove the certificate and give every node a new one.");
            return new(X509Certificate2.CreateFromPemFile(folder.AuthorityCertificate, folder.AuthorityKey), time);
        }
        using var alone = folder.HoldAuthority();
        if (File.Exists(folder.AuthorityCertificate)) return OpenOrCreate(folder, time);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var made = SelfSigned(key, time.GetUtcNow());
        // Key first: a key without a certificate, left by a crash between the two, has signed nothing and is replaced here.
        DataFolder.WriteWhole(folder.AuthorityKey, key.ExportPkcs8PrivateKeyPem(), DataFolder.Secret);
        DataFolder.WriteWhole(folder.AuthorityCertificate, made.ExportCertificatePem(), DataFolder.Open);
        return new(X509Certificate2.CreateFromPemFile(folder.AuthorityCertificate, folder.AuthorityKey), time);
    }

    /// <summary>A certificate to serve and to dial with, and its private key, both in PEM.</summary>
    public (string CertificatePem, string KeyPem) Issue(string name, IEnumerable<IPAddress> addresses)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(new X500DistinguishedName($"CN={name}"), key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        foreach (var address in addresses) names.AddIpAddress(address);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ServerUse), new Oid(ClientUse)], critical: false));
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_own, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        var now = _time.GetUtcNow();
        using var issued = request.Create(_own, now - Skew, now + IssuedLife, RandomNumberGenerator.GetBytes(16));
        return (issued.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>The control plane's own, new at each start and never on disk.</summary>
    public X509Certificate2 IssueForSelf(IEnumerable<IPAddress> addresses)
    {
        var (certificate, key) = Issue(ControlPlane, addresses);
        return X509Certificate2.CreateFromPem(certificate, key);
    }

    /// <summary>True: signed by this authority, in its time, for dialling.</summary>
    public bool Trusts(X509Certificate2 certificate)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(_own);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ClientUse));
        chain.ChainPolicy.VerificationTime = _time.GetUtcNow().UtcDateTime;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        return chain.Build(certificate);
    }

    public void Dispose() => _own.Dispose();

    private static X509Certificate2 SelfSigned(ECDsa key, DateTimeOffset now)
    {
        var request = new CertificateRequest(new X500DistinguishedName("CN=Drover cluster authority"), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        return request.CreateSelfSigned(now - Skew, now + OwnLife);
    }
}
