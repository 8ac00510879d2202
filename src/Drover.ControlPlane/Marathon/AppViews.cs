using System.Text.Json;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Marathon;

/// <summary>What of an app is shown beside its definition. Counts and deployments are always there.</summary>
public sealed record Embeds(bool Tasks, bool LastTaskFailure)
{
    public static readonly Embeds Everything = new(true, true);

    /// <summary>Values come with or without a prefix; an unknown one is ignored, as Marathon does.</summary>
    public static Embeds From(IEnumerable<string?> asked)
    {
        var names = asked.Select(a => a?.Split('.')[^1]).ToHashSet();
        return new(names.Contains("tasks") || names.Contains("failures"), names.Contains("lastTaskFailure") || names.Contains("failures"));
    }
}

/// <summary>Apps in Marathon's AppInfo shape.</summary>
public static class AppViews
{
    public static void Info(Utf8JsonWriter json, ClusterState state, App app, Embeds embeds)
    {
        json.WriteStartObject();
        AppJsonOut.Fields(json, app.Spec, app);
        var tasks = TaskViews.TasksOf(state, app.Id).ToList();
        json.WriteNumber("tasksStaged", tasks.Count(t => t.State is InstanceState.Staging or InstanceState.Starting));
        json.WriteNumber("tasksRunning", tasks.Count(t => t.Runs));
        json.WriteNumber("tasksHealthy", tasks.Count(t => t.Runs && t.Healthy == true));
        json.WriteNumber("tasksUnhealthy", tasks.Count(t => t.Runs && t.Healthy == false));
        json.WriteStartArray("deployments");
        foreach (var deployment in state.DeploymentsOf(app.Id))
        {
            json.WriteStartObject();
            json.WriteString("id", deployment.Id.Value);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        if (embeds.Tasks)
        {
            json.WriteStartArray("tasks");
            foreach (var task in tasks) TaskViews.Task(json, state, task);
            json.WriteEndArray();
        }
        if (embeds.LastTaskFailure && app.LastTaskFailure is { } failure) Failure(json, app, failure);
        json.WriteEndObject();
    }

    private static void Failure(Utf8JsonWriter json, App app, TaskFailure failure)
    {
        json.WriteStartObject("lastTaskFailure");
        json.WriteString("appId", app.Id.Value);
        json.WriteString("host", failure.Host);
        json.WriteString("message", failure.Message);
        json.WriteString("slaveId", failure.Node.Value);
        json.WriteString("state", failure.State);
        json.WriteString("taskId", failure.Task.Value);
        json.WriteString("timestamp", AppJsonOut.Timestamp(failure.At));
        json.WriteString("version", AppJsonOut.Timestamp(failure.AppVersion));
        json.WriteEndObject();
    }

    /// <summary>`cmd` and `id`: case-insensitive parts; `label`: a selector.</summary>
    public static IEnumerable<App> Filtered(ClusterState state, string? command, string? id, LabelSelector? label) => state.Apps.Values.Where(app =>
        (string.IsNullOrEmpty(command) || app.Spec.Command?.Contains(command, StringComparison.OrdinalIgnoreCase) == true)
        && (string.IsNullOrEmpty(id) || app.Id.Value.Contains(id, StringComparison.OrdinalIgnoreCase))
        && (label is null || label.Matches(app.Spec.Labels)));
}
