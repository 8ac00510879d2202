using Drover.Contracts.Metrics;
using Drover.ControlPlane.Agents;
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
        services.AddSingleton(all =>
        {
            var book = new MetricBook(all.GetRequiredService<TimeProvider>(), Meters.Shared);
            book.AddProcess(typeof(ObservabilitySetup).Assembly);
            return book;
        });
        services.AddSingleton<ClusterMeter>().AddSingleton<AgentMeter>().AddSingleton<CommitMeters>().AddSingleton<MetricsBoard>();
        services.AddSingleton<ICommitMeter, MoveMeter>().AddSingleton<ICommitMeter, DeploymentMeter>().AddSingleton<ICommitMeter, QueueMeter>().AddSingleton<ICommitMeter, VolumeMeter>().AddSingleton<ICommitMeter, CommitTraces>();
        services.AddSingleton<SystemEndpoints>();
        return services;
    }

    /// <summary>Begins to count what the cluster commits. Before anything runs.</summary>
    public static void UseObservability(this IServiceProvider services, Cluster cluster)
    {
        // Asked for by nobody else: they are only read.
        services.GetRequiredService<ClusterMeter>();
        services.GetRequiredService<AgentMeter>().Watch(services.GetRequiredService<LeaseBook>());
        cluster.Observed = services.GetRequiredService<CommitMeters>().Seen;
    }
}
