namespace Drover.ControlPlane.Agents;

public static class AgentSetup
{
    /// <summary>Agents: their stream and who is connected. Needs <see cref="ICluster"/>, chance and time.</summary>
    public static IServiceCollection AddAgents(this IServiceCollection services, AgentLinkOptions options)
    {
        services.AddGrpc(grpc =>
        {
            // A greeting lists everything on a node.
            grpc.MaxReceiveMessageSize = 16 * 1024 * 1024;
            grpc.MaxSendMessageSize = 16 * 1024 * 1024;
        });
        services.AddSingleton(options);
        services.AddSingleton<AgentConnections>();
        services.AddSingleton<Volumes.VolumeStreams>();
        services.AddSingleton<VolumePromotions>();
        services.AddSingleton(all => new LeaseBook(all.GetRequiredService<ICluster>(), options.Lease, all.GetRequiredService<TimeProvider>(), all.GetService<Observability.AgentMeter>()));
        services.AddSingleton<AgentOrders>();
        services.AddHostedService(all => all.GetRequiredService<AgentOrders>());
        services.AddSingleton<IAgentConnections>(all => all.GetRequiredService<AgentConnections>());
        return services;
    }

    public static void MapAgents(this WebApplication app) => app.MapGrpcService<AgentLinkService>().WithMetadata(new Listeners.ForAgents());
}
