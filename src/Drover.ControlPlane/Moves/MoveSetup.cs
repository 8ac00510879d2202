using Drover.ControlPlane.Access;
using Drover.ControlPlane.Agents;

namespace Drover.ControlPlane.Moves;

public static class MoveSetup
{
    /// <summary>Moves: commands, driver, progress. Needs <see cref="ICluster"/>, <see cref="IAgentConnections"/>, <see cref="ITransferTickets"/>, chance and time.</summary>
    /// <param name="desired">What a node should run, for the order that prepares the target.</param>
    public static IServiceCollection AddMoves(this IServiceCollection services, DesiredOf desired)
    {
        services.AddSingleton<MoveProgressBoard>();
        services.AddSingleton<MoveCommands>();
        services.AddSingleton(all => new MoveOrders(desired, all.GetRequiredService<ITransferTickets>()));
        services.AddSingleton<MoveStepRunner>();
        services.AddHostedService<MoveDriver>();
        return services;
    }
}
