using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;

namespace Drover.Agent.Link;

/// <summary>This node's certificate and the authorities it trusts, from the identity folder. What is renewed there is used for the next connection.</summary>
public sealed class AgentIdentity : IDisposable
{
    /// <summary>Name in the control plane's certificate: no node's certificate can pass for it.</summary>
    public const string ControlName = "drover-control";

    private readonly string _node;
    private volatile Loaded _loaded;

    private sealed record Loaded(X509Certificate2 Own, X509Certificate2Collection Authorities);

    private AgentIdentity(IdentityFiles files, string node, Loaded loaded) => (Files, _node, _loaded) = (files, node, loaded);

    public IdentityFiles Files { get; }
    public X509Certificate2 Own => _loaded.Own;

    /// <exception cref="OptionsInvalid">A file is missing or damaged, or the certificate is another node's.</exception>
    public static AgentIdentity Read(string folder, string node)
    {
        var files = new IdentityFiles(folder);
        foreach (var file in new[] { files.Authorities, files.Node })
            if (!File.Exists(file)) throw new OptionsInvalid($"--certificates: {file} does not exist; get a token with `drover node token --name {node}` and run `drover-agent join TOKEN` here");
        return new(files, node, Load(files, node));
    }

    /// <summary>Reads the folder again: it holds a renewed certificate, or another authority.</summary>
    public void Reload() => _loaded = Load(Files, _node);

    private static Loaded Load(IdentityFiles files, string node)
    {
        try
        {
            var own = files.ReadNode();
            var name = own.GetNameInfo(X509NameType.SimpleName, forIssuer: false);
            if (name != node) throw new OptionsInvalid($"--node: this certificate ({files.Node}) is of '{name}', not of '{node}'; start the agent with --node {name} or join with a token for {node}");
            return new(own, files.ReadAuthorities());
        }
        catch (Exception e) when (e is CryptographicException or JsonException or FileNotFoundException)
        {
            throw new OptionsInvalid($"--certificates: {files.Folder} cannot be read: {e.Message}; join this node anew");
        }
    }

    /// <summary>For dialling the control plane: shows our certificate, takes only one of our authorities that bears the control plane's name. Asked at each handshake.</summary>
    public SslClientAuthenticationOptions ForControl() => new()
    {
        TargetHost = ControlName,
        LocalCertificateSelectionCallback = (_, _, _, _, _) => _loaded.Own,
        EnabledSslProtocols = SslProtocols.Tls13,
        // A resumed session would go on with the certificate before.
        AllowTlsResume = false,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, shown, _, errors) => IsControl(shown, errors, _loaded.Authorities),
    };

    /// <summary>True: one of these authorities signed it, and it bears the control plane's name.</summary>
    public static bool IsControl(X509Certificate? shown, SslPolicyErrors errors, X509Certificate2Collection authorities)
    {
        if (shown is not X509Certificate2 certificate || errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)) return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        return chain.Build(certificate);
    }

    public void Dispose() => _loaded.Own.Dispose();
}
