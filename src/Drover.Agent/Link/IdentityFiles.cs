using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Drover.Agent.Link;

/// <summary>What joining left beside the certificate, so that the agent needs no options for it.</summary>
/// <param name="Control">`https://172.16.255.250:4524`</param>
/// <param name="Address">Where the control plane saw this node come from.</param>
public sealed record Joined(string Node, string Control, string Address);

/// <summary>Serials and nodes that are not trusted any more, as the control plane said last.</summary>
public sealed record Revocations(IReadOnlyList<string> Serials, IReadOnlyList<string> Nodes)
{
    public static readonly Revocations None = new([], []);
}

/// <summary>The folder of this node's identity: `node.pem` (certificate and key), `ca.pem`, `revoked.json`, `joined.json`.</summary>
/// <remarks>Certificate and key are one file, so that both are replaced in one moment. A separate `node.key` is read where `node.pem` holds no key.</remarks>
public sealed class IdentityFiles(string folder)
{
    private const UnixFileMode Secret = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public string Folder => folder;
    public string Node => Path.Combine(folder, "node.pem");
    public string Key => Path.Combine(folder, "node.key");
    public string Authorities => Path.Combine(folder, "ca.pem");
    public string Revoked => Path.Combine(folder, "revoked.json");
    public string About => Path.Combine(folder, "joined.json");

    /// <summary>When each was written last: the same moments, the same content. Each for itself: two may be written in one tick of the file system's clock, with a reader between.</summary>
    public (DateTime Node, DateTime Key, DateTime Authorities, DateTime Revoked) Written =>
        (File.GetLastWriteTimeUtc(Node), File.GetLastWriteTimeUtc(Key), File.GetLastWriteTimeUtc(Authorities), File.GetLastWriteTimeUtc(Revoked));

    /// <exception cref="CryptographicException">Damaged, or the key is another's.</exception>
    public X509Certificate2 ReadNode()
    {
        var text = File.ReadAllText(Node);
        return X509Certificate2.CreateFromPem(text, text.Contains("PRIVATE KEY", StringComparison.Ordinal) ? text : File.ReadAllText(Key));
    }

    public X509Certificate2Collection ReadAuthorities()
    {
        var all = new X509Certificate2Collection();
        all.ImportFromPemFile(Authorities);
        return all;
    }

    public Revocations ReadRevoked() => File.Exists(Revoked) ? JsonSerializer.Deserialize(File.ReadAllText(Revoked), IdentityJson.Default.Revocations) ?? Revocations.None : Revocations.None;

    /// <param name="text">Of `joined.json`; null: there is none.</param>
    public static Joined? ParseJoined(string? text)
    {
        try { return text is null ? null : JsonSerializer.Deserialize(text, IdentityJson.Default.Joined); }
        catch (JsonException e) { throw new OptionsInvalid($"joined.json of the identity folder is no JSON: {e.Message}; join this node anew"); }
    }

    public void WriteNode(string certificatePem, string keyPem) => WriteWhole(Node, certificatePem.TrimEnd() + "\n" + keyPem.TrimEnd() + "\n");

    /// <summary>False: nothing was different.</summary>
    public bool WriteAuthorities(string pem) => WriteIfOther(Authorities, pem);

    public bool WriteRevoked(Revocations revoked) => WriteIfOther(Revoked, JsonSerializer.Serialize(revoked, IdentityJson.Default.Revocations));

    public void WriteJoined(Joined joined) => WriteWhole(About, JsonSerializer.Serialize(joined, IdentityJson.Default.Joined) + "\n");

    public void MakeFolder() => Directory.CreateDirectory(folder, Secret | UnixFileMode.UserExecute);

    /// <summary>A key made here, and the request for a certificate of it; the key never leaves.</summary>
    public static (string KeyPem, byte[] Request) MakeRequest(string node)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return (key.ExportPkcs8PrivateKeyPem(), new CertificateRequest(new X500DistinguishedName($"CN={node}"), key, HashAlgorithmName.SHA256).CreateSigningRequest());
    }

    private static bool WriteIfOther(string path, string text)
    {
        if (File.Exists(path) && File.ReadAllText(path) == text) return false;
        WriteWhole(path, text);
        return true;
    }

    /// <summary>A whole file or none, for root only: beside it first, onto the disk, then in its place.</summary>
    private static void WriteWhole(string path, string text)
    {
        var beside = $"{path}.new";
        // Left by a crash, and never put in place: its mode may be another.
        File.Delete(beside);
        using (var stream = new FileStream(beside, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = Secret }))
        {
            stream.Write(Encoding.UTF8.GetBytes(text));
            stream.Flush(flushToDisk: true);
        }
        // Safe: what takes the old one's place is whole and on the disk.
        File.Move(beside, path, overwrite: true);
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Joined))]
[JsonSerializable(typeof(Revocations))]
internal sealed partial class IdentityJson : JsonSerializerContext;
