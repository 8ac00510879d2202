namespace Drover.ControlPlane.Observability;

/// <summary>The route a path belongs to, with names in place of ids: few enough to count by. What is at no route is `other`.</summary>
public static class RouteNames
{
    public const string Other = "other";
    private static readonly HashSet<string> V2 = ["tasks", "deployments", "queue", "info", "leader", "plugins", "events", "eventSubscriptions", "pods", "artifacts"];
    private static readonly HashSet<string> V1 = ["status", "nodes", "volumes", "operations", "moves", "events", "offers", "tokens", "audit", "ca", "rebalance", "openapi.json"];
    private static readonly HashSet<string> Verbs = ["cordon", "uncordon", "limit", "drain", "revoke", "promote", "snapshots", "restore", "clone", "resize", "schedule", "undelete", "purge", "export", "import", "undo", "cut", "files"];

    public static string Of(string path) => path.Split('/', StringSplitOptions.RemoveEmptyEntries) switch
    {
        [] => "/",
        ["ping" or "logging" or "config" or "metrics"] one => $"/{one[0]}",
        ["metrics", "prometheus"] => "/metrics/prometheus",
        ["v2", "apps"] => "/v2/apps",
        ["v2", "apps", .., "restart"] => "/v2/apps/{id}/restart",
        ["v2", "apps", .., "versions"] => "/v2/apps/{id}/versions",
        ["v2", "apps", .., "versions", _] => "/v2/apps/{id}/versions/{version}",
        ["v2", "apps", .., "tasks"] => "/v2/apps/{id}/tasks",
        ["v2", "apps", .., "tasks", _] => "/v2/apps/{id}/tasks/{task}",
        ["v2", "apps", ..] => "/v2/apps/{id}",
        ["v2", "groups"] => "/v2/groups",
        ["v2", "groups", .., "versions"] => "/v2/groups/{id}/versions",
        ["v2", "groups", .., "versions", _] => "/v2/groups/{id}/versions/{version}",
        ["v2", "groups", ..] => "/v2/groups/{id}",
        ["v2", "tasks", "delete"] => "/v2/tasks/delete",
        ["v2", "deployments", _] => "/v2/deployments/{id}",
        ["v2", "queue", .., "delay"] => "/v2/queue/{id}/delay",
        ["v2", var last] when V2.Contains(last) => $"/v2/{last}",
        ["api", "v1", "apps", .., "logs"] => "/api/v1/apps/{id}/logs",
        ["api", "v1", "apps", .., "files"] => "/api/v1/apps/{id}/files",
        ["api", "v1", var noun] when V1.Contains(noun) => $"/api/v1/{noun}",
        ["api", "v1", var noun, _] when V1.Contains(noun) => $"/api/v1/{noun}/{{id}}",
        ["api", "v1", var noun, _, var verb, ..] when V1.Contains(noun) && Verbs.Contains(verb) => $"/api/v1/{noun}/{{id}}/{verb}",
        _ => Other,
    };
}
