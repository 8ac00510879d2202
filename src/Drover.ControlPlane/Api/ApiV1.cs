using System.Data.Common;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Drover.Contracts.Api;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Events;
using Drover.ControlPlane.Marathon;
using Drover.ControlPlane.Moves;
using Drover.ControlPlane.Nodes;
using Drover.ControlPlane.Offers;
using Drover.ControlPlane.Volumes;
using Drover.Core;

namespace Drover.ControlPlane.Api;

public static class ApiV1Setup
{
    /// <summary>Drover's own API at /api/v1. Needs <see cref="ICluster"/>, <see cref="IAgentConnections"/>, <see cref="MoveCommands"/>, <see cref="IOfferExchange"/> and what AddEvents registers.</summary>
    public static IEndpointConventionBuilder MapApiV1(this IEndpointRouteBuilder routes)
    {
        var api = ActivatorUtilities.CreateInstance<ApiV1>(routes.ServiceProvider);
        return routes.Map("/api/v1/{**path}", api.Answer);
    }
}

/// <summary>Finds what a path of /api/v1 means. Errors are <see cref="ErrorView"/>s.</summary>
public sealed class ApiV1(ICluster cluster, MoveCommands moves, MoveProgressBoard board, EventRing ring, IAgentConnections agents, IOfferExchange offers, VolumePromotions promotions, VolumeCommands volumes, NodeCommands nodes, ServerInfo server, TimeProvider time,
    IHostApplicationLifetime lifetime, VolumeStreams streams, ILogger<ApiV1> log)
{
    private const string There = "/api/v1/status, nodes, nodes/{id}, nodes/{id}/cordon, nodes/{id}/uncordon, nodes/{id}/limit, nodes/{id}/drain, nodes/{id}/drain/stop, rebalance, volumes, volumes/{name}, volumes/{name}/export, volumes/{name}/import|promote|snapshots|restore|clone|resize|schedule|undelete|purge, operations, operations/{id}, moves, moves/{id}, moves/{id}/undo, moves/{id}/cut, events, apps/{id}/logs, offers";
    private readonly PromotionEndpoint _promotion = new(promotions);
    private readonly VolumeEndpoints _volumes = new(cluster, volumes);
    private readonly VolumeFileEndpoints _files = new(cluster, volumes, agents, streams, lifetime, time);
    private readonly MoveEndpoints _moves = new(cluster, moves, board);
    private readonly NodeEndpoints _nodes = new(cluster, nodes, time);
    private readonly EventEndpoints _events = new(ring, time, lifetime, log);
    private readonly LogEndpoints _logs = new(cluster, agents, lifetime);

    public async Task Answer(HttpContext context)
    {
        Marathon.Answer.NoCache(context.Response);
        string[] path = [.. (context.Request.Path.Value ?? "").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase).Split('/', StringSplitOptions.RemoveEmptyEntries).Skip(2)];
        try
        {
            await Route(context, path);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody reads the answer.
        }
        catch (Exception fault) when (!context.Response.HasStarted && fault is DbException or IOException or TimeoutException or InvalidOperationException)
        {
            log.LogError(fault, "{Method} {Path} could not be stored", context.Request.Method, context.Request.Path);
            await Refuse(context, 503, new($"The change could not be stored, nothing was done: {fault.Message}", null, "look at the control plane's log and the disk of its data folder"));
        }
    }

    private Task Route(HttpContext context, string[] path)
    {
        if (path is ["moves"] && HttpMethods.IsPost(context.Request.Method)) return _moves.Start(context);
        if (path is ["moves", var moved, "undo" or "cut"] && HttpMethods.IsPost(context.Request.Method)) return _moves.Act(context, moved, undo: path[2] == "undo");
        if (_nodes.Act(context, path) is { } act) return act;
        if (path is ["volumes", var promoted, "promote"] && HttpMethods.IsPost(context.Request.Method)) return _promotion.Promote(context, promoted);
        if (_files.Find(context, path) is { } file) return file;
        if (path is ["volumes", ..] && _volumes.Find(context, path) is { } volumeWork) return volumeWork;
        var acts = path is ["moves", _, "undo" or "cut"] or ["volumes", _, "promote"];
        if (acts || !HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.Headers.Allow = acts ? "POST" : path is ["moves"] ? "GET, POST" : path is ["volumes", ..] ? VolumeEndpoints.Allowed(path) : "GET";
            return Refuse(context, 405, new($"{context.Request.Method} is not done here", null, $"use {context.Response.Headers.Allow}"));
        }
        var state = cluster.Current;
        return path switch
        {
            ["status"] => Write(context, 200, ViewsV1.Status(state, InfoViews.OwnVersion, server.StartedAt, Environment.WorkingSet), ApiJson.Default.StatusView),
            ["nodes"] => Write(context, 200, new NodesView([.. state.Nodes.Values.Select(n => ViewsV1.Node(state, n))]), ApiJson.Default.NodesView),
            ["nodes", var id] => state.Nodes.TryGetValue(new NodeId(id), out var node) ? Write(context, 200, ViewsV1.Node(state, node), ApiJson.Default.NodeView) : Unknown(context, "node", id, "drover nodes"),
            ["nodes", var id, "drain"] => _nodes.ShowDrain(context, id),
            ["volumes"] => _volumes.List(context),
            ["volumes", var name] => _volumes.Show(context, name),
            ["volumes", var name, "snapshots"] => _volumes.Show(context, name),
            ["operations"] => _volumes.Operations(context),
            ["operations", var id] => _volumes.Operation(context, id),
            ["moves"] => _moves.List(context),
            ["moves", var id] => _moves.Show(context, id),
            ["offers"] => Write(context, 200, new OffersView([.. offers.Outstanding.Select(ViewsV1.Offer)]), ApiJson.Default.OffersView),
            ["events"] => _events.Serve(context),
            ["openapi.json"] => Describe(context),
            ["apps", .. var id, "logs"] when id.Length > 0 => _logs.Serve(context, id),
            _ => Refuse(context, 404, new($"There is nothing at '/api/v1/{string.Join('/', path)}'", null, $"there is: {There}")),
        };
    }

    private static async Task Describe(HttpContext context)
    {
        var text = System.Text.Encoding.UTF8.GetBytes(context.Request.Query["api"] == "v2" ? OpenApi.OpenApiDocuments.Marathon : OpenApi.OpenApiDocuments.Own);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = text.Length;
        if (!HttpMethods.IsHead(context.Request.Method)) await context.Response.Body.WriteAsync(text, context.RequestAborted);
    }

    internal static Task Unknown(HttpContext context, string what, string id, string command) =>
        Refuse(context, 404, new($"there is no {what} '{id}'", "path", $"list what there is with: {command}"));

    internal static Task Refuse(HttpContext context, int status, ErrorView error)
    {
        // For the audit log, which has no other way to know why.
        context.Items[typeof(ErrorView)] = error.Message;
        return Write(context, status, error, ApiJson.Default.ErrorView);
    }

    internal static async Task Write<T>(HttpContext context, int status, T value, JsonTypeInfo<T> type)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        var bytes = JsonSerializer.SerializeToUtf8Bytes(value, type);
        context.Response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method)) await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
    }
}
