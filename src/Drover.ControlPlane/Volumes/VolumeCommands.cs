using Drover.Core;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Volumes;

/// <summary>What can be asked of volumes.</summary>
public sealed class VolumeCommands(ICluster cluster, IChance chance, TimeProvider time)
{
    /// <summary>One request as one decision, with a new operation's id and the moment.</summary>
    public Task<VolumeAnswer> Ask(Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>> request, CancellationToken cancel)
    {
        return Ask(NewId(), request, cancel);
    }

    public OperationId NewId() => new(chance.NewGuid().ToString("N"));

    public Task<VolumeAnswer> Ask(OperationId id, Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>> request, CancellationToken cancel)
    {
        return cluster.Decide(state => request(state, id, time.GetUtcNow()), cancel);
    }
}

public static class VolumeSetup
{
    /// <summary>Volumes' life. Needs <see cref="ICluster"/>, agents, chance and time.</summary>
    public static IServiceCollection AddVolumeLife(this IServiceCollection services) =>
        services.AddSingleton<VolumeCommands>().AddHostedService<VolumeDriver>().AddHostedService<VolumeKeeper>();
}
