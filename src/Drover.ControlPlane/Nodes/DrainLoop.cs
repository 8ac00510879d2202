using Drover.ControlPlane.Apps;
using Drover.Core;
using Drover.Core.Nodes;

namespace Drover.ControlPlane.Nodes;

/// <summary>Takes every drain forward, from what is stored: begun before a restart it goes on after it.</summary>
public sealed class DrainLoop(ICluster cluster, TimeProvider time, IChance chance, ILogger<DrainLoop> log) : WakingLoop(cluster, time, log)
{
    protected override async Task<DateTimeOffset?> Pass(CancellationToken cancel)
    {
        var next = new List<DateTimeOffset?>();
        foreach (var node in Cluster.Current.DrainingNodes)
        {
            // Looked at first: most commits change nothing for a drain, and then nobody's turn is taken.
            var probe = Draining.Next(Cluster.Current, node.Id, Time.GetUtcNow(), chance);
            next.Add(probe.Outcome.Until);
            if (probe.Changes.IsDefaultOrEmpty) continue;
            next.Add((await Cluster.Decide(state => Draining.Next(state, node.Id, Time.GetUtcNow(), chance), cancel)).Until);
        }
        return DeploymentLoop.Earliest(next);
    }
}
