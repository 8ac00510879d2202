using System.Data.Common;
using Drover.ControlPlane.Apps;
using Drover.ControlPlane.Events;
using Drover.ControlPlane.Moves;
using Drover.Core;

namespace Drover.ControlPlane.Marathon;

public static class MarathonSetup
{
    /// <summary>Marathon's API at /v2 and /ping, and a plain 404 for whatever nobody else answers. Needs <see cref="ICluster"/>, <see cref="IAppCommands"/>, <see cref="EventRing"/> and time.</summary>
    /// <remarks>Mapped as the last resort: clients double slashes anywhere, also before /v2, and write %2F for them.</remarks>
    public static IEndpointConventionBuilder MapMarathon(this IEndpointRouteBuilder routes)
    {
        var marathon = ActivatorUtilities.CreateInstance<MarathonRoutes>(routes.ServiceProvider);
        return routes.MapFallback("{**path}", marathon.Answer);
    }
}

/// <summary>Finds what a path of the Marathon surface means.</summary>
public sealed class MarathonRoutes(ICluster cluster, IAppCommands commands, EventRing ring, TimeProvider time, IHostApplicationLifetime lifetime, MoveProgressBoard board, CallbackBook book, EventCallbacks callbacks, SystemEndpoints system, ILogger<MarathonRoutes> log, ControlPlaneOptions? settings = null)
{
    public const string There = "/v2/apps, /v2/apps/{id}, /v2/apps/{id}/restart, /v2/apps/{id}/tasks, /v2/apps/{id}/tasks/{task}, /v2/apps/{id}/versions, /v2/groups, /v2/groups/{id}, /v2/groups/{id}/apps, /v2/groups/{id}/versions, /v2/tasks, /v2/tasks/delete, /v2/deployments, /v2/deployments/{id}, /v2/queue, /v2/queue/{id}/delay, /v2/info, /v2/leader, /v2/plugins, /v2/events, /v2/eventSubscriptions, /ping, /metrics, /logging, /config, /api/v1";
    private readonly AppEndpoints _apps = new(cluster, commands, time);
    private readonly AppArrayEndpoints _arrays = new(cluster, commands, time);
    private readonly VersionEndpoints _versions = new(cluster);
    private readonly GroupEndpoints _groups = new(cluster, commands, time);
    private readonly TaskEndpoints _tasks = new(cluster, commands, time);
    private readonly ClusterEndpoints _cluster = new(cluster, commands, time, board, settings);
    private readonly MarathonEventStream _events = new(ring, time, lifetime, log);
    private readonly EventSubscriptions _subscriptions = new(book, callbacks, ring, time, settings);

    public async Task Answer(HttpContext context)
    {
        MarathonSettings.Use(settings);
        string[] path = [.. (context.Request.Path.Value ?? "").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase).Split('/', StringSplitOptions.RemoveEmptyEntries)];
        if (path is ["v2", "events"] && HttpMethods.IsGet(context.Request.Method))
        {
            await _events.Serve(context);
            return;
        }
        RequestOrigin.Is(context);
        var answer = await Guarded(context, path);
        if (answer.Status == 409 && path is ["v2", "apps", ..]) Refused(path, answer);
        await answer.Write(context);
    }

    /// <summary>A change of an app that a deployment in progress, or what is there, stood against. Of groups the decision itself says so.</summary>
    private void Refused(string[] path, Answer answer)
    {
        var named = Path([.. path.Skip(2).TakeWhile(s => s is not ("restart" or "tasks"))]);
        var (group, now) = (MarathonEvents.GroupOf(named), time.GetUtcNow());
        var reason = System.Text.Json.Nodes.JsonNode.Parse(answer.Body)?["message"]?.ToString() ?? "it was refused";
        ring.Put(sequence => new(new(sequence, now, "group.refused", group, $"a change in {group} was refused: {reason}", null, null, null, null, null, null, null), [MarathonEvents.Group("group_change_failed", group, now, reason)]));
    }

    private async Task<Answer> Guarded(HttpContext context, string[] path)
    {
        try
        {
            return await Route(context, path);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody reads the answer.
            return Marathon.Answer.Message(499, "the client went away");
        }
        catch (Exception fault) when (fault is DbException or IOException or TimeoutException or InvalidOperationException)
        {
            log.LogError(fault, "{Method} {Path} could not be stored", context.Request.Method, context.Request.Path);
            return Marathon.Answer.Message(503, $"The change could not be stored, nothing was done: {fault.Message}");
        }
    }

    private Task<Answer> Route(HttpContext context, string[] path) => path switch
    {
        ["v2", "apps"] => Methods(context, ("GET", _apps.List), ("POST", _apps.Create), ("PUT", _arrays.Put), ("PATCH", _arrays.Patch)),
        ["v2", "apps", .. var id, "versions"] when id.Length > 0 => WithApp(id, app => Methods(context, ("GET", _ => _versions.List(app)))),
        ["v2", "apps", .. var id, "versions", var version] when id.Length > 0 => WithApp(id, app => Methods(context, ("GET", _ => _versions.Show(app, version)))),
        ["v2", "apps", .. var id, "restart"] when id.Length > 0 => WithApp(id, app => Methods(context, ("POST", c => _apps.Restart(c, app)))),
        ["v2", "apps", .. var group, "*", "tasks"] => Methods(context, ("GET", c => _tasks.OfGroup(c, group))),
        ["v2", "apps", .. var id, "tasks"] when id.Length > 0 => WithApp(id, app => Methods(context, ("GET", c => _tasks.OfApp(c, app)), ("DELETE", c => _tasks.KillOfApp(c, app)))),
        ["v2", "apps", .. var id, "tasks", var task] when id.Length > 0 => WithApp(id, app => Methods(context, ("DELETE", c => _tasks.Kill(c, app, task)))),
        ["v2", "apps", .. var group, "*"] => Methods(context, ("GET", c => _apps.Group(c, group))),
        ["v2", "apps", .. var id] when HttpMethods.IsPut(context.Request.Method) && AppIds.Parse(Path(id)).Fault is { } fault =>
            Task.FromResult(Marathon.Answer.Faults(types: false, [new("/id", [$"'{Path(id)}' is no id of an app: {fault}"])])),
        ["v2", "apps", .. var id] => WithApp(id, app => Methods(context, ("GET", c => _apps.Show(c, app)), ("PUT", c => _apps.Put(c, app)), ("PATCH", c => _apps.Patch(c, app)), ("DELETE", c => _apps.Delete(c, app)))),
        ["v2", "groups", .. var id, "versions"] => WithGroup(id, group => Methods(context, ("GET", _ => _groups.Versions(group)))),
        ["v2", "groups", .. var id, "versions", var version] => WithGroup(id, group => Methods(context, ("GET", _ => _groups.Version(group, version)))),
        ["v2", "groups", .. var id, "apps"] => WithGroup(id, group => Methods(context, ("GET", c => _groups.Apps(c, group)))),
        ["v2", "groups", .. var id] => WithGroup(id, group => Methods(context, ("GET", c => _groups.Show(c, group)), ("POST", c => _groups.Create(c, group)),
            ("PUT", c => _groups.Put(c, group)), ("PATCH", c => _groups.Patch(c, group)), ("DELETE", c => _groups.Delete(c, group)))),
        ["v2", "tasks"] => Methods(context, ("GET", _tasks.List)),
        ["v2", "tasks", "delete"] => Methods(context, ("POST", _tasks.KillMany)),
        ["v2", "deployments"] => Methods(context, ("GET", _cluster.Deployments)),
        ["v2", "deployments", var id] => Methods(context, ("GET", _ => _cluster.Deployment(new DeploymentId(id))), ("DELETE", c => _cluster.CancelDeployment(c, new DeploymentId(id)))),
        ["v2", "queue"] => Methods(context, ("GET", _cluster.Queue)),
        ["v2", "queue", .. var id, "delay"] when id.Length > 0 => WithApp(id, app => Methods(context, ("DELETE", c => _cluster.ResetDelay(c, app)))),
        ["v2", "info"] => Methods(context, ("GET", _cluster.Info)),
        ["v2", "events"] => Task.FromResult(Marathon.Answer.Message(405, $"{context.Request.Method} is not done here; GET is") with { Allow = "GET" }),
        ["v2", "eventSubscriptions"] => Methods(context, ("GET", _subscriptions.List), ("POST", _subscriptions.Add), ("DELETE", _subscriptions.Remove)),
        ["v2", "leader"] => Methods(context, ("GET", ClusterEndpoints.Leader), ("DELETE", ClusterEndpoints.Abdicate)),
        ["v2", "plugins"] => Methods(context, ("GET", ClusterEndpoints.Plugins)),
        ["v2", "pods", ..] => Task.FromResult(ClusterEndpoints.NoPods),
        ["v2", "artifacts", ..] => Task.FromResult(ClusterEndpoints.NoArtifacts),
        [] => Methods(context, ("GET", SystemEndpoints.Root)),
        ["ping"] => Methods(context, ("GET", SystemEndpoints.Ping)),
        ["metrics"] => Methods(context, ("GET", system.Metrics)),
        ["metrics", "prometheus"] => Methods(context, ("GET", system.Prometheus)),
        ["logging"] => Methods(context, ("GET", system.Levels), ("POST", system.SetLevel)),
        ["config"] => Methods(context, ("GET", system.Config)),
        _ => Task.FromResult(Marathon.Answer.Message(404, $"There is nothing at '/{string.Join('/', path)}'. There is: {There}")),
    };

    private static string Path(string[] segments) => "/" + string.Join('/', segments);

    private static Task<Answer> WithApp(string[] segments, Func<AppId, Task<Answer>> then)
    {
        var text = Path(segments);
        var (id, fault) = AppIds.Parse(text);
        return id is { } known ? then(known) : Task.FromResult(Marathon.Answer.Message(404, $"App '{text}' does not exist; an id {fault}"));
    }

    private static Task<Answer> WithGroup(string[] segments, Func<GroupId, Task<Answer>> then)
    {
        var (id, fault) = GroupIds.Parse(Path(segments));
        return id is { } known ? then(known) : Task.FromResult(Marathon.Answer.Message(404, $"Group '{Path(segments)}' does not exist; an id {fault}"));
    }

    private static Task<Answer> Methods(HttpContext context, params (string Method, Func<HttpContext, Task<Answer>> Do)[] known)
    {
        var method = HttpMethods.IsHead(context.Request.Method) ? "GET" : context.Request.Method;
        foreach (var (name, act) in known)
        {
            if (HttpMethods.Equals(name, method)) return act(context);
        }
        var allow = string.Join(", ", known.Select(k => k.Method));
        return Task.FromResult(Marathon.Answer.Message(405, $"{method} is not done here; {allow} is") with { Allow = allow });
    }
}
