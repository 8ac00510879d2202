using System.Collections.Immutable;
using System.Text.Json;
using Drover.Core.Apps;
using Drover.Core.State;
using Drover.ControlPlane.Events;

namespace Drover.ControlPlane.Marathon;

/// <summary>Events under Marathon's names and with its fields. Source: Marathon's event-bus.md and Events.scala (1.10).</summary>
public static class MarathonEvents
{
    public static ImmutableArray<NamedEvent> Of(ClusterEvent happened, Committed commit) => happened.Kind switch
    {
        "app.created" or "app.changed" => App(happened, commit),
        "app.deleted" => [Event("app_terminated_event", commit, json => json.WriteString("appId", happened.App?.Value ?? happened.Subject)), Group(commit)],
        "instance.health" => Health(happened, commit),
        _ when happened.Kind.StartsWith("instance.", StringComparison.Ordinal) => Instance(happened, commit),
        _ when happened.Kind.StartsWith("deployment.", StringComparison.Ordinal) => Deployment(happened, commit),
        // Moves, volumes and nodes have no name there.
        _ => [],
    };

    public static NamedEvent Attached(string remoteAddress, DateTimeOffset at) => Event("event_stream_attached", at, json => json.WriteString("remoteAddress", remoteAddress));

    private static ImmutableArray<NamedEvent> App(ClusterEvent happened, Committed commit)
    {
        if (happened.App is not { } id || !commit.After.Apps.TryGetValue(id, out var app)) return [];
        return [Event("api_post_event", commit, json =>
        {
            json.WriteString("clientIp", "");
            json.WriteString("uri", $"/v2/apps{id}");
            json.WriteStartObject("appDefinition");
            AppJsonOut.Fields(json, app.Spec, app);
            json.WriteEndObject();
        }), Group(commit)];
    }

    private static NamedEvent Group(Committed commit) => Event("group_change_success", commit, json =>
    {
        json.WriteString("groupId", "/");
        json.WriteString("version", AppJsonOut.Timestamp(commit.At));
    });

    private static ImmutableArray<NamedEvent> Instance(ClusterEvent happened, Committed commit)
    {
        if (Find(happened, commit) is not { } instance || happened.State is not { } state) return [];
        var host = instance.Node is { } node && commit.After.Nodes.TryGetValue(node, out var known) ? known.Hostname : "";
        return
        [
            Event("status_update_event", commit, json =>
            {
                json.WriteString("slaveId", instance.Node?.Value ?? "");
                json.WriteString("taskId", instance.Task.Value);
                json.WriteString("taskStatus", state);
                json.WriteString("message", happened.Text);
                json.WriteString("appId", instance.App.Value);
                json.WriteString("host", host);
                TaskViews.Addresses(json, commit.After, instance);
                TaskViews.Ports(json, instance);
                json.WriteString("version", AppJsonOut.Timestamp(instance.AppVersion));
            }),
            Event("instance_changed_event", commit, json =>
            {
                json.WriteString("instanceId", instance.Id.Value);
                json.WriteString("condition", Condition(state));
                json.WriteString("runSpecId", instance.App.Value);
                json.WriteString("agentId", instance.Node?.Value ?? "");
                json.WriteString("host", host);
                json.WriteString("runSpecVersion", AppJsonOut.Timestamp(instance.AppVersion));
            }),
        ];
    }

    private static ImmutableArray<NamedEvent> Health(ClusterEvent happened, Committed commit)
    {
        if (Find(happened, commit) is not { } instance) return [];
        var alive = instance.Healthy == true;
        return
        [
            Event("health_status_changed_event", commit, json =>
            {
                json.WriteString("appId", instance.App.Value);
                json.WriteString("instanceId", instance.Id.Value);
                json.WriteString("version", AppJsonOut.Timestamp(instance.AppVersion));
                json.WriteBoolean("alive", alive);
            }),
            Event("instance_health_changed_event", commit, json =>
            {
                json.WriteString("instanceId", instance.Id.Value);
                json.WriteString("runSpecId", instance.App.Value);
                json.WriteBoolean("healthy", alive);
                json.WriteString("runSpecVersion", AppJsonOut.Timestamp(instance.AppVersion));
            }),
        ];
    }

    private static ImmutableArray<NamedEvent> Deployment(ClusterEvent happened, Committed commit)
    {
        if (happened.Deployment is not { } id) return [];
        // An ended deployment is no longer in the state after the commit.
        var deployment = commit.After.Deployments.GetValueOrDefault(id) ?? commit.Before.Deployments.GetValueOrDefault(id);
        if (deployment is null) return [];
        return happened.Kind switch
        {
            "deployment.started" => [Event("deployment_info", commit, json => PlanAndStep(json, deployment))],
            "deployment.step" => [Event("deployment_step_success", commit, json => PlanAndStep(json, deployment))],
            "deployment.done" => [Event("deployment_success", commit, json => Ended(json, deployment, null))],
            "deployment.cancelled" or "deployment.failed" => [Event("deployment_failed", commit, json => Ended(json, deployment, happened.Text))],
            _ => [],
        };
    }

    private static void PlanAndStep(Utf8JsonWriter json, Deployment deployment)
    {
        DeploymentViews.Plan(json, deployment);
        json.WriteStartObject("currentStep");
        DeploymentViews.Actions(json, "actions", deployment.CurrentStep < deployment.Steps.Count ? deployment.Steps[deployment.CurrentStep] : new([]), readinessIn: null);
        json.WriteEndObject();
    }

    private static void Ended(Utf8JsonWriter json, Deployment deployment, string? reason)
    {
        json.WriteString("id", deployment.Id.Value);
        DeploymentViews.Plan(json, deployment);
        if (reason is not null) json.WriteString("reason", reason);
    }

    private static Instance? Find(ClusterEvent happened, Committed commit) => happened.Instance is { } id
        ? commit.After.Instances.GetValueOrDefault(id) ?? commit.Before.Instances.GetValueOrDefault(id) : null;

    /// <summary>`TASK_RUNNING` → `Running`</summary>
    private static string Condition(string state)
    {
        var word = state.StartsWith("TASK_", StringComparison.Ordinal) ? state[5..] : state;
        return word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..].ToLowerInvariant();
    }

    private static NamedEvent Event(string name, Committed commit, Action<Utf8JsonWriter> fields) => Event(name, commit.At, fields);

    private static NamedEvent Event(string name, DateTimeOffset at, Action<Utf8JsonWriter> fields) => new(name, MarathonJson.Object(json =>
    {
        fields(json);
        json.WriteString("eventType", name);
        json.WriteString("timestamp", AppJsonOut.Timestamp(at));
    }));
}
