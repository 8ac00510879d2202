using Drover.ControlPlane.Apps;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Volumes;

/// <summary>Begins what volumes need without being asked, at its time.</summary>
public sealed class VolumeKeeper(ICluster cluster, IChance chance, TimeProvider time, ILogger<VolumeKeeper> log) : WakingLoop(cluster, time, log)
{
    protected override async Task<DateTimeOffset?> Pass(CancellationToken cancel)
    {
        // Each begun makes its volume busy: the loop ends.
        while (await Begin(cancel) is { } begun) log.LogInformation("{What} of volume {Volume} begins on {Node}", begun.Named, begun.Volume, begun.Node);
        return VolumeUpkeep.Next(Cluster.Current, StandbyPolicy.Default, Time.GetUtcNow());
    }

    private Task<VolumeOperation?> Begin(CancellationToken cancel)
    {
        var id = new OperationId(chance.NewGuid().ToString("N"));
        return Cluster.Decide(state => VolumeUpkeep.Due(state, StandbyPolicy.Default, id, Time.GetUtcNow()), cancel);
    }
}
