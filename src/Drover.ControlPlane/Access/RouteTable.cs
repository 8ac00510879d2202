using Drover.Core.Trust;

namespace Drover.ControlPlane.Access;

/// <summary>The least role for each route of the HTTP door: the only place where that is said.</summary>
/// <remarks>A route that is not listed may be read by viewers and changed only by admins: forgetting one locks out, it does not let in.</remarks>
public static class RouteTable
{
    private const ApiRole Viewer = ApiRole.Viewer, Operator = ApiRole.Operator, Admin = ApiRole.Admin;

    /// <param name="Methods">`GET`, `POST|PUT`, `*`: any.</param>
    /// <param name="Path">`{x}`: one segment; `{*x}`: one or more, also in the middle.</param>
    /// <param name="Least">Null: nobody needs to say who he is.</param>
    /// <param name="Reveals">Read or not, it goes into the audit log.</param>
    public sealed record Entry(string Methods, string Path, ApiRole? Least, bool Reveals = false);

    /// <summary>The first that fits counts.</summary>
    public static readonly IReadOnlyList<Entry> Entries =
    [
        new("GET", "/ping", null),
        new("GET", "/api/v1/ca", null),
        new("POST", "/api/v1/ca/rotate", Admin),
        new("POST", "/api/v1/ca/finish", Admin),
        new("GET|POST", "/api/v1/tokens", Admin),
        new("DELETE", "/api/v1/tokens/{name}", Admin),
        new("POST", "/api/v1/nodes/tokens", Admin),
        new("POST", "/api/v1/nodes/{id}/revoke", Admin),
        new("DELETE", "/api/v1/nodes/{id}", Admin),
        new("GET", "/api/v1/audit", Admin),
        new("GET", "/api/v1/audit/verify", Admin),

        new("GET", "/api/v1/status", Viewer),
        new("GET", "/api/v1/nodes", Viewer),
        new("GET", "/api/v1/nodes/{id}", Viewer),
        new("GET", "/api/v1/volumes", Viewer),
        new("GET", "/api/v1/volumes/{name}", Viewer),
        new("GET", "/api/v1/volumes/{name}/snapshots", Viewer),
        // Operators may run an app with the volume, which can read it all: this gives them no more. Viewers may not.
        new("GET", "/api/v1/volumes/{name}/export", Operator, Reveals: true),
        new("GET", "/api/v1/operations", Viewer),
        new("GET", "/api/v1/operations/{id}", Viewer),
        new("GET", "/api/v1/moves", Viewer),
        new("GET", "/api/v1/moves/{id}", Viewer),
        new("GET", "/api/v1/events", Viewer),
        new("GET", "/api/v1/offers", Viewer),
        new("GET", "/api/v1/openapi.json", Viewer),
        new("GET", "/api/v1/apps/{*id}/logs", Viewer),
        new("POST", "/api/v1/moves", Operator),
        // Work on what is there; who belongs to the cluster is above.
        new("*", "/api/v1/moves/{*rest}", Operator),
        new("POST", "/api/v1/volumes", Operator),
        new("*", "/api/v1/volumes/{*rest}", Operator),
        new("*", "/api/v1/operations/{*rest}", Operator),
        new("GET", "/api/v1/nodes/{id}/drain", Viewer),
        new("*", "/api/v1/nodes/{id}/{*action}", Operator),
        new("POST", "/api/v1/rebalance", Operator),

        new("GET", "/v2/apps", Viewer),
        new("GET", "/v2/apps/{*id}", Viewer),
        new("GET", "/v2/tasks", Viewer),
        new("GET", "/v2/deployments", Viewer),
        new("GET", "/v2/deployments/{id}", Viewer),
        new("GET", "/v2/queue", Viewer),
        new("GET", "/v2/info", Viewer),
        new("GET", "/v2/events", Viewer),
        new("GET", "/v2/groups", Viewer),
        new("GET", "/v2/groups/{*id}", Viewer),
        new("POST|PUT|PATCH", "/v2/apps", Operator),
        new("POST|PUT|PATCH|DELETE", "/v2/groups", Operator),
        new("POST|PUT|PATCH|DELETE", "/v2/groups/{*id}", Operator),
        new("GET", "/v2/leader", Viewer),
        new("DELETE", "/v2/leader", Admin),
        new("GET", "/v2/plugins", Viewer),
        new("GET", "/v2/eventSubscriptions", Viewer),
        // What is subscribed becomes requests from the control plane's machine.
        new("POST|DELETE", "/v2/eventSubscriptions", Admin),
        new("GET", "/", Viewer),
        new("GET", "/metrics", Viewer),
        new("GET", "/metrics/prometheus", Viewer),
        new("GET", "/config", Viewer),
        new("GET", "/logging", Viewer),
        new("POST", "/logging", Admin),
        new("POST|PUT|PATCH|DELETE", "/v2/apps/{*id}", Operator),
        new("POST", "/v2/tasks/delete", Operator),
        new("DELETE", "/v2/deployments/{id}", Operator),
        new("DELETE", "/v2/queue/{*id}/delay", Operator),
    ];

    /// <summary>Null: not listed.</summary>
    public static Entry? Find(string method, string path)
    {
        var segments = Segments(path);
        var asked = HttpMethods.IsHead(method) ? "GET" : method;
        return Entries.FirstOrDefault(e => (e.Methods == "*" || e.Methods.Split('|').Contains(asked, StringComparer.OrdinalIgnoreCase)) && Fits(Segments(e.Path), segments));
    }

    public static ApiRole? Least(string method, string path) =>
        Find(method, path) is { } entry ? entry.Least : HttpMethods.IsGet(method) || HttpMethods.IsHead(method) ? ApiRole.Viewer : ApiRole.Admin;

    /// <summary>As the doors take paths apart: empty segments do not count, `%2F` is a slash, and routing does not look at case.</summary>
    private static string[] Segments(string path) => path.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase).Split('/', StringSplitOptions.RemoveEmptyEntries);

    private static bool Fits(ReadOnlySpan<string> pattern, ReadOnlySpan<string> path)
    {
        if (pattern.IsEmpty) return path.IsEmpty;
        if (path.IsEmpty) return false;
        if (pattern[0].StartsWith("{*", StringComparison.Ordinal))
        {
            for (var taken = 1; taken <= path.Length; taken++)
                if (Fits(pattern[1..], path[taken..])) return true;
            return false;
        }
        return (pattern[0].StartsWith('{') || pattern[0].Equals(path[0], StringComparison.OrdinalIgnoreCase)) && Fits(pattern[1..], path[1..]);
    }
}
