using Drover.ControlPlane.Apps;
using Drover.Core;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Volumes;

/// <summary>Begins what volumes need without being asked, at its time.</summary>
public sealed class VolumeKeeper(ICluster cluster, IChance chance, TimeProvider time, ILogger<VolumeKeeper> log) : WakingLoop(cluster, time, log)
{
    protected override bool Concerns(Committed commit) => commit.Missed
        || (!commit.After.Volumes.IsEmpty && commit.Changes.Any(change => change is not (ClusterChange.PutInstance or ClusterChange.RemoveInstance or ClusterChange.PutApp or ClusterChange.PutDeployment or ClusterChange.RemoveDeployment)));

    protected override async Task<DateTimeOffset?> Pass(CancellationToken cancel)
    {
        // Each begun makes its volume busy: the loop ends.
        while (await Begin(cancel) is { } begun) log.LogInformation("{What} of volume {Volume} begins on {Node}", begun.Named, begun.Volume, begun.Node);
        return VolumeUpkeep.Next(Cluster.Current, StandbyPolicy.Default, Time.GetUtcNow());
    }

    private Task<VolumeOperation?> Begin(CancellationToken cancel)
    {
        var id = new OperationId(chance.NewGuid().ToString("N"));
        // Looked at first: mostly nothing is due, and then nobody's turn is taken.
        if (VolumeUpkeep.Due(Cluster.Current, StandbyPolicy.Default, id, Time.GetUtcNow()).Changes.IsDefaultOrEmpty) return Task.FromResult<VolumeOperation?>(null);
        return Cluster.Decide(state => VolumeUpkeep.Due(state, StandbyPolicy.Default, id, Time.GetUtcNow()), cancel);
    }
}
