using Drover.Contracts.Trust;
using Drover.Core.Trust;

namespace Drover.ControlPlane.Access;

/// <summary>Tokens for the API, and those that let a machine join. Each secret leaves here once and is kept as a hash.</summary>
public sealed class ApiTokens(TrustBook book, Authorities authorities, ControlPlaneOptions options, OpenDoors doors, TimeProvider time)
{
    public const string Prefix = "drvt_";
    public static readonly TimeSpan ShortestLife = TimeSpan.FromSeconds(1), LongestJoin = TimeSpan.FromDays(7), LongestLife = TimeSpan.FromDays(3652);

    /// <param name="life">Null: until it is revoked.</param>
    public async Task<(string? Refusal, string Secret, ApiToken Token)> Make(string name, ApiRole role, TimeSpan? life, CancellationToken cancel)
    {
        var (secret, now) = (Secrets.Make(Prefix), time.GetUtcNow());
        var token = new ApiToken(name, role, Secrets.Hash(secret), now, now + life);
        return (await book.Decide(state => TrustRules.AddToken(state, token, now), cancel), secret, token);
    }

    public Task<string?> Revoke(string name, CancellationToken cancel) => book.Decide(state => TrustRules.RevokeToken(state, name, time.GetUtcNow()), cancel);

    /// <param name="node">The only name it is good for; null: any that is free.</param>
    public async Task<(string? Refusal, string Token, DateTimeOffset ExpiresAt)> MakeJoin(string? node, TimeSpan life, CancellationToken cancel)
    {
        var (secret, now) = (Secrets.Make(""), time.GetUtcNow());
        var refusal = node == CertificateAuthority.ControlPlane ? $"name '{node}' is the control plane's own: choose another"
            : await book.Decide(state => TrustRules.AddJoin(state, new(Secrets.Hash(secret), node, now, now + life, null), now), cancel);
        var port = doors.Agents.Port;
        var hosts = Listeners.AddressesOf(options.Agents.Address).OrderBy(System.Net.IPAddress.IsLoopback).Select(a => a.ToString()).Concat(book.State.Names).Distinct();
        var invitation = new Invitation([.. hosts.Select(h => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"https://{h}:{port}"))], [.. authorities.Pins], secret, node);
        return (refusal, invitation.ToString(), now + life);
    }
}
