using System.Globalization;
using System.Text;
using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Marathon;

/// <summary>Tasks in Marathon's shape (types/task.raml). A copy that has no place yet is no task: it shows in /v2/queue.</summary>
public static class TaskViews
{
    public static IEnumerable<Instance> TasksOf(ClusterState state, AppId app) => state.InstancesOf(app).Where(i => i.Node is not null);

    public static string State(Instance instance) => instance.State switch
    {
        InstanceState.Starting => "TASK_STARTING",
        InstanceState.Running => "TASK_RUNNING",
        InstanceState.Killing => "TASK_KILLING",
        InstanceState.Unreachable => "TASK_UNREACHABLE",
        InstanceState.Gone => "TASK_GONE",
        _ => "TASK_STAGING",
    };

    public static void Task(Utf8JsonWriter json, ClusterState state, Instance instance)
    {
        json.WriteStartObject();
        Addresses(json, state, instance);
        json.WriteString("appId", instance.App.Value);
        if (instance.Spec.HealthChecks.Count > 0) Health(json, instance);
        json.WriteString("host", Host(state, instance));
        json.WriteString("id", instance.Task.Value);
        LocalVolumes(json, state, instance);
        Ports(json, instance);
        if (instance.Node is { } at && state.Nodes.TryGetValue(at, out var machine)) Place(json, machine);
        json.WriteString("role", instance.Spec.Role);
        json.WriteStartArray("servicePorts");
        foreach (var port in ServicePorts(instance.Spec)) json.WriteNumberValue(port);
        json.WriteEndArray();
        json.WriteString("slaveId", instance.Node?.Value);
        if (instance.StagedAt is { } staged) json.WriteString("stagedAt", AppJsonOut.Timestamp(staged));
        if (instance.StartedAt is { } started) json.WriteString("startedAt", AppJsonOut.Timestamp(started));
        json.WriteString("state", State(instance));
        json.WriteString("version", AppJsonOut.Timestamp(instance.AppVersion));
        // Beyond Marathon: whoever waits says for what.
        if (instance.WaitsFor is { } what) json.WriteString("waitsFor", what);
        json.WriteEndObject();
    }

    private static void Place(Utf8JsonWriter json, Core.Nodes.Node node)
    {
        foreach (var name in (string[])["region", "zone"])
            if (Constraints.ValueOf(node, $"@{name}") is { } value) json.WriteString(name, value);
    }

    /// <summary>Persistent volumes by the ids Mesos' clients know: the app, the path, and what stays the same as long as the volume is there.</summary>
    private static void LocalVolumes(Utf8JsonWriter json, ClusterState state, Instance instance)
    {
        json.WriteStartArray("localVolumes");
        foreach (var mount in instance.Spec.Volumes)
        {
            if (mount.Persistent is not { } asked || !state.Volumes.TryGetValue(mount.Name, out var volume)) continue;
            var uuid = PersistentJson.IdentityOf(volume).ToString("d");
            json.WriteStartObject();
            json.WriteString("containerPath", asked.Path);
            json.WriteString("persistenceId", $"{instance.App.SafePath}#{asked.Path}#{uuid}");
            json.WriteString("runSpecId", instance.App.Value);
            json.WriteString("uuid", uuid);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    public static string Host(ClusterState state, Instance instance) =>
        instance.Node is { } node && state.Nodes.TryGetValue(node, out var known) ? known.Hostname : instance.Node?.Value ?? "";

    /// <summary>The address on the overlay where there is one, else the node's.</summary>
    public static void Addresses(Utf8JsonWriter json, ClusterState state, Instance instance)
    {
        var address = instance.Spec.Container?.Overlay is { } overlay ? overlay.Cidr.Split('/')[0]
            : instance.Node is { } node && state.Nodes.TryGetValue(node, out var known) ? known.Address : null;
        json.WriteStartArray("ipAddresses");
        if (address is not null)
        {
            json.WriteStartObject();
            json.WriteString("ipAddress", address);
            json.WriteString("protocol", "IPv4");
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    public static void Ports(Utf8JsonWriter json, Instance instance)
    {
        json.WriteStartArray("ports");
        foreach (var port in instance.Ports) json.WriteNumberValue(port);
        json.WriteEndArray();
    }

    public static IEnumerable<int> ServicePorts(AppSpec spec) => spec.Container is { Network: ContainerNetwork.Bridge } container
        ? container.PortMappings.Select(m => m.ServicePort) : spec.Ports.Select(p => p.Port);

    /// <summary>The form old haproxy bridges read: one line for each service port, running tasks only.</summary>
    public static string PlainText(ClusterState state, IEnumerable<App> apps)
    {
        var text = new StringBuilder();
        foreach (var app in apps)
        {
            var index = 0;
            foreach (var service in ServicePorts(app.Spec))
            {
                var at = index++;
                text.Append(app.Id.SafePath).Append('\t').Append(service.ToString(CultureInfo.InvariantCulture)).Append('\t');
                foreach (var task in TasksOf(state, app.Id).Where(t => t.Runs && at < t.Ports.Count))
                    text.Append(Host(state, task)).Append(':').Append(task.Ports[at].ToString(CultureInfo.InvariantCulture)).Append('\t');
                text.Append('\n');
            }
        }
        return text.ToString();
    }

    private static void Health(Utf8JsonWriter json, Instance instance)
    {
        json.WriteStartArray("healthCheckResults");
        foreach (var result in instance.Health)
        {
            json.WriteStartObject();
            json.WriteBoolean("alive", result.Alive);
            json.WriteNumber("consecutiveFailures", result.ConsecutiveFailures);
            if (result.FirstSuccess is { } first) json.WriteString("firstSuccess", AppJsonOut.Timestamp(first));
            if (result.LastSuccess is { } last) json.WriteString("lastSuccess", AppJsonOut.Timestamp(last));
            if (result.LastFailure is { } failure) json.WriteString("lastFailure", AppJsonOut.Timestamp(failure));
            if (result.LastFailureCause is { } cause) json.WriteString("lastFailureCause", cause);
            json.WriteString("instanceId", instance.Id.Value);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }
}
