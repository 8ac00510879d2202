namespace Drover.ControlPlane.Events;

public static class EventSetup
{
    /// <summary>The event ring and what fills it. Needs <see cref="ICluster"/>, <see cref="Store.IStateStore"/>, <see cref="Moves.MoveProgressBoard"/> and time.</summary>
    public static IServiceCollection AddEvents(this IServiceCollection services)
    {
        services.AddSingleton<EventRing>();
        services.AddSingleton(all => new Api.ServerInfo(all.GetRequiredService<TimeProvider>().GetUtcNow()));
        services.AddSingleton<CallbackBook>();
        // Before what feeds the ring: they are told of everything from the start.
        services.AddSingleton<EventCallbacks>();
        services.AddHostedService(all => all.GetRequiredService<EventCallbacks>());
        services.AddHostedService<EventFeed>();
        return services;
    }
}
