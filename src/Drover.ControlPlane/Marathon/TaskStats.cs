using System.Text.Json;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>`taskStats`: counts and ages of an app's tasks, by the version they run.</summary>
public static class TaskStats
{
    public static void Write(Utf8JsonWriter json, App app, IReadOnlyList<Instance> tasks, DateTimeOffset now)
    {
        json.WriteStartObject("taskStats");
        Group(json, "startedAfterLastScaling", [.. tasks.Where(t => t.AppVersion >= app.LastScalingAt)], now);
        Group(json, "withLatestConfig", [.. tasks.Where(t => t.AppVersion >= app.LastConfigChangeAt)], now);
        Group(json, "withOutdatedConfig", [.. tasks.Where(t => t.AppVersion < app.LastConfigChangeAt)], now);
        Group(json, "totalSummary", tasks, now);
        json.WriteEndObject();
    }

    /// <summary>A group without tasks is left out, as Marathon does.</summary>
    private static void Group(Utf8JsonWriter json, string name, IReadOnlyList<Instance> tasks, DateTimeOffset now)
    {
        if (tasks.Count == 0) return;
        json.WriteStartObject(name);
        json.WriteStartObject("stats");
        json.WriteStartObject("counts");
        TaskCounts.Of(tasks).Write(json, "");
        json.WriteEndObject();
        var ages = tasks.Where(t => t.StartedAt is not null).Select(t => Math.Max(0, (now - t.StartedAt!.Value).TotalSeconds)).Order().ToList();
        if (ages.Count > 0)
        {
            json.WriteStartObject("lifeTime");
            json.WriteNumber("averageSeconds", ages.Average());
            json.WriteNumber("medianSeconds", ages.Count % 2 == 1 ? ages[ages.Count / 2] : (ages[ages.Count / 2 - 1] + ages[ages.Count / 2]) / 2);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }
}

/// <summary>Healthy and unhealthy are of those that run; a task that no check has answered for is neither.</summary>
public readonly record struct TaskCounts(int Staged, int Running, int Healthy, int Unhealthy)
{
    public static TaskCounts Of(IEnumerable<Instance> tasks)
    {
        var counts = default(TaskCounts);
        foreach (var task in tasks)
        {
            counts = new(
                counts.Staged + (task.State is InstanceState.Staging or InstanceState.Starting ? 1 : 0), counts.Running + (task.Runs ? 1 : 0),
                counts.Healthy + (task is { Runs: true, Healthy: true } ? 1 : 0), counts.Unhealthy + (task is { Runs: true, Healthy: false } ? 1 : 0));
        }
        return counts;
    }

    /// <param name="prefix">`tasks` beside an app's other fields, nothing in an object of their own.</param>
    public void Write(Utf8JsonWriter json, string prefix)
    {
        foreach (var (name, count) in (ReadOnlySpan<(string, int)>)[("Staged", Staged), ("Running", Running), ("Healthy", Healthy), ("Unhealthy", Unhealthy)])
            json.WriteNumber(prefix.Length > 0 ? prefix + name : name.ToLowerInvariant(), count);
    }
}
