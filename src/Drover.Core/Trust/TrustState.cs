using System.Collections.Immutable;

namespace Drover.Core.Trust;

/// <summary>What a holder of an API token may do; each may do what those before it may.</summary>
public enum ApiRole
{
    /// <summary>Reads.</summary>
    Viewer,
    /// <summary>Deploys, moves, changes apps and volumes.</summary>
    Operator,
    /// <summary>Decides who belongs to the cluster.</summary>
    Admin,
}

/// <param name="Hash">Of the secret, see <see cref="Secrets"/>: the secret itself is not kept.</param>
public sealed record ApiToken(string Name, ApiRole Role, string Hash, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt)
{
    public bool Expired(DateTimeOffset now) => ExpiresAt <= now;
}

/// <summary>The right to join once.</summary>
/// <param name="Node">The only name it is good for; null: any name that is free.</param>
/// <param name="UsedBy">Kept for a while, so that a second use gets the true reason.</param>
public sealed record JoinToken(string Hash, string? Node, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt, string? UsedBy);

/// <param name="Authority">Generation of the authority that signed it.</param>
public sealed record IssuedCertificate(string Serial, int Authority, DateTimeOffset NotAfter);

/// <param name="Issued">Those that have not run out, newest last.</param>
/// <param name="Revoked">No certificate with this name is good, until a machine joins with it anew.</param>
public sealed record NodeIdentity(string Node, ImmutableArray<IssuedCertificate> Issued, bool Revoked);

public sealed record RevokedCertificate(string Serial, string Node, DateTimeOffset NotAfter);

/// <summary>Everything the control plane remembers about who is trusted. Changed only by <see cref="TrustRules"/>.</summary>
/// <param name="Authority">Generation of the authority that signs nodes' certificates.</param>
/// <param name="OldAuthority">While the authority changes: the one before, still trusted.</param>
/// <param name="Names">Addresses and DNS names that the control plane's own certificate carries besides those it listens on.</param>
public sealed record TrustState(int Authority, int? OldAuthority, ImmutableArray<string> Names, ImmutableArray<ApiToken> Tokens, ImmutableArray<JoinToken> Joins,
    ImmutableArray<NodeIdentity> Nodes, ImmutableArray<RevokedCertificate> Revoked)
{
    public static readonly TrustState Empty = new(1, null, [], [], [], [], []);

    public NodeIdentity? Node(string name) => Nodes.FirstOrDefault(n => n.Node == name);

    /// <summary>Null: nothing is held against it.</summary>
    public string? WhyRevoked(string node, string serial) =>
        Node(node)?.Revoked == true ? $"node {node} was revoked"
        : Revoked.Any(r => r.Serial == serial) ? $"certificate {serial} of {node} was revoked"
        : null;
}
