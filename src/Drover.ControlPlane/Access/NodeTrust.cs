using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Drover.Contracts.Trust;
using Drover.ControlPlane.Agents;
using Drover.Core;
using Drover.Core.Nodes;
using Drover.Core.Trust;
using Grpc.Core;

namespace Drover.ControlPlane.Access;

/// <summary>How nodes come in, renew, and are put out. Each is decided, stored and written down before it is answered.</summary>
public sealed class NodeTrust(TrustBook book, Authorities authorities, AuditLog audit, AgentConnections connections, LeaseBook leases, ICluster cluster, ControlPlaneOptions options, TimeProvider time) : IDisposable
{
    private readonly SemaphoreSlim _issuing = new(1, 1);

    /// <summary>The refusal, or the certificate.</summary>
    public async Task<(string? Refusal, X509Certificate2? Certificate)> Join(string secret, string node, ReadOnlyMemory<byte> request, CancellationToken cancel)
    {
        await _issuing.WaitAsync(cancel);
        try
        {
            var now = time.GetUtcNow();
            if (TrustRules.WhyNotJoin(book.State, secret, node, CertificateAuthority.ControlPlane, now, IsNode(node)) is { } why) return (why, null);
            if (KeyIn(request) is not { } key) return (NoKey, null);
            var (certificate, issued) = Sign(key, node);
            // Asked again inside: the token is spent in the same commit that remembers what was issued for it.
            var refusal = await book.Decide(state => TrustRules.WhyNotJoin(state, secret, node, CertificateAuthority.ControlPlane, now, IsNode(node)) is { } late
                ? TrustDecision.Refuse(late) : TrustDecision.Go(TrustRules.Joined(state, secret, node, issued, now)), cancel);
            // A machine that had the name before is out.
            if (refusal is null) connections.End(new(node), $"another machine joined as {node}");
            return (refusal, refusal is null ? certificate : null);
        }
        finally { _issuing.Release(); }
    }

    public async Task<(string? Refusal, X509Certificate2? Certificate)> Renew(string node, string serial, ReadOnlyMemory<byte> request, CancellationToken cancel)
    {
        if (KeyIn(request) is not { } key) return (NoKey, null);
        await _issuing.WaitAsync(cancel);
        try
        {
            var (certificate, issued) = Sign(key, node);
            var refusal = await book.Decide(state => TrustRules.Renewed(state, node, serial, issued, time.GetUtcNow()), cancel);
            return (refusal, refusal is null ? certificate : null);
        }
        finally { _issuing.Release(); }
    }

    /// <summary>Null: done. Its stream is closed, and every other node hears of it.</summary>
    public async Task<string?> Revoke(string node, CancellationToken cancel)
    {
        var refusal = await book.Decide(state => TrustRules.Revoke(state, node, time.GetUtcNow()), cancel);
        if (refusal is null) connections.End(new(node), "the node was revoked");
        return refusal;
    }

    /// <summary>Its identity goes first, so that it cannot come back while the cluster forgets it.</summary>
    public async Task<RemovalOutcome> Remove(NodeId node, bool acceptLoss, CancellationToken cancel)
    {
        var asked = NodeRemoval.Decide(cluster.Current, node, leases.Left(node), acceptLoss, time.GetUtcNow()).Outcome;
        if (asked is not RemovalOutcome.Removed) return asked;
        // Revoked before, by hand or by a try that was cut short, is as good.
        await Revoke(node.Value, cancel);
        return NodeRemoval.AfterRevoke(await leases.DecideWithout(node, (state, left) => NodeRemoval.Decide(state, node, left, acceptLoss, time.GetUtcNow()), cancel), node);
    }

    public TrustNews News()
    {
        var state = book.State;
        var news = new TrustNews { AuthoritiesPem = authorities.BundlePem, IssuerKeyId = authorities.Current.KeyId };
        news.RevokedSerials.AddRange(state.Revoked.Select(r => r.Serial).Order(StringComparer.Ordinal));
        news.RevokedNodes.AddRange(state.Nodes.Where(n => n.Revoked).Select(n => n.Node).Order(StringComparer.Ordinal));
        return news;
    }

    public AuditLog Audit => audit;

    public void Dispose() => _issuing.Dispose();

    private bool IsNode(string name) => cluster.Current.Nodes.ContainsKey(new(name));

    private const string NoKey = "the certificate request is no signed PKCS#10 of an ECDSA P-256 key";

    private (X509Certificate2, IssuedCertificate) Sign(PublicKey key, string node)
    {
        var authority = authorities.Current;
        var certificate = authority.Sign(key, node, [], options.CertificateLife);
        return (certificate, new(certificate.SerialNumber, authority.Generation, certificate.NotAfter.ToUniversalTime()));
    }

    /// <summary>Only the key: what a request says of names and uses does not count. That its sender holds the key is proven by its signature.</summary>
    private static PublicKey? KeyIn(ReadOnlyMemory<byte> request)
    {
        try
        {
            var key = CertificateRequest.LoadSigningRequest(request.Span, HashAlgorithmName.SHA256, out var read).PublicKey;
            if (read != request.Length) return null;
            using var ec = key.GetECDsaPublicKey();
            return ec?.ExportParameters(false).Curve.Oid.Value == ECCurve.NamedCurves.nistP256.Oid.Value ? key : null;
        }
        catch (CryptographicException) { return null; }
    }
}

/// <summary>The meeting: for whoever has no certificate yet.</summary>
public sealed class MeetingService(NodeTrust trust, Authorities authorities) : Meeting.MeetingBase
{
    public override Task<AuthoritiesReply> Authorities(AuthoritiesRequest request, ServerCallContext context) => Task.FromResult(new AuthoritiesReply { AuthoritiesPem = authorities.BundlePem });

    public override async Task<JoinReply> Join(JoinRequest request, ServerCallContext context)
    {
        var from = AgentDoorKeeper.AddressOf(context.GetHttpContext());
        var (refusal, certificate) = await trust.Join(request.Secret, request.Node, request.CertificateRequest.Memory, context.CancellationToken);
        if (certificate is null) throw new RpcException(new Status(StatusCode.PermissionDenied, refusal!));
        await trust.Audit.Add(request.Node, "node", from, "node join", "done", $"certificate {certificate.SerialNumber} until {certificate.NotAfter.ToUniversalTime():u}");
        return new() { CertificatePem = certificate.ExportCertificatePem(), AuthoritiesPem = authorities.BundlePem, SeenAddress = from };
    }
}

/// <summary>For nodes, over mutual TLS.</summary>
public sealed class TrustService(NodeTrust trust, TrustBook book, IHostApplicationLifetime lifetime) : Trust.TrustBase
{
    public override async Task<RenewReply> Renew(RenewRequest request, ServerCallContext context)
    {
        var http = context.GetHttpContext();
        var shown = http.Connection.ClientCertificate!;
        var node = Access.Authorities.NameOf(shown);
        var (refusal, certificate) = await trust.Renew(node, shown.SerialNumber, request.CertificateRequest.Memory, context.CancellationToken);
        if (certificate is null) throw new RpcException(new Status(StatusCode.PermissionDenied, refusal!));
        await trust.Audit.Add(node, "node", AgentDoorKeeper.AddressOf(http), "node renew", "done", $"certificate {certificate.SerialNumber} until {certificate.NotAfter.ToUniversalTime():u}");
        return new() { CertificatePem = certificate.ExportCertificatePem() };
    }

    public override async Task Follow(FollowRequest request, IServerStreamWriter<TrustNews> responseStream, ServerCallContext context)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        var certificate = context.GetHttpContext().Connection.ClientCertificate!;
        TrustNews? told = null;
        try
        {
            while (true)
            {
                var changed = book.Changed;
                // A certificate that merely ran out was renewed on another connection, or is refused at the next.
                if (book.State.WhyRevoked(Access.Authorities.NameOf(certificate), certificate.SerialNumber) is { } why) throw new RpcException(new Status(StatusCode.PermissionDenied, why));
                var news = trust.News();
                if (!news.Equals(told)) await responseStream.WriteAsync(told = news, limit.Token);
                await changed.WaitAsync(limit.Token);
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested) { /* the node left, or we stop */ }
    }
}
