namespace Drover.ControlPlane.OpenApi;

/// <summary>/v2 and its neighbours, operation by operation.</summary>
public static class MarathonApi
{
    private static readonly ShapeJson Shapes = ShapeJson.Default;
    private static readonly string[] Force = ["force: takes over from deployments that work on it"], Killing = ["host: only there; * for all", "scale: the app shrinks by as many", "wipe: their claims go too", "force: takes over from deployments that work on it"];

    public static readonly IReadOnlyList<ApiOperation> Operations =
    [
        new("GET", "/v2/apps", "All apps", 200, Shapes.AppsShape, Query: ["id: part of the id", "cmd: part of the command", "label: a selector", "embed: apps.tasks and others"], Refusals: [422]),
        new("POST", "/v2/apps", "Creates an app", 201, Shapes.AppInfoShape, Shapes.AppShape, Force, [400, 403, 409, 413, 422]),
        new("PUT", "/v2/apps", "Changes or creates apps", 200, Shapes.BegunShape, Shapes.AppShape, [.. Force, "partialUpdate: what is not named stays"], [400, 403, 409, 413, 422]) { Many = true },
        new("PATCH", "/v2/apps", "Changes apps", 200, Shapes.BegunShape, Shapes.AppShape, Force, [400, 403, 404, 409, 413, 422]) { Many = true },
        new("GET", "/v2/apps/{id}", "One app; an id that ends in /* shows a group's apps", 200, Shapes.OneAppShape, Query: ["embed: app.taskStats and others"], Refusals: [404]),
        new("PUT", "/v2/apps/{id}", "Changes or creates an app; with version alone it goes back", 200, Shapes.BegunShape, Shapes.AppShape, [.. Force, "partialUpdate: what is not named stays"], [400, 403, 404, 409, 413, 422]),
        new("PATCH", "/v2/apps/{id}", "Changes an app", 200, Shapes.BegunShape, Shapes.AppShape, Force, [400, 403, 404, 409, 413, 422]),
        new("DELETE", "/v2/apps/{id}", "Deletes an app; its volumes stay", 200, Shapes.BegunShape, Query: ["force: true unless said otherwise"], Refusals: [403, 404, 409, 422]),
        new("POST", "/v2/apps/{id}/restart", "Replaces all copies", 200, Shapes.BegunShape, Query: Force, Refusals: [403, 404, 409, 422]),
        new("GET", "/v2/apps/{id}/versions", "Versions, newest first", 200, Shapes.VersionsShape, Refusals: [404]),
        new("GET", "/v2/apps/{id}/versions/{version}", "The app as it was", 200, Shapes.AppShape, Refusals: [404, 422]),
        new("GET", "/v2/apps/{id}/tasks", "Its tasks", 200, Shapes.TasksShape, Refusals: [404]),
        new("DELETE", "/v2/apps/{id}/tasks", "Stops its tasks", 200, Shapes.TasksShape, Query: Killing, Refusals: [400, 404, 409, 422]),
        new("DELETE", "/v2/apps/{id}/tasks/{task}", "Stops one task", 200, Shapes.OneTaskShape, Query: Killing[1..], Refusals: [400, 404, 409, 422]),
        new("GET", "/v2/groups", "The tree of groups", 200, Shapes.GroupShape, Query: ["embed: group.apps and others"]),
        new("POST", "/v2/groups", "Creates groups and apps", 201, Shapes.BegunShape, Shapes.GroupShape, Force, [400, 403, 409, 413, 422]),
        new("PUT", "/v2/groups", "Changes groups and apps", 200, Shapes.BegunShape, Shapes.GroupShape, [.. Force, "dryRun: only says the steps"], [400, 403, 404, 409, 413, 422]),
        new("DELETE", "/v2/groups", "Deletes all there is", 200, Shapes.BegunShape, Query: Force, Refusals: [403, 409, 422]),
        new("GET", "/v2/groups/{id}", "One group", 200, Shapes.GroupShape, Query: ["embed: group.apps and others"], Refusals: [404]),
        new("POST", "/v2/groups/{id}", "Creates a group", 201, Shapes.BegunShape, Shapes.GroupShape, Force, [400, 403, 404, 409, 413, 422]),
        new("PUT", "/v2/groups/{id}", "Changes a group: its apps, scaleBy, or a version to go back to", 200, Shapes.BegunShape, Shapes.GroupShape, [.. Force, "dryRun: only says the steps"], [400, 403, 404, 409, 413, 422]),
        new("PATCH", "/v2/groups/{id}", "enforceRole of a group at the top", 200, null, Shapes.GroupShape, null, [400, 404, 413, 422]),
        new("DELETE", "/v2/groups/{id}", "Deletes a group", 200, Shapes.BegunShape, Query: Force, Refusals: [403, 404, 409, 422]),
        new("GET", "/v2/groups/{id}/apps", "Its apps", 200, null, Refusals: [404]),
        new("GET", "/v2/groups/{id}/versions", "Versions, newest first", 200, Shapes.StringArray, Refusals: [404]),
        new("GET", "/v2/groups/{id}/versions/{version}", "The group as it was", 200, Shapes.GroupShape, Refusals: [404, 422]),
        new("GET", "/v2/tasks", "All tasks; as text for load balancers of 2015", 200, Shapes.TasksShape, Query: ["status: running or staging"]),
        new("POST", "/v2/tasks/delete", "Stops tasks", 200, Shapes.TasksShape, Shapes.KillShape, Killing[1..], [400, 404, 409, 413, 422]),
        new("GET", "/v2/deployments", "Deployments under way", 200, Shapes.DeploymentShapeArray),
        new("GET", "/v2/deployments/{id}", "One deployment", 200, Shapes.DeploymentShape, Refusals: [404]),
        new("DELETE", "/v2/deployments/{id}", "Goes back; with force it stops where it is", 200, Shapes.BegunShape, Query: Force, Refusals: [404, 409, 422]),
        new("GET", "/v2/queue", "What waits, and why", 200, Shapes.QueueShape, Query: ["embed: lastUnusedOffers"]),
        new("DELETE", "/v2/queue/{id}/delay", "Ends a backoff", 204, null, Refusals: [404]),
        new("GET", "/v2/info", "Settings", 200, Shapes.InfoShape),
        new("GET", "/v2/leader", "Who leads", 200, Shapes.LeaderShape),
        new("DELETE", "/v2/leader", "Is refused: there is nobody else", 409, null),
        new("GET", "/v2/plugins", "None", 200, Shapes.PluginsShape),
        new("GET", "/v2/events", "Events under Marathon's names (server-sent)", 200, Shapes.MarathonEventShape, Query: ["event_type: only these"], Refusals: [405, 503], Media: "text/event-stream"),
        new("GET", "/v2/eventSubscriptions", "Where events are posted", 200, Shapes.CallbacksShape),
        new("POST", "/v2/eventSubscriptions", "Posts events there from now on", 200, Shapes.CallbackShape, Query: ["callbackUrl: where"], Refusals: [422]),
        new("DELETE", "/v2/eventSubscriptions", "No more", 200, Shapes.CallbackShape, Query: ["callbackUrl: where"], Refusals: [422]),
        new("GET", "/ping", "pong", 200, null, Media: "text/plain"),
        new("GET", "/metrics", "Figures", 200, null),
        new("GET", "/metrics/prometheus", "Figures as Prometheus reads them", 200, null, Media: "text/plain"),
        new("GET", "/logging", "Log levels that were asked for", 200, null),
        new("POST", "/logging", "Sets a log level", 200, null, Shapes.LoggingShape, Refusals: [400, 413, 422]),
        new("GET", "/config", "Settings under their own names", 200, null),
        new("GET", "/", "What there is", 200, null),
    ];
}
