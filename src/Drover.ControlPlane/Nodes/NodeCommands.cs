using Drover.Core;
using Drover.Core.Nodes;

namespace Drover.ControlPlane.Nodes;

/// <summary>What can be asked of nodes. Each answer is given when the decision is stored.</summary>
public sealed class NodeCommands(ICluster cluster, IChance chance, TimeProvider time)
{
    public Task<DrainOutcome> Limit(NodeId node, long? bytesPerSecond, CancellationToken cancel) => cluster.Decide(state => NodeWishes.Limit(state, node, bytesPerSecond), cancel);

    public Task<DrainOutcome> Cordon(NodeId node, bool cordoned, CancellationToken cancel) => cluster.Decide(state => Draining.Cordon(state, node, cordoned, time.GetUtcNow()), cancel);

    public Task<DrainOutcome> Drain(NodeId node, int limit, CancellationToken cancel) => cluster.Decide(state => Draining.Start(state, node, limit, time.GetUtcNow()), cancel);

    public Task<DrainOutcome> StopDrain(NodeId node, CancellationToken cancel) => cluster.Decide(state => Draining.Stop(state, node, time.GetUtcNow()), cancel);

    public Task<RebalancePlan> Rebalance(CancellationToken cancel) => cluster.Decide(state => Rebalancing.Apply(state, time.GetUtcNow(), chance), cancel);
}

public static class NodeSetup
{
    /// <summary>Cordon, drain and rebalance. Needs an <see cref="ICluster"/>, chance and time.</summary>
    public static IServiceCollection AddNodes(this IServiceCollection services)
    {
        services.AddSingleton<NodeCommands>();
        services.AddHostedService<DrainLoop>();
        return services;
    }
}
