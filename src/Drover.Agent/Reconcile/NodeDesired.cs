using System.Collections.Immutable;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>What this node was last told to run: one value, replaced as orders come.</summary>
/// <param name="Generation">Of the newest order it holds; 0 before the first.</param>
public sealed record NodeDesired(
    long Generation, ImmutableDictionary<InstanceId, DesiredInstance> Instances, ImmutableDictionary<VolumeName, DesiredVolume> Volumes,
    ImmutableDictionary<NetworkName, DesiredNetwork> Networks)
{
    public static readonly NodeDesired None = new(0, ImmutableDictionary<InstanceId, DesiredInstance>.Empty,
        ImmutableDictionary<VolumeName, DesiredVolume>.Empty, ImmutableDictionary<NetworkName, DesiredNetwork>.Empty);

    public static NodeDesired Of(Desired all) => new(
        all.Generation,
        all.Instances.ToImmutableDictionary(i => new InstanceId(i.InstanceId)),
        all.Volumes.ToImmutableDictionary(v => new VolumeName(v.Name)),
        all.Networks.ToImmutableDictionary(n => new NetworkName(n.Name)));

    public NodeDesired With(DesiredChange change) => new(
        change.Generation,
        Instances.RemoveRange(change.RemovedInstances.Select(i => new InstanceId(i))).SetItems(change.Instances.Select(i => KeyValuePair.Create(new InstanceId(i.InstanceId), i))),
        Volumes.RemoveRange(change.RemovedVolumes.Select(v => new VolumeName(v))).SetItems(change.Volumes.Select(v => KeyValuePair.Create(new VolumeName(v.Name), v))),
        Networks.RemoveRange(change.RemovedNetworks.Select(n => new NetworkName(n))).SetItems(change.Networks.Select(n => KeyValuePair.Create(new NetworkName(n.Name), n))));

    public Desired ToMessage()
    {
        var all = new Desired { Generation = Generation };
        all.Instances.Add(Instances.Values);
        all.Volumes.Add(Volumes.Values);
        all.Networks.Add(Networks.Values);
        return all;
    }

    /// <summary>Instances to look at again after the change from <paramref name="before"/>: their own order or one of their volumes' changed.</summary>
    public IReadOnlySet<InstanceId> ChangedSince(NodeDesired before)
    {
        var changed = new HashSet<InstanceId>();
        foreach (var id in Instances.Keys.Union(before.Instances.Keys))
            if (!Equals(Instances.GetValueOrDefault(id), before.Instances.GetValueOrDefault(id))) changed.Add(id);
        var volumes = Volumes.Keys.Union(before.Volumes.Keys).Where(v => !Equals(Volumes.GetValueOrDefault(v), before.Volumes.GetValueOrDefault(v))).Select(v => v.Value).ToHashSet();
        if (volumes.Count > 0)
            foreach (var (id, instance) in Instances)
                if (instance.Volumes.Any(v => volumes.Contains(v.Name))) changed.Add(id);
        return changed;
    }
}
