namespace Drover.ControlPlane.Events;

public static class EventSetup
{
    /// <summary>The event ring and what fills it. Needs <see cref="ICluster"/>, <see cref="Moves.MoveProgressBoard"/> and time.</summary>
    public static IServiceCollection AddEvents(this IServiceCollection services)
    {
        services.AddSingleton<EventRing>();
        services.AddSingleton(all => new Api.ServerInfo(all.GetRequiredService<TimeProvider>().GetUtcNow()));
        services.AddHostedService<EventFeed>();
        return services;
    }
}
