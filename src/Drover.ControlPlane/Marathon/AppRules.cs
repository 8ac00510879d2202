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
            faults.Rule("/container", "must be given: apps run as Docker containers, such as \"container\": {\"type\": \"DOCKER\", \"docker\": {\"image\": \"postgres:15\"}}; commands alone run where the control plane was started with --command-image");
        if (app.Backoff.Initial > app.Backoff.Max) faults.Rule("/backoffSeconds", "must not be more than maxLaunchDelaySeconds");
        if (app.Dependencies.Items.Contains(app.Id)) faults.Rule("/dependencies", "must not name the app itself");
        Volumes(app, faults);
        // Of the input alone: what an app had before there was a rule does not keep it from being changed in another way.
        if (fields.Has("role") || fields.Has("acceptedResourceRoles")) Roles(app, faults);
        Limits(app, faults);
        if (fields.Has("executor") && app.Executor is not ("" or "//cmd")) faults.Rule("/executor", "must be \"\" or \"//cmd\": no executor runs beside the container");
        if (fields.Has("gpus") && app.Gpus > 0) faults.Rule("/gpus", "must be 0: nodes do not tell what GPUs they have; hand one over by docker parameter device, and choose the node by a constraint");
        foreach (var (label, message) in MoveSettings.Faults(app)) faults.Rule($"/labels/{label}", message);
        if (app.Instances > 1 && app.Labels.Any(l => l is { Name: "MARATHON_SINGLE_INSTANCE_APP", Value: "true" }))
            faults.Rule("/instances", "must be 0 or 1, since label MARATHON_SINGLE_INSTANCE_APP is true");
        Upgrade(app, faults);
    }

    /// <summary>A second copy beside the first is what such an app must not have.</summary>
    private static void Upgrade(AppSpec app, Violations faults)
    {
        var (single, resident) = (app.Labels.Any(l => l is { Name: "MARATHON_SINGLE_INSTANCE_APP", Value: "true" }), app.Volumes.Any(v => v.Persistent is not null));
        var external = app.Volumes.Any(v => v.Naming == VolumeNaming.External && !v.ReadOnly);
        if ((single || resident || external) && app.Upgrade.MaximumOverCapacity > 0)
            faults.Rule("/upgradeStrategy/maximumOverCapacity", $"must be 0, since {(single ? "label MARATHON_SINGLE_INSTANCE_APP is true" : "its volume has one writer at a time")}");
        if (single && app.Upgrade.MinimumHealthCapacity > 0) faults.Rule("/upgradeStrategy/minimumHealthCapacity", "must be 0, since label MARATHON_SINGLE_INSTANCE_APP is true");
        else if (external && app.Upgrade.MinimumHealthCapacity > 0.5) faults.Rule("/upgradeStrategy/minimumHealthCapacity", "must be at most 0.5, since its volume has one writer at a time");
    }

    private static void Roles(AppSpec app, Violations faults)
    {
        var top = app.Id.Value.Split('/', StringSplitOptions.RemoveEmptyEntries) is [var first, _, ..] ? first : null;
        if (app.Role != "*" && app.Role != top) faults.Rule("/role", $"must be \"*\"{(top is null ? "" : $" or \"{top}\", the app's top-level group")}; there are no other roles");
        if (app.AcceptedRoles.Items.FirstOrDefault(role => role != "*" && role != app.Role) is { } foreign)
            faults.Rule("/acceptedResourceRoles", $"may hold \"*\" and the app's own role; '{foreign}' is neither");
    }

    private static void Limits(AppSpec app, Violations faults)
    {
        if (app.Limits is not { } limits) return;
        if (limits.Cpus is { } cpus and not ResourceLimits.Unlimited && cpus < app.Cpus) faults.Rule("/resourceLimits/cpus", "must be at least cpus, or \"unlimited\"");
        if (limits.MemoryMiB is { } memory and not ResourceLimits.Unlimited && memory < app.MemoryMiB) faults.Rule("/resourceLimits/mem", "must be at least mem, or \"unlimited\"");
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
