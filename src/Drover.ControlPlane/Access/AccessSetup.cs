using Drover.ControlPlane.Api;
using Grpc.AspNetCore.Server;

namespace Drover.ControlPlane.Access;

public static class AccessSetup
{
    /// <summary>Who is trusted, and the log of it. Needs the agents' slice, <see cref="ControlPlaneOptions"/> and time.</summary>
    public static IServiceCollection AddAccess(this IServiceCollection services, TrustBook book, Authorities authorities, AuditLog audit)
    {
        // Factories, so that they are disposed with the application.
        services.AddSingleton(_ => book).AddSingleton(_ => authorities).AddSingleton(_ => audit);
        services.AddSingleton<NodeTrust>().AddSingleton<ApiDoorKeeper>().AddSingleton<ApiTokens>().AddSingleton<RefusalAudit>();
        services.Configure<GrpcServiceOptions>(grpc => grpc.Interceptors.Add<RefusalAudit>());
        return services;
    }

    /// <summary>After <see cref="Listeners.UseListeners"/>, before anything is mapped.</summary>
    public static void UseAccess(this WebApplication app)
    {
        app.UseAgentDoorKeeper();
        var keeper = app.Services.GetRequiredService<ApiDoorKeeper>();
        app.Use((context, next) => context.GetEndpoint()?.Metadata.GetMetadata<Listeners.ForAgents>() is null ? keeper.Pass(context, next) : next(context));
    }

    public static void MapAccess(this WebApplication app)
    {
        app.MapGrpcService<MeetingService>().WithMetadata(new Listeners.ForAgents(), new Listeners.ForStrangers());
        app.MapGrpcService<TrustService>().WithMetadata(new Listeners.ForAgents());
        app.MapTrust();
    }
}
