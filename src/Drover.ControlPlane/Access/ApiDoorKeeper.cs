using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Drover.Contracts.Api;
using Drover.ControlPlane.Api;
using Drover.Core.Trust;

namespace Drover.ControlPlane.Access;

/// <summary>Who asks, for the audit log and for what follows.</summary>
public sealed record Caller(string Name, string Role);

/// <summary>Checks each request at the HTTP door against <see cref="RouteTable"/>, and writes each change into the audit log before its answer goes out.</summary>
public sealed class ApiDoorKeeper(ControlPlaneOptions options, TrustBook book, AuditLog audit, TimeProvider time)
{
    public async Task Pass(HttpContext context, RequestDelegate next)
    {
        var least = RouteTable.Least(context.Request.Method, context.Request.Path.Value ?? "");
        var onlyReads = Reads(context.Request.Method) && RouteTable.Find(context.Request.Method, context.Request.Path.Value ?? "") is not { Reveals: true };
        var secret = SecretIn(context.Request.Headers.Authorization.ToString());
        var token = secret is null ? null : TrustRules.Holder(book.State, secret, time.GetUtcNow());
        var caller = token is null ? new Caller("anonymous", "anonymous") : new Caller(token.Name, Word(token.Role));
        if (least is { } role && (token is not null || options.NeedsToken))
        {
            if (token is null)
            {
                await Refuse(context, caller, 401, secret is null ? "no token was given" : "the token is not known: it was revoked, ran out, or is of another cluster",
                    "Send Authorization: Bearer TOKEN (or Basic with it as the password); an admin makes one with `drover token create NAME --role ROLE`", role);
                return;
            }
            if (token.Role < role)
            {
                await Refuse(context, caller, 403, $"token '{token.Name}' is {Word(token.Role)}, this needs the role {Word(role)}", "Ask with a token of that role", role);
                return;
            }
        }
        if (least is { } asked && token is null && !options.NeedsToken)
        {
            if ((FromElsewhere(context.Request) ? "Origin" : !onlyReads && FromAnotherPage(context.Request) ? "Sec-Fetch-Site" : null) is { } header)
            {
                await Refuse(context, caller, 403, "this request comes from another site", "Use the control plane's own address, or a token", asked, header);
                return;
            }
            if (Misnamed(context.Request.Host))
            {
                await Refuse(context, caller, 403, $"'{context.Request.Host.Host}' is no name of this control plane", "Use its address, or a token, or stop it and make the name known: drover-control init --data DIR --name NAME (with --new-admin where there is an admin token)", asked, "Host");
                return;
            }
        }
        if (onlyReads) await next(context);
        else await Audited(context, caller, next);
    }

    /// <summary>A page of somebody else's, in the browser of one who reaches this door: it says where it is from.</summary>
    private static bool FromElsewhere(HttpRequest request) => request.Headers.Origin.ToString() is { Length: > 0 } origin
        && !(Uri.TryCreate(origin, UriKind.Absolute, out var from) && from.Host.Equals(request.Host.Host, StringComparison.OrdinalIgnoreCase)
            && from.Port == (request.Host.Port ?? (from.Scheme == Uri.UriSchemeHttps ? 443 : 80)));

    /// <summary>An image or a link in such a page sends no Origin with its GET; browsers of today say this of every request, and pages cannot.</summary>
    private static bool FromAnotherPage(HttpRequest request) => request.Headers["Sec-Fetch-Site"].ToString() is "cross-site" or "same-site";

    /// <summary>The same page by a name that was made to point here: to the browser it is that name's own site then. Also beyond loopback, where plain HTTP was allowed: whoever can reach this door can be made to by his browser.</summary>
    private bool Misnamed(HostString host) => host.HasValue && !IPAddress.TryParse(host.Host, out _) && !book.State.Names.Append("localhost").Contains(host.Host, StringComparer.OrdinalIgnoreCase);

    /// <summary>No answer without a line in the log.</summary>
    private async Task Audited(HttpContext context, Caller caller, RequestDelegate next)
    {
        var written = false;
        context.Response.OnStarting(Write);
        try { await next(context); }
        catch (Exception e) when (!written)
        {
            // The answer is made further out, from the exception: what stands in the response now is not what will be said.
            await WriteAs(e is OperationCanceledException && context.RequestAborted.IsCancellationRequested ? StatusCodes.Status499ClientClosedRequest
                : e is BadHttpRequestException bad ? bad.StatusCode : StatusCodes.Status500InternalServerError);
            throw;
        }
        await Write();

        Task Write() => WriteAs(context.Response.StatusCode);

        Task WriteAs(int status)
        {
            if (written) return Task.CompletedTask;
            written = true;
            var headers = context.Response.Headers;
            var detail = headers.Location.ToString() is { Length: > 0 } made ? made : headers["Marathon-Deployment-Id"].ToString() is { Length: > 0 } deployment ? $"deployment {deployment}" : "";
            if (detail.Length == 0 && context.Items.TryGetValue(typeof(ErrorView), out var refused)) detail = (string)refused!;
            return audit.Add(caller.Name, caller.Role, AgentDoorKeeper.AddressOf(context), What(context), status.ToString(CultureInfo.InvariantCulture), detail);
        }
    }

    private async Task Refuse(HttpContext context, Caller caller, int status, string why, string remedy, ApiRole needed, string field = "Authorization")
    {
        await audit.Refused(caller.Name, caller.Role, AgentDoorKeeper.AddressOf(context), What(context), $"{status}: {why}");
        if (status == 401) context.Response.Headers.WWWAuthenticate = new(["Bearer realm=\"drover\"", "Basic realm=\"drover\""]);
        await ApiV1.Refuse(context, status, new ErrorView(status == 401 ? $"{why}; this needs the role {Word(needed)}" : why, field, remedy));
    }

    private static bool Reads(string method) => HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || HttpMethods.IsOptions(method);

    private static string What(HttpContext context) => $"{context.Request.Method} {context.Request.Path}";

    private static string Word(ApiRole role) => role.ToString().ToLowerInvariant();

    /// <summary>`Bearer X`, `token=X` (as clients of Mesosphere's DC/OS send it), or the password of Basic, whatever the user.</summary>
    public static string? SecretIn(string header)
    {
        if (header.StartsWith("token=", StringComparison.OrdinalIgnoreCase)) return header[6..].Trim();
        if (!AuthenticationHeaderValue.TryParse(header, out var parsed) || parsed.Parameter is not { Length: > 0 } given) return null;
        if (parsed.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase)) return given;
        if (!parsed.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase)) return null;
        var bytes = new byte[given.Length];
        if (!Convert.TryFromBase64String(given, bytes, out var length)) return null;
        var pair = Encoding.UTF8.GetString(bytes, 0, length);
        return pair.IndexOf(':', StringComparison.Ordinal) is >= 0 and var colon ? pair[(colon + 1)..] : null;
    }
}
