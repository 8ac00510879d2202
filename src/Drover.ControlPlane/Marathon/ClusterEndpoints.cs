using Drover.ControlPlane.Apps;
using Drover.ControlPlane.Moves;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>/v2/deployments, /v2/queue, /v2/info, /v2/leader, /v2/plugins, and what is not there</summary>
internal sealed class ClusterEndpoints(ICluster cluster, IAppCommands commands, TimeProvider time, MoveProgressBoard board, ControlPlaneOptions? options)
{
    public Task<Answer> Deployments(HttpContext context) => Task.FromResult(new Answer(200, MarathonJson.Text(json =>
    {
        json.WriteStartArray();
        foreach (var deployment in cluster.Current.Deployments.Values.OrderBy(d => d.StartedAt)) DeploymentViews.Deployment(json, cluster.Current, deployment, board);
        json.WriteEndArray();
    })));

    public Task<Answer> Deployment(DeploymentId id) => Task.FromResult(cluster.Current.Deployments.TryGetValue(id, out var deployment)
        ? new Answer(200, MarathonJson.Text(json => DeploymentViews.Deployment(json, cluster.Current, deployment, board))) : Answer.Message(404, $"DeploymentPlan {id} does not exist"));

    public async Task<Answer> CancelDeployment(HttpContext context, DeploymentId id)
    {
        var outcome = await commands.CancelDeployment(id, AppEndpoints.Flag(context, "force", otherwise: false), time.GetUtcNow(), context.RequestAborted);
        return outcome switch
        {
            CancelOutcome.Stopped => new Answer(202, ""),
            CancelOutcome.NoWayBack none => Answer.Invalid(none.Errors),
            CancelOutcome.Reverting back => Answer.Began(200, back.Deployment, back.Version),
            _ => Answer.Message(404, $"DeploymentPlan {id} does not exist"),
        };
    }

    public Task<Answer> Queue(HttpContext context) =>
        Task.FromResult(new Answer(200, MarathonJson.Text(json => new QueueViews(cluster.Current, time.GetUtcNow()).Write(json, context.Request.Query["embed"].Contains("lastUnusedOffers")))));

    /// <summary>An app none of whose copies waits for a place is not in the queue; its delay goes all the same, for it would hold the next copy.</summary>
    public async Task<Answer> ResetDelay(HttpContext context, AppId id)
    {
        var state = cluster.Current;
        var queued = state.Apps.TryGetValue(id, out var app) && (app.Delay is not null || state.InstancesOf(id).Any(i => i is { Node: null, Goal: InstanceGoal.Running }));
        return queued && await commands.ResetDelay(id, context.RequestAborted) ? new Answer(204, "") : Answer.Message(404, $"Application {id} not found in tasks queue.");
    }

    public Task<Answer> Info(HttpContext context) => Task.FromResult(Answer.Json(200, json => InfoViews.Info(json, context.Request, options)));

    public static Task<Answer> Leader(HttpContext context) => Task.FromResult(Answer.Json(200, json => json.WriteString("leader", InfoViews.Self(context.Request))));

    /// <summary>Marathon's process exits then, and another takes over or its supervisor starts it anew. Here is one control plane: nobody would, and nothing would be gained.</summary>
    public static Task<Answer> Abdicate(HttpContext context) => Task.FromResult(Answer.Message(409,
        $"There is one control plane, and no other to lead in its place: it goes on leading. Apps run on without it; to start it anew, restart its process on {context.Request.Host.Host}"));

    public static Task<Answer> Plugins(HttpContext context) => Task.FromResult(Answer.Json(200, json =>
    {
        json.WriteStartArray("plugins");
        json.WriteEndArray();
    }));

    public static Answer NoPods { get; } = Answer.Message(404, "There are no pods here: run each container as an app of its own (POST /v2/apps)");

    public static Answer NoArtifacts { get; } = Answer.Message(404, "There is no artifact store here, nor in Marathon since 1.5: put files where apps can fetch them, and name them in \"fetch\"");
}
