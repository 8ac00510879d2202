using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Drover.Testing;

/// <summary>A cluster's CA and ticket key, made for one test.</summary>
public sealed class TestCertificates : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly X509Certificate2 _authority = MakeAuthority();
    private readonly ECDsa _tickets = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private int _serial;

    public string TicketKeyPem => _tickets.ExportSubjectPublicKeyInfoPem();

    /// <summary>A folder with `ca.pem`, `node.pem`, `node.key`.</summary>
    public string Of(string node)
    {
        var folder = _folder.File(node);
        Directory.CreateDirectory(folder);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={node}", key, HashAlgorithmName.SHA256);
        using var certificate = request.Create(_authority, _authority.NotBefore, _authority.NotAfter, BitConverter.GetBytes(++_serial));
        File.WriteAllText(Path.Combine(folder, "ca.pem"), _authority.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, "node.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, "node.key"), key.ExportPkcs8PrivateKeyPem());
        return folder;
    }

    /// <summary>Signs what is given as the control plane does.</summary>
    public string Ticket(string json)
    {
        var data = Encoding.UTF8.GetBytes(json);
        var signature = _tickets.SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        return $"{Base64Url.EncodeToString(data)}.{Base64Url.EncodeToString(signature)}";
    }

    private static X509Certificate2 MakeAuthority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=test cluster", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(30));
    }

    public void Dispose()
    {
        _authority.Dispose();
        _tickets.Dispose();
        _folder.Dispose();
    }
}
