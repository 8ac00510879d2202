using Drover.ControlPlane.Marathon;
using Microsoft.Extensions.Options;

namespace Drover.ControlPlane.Observability;

public static class ObservabilitySetup
{
    /// <summary>What can be seen of the process itself: figures, log levels, settings. Needs <see cref="ICluster"/>, what AddEvents registers, and time.</summary>
    public static IServiceCollection AddObservability(this IServiceCollection services)
    {
        services.AddSingleton<LogLevels>();
        services.AddSingleton<IConfigureOptions<LoggerFilterOptions>>(all => all.GetRequiredService<LogLevels>());
        services.AddSingleton<IOptionsChangeTokenSource<LoggerFilterOptions>>(all => all.GetRequiredService<LogLevels>());
        services.AddSingleton<ClusterMeter>();
        services.AddSingleton<MetricsBoard>();
        services.AddSingleton<SystemEndpoints>();
        return services;
    }
}
