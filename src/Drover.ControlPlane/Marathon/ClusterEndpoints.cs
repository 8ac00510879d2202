using System.Reflection;
using System.Text.Json;
using Drover.ControlPlane.Apps;
using Drover.ControlPlane.Moves;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>/v2/deployments, /v2/queue, /v2/info, /ping</summary>
internal sealed class ClusterEndpoints(ICluster cluster, IAppCommands commands, TimeProvider time, MoveProgressBoard board)
{
    /// <summary>Version of Marathon whose API this is.</summary>
    public const string SpeaksVersion = "1.10.19";

    public static string OwnVersion { get; } = typeof(ClusterEndpoints).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

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
        Task.FromResult(new Answer(200, MarathonJson.Text(json => QueueViews.Queue(json, cluster.Current, time.GetUtcNow(), context.Request.Query["embed"].Contains("lastUnusedOffers")))));

    public async Task<Answer> ResetDelay(HttpContext context, AppId id) =>
        await commands.ResetDelay(id, context.RequestAborted) ? new Answer(204, "") : Answer.Message(404, $"Application {id} not found in tasks queue.");

    public Task<Answer> Info(HttpContext context)
    {
        var host = context.Request.Host;
        return Task.FromResult(Answer.Json(200, json =>
        {
            json.WriteString("name", "marathon");
            json.WriteString("version", SpeaksVersion);
            json.WriteString("buildref", $"drover {OwnVersion}");
            json.WriteBoolean("elected", true);
            json.WriteString("leader", host.Value);
            json.WriteString("frameworkId", "drover");
            Config(json, host);
            json.WriteStartObject("zookeeper_config");
            json.WriteEndObject();
            json.WriteStartObject("http_config");
            json.WriteNumber("http_port", host.Port ?? 80);
            json.WriteNull("https_port");
            json.WriteEndObject();
        }));
    }

    private static void Config(Utf8JsonWriter json, HostString host)
    {
        json.WriteStartObject("marathon_config");
        json.WriteString("hostname", host.Host);
        json.WriteBoolean("ha", false);
        json.WriteBoolean("checkpoint", true);
        json.WriteString("framework_name", "drover");
        json.WriteNumber("local_port_min", 10_000);
        json.WriteNumber("local_port_max", 20_000);
        json.WriteString("mesos_role", "*");
        json.WriteStartArray("features");
        json.WriteStringValue("external_volumes");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static Task<Answer> Ping(HttpContext context) => Task.FromResult(context.Request.Headers.Accept.ToString().StartsWith("application/json", StringComparison.OrdinalIgnoreCase)
        ? new Answer(200, "\"pong\"") : new Answer(200, "pong", "text/plain; charset=utf-8"));
}
