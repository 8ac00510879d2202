using Drover.Agent.Networks.Vxlan;
using Drover.Agent.Plugins;
using Drover.Agent.Plugins.DockerNetwork;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Drover.Agent.Networks;

public static class NetworkServices
{
    /// <summary>Overlays, the engine's networks, and the plugin socket, which listens as soon as the host starts.
    /// Needs <see cref="Host.IHostCommands"/>; register before what connects to the control plane.</summary>
    public static IServiceCollection AddNetworks(this IServiceCollection services, AgentOptions options)
    {
        services.TryAddSingleton(options);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<LeaseBook>();
        services.TryAddSingleton<ILinks, PacketLinks>();
        services.TryAddSingleton<IOverlay, VxlanOverlay>();
        services.TryAddSingleton<EndpointRegister>();
        services.TryAddSingleton<IDockerNetworks, DockerNetworks>();
        services.AddSingleton<IPluginProtocol, NetworkDriver>();
        services.AddSingleton<IPluginProtocol, IpamDriver>();
        services.AddHostedService<PluginServer>();
        return services;
    }
}
