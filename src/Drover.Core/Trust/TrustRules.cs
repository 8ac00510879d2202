using System.Collections.Immutable;

namespace Drover.Core.Trust;

/// <param name="Next">Null: refused, nothing changes.</param>
/// <param name="Refusal">Why, with the remedy.</param>
public readonly record struct TrustDecision(TrustState? Next, string? Refusal)
{
    public static TrustDecision Go(TrustState next) => new(next, null);
    public static TrustDecision Refuse(string why) => new(null, why);
}

/// <summary>Who gets in, who goes, and what is remembered of it. Pure: the moment is given.</summary>
public static class TrustRules
{
    public const int LongestName = 63;
    /// <summary>A node renews at two thirds, so it has two at a time; more means that something renews without end.</summary>
    public const int MostIssued = 16;
    public const int MostTokens = 1000;
    private static readonly TimeSpan RememberJoins = TimeSpan.FromDays(7);

    /// <summary>Null: the name may be a node's or a token's. It becomes part of paths, host names and certificates.</summary>
    public static string? NameFault(string name) =>
        name.Length is 0 or > LongestName ? $"it has {name.Length} characters, 1 to {LongestName} are allowed"
        : !char.IsAsciiLetterOrDigit(name[0]) ? "it must begin with a letter or digit"
        : name.Contains("..", StringComparison.Ordinal) ? "it holds '..'"
        : name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('.' or '_' or '-')) ? "only letters, digits, '.', '_' and '-' are allowed"
        : null;

    public static TrustDecision AddToken(TrustState state, ApiToken token, DateTimeOffset now)
    {
        if (NameFault(token.Name) is { } fault) return TrustDecision.Refuse($"name '{Shown(token.Name)}': {fault}");
        if (state.Tokens.FirstOrDefault(t => t.Name == token.Name) is { } there && !there.Expired(now))
            return TrustDecision.Refuse($"name '{token.Name}' is a token's already: revoke it first with `drover token revoke {token.Name}`, or choose another name");
        if (state.Tokens.Length >= MostTokens) return TrustDecision.Refuse($"there are {MostTokens} tokens already: revoke some");
        return TrustDecision.Go(state with { Tokens = [.. state.Tokens.Where(t => t.Name != token.Name), token] });
    }

    public static TrustDecision RevokeToken(TrustState state, string name, DateTimeOffset now)
    {
        if (state.Tokens.FirstOrDefault(t => t.Name == name) is not { } token) return TrustDecision.Refuse($"there is no token '{Shown(name)}': list what there is with `drover token list`");
        var left = state.Tokens.Remove(token);
        if (token.Role == ApiRole.Admin && !token.Expired(now) && !left.Any(t => t.Role == ApiRole.Admin && !t.Expired(now)))
            return TrustDecision.Refuse($"'{name}' is the last admin token: make another one first with `drover token create NAME --role admin`");
        return TrustDecision.Go(state with { Tokens = left });
    }

    /// <summary>The token whose secret this is, while it is good.</summary>
    public static ApiToken? Holder(TrustState state, string secret, DateTimeOffset now)
    {
        // Compared by hash: how long that takes says nothing about the secret.
        var hash = Secrets.Hash(secret);
        return state.Tokens.FirstOrDefault(t => t.Hash == hash && !t.Expired(now));
    }

    public static TrustDecision AddJoin(TrustState state, JoinToken token, DateTimeOffset now)
    {
        if (token.Node is { } node && NameFault(node) is { } fault) return TrustDecision.Refuse($"name '{Shown(node)}': {fault}");
        var joins = state.Joins.Where(j => j.ExpiresAt + RememberJoins > now).ToImmutableArray();
        if (joins.Length >= MostTokens) return TrustDecision.Refuse($"there are {MostTokens} join tokens already: wait until some have run out");
        return TrustDecision.Go(state with { Joins = joins.Add(token) });
    }

    /// <summary>Null: this secret lets this name in.</summary>
    /// <param name="isNode">The cluster has a node of this name, with what was placed there.</param>
    public static string? WhyNotJoin(TrustState state, string secret, string node, string reserved, DateTimeOffset now, bool isNode = false)
    {
        if (state.Joins.FirstOrDefault(j => j.Hash == Secrets.Hash(secret)) is not { } token) return "the join token is not one of this cluster: make one with `drover node token`";
        if (token.UsedBy is { } by) return $"the join token was used already, by {by}: make another with `drover node token`";
        if (token.ExpiresAt <= now) return $"the join token ran out at {token.ExpiresAt:u}: make another with `drover node token`";
        if (NameFault(node) is { } fault) return $"name '{Shown(node)}': {fault}";
        if (node == reserved) return $"name '{node}' is the control plane's own: choose another with --name";
        if (token.Node is { } only && only != node) return $"the join token is for node {only}, not for {node}: join with --name {only}";
        // Otherwise whoever holds any token could take a node's place, also that of one that was away until its certificate ran out.
        if (token.Node is null && (isNode || state.Node(node) is { Revoked: false }))
            return $"name '{node}' is a node's already: to replace it make a token for it with `drover node token --name {node}`; else choose another with --name";
        return null;
    }

    /// <summary>After <see cref="WhyNotJoin"/> said nothing. What the name had before is revoked: one name is one machine.</summary>
    public static TrustState Joined(TrustState state, string secret, string node, IssuedCertificate issued, DateTimeOffset now)
    {
        var hash = Secrets.Hash(secret);
        var before = state.Node(node)?.Issued ?? [];
        return Prune(state with
        {
            Joins = [.. state.Joins.Select(j => j.Hash == hash ? j with { UsedBy = node } : j)],
            Nodes = [.. state.Nodes.Where(n => n.Node != node), new NodeIdentity(node, [issued], false)],
            Revoked = With(state.Revoked, node, before),
        }, now);
    }

    /// <param name="serial">Of the certificate that asks.</param>
    public static TrustDecision Renewed(TrustState state, string node, string serial, IssuedCertificate issued, DateTimeOffset now)
    {
        var here = state.Node(node) ?? new NodeIdentity(node, [], false);
        // Asked in the commit: a connection may be older than the revocation, or than another machine's joining with the name.
        if (state.WhyRevoked(node, serial) is { } why) return TrustDecision.Refuse($"{why}: join it anew with a token of `drover node token --name {node}`");
        var alive = here.Issued.Where(i => i.NotAfter > now).ToImmutableArray();
        if (alive.Length >= MostIssued) return TrustDecision.Refuse($"node {node} has {MostIssued} certificates that have not run out: wait until one has, and see why it renews so often");
        return TrustDecision.Go(Prune(state with { Nodes = [.. state.Nodes.Where(n => n.Node != node), here with { Issued = alive.Add(issued) }] }, now));
    }

    public static TrustDecision Revoke(TrustState state, string node, DateTimeOffset now)
    {
        if (NameFault(node) is { } fault) return TrustDecision.Refuse($"name '{Shown(node)}': {fault}");
        // A name that never joined may be revoked too: a certificate may have been made for it elsewhere.
        var here = state.Node(node) ?? new NodeIdentity(node, [], false);
        if (here.Revoked) return TrustDecision.Refuse($"node {node} is revoked already");
        return TrustDecision.Go(Prune(state with
        {
            Nodes = [.. state.Nodes.Where(n => n.Node != node), here with { Issued = [], Revoked = true }],
            Revoked = With(state.Revoked, node, here.Issued),
        }, now));
    }

    public static TrustDecision BeginRotation(TrustState state, int next) =>
        state.OldAuthority is { } old ? TrustDecision.Refuse($"the authority is changing already ({old} to {state.Authority}): end that first with `drover ca finish`")
        : TrustDecision.Go(state with { Authority = next, OldAuthority = state.Authority });

    public static TrustDecision FinishRotation(TrustState state, bool force, DateTimeOffset now)
    {
        if (state.OldAuthority is not { } old) return TrustDecision.Refuse("the authority is not changing: begin with `drover ca rotate`");
        string[] behind = [.. Behind(state, old, now).Order(StringComparer.Ordinal)];
        if (behind.Length > 0 && !force)
            return TrustDecision.Refuse($"{string.Join(", ", behind)} still use the old authority: they renew as soon as they are connected; --force drops it now, and they must join anew");
        return TrustDecision.Go(state with { OldAuthority = null });
    }

    /// <summary>Nodes whose newest certificate the old authority signed.</summary>
    public static IEnumerable<string> Behind(TrustState state, int old, DateTimeOffset now) =>
        state.Nodes.Where(n => !n.Revoked && n.Issued.LastOrDefault() is { } last && last.NotAfter > now && last.Authority == old).Select(n => n.Node);

    public static string Shown(string name) => name.Length > 80 ? $"{name[..80]}…" : name;

    private static ImmutableArray<RevokedCertificate> With(ImmutableArray<RevokedCertificate> revoked, string node, IEnumerable<IssuedCertificate> more) =>
        [.. revoked, .. more.Select(i => new RevokedCertificate(i.Serial, node, i.NotAfter))];

    /// <summary>What ran out is refused for that, and need not be remembered.</summary>
    private static TrustState Prune(TrustState state, DateTimeOffset now) => state with
    {
        Revoked = [.. state.Revoked.Where(r => r.NotAfter > now)],
        Joins = [.. state.Joins.Where(j => j.ExpiresAt + RememberJoins > now)],
    };
}
