using Drover.Core.Apps;
using Drover.Core.Moves;

namespace Drover.ControlPlane.Marathon;

/// <summary>Rules over several fields of one app definition. What depends on the cluster (a volume or an address in use) is judged where the change is decided.</summary>
public static class AppRules
{
    public static void Check(JsonFields fields, AppSpec app)
    {
        var faults = fields.Violations;
        if (app.Container is null)
            faults.Rule("/container", "must be given: apps run as Docker containers, such as \"container\": {\"type\": \"DOCKER\", \"docker\": {\"image\": \"postgres:15\"}}");
        if (app.Backoff.Initial > app.Backoff.Max) faults.Rule("/backoffSeconds", "must not be more than maxLaunchDelaySeconds");
        if (app.Dependencies.Items.Contains(app.Id)) faults.Rule("/dependencies", "must not name the app itself");
        Volumes(app, faults);
        foreach (var (label, message) in MoveSettings.Faults(app)) faults.Rule($"/labels/{label}", message);
        if (app.Instances > 1 && app.Labels.Any(l => l is { Name: "MARATHON_SINGLE_INSTANCE_APP", Value: "true" }))
            faults.Rule("/instances", "must be 0 or 1, since label MARATHON_SINGLE_INSTANCE_APP is true");
    }

    private static void Volumes(AppSpec app, Violations faults)
    {
        var mounts = app.Container?.Volumes ?? [];
        if (mounts.GroupBy(m => m.ContainerPath).FirstOrDefault(g => g.Count() > 1) is { } twice)
            faults.Rule("/container/volumes", $"two volumes share the containerPath {twice.Key}; give each its own");
        if (app.Volumes.GroupBy(v => v.Name).FirstOrDefault(g => g.Count() > 1) is { } again)
            faults.Rule("/container/volumes", $"volume {again.Key} is named twice; mount it once");
        if (app.Instances > 1 && app.Volumes.FirstOrDefault(v => !v.ReadOnly) is { } volume)
            faults.Rule("/instances", $"must be 0 or 1: volume {volume.Name} has one writer at a time; run more apps with a volume each, or take the volume out");
    }
}
