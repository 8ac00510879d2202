using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Drover.ControlPlane.Access;

/// <summary>One authority of the cluster (ECDSA P-256). Whoever holds a certificate from it is who its common name says.</summary>
public sealed class CertificateAuthority : IDisposable
{
    /// <summary>Common name of the control plane's own certificate; no node may be called so.</summary>
    public const string ControlPlane = "drover-control";

    private const string ServerUse = "1.3.6.1.5.5.7.3.1";
    private const string ClientUse = "1.3.6.1.5.5.7.3.2";
    private static readonly TimeSpan OwnLife = TimeSpan.FromDays(3652);
    public static readonly TimeSpan ServerLife = TimeSpan.FromDays(397);
    // Clocks of nodes may be behind ours.
    private static readonly TimeSpan Skew = TimeSpan.FromHours(1);

    private const int MostRemembered = 20_000;

    private readonly X509Certificate2 _own;
    // By SHA-256 of the whole certificate.
    private readonly ConcurrentDictionary<string, bool> _signed = new(StringComparer.Ordinal);
    private readonly TimeProvider _time;

    private CertificateAuthority(int generation, X509Certificate2 own, TimeProvider time) => (Generation, _own, _time) = (generation, own, time);

    /// <summary>1 for the first; each change of the authority makes the next.</summary>
    public int Generation { get; }
    public string CertificatePem => _own.ExportCertificatePem();
    /// <summary>SHA-256 of the public key (SubjectPublicKeyInfo): what a join token names.</summary>
    public string Pin => Convert.ToHexStringLower(SHA256.HashData(_own.PublicKey.ExportSubjectPublicKeyInfo()));
    /// <summary>As certificates signed by it name it.</summary>
    public string KeyId => Convert.ToHexStringLower(_own.Extensions.OfType<X509SubjectKeyIdentifierExtension>().First().SubjectKeyIdentifierBytes.Span);

    /// <summary>Reads the authority's certificate and key, or makes them. Fails when the certificate is there and its key is not: a new one would lock all nodes out.</summary>
    public static CertificateAuthority OpenOrCreate(DataFolder folder, TimeProvider time, int generation = 1)
    {
        var (certificate, keyFile) = (folder.AuthorityCertificateOf(generation), folder.AuthorityKeyOf(generation));
        if (File.Exists(certificate)) return Open(folder, time, generation);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var made = SelfSigned(key, time.GetUtcNow());
        // Key first: a key without a certificate, left by a crash between the two, has signed nothing and is replaced here.
        DataFolder.WriteWhole(keyFile, key.ExportPkcs8PrivateKeyPem(), DataFolder.Secret);
        DataFolder.WriteWhole(certificate, made.ExportCertificatePem(), DataFolder.Open);
        return Open(folder, time, generation);
    }

    public static CertificateAuthority Open(DataFolder folder, TimeProvider time, int generation)
    {
        var (certificate, key) = (folder.AuthorityCertificateOf(generation), folder.AuthorityKeyOf(generation));
        if (!File.Exists(certificate)) throw new InvalidOperationException($"'{certificate}' is missing and nodes were given certificates by it: restore it and its key from a backup.");
        if (!File.Exists(key)) throw new InvalidOperationException($"'{certificate}' is there but its key '{key}' is not: restore the key, or remove the certificate and join every node anew.");
        return new(generation, X509Certificate2.CreateFromPemFile(certificate, key), time);
    }

    /// <summary>A certificate to serve and to dial with, and its private key, both in PEM.</summary>
    public (string CertificatePem, string KeyPem) Issue(string name, IEnumerable<IPAddress> addresses)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var issued = Sign(new PublicKey(key), name, [.. addresses.Select(a => a.ToString())], ServerLife);
        return (issued.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>The control plane's own, never on disk.</summary>
    public X509Certificate2 IssueForSelf(IEnumerable<string> names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var issued = Sign(new PublicKey(key), ControlPlane, [.. names], ServerLife);
        return issued.CopyWithPrivateKey(key);
    }

    /// <summary>A certificate for a key that stays where it was made.</summary>
    /// <param name="names">Addresses and DNS names beside the common name.</param>
    public X509Certificate2 Sign(PublicKey key, string name, IReadOnlyList<string> names, TimeSpan life)
    {
        var request = new CertificateRequest(new X500DistinguishedName($"CN={name}"), key, HashAlgorithmName.SHA256);
        var also = new SubjectAlternativeNameBuilder();
        also.AddDnsName(name);
        foreach (var other in names.Where(n => n != name))
        {
            if (IPAddress.TryParse(other, out var address)) also.AddIpAddress(address);
            else also.AddDnsName(other);
        }
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ServerUse), new Oid(ClientUse)], critical: false));
        request.CertificateExtensions.Add(also.Build());
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_own, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        var now = _time.GetUtcNow();
        // A short life begins less early, so that two thirds of it are still two thirds of what is ahead.
        var early = life / 12 < Skew ? life / 12 : Skew;
        return request.Create(_own.SubjectName, X509SignatureGenerator.CreateForECDsa(_own.GetECDsaPrivateKey()!), now - early, now + life, RandomNumberGenerator.GetBytes(16));
    }

    /// <summary>True: signed by this authority, in its time, for dialling.</summary>
    public bool Trusts(X509Certificate2 certificate) => WhyNot(certificate) is null;

    /// <summary>Null: trusted.</summary>
    public string? WhyNot(X509Certificate2 certificate)
    {
        if (!Signed(certificate)) return "not signed by this cluster's authority for dialling";
        var now = _time.GetUtcNow().UtcDateTime;
        var (begin, end) = (certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime());
        return now > end ? string.Create(CultureInfo.InvariantCulture, $"expired at {end:u}: join the node anew")
            : now < begin ? string.Create(CultureInfo.InvariantCulture, $"not good before {begin:u}: check the clocks")
            : now >= _own.NotBefore.ToUniversalTime() && now <= _own.NotAfter.ToUniversalTime() ? null : "not trusted at this time";
    }

    /// <summary>Whether this authority signed it, for dialling, whatever the time: of one certificate that never changes, and to find it out costs more than all else about a stream. A machine
    /// is asked several times as it connects, and after a restart of the control plane all of them connect at once.</summary>
    private bool Signed(X509Certificate2 certificate)
    {
        var hash = certificate.GetCertHashString(HashAlgorithmName.SHA256);
        if (_signed.TryGetValue(hash, out var known)) return known;
        // Strangers cannot make it grow: it is emptied, and everybody's is looked at once more.
        if (_signed.Count >= MostRemembered) _signed.Clear();
        return _signed[hash] = Chains(certificate);
    }

    private bool Chains(X509Certificate2 certificate)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(_own);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ClientUse));
        chain.ChainPolicy.VerificationTime = _time.GetUtcNow().UtcDateTime;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        return chain.Build(certificate);
    }

    public void Dispose() => _own.Dispose();

    private static X509Certificate2 SelfSigned(ECDsa key, DateTimeOffset now)
    {
        // A name of its own for each, since two are trusted side by side while one follows the other.
        var request = new CertificateRequest(new X500DistinguishedName($"CN=Drover cluster authority {Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))}"), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        return request.CreateSelfSigned(now - Skew, now + OwnLife);
    }
}
