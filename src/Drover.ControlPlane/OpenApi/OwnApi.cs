using Drover.Contracts.Api;

namespace Drover.ControlPlane.OpenApi;

/// <summary>/api/v1, operation by operation.</summary>
public static class OwnApi
{
    private static readonly ApiJson Json = ApiJson.Default;
    private static readonly TrustApiJson Trust = TrustApiJson.Default;
    private static readonly ShapeJson Shapes = ShapeJson.Default;

    public static readonly IReadOnlyList<ApiOperation> Operations =
    [
        new("GET", "/api/v1/status", "The cluster at a glance, and what waits for what", 200, Json.StatusView),
        new("GET", "/api/v1/nodes", "All nodes", 200, Json.NodesView),
        new("GET", "/api/v1/nodes/{id}", "One node", 200, Json.NodeView, Refusals: [404]),
        new("POST", "/api/v1/nodes/{id}/cordon", "Takes nothing new from now on", 200, Json.NodeView, Refusals: [404]),
        new("POST", "/api/v1/nodes/{id}/uncordon", "Takes new copies again", 200, Json.NodeView, Refusals: [404]),
        new("PUT", "/api/v1/nodes/{id}/limit", "What its transfers may take of its network", 200, Json.NodeView, Shapes.LimitRequest, Refusals: [400, 404, 422]),
        new("GET", "/api/v1/nodes/{id}/drain", "How far its draining is", 200, Json.DrainView, Refusals: [404]),
        new("POST", "/api/v1/nodes/{id}/drain", "Empties the node, or says what would go where", 200, Json.DrainView, Json.DrainRequest, Refusals: [400, 404, 409, 422]),
        new("POST", "/api/v1/nodes/{id}/drain/stop", "Ends its draining where it is", 200, Json.DrainView, Refusals: [404, 409]),
        new("POST", "/api/v1/nodes/{id}/revoke", "Its certificate is good no more", 200, Trust.NodeRevokedView, Refusals: [409]),
        new("DELETE", "/api/v1/nodes/{id}", "Forgets a node", 200, Trust.NodeRemovedView, Query: ["acceptLoss: true where data is there and nowhere else"], Refusals: [404, 409]),
        new("POST", "/api/v1/nodes/tokens", "A token with which one machine joins", 201, Trust.JoinTokenView, Trust.JoinTokenRequest, Refusals: [400, 422]),
        new("POST", "/api/v1/rebalance", "What is worth moving; with apply it is moved", 200, Json.RebalanceView, Json.RebalanceRequest, Refusals: [400, 409]),
        new("GET", "/api/v1/volumes", "All volumes", 200, Json.VolumesView),
        new("POST", "/api/v1/volumes", "Makes an empty volume", 202, Json.OperationView, Shapes.VolumeCreation, Refusals: [400, 409, 422]),
        new("GET", "/api/v1/volumes/{name}", "One volume", 200, Json.VolumeView, Refusals: [404]),
        new("DELETE", "/api/v1/volumes/{name}", "Deletes it; its data is kept for a while", 200, Json.VolumeView, Query: ["keepSeconds: for how long"], Refusals: [404, 409, 422]),
        new("POST", "/api/v1/volumes/{name}/snapshots", "Takes a snapshot", 202, Json.OperationView, Shapes.NameRequest, Refusals: [400, 404, 409, 422]),
        new("DELETE", "/api/v1/volumes/{name}/snapshots/{snapshot}", "Drops a snapshot", 202, Json.OperationView, Refusals: [404, 409]),
        new("POST", "/api/v1/volumes/{name}/restore", "Goes back to a snapshot", 202, Json.OperationView, Shapes.RestoreRequest, Refusals: [400, 404, 409, 422]),
        new("POST", "/api/v1/volumes/{name}/clone", "Makes another volume of it", 202, Json.OperationView, Shapes.CloneRequest, Refusals: [400, 404, 409, 422]),
        new("POST", "/api/v1/volumes/{name}/resize", "What it may grow to", 202, Json.OperationView, Shapes.SizeRequest, Refusals: [400, 404, 409, 422]),
        new("PUT", "/api/v1/volumes/{name}/schedule", "Snapshots by the clock", 200, Json.VolumeView, Shapes.ScheduleRequest, Refusals: [400, 404, 422]),
        new("DELETE", "/api/v1/volumes/{name}/schedule", "No more snapshots by the clock", 200, Json.VolumeView, Refusals: [404]),
        new("POST", "/api/v1/volumes/{name}/undelete", "Brings a deleted volume back", 200, Json.VolumeView, Refusals: [404, 409]),
        new("POST", "/api/v1/volumes/{name}/purge", "Ends a deleted volume's data now", 202, Json.OperationView, Shapes.PurgeRequest, Refusals: [400, 404, 409, 422]),
        new("POST", "/api/v1/volumes/{name}/promote", "Its node is lost: serve from a standby", 200, Json.PromotionView, Json.PromotionRequest, Refusals: [400, 404, 409, 422]),
        new("GET", "/api/v1/volumes/{name}/export", "A volume as one file", 200, null, Query: ["snapshot: which; else one is taken", "limit: bytes a second"], Refusals: [404, 409, 422], Media: "application/octet-stream"),
        new("POST", "/api/v1/volumes/{name}/import", "A volume from such a file, sent as the body", 200, Json.OperationView, Query: ["size: what it may grow to", "node: where", "limit: bytes a second"], Refusals: [409, 422]),
        new("GET", "/api/v1/operations", "Work on volumes", 200, Json.OperationsView),
        new("GET", "/api/v1/operations/{id}", "One piece of work", 200, Json.OperationView, Refusals: [404]),
        new("GET", "/api/v1/moves", "All moves, newest first", 200, Json.MovesView),
        new("POST", "/api/v1/moves", "Moves an app with its data, or says what that would be", 202, Json.MoveView, Json.MoveRequest, Refusals: [400, 404, 409, 422]),
        new("GET", "/api/v1/moves/{id}", "One move", 200, Json.MoveView, Refusals: [404]),
        new("POST", "/api/v1/moves/{id}/undo", "Back to the source, before the commit point", 200, Json.MoveView, Refusals: [404, 409]),
        new("POST", "/api/v1/moves/{id}/cut", "Cuts over now", 200, Json.MoveView, Refusals: [404, 409]),
        new("GET", "/api/v1/events", "Events as they happen (server-sent)", 200, Json.EventView, Query: ["after: the last number seen", "kind: one kind or family", "follow: false ends after what is kept"], Refusals: [400, 503], Media: "text/event-stream"),
        new("GET", "/api/v1/offers", "Offers that schedulers hold", 200, Json.OffersView),
        new("GET", "/api/v1/apps/{id}/logs", "Output of a task", 200, null, Query: ["task: which; else the newest", "tail: lines from the end", "follow: true goes on"], Refusals: [400, 404, 502, 503], Media: "text/plain"),
        new("GET", "/api/v1/tokens", "API tokens, without their secrets", 200, Trust.TokensView),
        new("POST", "/api/v1/tokens", "Makes a token; its secret is in this answer alone", 201, Trust.TokenView, Trust.TokenRequest, Refusals: [400, 422]),
        new("DELETE", "/api/v1/tokens/{name}", "Revokes a token", 204, null, Refusals: [404, 409, 422]),
        new("GET", "/api/v1/ca", "The authority's certificates", 200, Trust.AuthorityView),
        new("POST", "/api/v1/ca/rotate", "Begins a change of authority", 200, Trust.AuthorityView, Refusals: [409, 422]),
        new("POST", "/api/v1/ca/finish", "Ends it", 200, Trust.AuthorityView, Trust.FinishRequest, Refusals: [400, 409, 422]),
        new("GET", "/api/v1/audit", "Who did what", 200, Trust.AuditView, Query: ["limit: how many"], Refusals: [400, 422]),
        new("GET", "/api/v1/audit/verify", "Whether the log is whole", 200, Trust.AuditVerdictView, Query: ["head: the last hash known from elsewhere"], Refusals: [400, 422]),
        new("GET", "/api/v1/openapi.json", "This description", 200, null, Query: ["api: v2 for Marathon's API"]),
    ];
}
