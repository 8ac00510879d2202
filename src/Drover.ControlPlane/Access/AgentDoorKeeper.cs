using System.Security.Cryptography.X509Certificates;
using Drover.Core.Trust;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Drover.ControlPlane.Access;

/// <summary>Who may call what through the agents' door, checked at each call: a connection may be older than a revocation.</summary>
public static class AgentDoorKeeper
{
    public static void UseAgentDoorKeeper(this WebApplication app)
    {
        var (authorities, audit) = (app.Services.GetRequiredService<Authorities>(), app.Services.GetRequiredService<AuditLog>());
        app.Use(async (context, next) =>
        {
            var meant = context.GetEndpoint()?.Metadata;
            if (meant?.GetMetadata<Listeners.ForAgents>() is null || meant.GetMetadata<Listeners.ForStrangers>() is not null || await Known(context, authorities, audit)) await next(context);
        });
    }

    private static async Task<bool> Known(HttpContext context, Authorities authorities, AuditLog audit)
    {
        var certificate = context.Connection.ClientCertificate;
        var why = certificate is null ? "no certificate was shown: join the node with a token of `drover node token`" : authorities.WhyNot(certificate);
        if (why is null) return true;
        await Refuse(audit, certificate, AddressOf(context), why);
        // As gRPC says no, so that the agent's log has the reason.
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = ((int)StatusCode.PermissionDenied).ToString(System.Globalization.CultureInfo.InvariantCulture);
        context.Response.Headers["grpc-message"] = Uri.EscapeDataString(why);
        return false;
    }

    public static Task Refuse(AuditLog audit, X509Certificate2? certificate, string from, string why) =>
        audit.Refused(certificate is null ? "-" : TrustRules.Shown(Authorities.NameOf(certificate)), "stranger", from, "identity refused",
            certificate is null ? why : $"{why} (serial {certificate.SerialNumber}, issuer {TrustRules.Shown(certificate.Issuer)})");

    public static string AddressOf(HttpContext context) => context.Connection.RemoteIpAddress is { } address ? (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString() : "";
}

/// <summary>Writes down each call that a service refused for who made it.</summary>
public sealed class RefusalAudit(AuditLog audit) : Interceptor
{
    public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation) =>
        Watched(context, () => continuation(request, context));

    public override Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(IAsyncStreamReader<TRequest> requestStream, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation) =>
        Watched(context, () => continuation(requestStream, context));

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation) => Watched(context, () => Done(continuation(request, responseStream, context)));

    public override Task DuplexStreamingServerHandler<TRequest, TResponse>(IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation) => Watched(context, () => Done(continuation(requestStream, responseStream, context)));

    private async Task<T> Watched<T>(ServerCallContext context, Func<Task<T>> call)
    {
        try { return await call(); }
        catch (RpcException refused) when (refused.StatusCode == StatusCode.PermissionDenied)
        {
            var http = context.GetHttpContext();
            var name = http.Connection.ClientCertificate is { } certificate ? Authorities.NameOf(certificate) : "-";
            await audit.Refused(TrustRules.Shown(name), name == "-" ? "stranger" : "node", AgentDoorKeeper.AddressOf(http), context.Method[(context.Method.LastIndexOf('/') + 1)..], refused.Status.Detail);
            throw;
        }
    }

    private static async Task<bool> Done(Task task)
    {
        await task;
        return true;
    }
}
