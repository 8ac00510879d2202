using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Drover.Contracts.Api;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Marathon;
using Drover.Core;
using Drover.Core.Nodes;
using Drover.Core.Trust;

namespace Drover.ControlPlane.Api;

/// <summary>The part of /api/v1 that says who is trusted. Roles are in <see cref="RouteTable"/>; each change is written down at the door.</summary>
public static class TrustEndpointsSetup
{
    public static void MapTrust(this IEndpointRouteBuilder routes)
    {
        var trust = ActivatorUtilities.CreateInstance<TrustEndpoints>(routes.ServiceProvider);
        routes.MapPost("/api/v1/nodes/tokens", (RequestDelegate)trust.MakeJoinToken);
        routes.MapPost("/api/v1/nodes/{id}/revoke", (RequestDelegate)trust.RevokeNode);
        routes.MapDelete("/api/v1/nodes/{id}", (RequestDelegate)trust.RemoveNode);
        routes.MapGet("/api/v1/tokens", (RequestDelegate)trust.Tokens);
        routes.MapPost("/api/v1/tokens", (RequestDelegate)trust.MakeToken);
        routes.MapDelete("/api/v1/tokens/{name}", (RequestDelegate)trust.RevokeToken);
        routes.MapGet("/api/v1/ca", (RequestDelegate)trust.ShowAuthority);
        routes.MapPost("/api/v1/ca/rotate", (RequestDelegate)trust.RotateAuthority);
        routes.MapPost("/api/v1/ca/finish", (RequestDelegate)trust.FinishRotation);
        routes.MapGet("/api/v1/audit", (RequestDelegate)trust.ShowAudit);
        routes.MapGet("/api/v1/audit/verify", (RequestDelegate)trust.VerifyAudit);
    }
}

internal sealed class TrustEndpoints(TrustBook book, Authorities authorities, NodeTrust nodes, ApiTokens tokens, AuditLog audit, TimeProvider time)
{
    private const int MostEntries = 10_000, DefaultEntries = 50;
    private static readonly TimeSpan JoinLife = TimeSpan.FromHours(1);

    public async Task MakeJoinToken(HttpContext context)
    {
        if (await Body(context, TrustApiJson.Default.JoinTokenRequest) is not { } asked) return;
        if (await Life(context, asked.TtlSeconds, ApiTokens.LongestJoin) is not (true, var life)) return;
        var (refusal, token, until) = await tokens.MakeJoin(asked.Name, life ?? JoinLife, context.RequestAborted);
        await (refusal is null ? ApiV1.Write(context, 201, new(token, asked.Name, until), TrustApiJson.Default.JoinTokenView) : Refuse(context, 422, refusal));
    }

    public async Task RevokeNode(HttpContext context)
    {
        var node = (string)context.Request.RouteValues["id"]!;
        var refusal = await nodes.Revoke(node, context.RequestAborted);
        await (refusal is null ? ApiV1.Write(context, 200, new(node, true), TrustApiJson.Default.NodeRevokedView) : Refuse(context, 409, refusal));
    }

    public async Task RemoveNode(HttpContext context)
    {
        var node = (string)context.Request.RouteValues["id"]!;
        switch (await nodes.Remove(new NodeId(node), context.Request.Query["acceptLoss"] == "true", context.RequestAborted))
        {
            case RemovalOutcome.Removed removed:
                await ApiV1.Write(context, 200, new(node, [.. removed.Forgotten]), TrustApiJson.Default.NodeRemovedView);
                break;
            case RemovalOutcome.Refused refused:
                await ApiV1.Refuse(context, 409, new($"node '{node}' stays: {string.Join("; ", refused.Reasons)}", "id", refused.Remedy));
                break;
            default:
                await ApiV1.Unknown(context, "node", TrustRules.Shown(node), "drover nodes");
                break;
        }
    }

    public Task Tokens(HttpContext context) => ApiV1.Write(context, 200, new([.. book.State.Tokens.Select(t => View(t, null))]), TrustApiJson.Default.TokensView);

    public async Task MakeToken(HttpContext context)
    {
        if (await Body(context, TrustApiJson.Default.TokenRequest) is not { } asked) return;
        if (!Enum.TryParse<ApiRole>(asked.Role, ignoreCase: true, out var role) || !Enum.IsDefined(role) || int.TryParse(asked.Role, out _))
        {
            await ApiV1.Refuse(context, 422, new($"role '{TrustRules.Shown(asked.Role ?? "")}' is not known", "role", "give viewer, operator or admin"));
            return;
        }
        if (await Life(context, asked.TtlSeconds, ApiTokens.LongestLife) is not (true, var life)) return;
        var (refusal, secret, token) = await tokens.Make(asked.Name ?? "", role, life, context.RequestAborted);
        if (refusal is null) context.Response.Headers.Location = $"/api/v1/tokens/{token.Name}";
        await (refusal is null ? ApiV1.Write(context, 201, View(token, secret), TrustApiJson.Default.TokenView) : Refuse(context, 422, refusal));
    }

    public async Task RevokeToken(HttpContext context)
    {
        var refusal = await tokens.Revoke((string)context.Request.RouteValues["name"]!, context.RequestAborted);
        if (refusal is null) context.Response.StatusCode = 204;
        else await Refuse(context, refusal.StartsWith("there is no", StringComparison.Ordinal) ? 404 : 409, refusal);
    }

    public Task ShowAuthority(HttpContext context)
    {
        var state = book.State;
        string[] behind = state.OldAuthority is { } old ? [.. TrustRules.Behind(state, old, time.GetUtcNow()).Order(StringComparer.Ordinal)] : [];
        return ApiV1.Write(context, 200, new(authorities.BundlePem, authorities.Pins, state.OldAuthority is not null, behind), TrustApiJson.Default.AuthorityView);
    }

    public async Task RotateAuthority(HttpContext context)
    {
        if (await authorities.Rotate(context.RequestAborted) is { } refusal) await Refuse(context, 409, refusal);
        else await ShowAuthority(context);
    }

    public async Task FinishRotation(HttpContext context)
    {
        if (await Body(context, TrustApiJson.Default.FinishRequest) is not { } asked) return;
        if (await authorities.Finish(asked.Force == true, context.RequestAborted) is { } refusal) await Refuse(context, 409, refusal);
        else await ShowAuthority(context);
    }

    public async Task ShowAudit(HttpContext context)
    {
        var text = context.Request.Query["tail"].ToString();
        var count = DefaultEntries;
        if (text.Length > 0 && (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count) || count is < 1 or > MostEntries))
            await ApiV1.Refuse(context, 400, new($"tail '{TrustRules.Shown(text)}' must be a number from 1 to {MostEntries}", "tail", "leave it out for the last 50"));
        else await ApiV1.Write(context, 200, new(await audit.Tail(count, context.RequestAborted)), TrustApiJson.Default.AuditView);
    }

    public async Task VerifyAudit(HttpContext context)
    {
        var found = await audit.Verify(context.RequestAborted);
        await ApiV1.Write(context, 200, new(found.Fault is null, found.Lines, found.Head, found.Fault, found.Line, found.File, found.LineOfFile), TrustApiJson.Default.AuditVerdictView);
    }

    private TokenView View(ApiToken token, string? secret) => new(token.Name, token.Role.ToString().ToLowerInvariant(), token.CreatedAt, token.ExpiresAt, token.Expired(time.GetUtcNow()), secret);

    private static Task Refuse(HttpContext context, int status, string why) => ApiV1.Refuse(context, status, new(why, null, null));

    /// <summary>Null: it was answered already.</summary>
    private static async Task<T?> Body<T>(HttpContext context, JsonTypeInfo<T> type) where T : class
    {
        using var body = await RequestBody.Read(context);
        try
        {
            if (body.Json is { } json && json.RootElement.Deserialize(type) is { } read) return read;
        }
        catch (JsonException e)
        {
            await ApiV1.Refuse(context, 400, new(e.Message, e.Path?.TrimStart('$', '.'), "send the types that the API's description names"));
            return null;
        }
        await ApiV1.Refuse(context, body.Fault == BodyFault.TooLarge ? 413 : 400, new(body.Details, null, "send one JSON object, {} for the defaults"));
        return null;
    }

    private static async Task<(bool Good, TimeSpan? Life)> Life(HttpContext context, long? seconds, TimeSpan longest)
    {
        if (seconds is null) return (true, null);
        if (seconds >= ApiTokens.ShortestLife.TotalSeconds && seconds <= longest.TotalSeconds) return (true, TimeSpan.FromSeconds(seconds.Value));
        await ApiV1.Refuse(context, 422, new($"a life of {seconds} s is not allowed: 1 s to {longest.TotalDays:0} days", "ttlSeconds", "give --ttl such as 30m, 12h or 7d"));
        return (false, null);
    }
}
