using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Security.Authentication;
using Drover.ControlPlane.Access;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Drover.ControlPlane;

/// <summary>The two doors: plain HTTP for people and tools, mutual TLS for agents. What is behind one cannot be reached through the other.</summary>
public static class Listeners
{
    private static readonly object AgentDoor = new();

    /// <summary>On an endpoint: only agents come here.</summary>
    public sealed class ForAgents;

    public static void Listen(this WebApplicationBuilder builder, ControlPlaneOptions options, CertificateAuthority authority)
    {
        var own = authority.IssueForSelf(AddressesOf(options.Agents.Address));
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            // An agent whose machine is gone sends nothing, not even an end: ask.
            kestrel.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(10);
            kestrel.Limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(10);
            kestrel.Listen(options.Http, door => door.Protocols = HttpProtocols.Http1);
            kestrel.Listen(options.Agents, door =>
            {
                door.Protocols = HttpProtocols.Http2;
                door.UseHttps(https =>
                {
                    https.ServerCertificate = own;
                    https.SslProtocols = SslProtocols.Tls13;
                    https.ClientCertificateMode = ClientCertificateMode.RequireCertificate;
                    https.ClientCertificateValidation = (certificate, _, _) => authority.Trusts(certificate);
                });
                door.Use(next => connection =>
                {
                    connection.Items[AgentDoor] = true;
                    return next(connection);
                });
            });
        });
    }

    /// <summary>Answers 404 to whoever came through the wrong door.</summary>
    public static void UseListeners(this WebApplication app)
    {
        app.UseRouting();
        app.Use((context, next) =>
        {
            var byAgentDoor = context.Features.Get<IConnectionItemsFeature>()?.Items.ContainsKey(AgentDoor) == true;
            var forAgents = context.GetEndpoint()?.Metadata.GetMetadata<ForAgents>() is not null;
            if (byAgentDoor == forAgents) return next(context);
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });
    }

    private static IEnumerable<IPAddress> AddressesOf(IPAddress listened)
    {
        if (!listened.Equals(IPAddress.Any) && !listened.Equals(IPAddress.IPv6Any)) return [listened];
        return NetworkInterface.GetAllNetworkInterfaces().SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address)
            .Where(a => a.AddressFamily == AddressFamily.InterNetwork).Append(IPAddress.Loopback).Distinct();
    }
}

internal static partial class StartLog
{
    [LoggerMessage(1, LogLevel.Warning, "The API on {Endpoint} answers plain HTTP without a password (--allow-plain-http): whoever reaches it rules the cluster")]
    public static partial void PlainHttp(this ILogger log, string endpoint);

    public static ILoggingBuilder AddConsoleLines(this ILoggingBuilder logging) => logging
        .AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
        })
        .AddFilter("Microsoft.AspNetCore", LogLevel.Warning)
        .AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Information)
        .AddFilter("Grpc", LogLevel.Warning);
}
