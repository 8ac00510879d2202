using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Volumes;

/// <summary>A size is the volume's, whatever node it is on; not every driver can keep a volume to it.</summary>
public static class VolumeSizes
{
    /// <summary>Of a node's driver, by its name: folders have nothing that would stop a write.</summary>
    public static bool Kept(string driver) => driver != "directory";

    /// <summary>Volumes of <paramref name="spec"/> with a size that <paramref name="target"/> would not keep, in the order of the spec.</summary>
    public static IEnumerable<Volume> NotKept(ClusterState state, AppSpec spec, NodeId target) => state.Nodes.TryGetValue(target, out var node) && Kept(node.VolumeDriver) ? []
        : spec.Volumes.Select(m => m.Name).Distinct().Where(state.Volumes.ContainsKey).Select(name => state.Volumes[name]).Where(v => v.Size is not null && v.Primary != target);

    /// <summary>Null: there is no size, or it is kept where the volume is.</summary>
    public static string? Warning(ClusterState state, Volume volume) => volume is { Size: { } size, Primary: { } primary } && state.Nodes.TryGetValue(primary, out var node) && !Kept(node.VolumeDriver)
        ? $"the size of {size} is not kept on '{primary}': its {node.VolumeDriver} driver cannot" : null;
}
