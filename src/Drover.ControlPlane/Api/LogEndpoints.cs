using System.Globalization;
using System.Text;
using Drover.Contracts.Api;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Marathon;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Api;

/// <summary>/api/v1/apps/{id}/logs: output of one task as it comes, from the agent that runs it. `?task=` names it, else the newest; `?tail=` lines (0: none before now), `?follow=true`.</summary>
internal sealed class LogEndpoints(ICluster cluster, IAgentConnections agents, IHostApplicationLifetime lifetime)
{
    private const int DefaultTail = 100;
    private const int MaxTail = 100_000;

    public async Task Serve(HttpContext context, string[] segments)
    {
        var text = "/" + string.Join('/', segments);
        var state = cluster.Current;
        if (AppIds.Parse(text).Id is not { } id || !state.Apps.TryGetValue(id, out var app))
        {
            await ApiV1.Unknown(context, "app", text, "drover apps");
            return;
        }
        var query = context.Request.Query;
        var tail = DefaultTail;
        if (query["tail"].ToString() is { Length: > 0 } lines && (!int.TryParse(lines, NumberStyles.None, CultureInfo.InvariantCulture, out tail) || tail > MaxTail))
        {
            await ApiV1.Refuse(context, 400, new($"'{lines}' is no number of lines", "tail", $"give 0 to {MaxTail}"));
            return;
        }
        if (Chosen(state, id, query["task"]) is not { } instance)
        {
            var named = query["task"].ToString();
            var failed = app.LastTaskFailure;
            await ApiV1.Refuse(context, 404, failed is not null && (named.Length == 0 || named == failed.Task.Value) ? Ended(id, failed)
                : named.Length > 0 ? new($"app '{id}' has no task '{named}'", "task", "leave it out for the newest") : new($"app '{id}' has no task that has been placed", null, "see why with: drover status"));
            return;
        }
        if (!agents.IsConnected(instance.Node!.Value))
        {
            await ApiV1.Refuse(context, 503, new($"node '{instance.Node}' is not connected", null, "wait until its agent is back, or read the log on the node with docker logs"));
            return;
        }
        await Stream(context, instance, query["follow"] == "true", tail);
    }

    private static ErrorView Ended(AppId id, TaskFailure failed) => new(
        $"app '{id}' has no container now; its last one, of task '{failed.Task}', ended on node '{failed.Node}' at {failed.At.UtcDateTime.ToString("HH:mm:ss", CultureInfo.InvariantCulture)} UTC: {failed.Message}",
        null, "see what it waits for with: drover status");

    private static Instance? Chosen(ClusterState state, AppId id, string? task)
    {
        var placed = state.InstancesOf(id).Where(i => i.Node is not null);
        return string.IsNullOrEmpty(task) ? placed.LastOrDefault() : placed.FirstOrDefault(i => i.Task.Value == task || i.Id.Value == task);
    }

    private async Task Stream(HttpContext context, Instance instance, bool follow, int tail)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
        try
        {
            await foreach (var chunk in agents.Logs(instance.Node!.Value, instance.Task, follow, tail, either.Token))
            {
                if (chunk.Error.Length > 0 && !context.Response.HasStarted)
                {
                    await ApiV1.Refuse(context, 502, new(chunk.Error, null, $"look on node '{instance.Node}' with: docker ps -a"));
                    return;
                }
                Begin(context);
                if (chunk.Error.Length > 0) await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes($"\n[{chunk.Error}]\n"), either.Token);
                await context.Response.Body.WriteAsync(chunk.Data.Memory, either.Token);
                await context.Response.Body.FlushAsync(either.Token);
                if (chunk.End || chunk.Error.Length > 0) break;
            }
            Begin(context);
        }
        catch (OperationCanceledException)
        {
            // The client has seen enough, or the process stops.
            context.Abort();
        }
    }

    private static void Begin(HttpContext context)
    {
        if (!context.Response.HasStarted) context.Response.ContentType = "text/plain; charset=utf-8";
    }
}
