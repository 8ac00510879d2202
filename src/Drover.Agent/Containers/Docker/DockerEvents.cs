using System.Globalization;
using System.Text.Json;
using Drover.Core;

namespace Drover.Agent.Containers.Docker;

/// <summary>Reads one line of `GET /events`.</summary>
internal static class DockerEvents
{
    public static ContainerEvent? Read(string line)
    {
        using var json = JsonDocument.Parse(line);
        var root = json.RootElement;
        if (!root.TryGetProperty("Action", out var action) || !root.TryGetProperty("Actor", out var actor)) return null;
        if (!actor.TryGetProperty("Attributes", out var attributes) || !attributes.TryGetProperty(ContainerLabels.Task, out var task)) return null;
        ContainerEventKind? kind = action.GetString() switch
        {
            "create" => ContainerEventKind.Created,
            "start" => ContainerEventKind.Started,
            "die" => ContainerEventKind.Died,
            "destroy" => ContainerEventKind.Removed,
            "oom" => ContainerEventKind.OutOfMemory,
            _ => null,
        };
        if (kind is null) return null;
        int? exit = attributes.TryGetProperty("exitCode", out var code) && int.TryParse(code.GetString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;
        return new(new TaskId(task.GetString() ?? ""), kind.Value, exit);
    }
}
