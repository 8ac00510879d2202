using Drover.Contracts.Api;
using Drover.ControlPlane.Marathon;
using Drover.ControlPlane.Nodes;
using Drover.Core;
using Drover.Core.Nodes;

namespace Drover.ControlPlane.Api;

/// <summary>What is done to nodes: /api/v1/nodes/{id}/cordon, uncordon, limit, drain, drain/stop, and /api/v1/rebalance.</summary>
internal sealed class NodeEndpoints(ICluster cluster, NodeCommands commands, TimeProvider time)
{
    /// <summary>Null: the path or the method is none of these.</summary>
    public Task? Act(HttpContext context, string[] path)
    {
        var posts = HttpMethods.IsPost(context.Request.Method);
        switch (path)
        {
            case ["nodes", var id, "cordon" or "uncordon"]: return posts ? Cordon(context, new(id), path[2] == "cordon") : NotThis(context);
            case ["nodes", var id, "drain", "stop"]: return posts ? Stop(context, new(id)) : NotThis(context);
            case ["nodes", var id, "drain"] when posts: return Drain(context, new(id));
            case ["nodes", var id, "limit"]: return HttpMethods.IsPut(context.Request.Method) ? Limit(context, new(id)) : NotThis(context, "PUT");
            case ["rebalance"]: return posts ? Rebalance(context) : NotThis(context);
            default: return null;
        }
    }

    public Task ShowDrain(HttpContext context, string id)
    {
        if (!cluster.Current.Nodes.TryGetValue(new NodeId(id), out var node)) return ApiV1.Unknown(context, "node", id, "drover nodes");
        return DrainViews.Of(cluster.Current, node, time.GetUtcNow()) is { } view ? ApiV1.Write(context, 200, view, ApiJson.Default.DrainView)
            : ApiV1.Refuse(context, 404, new($"node '{id}' was never drained", "path", $"begin with: drover node drain {id}"));
    }

    private async Task Cordon(HttpContext context, NodeId node, bool cordoned)
    {
        var outcome = await commands.Cordon(node, cordoned, context.RequestAborted);
        if (outcome is DrainOutcome.Taken taken) await ApiV1.Write(context, 200, ViewsV1.Node(cluster.Current, taken.Node), ApiJson.Default.NodeView);
        else await Refuse(context, outcome);
    }

    private async Task Limit(HttpContext context, NodeId node)
    {
        using var body = await RequestBody.Read(context);
        JsonFields? fields = body.Json is null ? null : new JsonFields(body.Json.RootElement, "", new Violations());
        if (fields?.Number("bytesPerSecond") is not { } rate || rate is < 0 or > NodeWishes.MostLimit)
        {
            await ApiV1.Refuse(context, 400, new($"must be bytes a second, at most {NodeWishes.MostLimit}; 0 for no limit", "bytesPerSecond", "send {\"bytesPerSecond\": 50000000}"));
            return;
        }
        var outcome = await commands.Limit(node, rate == 0 ? null : (long)rate, context.RequestAborted);
        if (outcome is DrainOutcome.Taken taken) await ApiV1.Write(context, 200, ViewsV1.Node(cluster.Current, taken.Node), ApiJson.Default.NodeView);
        else await Refuse(context, outcome);
    }

    private async Task Stop(HttpContext context, NodeId node) => await Answer(context, await commands.StopDrain(node, context.RequestAborted));

    private async Task Drain(HttpContext context, NodeId id)
    {
        using var body = await RequestBody.Read(context);
        var (limit, dryRun) = (Draining.Parallel, false);
        if (body.Json is not null)
        {
            var fields = new JsonFields(body.Json.RootElement, "", new Violations());
            limit = fields.Integer("limit") is { } given and not 0 ? given : limit;
            dryRun = fields.Boolean("dryRun") ?? false;
            if (fields.Violations.Any && fields.Violations.Told[0] is var fault)
            {
                await ApiV1.Refuse(context, 400, new(fault.Errors[^1], fault.Path.TrimStart('/'), "send JSON such as {\"limit\": 4}"));
                return;
            }
        }
        else if (HasBody(context.Request))
        {
            await ApiV1.Refuse(context, body.Fault == BodyFault.TooLarge ? 413 : 400, new(body.Details, null, "send JSON such as {\"limit\": 4}, or nothing"));
            return;
        }
        if (limit is < 1 or > Draining.MostParallel) await ApiV1.Refuse(context, 400, new($"must be from 1 to {Draining.MostParallel} moves at once; it was {limit}", "limit", "leave it out for the usual"));
        else if (!dryRun) await Answer(context, await commands.Drain(id, limit, context.RequestAborted));
        else if (cluster.Current.Nodes.TryGetValue(id, out var node)) await ApiV1.Write(context, 200, DrainViews.Plan(cluster.Current, node, limit, time.GetUtcNow()), ApiJson.Default.DrainView);
        else await ApiV1.Unknown(context, "node", id.Value, "drover nodes");
    }

    private async Task Rebalance(HttpContext context)
    {
        using var body = await RequestBody.Read(context);
        JsonFields? fields = body.Json is null ? null : new JsonFields(body.Json.RootElement, "", new Violations());
        var apply = fields?.Boolean("apply");
        if (apply is not { } doing)
        {
            await ApiV1.Refuse(context, 400, new("must say whether the plan is carried out", "apply", "send {\"apply\": false} to see the plan, {\"apply\": true} to do it"));
            return;
        }
        var plan = doing ? await commands.Rebalance(context.RequestAborted) : Rebalancing.Plan(cluster.Current);
        await ApiV1.Write(context, doing ? 202 : 200, DrainViews.Of(plan, doing), ApiJson.Default.RebalanceView);
    }

    private async Task Answer(HttpContext context, DrainOutcome outcome)
    {
        if (outcome is DrainOutcome.Taken(var node)) await ApiV1.Write(context, 202, DrainViews.Of(cluster.Current, node, time.GetUtcNow())!, ApiJson.Default.DrainView);
        else await Refuse(context, outcome);
    }

    private static Task Refuse(HttpContext context, DrainOutcome outcome) => outcome is DrainOutcome.Refused refused
        ? ApiV1.Refuse(context, 422, new(refused.Message, "id", refused.Remedy))
        : ApiV1.Unknown(context, "node", ((DrainOutcome.Unknown)outcome).Id.Value, "drover nodes");

    private static bool HasBody(HttpRequest request) => request.ContentLength > 0 || request.Headers.TransferEncoding.Count > 0;

    private static Task NotThis(HttpContext context, string use = "POST")
    {
        context.Response.Headers.Allow = use;
        return ApiV1.Refuse(context, 405, new($"{context.Request.Method} is not done here", null, $"use {use}"));
    }
}
