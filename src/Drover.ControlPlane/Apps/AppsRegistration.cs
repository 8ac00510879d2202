using Drover.ControlPlane.Offers;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Drover.ControlPlane.Apps;

public static class AppsRegistration
{
    /// <summary>Apps, offers and the loops that carry them out. Needs an <see cref="ICluster"/>, a <see cref="TimeProvider"/> and a <see cref="Drover.Core.IChance"/>.</summary>
    public static IServiceCollection AddApps(this IServiceCollection services)
    {
        services.TryAddSingleton<IOfferExchange, OfferExchange>();
        services.TryAddSingleton<IAppCommands, AppCommands>();
        services.AddHostedService<DeploymentLoop>();
        services.AddHostedService<SchedulerLoop>();
        return services;
    }
}
