using System.Collections.Immutable;
using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;
using Drover.ControlPlane.Events;

namespace Drover.ControlPlane.Marathon;

/// <summary>Events under Marathon's names and with its fields. Source: Marathon's event-bus.md and Events.scala (1.10).</summary>
public static class MarathonEvents
{
    /// <summary>What /v2/info says too.</summary>
    public const string FrameworkId = "drover";

    public static ImmutableArray<NamedEvent> Of(ClusterEvent happened, Committed commit) => happened.Kind switch
    {
        "app.created" or "app.changed" => App(happened, commit),
        "app.deleted" => Gone(happened, commit),
        "group.changed" => [Group("group_change_success", happened.Subject, commit.At, null)],
        "group.refused" => [Group("group_change_failed", happened.Subject, commit.At, happened.Text)],
        "instance.health" => Health(happened, commit),
        "instance.checkFailed" => CheckFailed(happened, commit),
        "instance.unhealthyKill" => UnhealthyKill(happened, commit),
        "instance.unknown" => [Event("unknown_instance_terminated_event", commit, json =>
        {
            json.WriteString("instanceId", happened.Subject);
            json.WriteString("runSpecId", happened.App?.Value);
            json.WriteString("condition", Condition(happened.State ?? "TASK_GONE"));
        })],
        "instance.waits" or "deployment.waits" => [],
        _ when happened.Kind.StartsWith("instance.", StringComparison.Ordinal) => Instance(happened, commit),
        _ when happened.Kind.StartsWith("deployment.", StringComparison.Ordinal) => Deployment(happened, commit),
        // Moves, volumes and nodes have no name there.
        _ => [],
    };

    public static NamedEvent Attached(string remoteAddress, DateTimeOffset at) => Event("event_stream_attached", at, json => json.WriteString("remoteAddress", remoteAddress));

    /// <param name="reason">Why the server closed it; null: the client left.</param>
    public static NamedEvent Detached(string remoteAddress, DateTimeOffset at, string? reason) => Event("event_stream_detached", at, json =>
    {
        json.WriteString("remoteAddress", remoteAddress);
        if (reason is not null) json.WriteString("reason", reason);
    });

    public static NamedEvent Subscribed(string clientIp, string callbackUrl, bool ends, DateTimeOffset at) => Event(ends ? "unsubscribe_event" : "subscribe_event", at, json =>
    {
        json.WriteString("clientIp", clientIp);
        json.WriteString("callbackUrl", callbackUrl);
    });

    /// <param name="again">The store held a cluster already.</param>
    public static NamedEvent Registered(string master, bool again, DateTimeOffset at) => Event(again ? "scheduler_reregistered_event" : "scheduler_registered_event", at, json =>
    {
        if (!again) json.WriteString("frameworkId", FrameworkId);
        json.WriteString("master", master);
    });

    public static NamedEvent Disconnected(DateTimeOffset at) => Event("scheduler_disconnected_event", at, _ => { });

    /// <param name="reason">Null: it succeeded.</param>
    public static NamedEvent Group(string name, string group, DateTimeOffset at, string? reason) => Event(name, at, json =>
    {
        json.WriteString("groupId", group);
        json.WriteString("version", AppJsonOut.Timestamp(at));
        if (reason is not null) json.WriteString("reason", reason);
    });

    /// <summary>`/shop/db` is in `/shop`.</summary>
    public static string GroupOf(string path) => path.LastIndexOf('/') is > 0 and var at ? path[..at] : "/";

    private static ImmutableArray<NamedEvent> App(ClusterEvent happened, Committed commit)
    {
        if (happened.App is not { } id || !commit.After.Apps.TryGetValue(id, out var app)) return [];
        var before = commit.Before.Apps.GetValueOrDefault(id);
        return
        [
            Event("api_post_event", commit, json =>
            {
                json.WriteString("clientIp", happened.Origin?.ClientIp ?? "");
                json.WriteString("uri", happened.Origin?.Uri ?? $"/v2/apps{id}");
                json.WriteStartObject("appDefinition");
                AppJsonOut.Fields(json, app.Spec, app);
                json.WriteEndObject();
            }),
            Group("group_change_success", GroupOf(id.Value), commit.At, null),
            .. before is null || before.Spec.HealthChecks.Equals(app.Spec.HealthChecks) ? [] : before.Spec.HealthChecks.Select(_ => ChecksEnd(id, commit)),
            .. before?.Spec.HealthChecks.Equals(app.Spec.HealthChecks) == true ? [] : Enumerable.Range(0, app.Spec.HealthChecks.Count).Select(i => Event("add_health_check_event", commit, json =>
            {
                json.WriteString("appId", id.Value);
                json.WriteString("version", AppJsonOut.Timestamp(app.Version));
                Check(json, app, i);
            })),
        ];
    }

    private static ImmutableArray<NamedEvent> Gone(ClusterEvent happened, Committed commit)
    {
        var id = happened.App ?? new AppId(happened.Subject);
        var checks = commit.Before.Apps.GetValueOrDefault(id)?.Spec.HealthChecks.Count ?? 0;
        return
        [
            .. Enumerable.Range(0, checks).Select(_ => ChecksEnd(id, commit)),
            Event("app_terminated_event", commit, json => json.WriteString("appId", id.Value)),
            Group("group_change_success", GroupOf(id.Value), commit.At, null),
        ];
    }

    private static NamedEvent ChecksEnd(AppId id, Committed commit) => Event("remove_health_check_event", commit, json => json.WriteString("appId", id.Value));

    /// <summary>One of the app's checks, as its definition shows it.</summary>
    private static void Check(Utf8JsonWriter json, App app, int index)
    {
        using var whole = JsonDocument.Parse(MarathonJson.Object(fields => AppJsonOut.Fields(fields, app.Spec, app)));
        if (!whole.RootElement.TryGetProperty("healthChecks", out var checks) || index >= checks.GetArrayLength()) return;
        json.WritePropertyName("healthCheck");
        checks[index].WriteTo(json);
    }

    private static ImmutableArray<NamedEvent> Instance(ClusterEvent happened, Committed commit)
    {
        if (Find(happened, commit) is not { } instance || happened.State is not { } state) return [];
        // A copy that failed has left its node already: where it was is what is of interest.
        var at = happened.Node ?? instance.Node;
        var host = at is { } node && commit.After.Nodes.TryGetValue(node, out var known) ? known.Hostname : "";
        // What waits for a place is no task yet.
        var scheduled = happened.Kind == "instance.scheduled";
        var changed = Event("instance_changed_event", commit, json =>
        {
            json.WriteString("instanceId", instance.Id.Value);
            json.WriteString("condition", scheduled ? "Scheduled" : Condition(state));
            json.WriteString("runSpecId", instance.App.Value);
            json.WriteString("agentId", at?.Value ?? "");
            json.WriteString("host", host);
            json.WriteString("runSpecVersion", AppJsonOut.Timestamp(instance.AppVersion));
        });
        if (scheduled) return [changed];
        return
        [
            Event("status_update_event", commit, json =>
            {
                json.WriteString("slaveId", at?.Value ?? "");
                json.WriteString("taskId", instance.Task.Value);
                json.WriteString("taskStatus", state);
                json.WriteString("message", happened.Text);
                json.WriteString("appId", instance.App.Value);
                json.WriteString("host", host);
                TaskViews.Addresses(json, commit.After, instance);
                TaskViews.Ports(json, instance);
                json.WriteString("version", AppJsonOut.Timestamp(instance.AppVersion));
            }),
            changed,
        ];
    }

    private static ImmutableArray<NamedEvent> CheckFailed(ClusterEvent happened, Committed commit)
    {
        if (Find(happened, commit) is not { } instance || !int.TryParse(happened.State, out var index) || !commit.After.Apps.TryGetValue(instance.App, out var app)) return [];
        return [Event("failed_health_check_event", commit, json =>
        {
            json.WriteString("appId", instance.App.Value);
            json.WriteString("taskId", instance.Id.Value);
            Check(json, app with { Spec = instance.Spec }, index);
        })];
    }

    private static ImmutableArray<NamedEvent> UnhealthyKill(ClusterEvent happened, Committed commit)
    {
        if (Find(happened, commit) is not { } instance) return [];
        return [Event("unhealthy_instance_kill_event", commit, json =>
        {
            json.WriteString("appId", instance.App.Value);
            json.WriteString("taskId", instance.Task.Value);
            json.WriteString("instanceId", instance.Id.Value);
            json.WriteString("version", AppJsonOut.Timestamp(instance.AppVersion));
            json.WriteString("reason", happened.Text);
            json.WriteString("host", happened.Node is { } node && commit.After.Nodes.TryGetValue(node, out var known) ? known.Hostname : "");
            json.WriteString("slaveId", happened.Node?.Value ?? "");
        })];
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
            "deployment.cancelled" => [Event("deployment_failed", commit, json => Ended(json, deployment, happened.Text))],
            "deployment.failed" => [Event("deployment_step_failure", commit, json => PlanAndStep(json, deployment)), Event("deployment_failed", commit, json => Ended(json, deployment, happened.Text))],
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

    private static NamedEvent Event(string name, DateTimeOffset at, Action<Utf8JsonWriter> fields) => new(name, MarathonJson.Bytes(json =>
    {
        fields(json);
        json.WriteString("eventType", name);
        json.WriteString("timestamp", AppJsonOut.Timestamp(at));
    }));
}
