using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Drover.Agent.Link;

/// <summary>This node's certificate and the authority it trusts: `ca.pem`, `node.pem`, `node.key` of the certificates folder.</summary>
public sealed class AgentIdentity : IDisposable
{
    /// <summary>Name in the control plane's certificate: no node's certificate can pass for it.</summary>
    public const string ControlName = "drover-control";

    private AgentIdentity(X509Certificate2 authority, X509Certificate2 own) => (Authority, Own) = (authority, own);

    public X509Certificate2 Authority { get; }
    public X509Certificate2 Own { get; }

    /// <exception cref="OptionsInvalid">A file is missing or damaged, or the certificate is another node's.</exception>
    public static AgentIdentity Read(string folder, string node)
    {
        var (ca, pem, key) = (Path.Combine(folder, "ca.pem"), Path.Combine(folder, "node.pem"), Path.Combine(folder, "node.key"));
        foreach (var file in new[] { ca, pem, key })
            if (!File.Exists(file)) throw new OptionsInvalid($"--certificates: {file} does not exist; make it with `drover-control certificate --node {node} --address IP --out {folder}` on the control plane's machine and copy the folder here");
        try
        {
            var own = X509Certificate2.CreateFromPemFile(pem, key);
            var name = own.GetNameInfo(X509NameType.SimpleName, forIssuer: false);
            if (name != node) throw new OptionsInvalid($"--node: this certificate ({pem}) is of '{name}', not of '{node}'; start the agent with --node {name} or give it a certificate of its own");
            return new(X509CertificateLoader.LoadCertificateFromFile(ca), own);
        }
        catch (CryptographicException e) { throw new OptionsInvalid($"--certificates: {folder} cannot be read: {e.Message}; make the certificates anew"); }
    }

    /// <summary>For dialling the control plane: shows our certificate, takes only one of our authority that bears the control plane's name.</summary>
    public SslClientAuthenticationOptions ForControl() => new()
    {
        TargetHost = ControlName,
        ClientCertificates = [Own],
        LocalCertificateSelectionCallback = (_, _, _, _, _) => Own,
        EnabledSslProtocols = System.Security.Authentication.SslProtocols.Tls13,
        CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { Authority }, RevocationMode = X509RevocationMode.NoCheck,
        },
    };

    public void Dispose()
    {
        Authority.Dispose();
        Own.Dispose();
    }
}
