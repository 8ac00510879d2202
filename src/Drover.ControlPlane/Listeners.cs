using System.Net;
using System.Net.NetworkInformation;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Drover.Contracts.Hosting;
using Drover.ControlPlane.Access;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Drover.ControlPlane;

/// <summary>Where the doors are, known once the server runs: a port asked for as 0 is any free one.</summary>
public sealed class OpenDoors
{
    internal ListenOptions? HttpDoor { get; set; }
    internal ListenOptions? AgentDoor { get; set; }

    public IPEndPoint Http => HttpDoor?.IPEndPoint ?? throw new InvalidOperationException("the server does not listen yet");
    public IPEndPoint Agents => AgentDoor?.IPEndPoint ?? throw new InvalidOperationException("the server does not listen yet");
}

/// <summary>The two doors: HTTP or HTTPS for people and tools, mutual TLS for agents. What is behind one cannot be reached through the other.</summary>
public static class Listeners
{
    private static readonly object AgentDoor = new();

    /// <summary>On an endpoint: only agents come here.</summary>
    public sealed class ForAgents;

    /// <summary>On an endpoint of the agents' door: also whoever has no certificate yet.</summary>
    public sealed class ForStrangers;

    public static void Listen(this WebApplicationBuilder builder, ControlPlaneOptions options, Authorities authorities, AuditLog audit)
    {
        var doors = new OpenDoors();
        builder.Services.AddSingleton(doors);
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            // Against those who take their time on purpose. Streams that may be slow say so themselves (events, volumes' files, gRPC).
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
            kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
            kestrel.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
            kestrel.Limits.MaxConcurrentConnections = 10_000;
            // An agent whose machine is gone sends nothing, not even an end: ask.
            kestrel.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(10);
            kestrel.Limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(10);
            kestrel.Listen(options.Http, door =>
            {
                doors.HttpDoor = door;
                door.Protocols = HttpProtocols.Http1;
                if (options.UsesHttps) door.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => ValueTask.FromResult(Showing(authorities)) });
            });
            kestrel.Listen(options.Agents, door =>
            {
                doors.AgentDoor = door;
                door.Protocols = HttpProtocols.Http2;
                door.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = caller => ValueTask.FromResult(Mutual(authorities, audit, caller.Connection.RemoteEndPoint)) });
                door.Use(next => connection =>
                {
                    connection.Items[AgentDoor] = true;
                    return next(connection);
                });
            });
        });
    }

    /// <summary>Asked for at each handshake: a new certificate is used for new connections at once.</summary>
    private static SslServerAuthenticationOptions Showing(Authorities authorities) => new()
    {
        ServerCertificate = authorities.Server(), EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
    };

    /// <summary>A certificate that is shown must be good. Without one the door's keeper lets nobody further than the meeting.</summary>
    private static SslServerAuthenticationOptions Mutual(Authorities authorities, AuditLog audit, EndPoint? from) => new()
    {
        ServerCertificate = authorities.Server(),
        EnabledSslProtocols = SslProtocols.Tls13,
        ClientCertificateRequired = true,
        // A resumed session would not look at the certificate again.
        AllowTlsResume = false,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, certificate, _, _) =>
        {
            if (certificate is not X509Certificate2 shown) return true;
            if (authorities.WhyNot(shown) is not { } why) return true;
            _ = AgentDoorKeeper.Refuse(audit, shown, (from as IPEndPoint)?.Address.ToString() ?? "", why);
            return false;
        },
    };

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

    /// <summary>Addresses that are reached by listening on this one.</summary>
    public static IEnumerable<IPAddress> AddressesOf(IPAddress listened)
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

    public static ILoggingBuilder AddConsoleLines(this ILoggingBuilder logging, bool json) => (json ? logging.AddProvider(new JsonLines(Console.OpenStandardOutput(), TimeProvider.System)) : logging
        .AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
        }))
        .AddFilter("Microsoft.AspNetCore", LogLevel.Warning)
        .AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Information)
        .AddFilter("Grpc", LogLevel.Warning);
}
