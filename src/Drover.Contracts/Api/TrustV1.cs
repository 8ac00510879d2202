using System.Text.Json.Serialization;
using Drover.Core.Trust;

namespace Drover.Contracts.Api;

/// <summary>POST /api/v1/nodes/tokens</summary>
/// <param name="Name">The only node that may use it; null: any name that is free.</param>
/// <param name="TtlSeconds">Null: an hour.</param>
public sealed record JoinTokenRequest(string? Name, long? TtlSeconds);

/// <param name="Token">For `drover-agent join`; shown only now, good once.</param>
public sealed record JoinTokenView(string Token, string? Name, DateTimeOffset ExpiresAt);

/// <summary>POST /api/v1/tokens</summary>
/// <param name="Role">`viewer`, `operator` or `admin`.</param>
/// <param name="TtlSeconds">Null: until it is revoked.</param>
public sealed record TokenRequest(string? Name, string? Role, long? TtlSeconds);

/// <param name="Secret">Only in the answer that made it.</param>
public sealed record TokenView(string Name, string Role, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt, bool Expired, string? Secret);

/// <summary>GET /api/v1/tokens</summary>
public sealed record TokensView(IReadOnlyList<TokenView> Tokens);

/// <summary>POST /api/v1/nodes/{id}/revoke</summary>
public sealed record NodeRevokedView(string Node, bool Revoked);

/// <summary>DELETE /api/v1/nodes/{id}?acceptLoss=true</summary>
/// <param name="Forgotten">What only that node had, in words.</param>
public sealed record NodeRemovedView(string Node, IReadOnlyList<string> Forgotten);

/// <summary>POST /api/v1/ca/finish</summary>
public sealed record FinishRequest(bool? Force);

/// <summary>GET /api/v1/ca</summary>
/// <param name="Pem">All authorities that are trusted.</param>
/// <param name="Pins">SHA-256 of their public keys, hex.</param>
/// <param name="Changing">Two are trusted: `drover ca finish` ends that.</param>
/// <param name="Behind">Nodes that still use the old one.</param>
public sealed record AuthorityView(string Pem, IReadOnlyList<string> Pins, bool Changing, IReadOnlyList<string> Behind);

/// <summary>GET /api/v1/audit?tail=N</summary>
public sealed record AuditView(IReadOnlyList<AuditEntry> Entries);

/// <summary>GET /api/v1/audit/verify: of all the log's files.</summary>
/// <param name="Line">Of the whole log, from 1, where the fault shows.</param>
/// <param name="File">The file that it is in, and which line there.</param>
public sealed record AuditVerdictView(bool Ok, long Lines, string Head, string? Fault, long Line, string? File = null, long LineOfFile = 0);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.Never, WriteIndented = false)]
[JsonSerializable(typeof(JoinTokenRequest))]
[JsonSerializable(typeof(JoinTokenView))]
[JsonSerializable(typeof(TokenRequest))]
[JsonSerializable(typeof(TokenView))]
[JsonSerializable(typeof(TokensView))]
[JsonSerializable(typeof(NodeRevokedView))]
[JsonSerializable(typeof(NodeRemovedView))]
[JsonSerializable(typeof(FinishRequest))]
[JsonSerializable(typeof(AuthorityView))]
[JsonSerializable(typeof(AuditView))]
[JsonSerializable(typeof(AuditVerdictView))]
public sealed partial class TrustApiJson : JsonSerializerContext;
