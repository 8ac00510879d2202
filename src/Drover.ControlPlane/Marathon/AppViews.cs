using System.Text.Json;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Marathon;

/// <summary>What of an app is shown beside its definition. Counts and deployments are always there.</summary>
/// <param name="Now">For the ages in <see cref="TaskStats"/>.</param>
public sealed record Embeds(DateTimeOffset Now)
{
    public bool Tasks { get; init; }
    public bool LastTaskFailure { get; init; }
    public bool Readiness { get; init; }
    public bool TaskStats { get; init; }

    private static readonly string[] Prefixes = ["group.apps.", "apps.", "app."];

    /// <summary>Values come with a prefix or without; an unknown one is ignored, as Marathon does.</summary>
    public static Embeds From(IEnumerable<string?> asked, DateTimeOffset now)
    {
        var names = asked.OfType<string>().Select(Bare).ToHashSet(StringComparer.Ordinal);
        var failures = names.Contains("failures");
        return new(now)
        {
            Tasks = failures || names.Contains("tasks"), LastTaskFailure = failures || names.Contains("lastTaskFailure"),
            Readiness = names.Contains("readiness"), TaskStats = names.Contains("taskStats"),
        };
    }

    private static string Bare(string name) => Prefixes.FirstOrDefault(p => name.StartsWith(p, StringComparison.Ordinal)) is { } prefix ? name[prefix.Length..] : name;
}

/// <summary>Apps in Marathon's AppInfo shape.</summary>
public static class AppViews
{
    public static void Info(Utf8JsonWriter json, ClusterState state, App app, Embeds embeds)
    {
        json.WriteStartObject();
        AppJsonOut.Fields(json, app.Spec, app);
        var counts = state.CountsOf(app.Id);
        new TaskCounts(counts.Staged, counts.Running, counts.Healthy, counts.Unhealthy).Write(json, "tasks");
        var tasks = embeds.Tasks || embeds.TaskStats ? TaskViews.TasksOf(state, app.Id).ToList() : [];
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
        if (embeds.Readiness) ReadinessJson.Results(json, Core.Apps.Readiness.ResultsOf(state, app));
        if (embeds.TaskStats) TaskStats.Write(json, app, tasks, embeds.Now);
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
