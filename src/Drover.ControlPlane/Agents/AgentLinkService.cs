using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Access;
using Drover.Core;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Trust;
using Grpc.Core;

namespace Drover.ControlPlane.Agents;

/// <param name="Cluster">Name that agents are told.</param>
/// <param name="TicketKeyPem">Public key of transfer tickets.</param>
/// <param name="Term">Number of this start of the control plane: makes generations grow over restarts.</param>
/// <param name="Heartbeat">How often an agent must be heard; after three missed ones it is lost.</param>
public sealed record AgentLinkOptions(string Cluster, string TicketKeyPem, long Term, TimeSpan Heartbeat)
{
    public LeaseTerms Lease { get; init; } = LeaseTerms.Default;
}

/// <summary>The agents' end of the control plane: one stream a node, orders down as commits make them, observations up into decisions.</summary>
public sealed partial class AgentLinkService(
    ICluster cluster, AgentConnections connections, AgentOrders orders, LeaseBook leases, Authorities authorities, AuditLog audit, AgentLinkOptions options, TimeProvider time, IHostApplicationLifetime lifetime, Volumes.VolumeStreams streams, ILogger<AgentLinkService> log, Observability.AgentMeter? meter = null)
    : AgentLink.AgentLinkBase
{
    /// <summary>Heartbeats that may be missed.</summary>
    private const int Misses = 3;
    private static readonly TimeSpan HelloTime = TimeSpan.FromSeconds(10);

    public override async Task Connect(IAsyncStreamReader<FromAgent> requestStream, IServerStreamWriter<ToAgent> responseStream, ServerCallContext context)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        var hello = await Greeting(requestStream, context, limit.Token);
        StillTrusted(context);
        await Seat(hello, limit.Token);
        using var session = new AgentSession(new NodeId(hello.Node), limit.Token) { Heard = time.GetUtcNow() };
        connections.Begin(session);
        try
        {
            // Again: a revocation that came before Begin did not find this session to end it.
            StillTrusted(context);
            await cluster.Decide(state => AgentObservations.Greeted(state, hello, leases.Longest, time.GetUtcNow()), session.Ended);
            log.AgentConnected(hello.Node, hello.Address, hello.AgentVersion, hello.Instances.Count, hello.Volumes.Count);
            await Serve(session, requestStream, responseStream);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested || session.EndedBecause is not null)
        {
            // The connection was ended, from either side; what is open goes on with the next one.
        }
        finally
        {
            await Leave(session);
        }
    }

    /// <summary>Reading and writing run side by side; the first to end, ends the connection.</summary>
    private async Task Serve(AgentSession session, IAsyncStreamReader<FromAgent> incoming, IServerStreamWriter<ToAgent> outgoing)
    {
        session.Send(new ToAgent { Welcome = new Welcome { Cluster = options.Cluster, TicketKeyPem = options.TicketKeyPem, HeartbeatSeconds = (int)options.Heartbeat.TotalSeconds } });
        orders.Join(session);
        Task[] parts = [Read(session, incoming), Write(session, outgoing)];
        var first = await Task.WhenAny(parts);
        session.End(first.IsFaulted ? first.Exception.GetBaseException().Message : "the agent closed the connection");
        await Task.WhenAll(parts).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var part in parts)
            if (part.Exception?.GetBaseException() is { } e and not IOException and not OperationCanceledException and not RpcException) throw e;
    }

    private async Task Read(AgentSession session, IAsyncStreamReader<FromAgent> incoming)
    {
        var allowed = options.Heartbeat * Misses;
        await using var silence = time.CreateTimer(_ => Fall(session, allowed), null, allowed, Timeout.InfiniteTimeSpan);
        while (await incoming.MoveNext(session.Ended))
        {
            silence.Change(allowed, Timeout.InfiniteTimeSpan);
            session.Heard = time.GetUtcNow();
            meter?.Said(incoming.Current.KindCase);
            await Take(session, incoming.Current);
        }
    }

    private static void Fall(AgentSession session, TimeSpan allowed)
    {
        session.Silent = true;
        session.End($"nothing was heard for {allowed.TotalSeconds:0} s");
    }

    private Task Take(AgentSession session, FromAgent said)
    {
        switch (said.KindCase)
        {
            case FromAgent.KindOneofCase.Heartbeat:
                return Decide(session, state => AgentObservations.Heard(state, session.Node, said.Heartbeat, time.GetUtcNow()));
            case FromAgent.KindOneofCase.Instance:
                return Decide(session, state => Core.Apps.InstanceLifecycle.Observed(state, session.Node, AgentWords.Instance(said.Instance), time.GetUtcNow()));
            case FromAgent.KindOneofCase.Volume:
                return Decide(session, state => Core.Volumes.ReplicaLifecycle.Observed(state, session.Node, AgentWords.Replica(said.Volume), time.GetUtcNow()));
            case FromAgent.KindOneofCase.Lease:
                session.Asked = said.Lease;
                leases.Serve(session);
                return Task.CompletedTask;
            case FromAgent.KindOneofCase.Progress:
                connections.Progress(session, said.Progress);
                return Task.CompletedTask;
            case FromAgent.KindOneofCase.Result:
                connections.Result(session, said.Result);
                return Task.CompletedTask;
            case FromAgent.KindOneofCase.Log:
                connections.Log(session, said.Log);
                return Task.CompletedTask;
            case FromAgent.KindOneofCase.RefusedIdentity:
                log.AgentRefused(session.Node.Value, said.RefusedIdentity.Peer, said.RefusedIdentity.Kind, said.RefusedIdentity.Reason, said.RefusedIdentity.More);
                return audit.Refused(TrustRules.Shown(said.RefusedIdentity.Peer), "stranger", TrustRules.Shown(said.RefusedIdentity.Peer), $"transfer to {session.Node}",
                    string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{said.RefusedIdentity.Kind}: {said.RefusedIdentity.Reason}{(said.RefusedIdentity.More > 0 ? $" ({said.RefusedIdentity.More} more since the last)" : "")}"));
            default:
                // A kind of a newer agent, or a second Hello: nothing this version could act on.
                log.AgentSaidUnknown(session.Node.Value, said.KindCase.ToString());
                return Task.CompletedTask;
        }
    }

    // A connection that was replaced must not speak over its successor.
    private Task Decide(AgentSession session, Func<ClusterState, Decision<bool>> decide) =>
        cluster.Decide(state => connections.IsCurrent(session) ? decide(state) : false, session.Ended);

    private async Task Write(AgentSession session, IServerStreamWriter<ToAgent> outgoing)
    {
        await foreach (var order in session.Orders) await outgoing.WriteAsync(Observability.TraceRoots.On(order, cluster), session.Ended);
    }

    private async Task Leave(AgentSession session)
    {
        var why = session.EndedBecause ?? "the connection was closed";
        orders.Leave(session);
        if (!connections.Finish(session)) return;
        log.AgentLeft(session.Node.Value, why);
        if (lifetime.ApplicationStopping.IsCancellationRequested) return;
        await cluster.Decide(state => connections.HasSession(session.Node) ? false : AgentObservations.Lost(state, session.Node, why, session.Silent ? session.Heard : time.GetUtcNow()), CancellationToken.None);
    }

    /// <summary>One agent a node: a second one is refused as long as the first may write.</summary>
    private async Task Seat(Hello hello, CancellationToken cancel)
    {
        if (leases.Sit(new NodeId(hello.Node), hello.Seat) is not { } refused) return;
        log.AgentRefused(hello.Node, hello.Address, refused.Why);
        if (refused.First)
            await cluster.Decide(_ => Decision.Of(false, [], new ClusterEvent("node.refused", hello.Node, $"an agent at {hello.Address} was refused: {refused.Why}") { Node = new NodeId(hello.Node) }), cancel);
        throw Refused(StatusCode.AlreadyExists, refused.Why);
    }

    private async Task<Hello> Greeting(IAsyncStreamReader<FromAgent> incoming, ServerCallContext context, CancellationToken cancel)
    {
        if (!await First(incoming, cancel) || incoming.Current.Hello is not { } hello) throw Refused(StatusCode.InvalidArgument, "the first message must be Hello");
        var name = context.GetHttpContext().Connection.ClientCertificate?.GetNameInfo(X509NameType.SimpleName, forIssuer: false);
        if (name is null || name != hello.Node)
            throw Refused(StatusCode.PermissionDenied, $"this certificate is of '{name}', not of node '{hello.Node}': join with a token of `drover node token --name {hello.Node}`, or start the agent with --node {name}");
        if (!NodeName().IsMatch(hello.Node)) throw Refused(StatusCode.InvalidArgument, $"node '{hello.Node}': a name is 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit");
        if (!IPAddress.TryParse(hello.Address, out var address) || address.AddressFamily != AddressFamily.InterNetwork)
            throw Refused(StatusCode.InvalidArgument, $"address '{hello.Address}' is no IPv4 address: start the agent with --address and one that the other nodes reach");
        return hello;
    }

    /// <summary>Whoever opens streams and says nothing must not hold them, nor say who he is long after he was checked.</summary>
    private async Task<bool> First(IAsyncStreamReader<FromAgent> incoming, CancellationToken cancel)
    {
        using var patience = new CancellationTokenSource(HelloTime, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel, patience.Token);
        try { return await incoming.MoveNext(limit.Token); }
        catch (Exception e) when (e is OperationCanceledException or IOException && patience.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            throw Refused(StatusCode.DeadlineExceeded, $"no Hello came within {HelloTime.TotalSeconds:0} s: connect again");
        }
    }

    /// <summary>The door's keeper looked when the stream was opened; that may be a while ago.</summary>
    private void StillTrusted(ServerCallContext context)
    {
        var certificate = context.GetHttpContext().Connection.ClientCertificate;
        if ((certificate is null ? "no certificate was shown" : authorities.WhyNot(certificate)) is { } why) throw Refused(StatusCode.PermissionDenied, why);
    }

    private static RpcException Refused(StatusCode code, string why) => new(new Status(code, why));

    [GeneratedRegex(@"\A[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}\z")]
    internal static partial Regex NodeName();
}

internal static partial class AgentLinkLog
{
    [LoggerMessage(100, LogLevel.Information, "Agent of {Node} ({Address}, version {Version}) connected: {Instances} instances, {Volumes} volumes")]
    public static partial void AgentConnected(this ILogger log, string node, string address, string version, int instances, int volumes);

    [LoggerMessage(101, LogLevel.Information, "Agent of {Node} left: {Why}")]
    public static partial void AgentLeft(this ILogger log, string node, string why);

    [LoggerMessage(103, LogLevel.Warning, "An agent at {Address} that says it is {Node} was refused: {Why}")]
    public static partial void AgentRefused(this ILogger log, string node, string address, string why);

    [LoggerMessage(102, LogLevel.Warning, "Agent of {Node} sent what this version does not know ({Kind}); it was ignored")]
    public static partial void AgentSaidUnknown(this ILogger log, string node, string kind);

    [LoggerMessage(103, LogLevel.Warning, "Agent of {Node} let {Peer} not in ({Kind}): {Reason}; {More} more like it")]
    public static partial void AgentRefused(this ILogger log, string node, string peer, string kind, string reason, int more);
}
