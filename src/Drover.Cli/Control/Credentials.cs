using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Drover.Contracts.Api;

namespace Drover.Cli.Control;

/// <summary>What this command line trusts, and who it is.</summary>
/// <param name="Authorities">PEM of who may have signed the control plane's certificate.</param>
/// <param name="Pin">SHA-256 of the authority's key instead: it is fetched and compared.</param>
/// <param name="Token">For the API; never on a command line, where every user of the machine reads it.</param>
public sealed record Credentials(string? Authorities, string? Pin, string? Token)
{
    public static readonly Credentials None = new(null, null, null);

    public static Credentials Read(string? authorityFile, string? pin, string? tokenFile, Func<string, string?> environment)
    {
        authorityFile ??= Given(environment("DROVER_CA"));
        var token = tokenFile is not null ? Text(tokenFile, "--token-file").Trim() : Given(environment("DROVER_TOKEN"));
        if (token is not null && (token.Length == 0 || token.Any(c => char.IsControl(c) || c > 126))) throw new CommandFailure($"{(tokenFile is null ? "DROVER_TOKEN" : $"--token-file {tokenFile}")} holds no token: one line of letters and digits", ExitCode.Usage);
        return new(authorityFile is null ? null : Text(authorityFile, "--ca"), pin ?? Given(environment("DROVER_CA_PIN")), token);
    }

    /// <summary>The authorities to trust at this address; null: those of this machine.</summary>
    public X509Certificate2Collection? Trusted(Uri control)
    {
        if (control.Scheme == "http" && !control.IsLoopback && (Token ?? Authorities ?? Pin) is not null)
            throw new CommandFailure($"{control} is plain HTTP: {(Token is not null ? "everyone on the way could read the token" : "--ca and --ca-pin would say nothing of who answers")}. Give the address as https://{control.Authority}, or leave out the token and the authority (also DROVER_TOKEN, DROVER_CA, DROVER_CA_PIN)", ExitCode.Usage);
        if (control.Scheme != "https" || (Authorities is null && Pin is null)) return null;
        var trusted = new X509Certificate2Collection();
        try { trusted.ImportFromPem(Authorities ?? Pinned(control)); }
        catch (CryptographicException e) { throw new CommandFailure($"--ca holds no certificate in PEM: {e.Message}", ExitCode.Usage); }
        return trusted;
    }

    /// <summary>Nothing secret goes over this connection: what it tells counts only if its key is the one that was named.</summary>
    private string Pinned(Uri control)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, SslOptions = new() { RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null } }) { BaseAddress = control, Timeout = TimeSpan.FromSeconds(15) };
        try
        {
            using var response = http.Send(new HttpRequestMessage(HttpMethod.Get, "/api/v1/ca"));
            var view = JsonSerializer.Deserialize(response.Content.ReadAsStream(), TrustApiJson.Default.AuthorityView);
            var told = new X509Certificate2Collection();
            told.ImportFromPem(view?.Pem ?? "");
            var named = told.FirstOrDefault(c => Convert.ToHexStringLower(SHA256.HashData(c.PublicKey.ExportSubjectPublicKeyInfo())).Equals(Pin, StringComparison.OrdinalIgnoreCase));
            return named?.ExportCertificatePem() ?? throw new CommandFailure($"{control} is not the control plane of this --ca-pin: check the address, and the pin with `drover ca show` on its machine", ExitCode.Unreachable);
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or TaskCanceledException or CryptographicException)
        {
            throw new CommandFailure($"the control plane does not answer at {control} ({e.Message})", ExitCode.Unreachable);
        }
    }

    public static SocketsHttpHandler Handler(X509Certificate2Collection? trusted)
    {
        var handler = new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(5), UseProxy = false };
        if (trusted is not null)
            handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, errors) => shown is X509Certificate2 certificate && !errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch) && Chains(certificate, trusted);
        return handler;
    }

    private static bool Chains(X509Certificate2 certificate, X509Certificate2Collection trusted)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(trusted);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        return chain.Build(certificate);
    }

    private static string? Given(string? value) => string.IsNullOrEmpty(value) ? null : value;

    private static string Text(string file, string option)
    {
        try { return File.ReadAllText(file); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new CommandFailure($"{option} {file} cannot be read: {e.Message}", ExitCode.Usage); }
    }
}
