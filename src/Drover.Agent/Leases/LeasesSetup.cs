using Drover.Agent.Guard;
using Drover.Agent.Host;

namespace Drover.Agent.Leases;

public static class LeasesSetup
{
    /// <summary>The node's lease and its guard. Needs the volume driver, the reconciler and what it is made of.</summary>
    public static IServiceCollection AddLeases(this IServiceCollection services, AgentOptions options)
    {
        var folder = Path.Combine(options.StateFolder, "lease");
        services.AddSingleton<IBootClock, BootClock>().AddSingleton(new GuardFile(folder));
        services.AddSingleton<IGuardProcess>(s => new GuardProcess(folder, GuardProcess.OwnCommand(), s.GetRequiredService<ILogger<GuardProcess>>()));
        services.AddSingleton<NodeLease>().AddSingleton<IWriteRight>(s => s.GetRequiredService<NodeLease>());
        return services.AddHostedService<LeaseKeeper>().AddHostedService<ForkKeeper>();
    }
}
