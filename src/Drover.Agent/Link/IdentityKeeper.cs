using System.Security.Cryptography.X509Certificates;
using Drover.Contracts.Trust;
using Drover.Core;
using Grpc.Core;
using Grpc.Net.Client;

namespace Drover.Agent.Link;

/// <summary>Keeps this node trusted: hears who is trusted and who is not any more, and renews the certificate at two thirds of its life.</summary>
public sealed class IdentityKeeper(AgentOptions options, AgentIdentity identity, TimeProvider time, IChance chance, ILogger<IdentityKeeper> log) : BackgroundService
{
    private static readonly TimeSpan PingAfter = TimeSpan.FromSeconds(5), LongestSleep = TimeSpan.FromHours(1);
    private readonly SemaphoreSlim _look = new(0, 1);
    private volatile string _issuer = "";

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var handler = new SocketsHttpHandler
        {
            SslOptions = identity.ForControl(), KeepAlivePingDelay = PingAfter, KeepAlivePingTimeout = PingAfter, ConnectTimeout = PingAfter, EnableMultipleHttp2Connections = false,
        };
        using var channel = GrpcChannel.ForAddress(options.Control, new GrpcChannelOptions { HttpHandler = handler });
        var client = new Trust.TrustClient(channel);
        await Task.WhenAll(Renew(client, stoppingToken), Follow(client, stoppingToken));
    }

    private async Task Follow(Trust.TrustClient client, CancellationToken cancel)
    {
        for (var attempt = 0; !cancel.IsCancellationRequested; attempt++)
        {
            try
            {
                using var call = client.Follow(new FollowRequest(), cancellationToken: cancel);
                await foreach (var news in call.ResponseStream.ReadAllAsync(cancel))
                {
                    Take(news);
                    attempt = 0;
                }
            }
            catch (Exception e) when (!cancel.IsCancellationRequested)
            {
                // Without the control plane nobody is revoked and nothing is ordered either: what was known stays.
                log.LogDebug("No news of who is trusted ({Error}): asking again", Words(e));
            }
            await Task.Delay(Backoff.After(attempt, chance), time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Take(TrustNews news)
    {
        var authorities = identity.Files.WriteAuthorities(news.AuthoritiesPem);
        if (identity.Files.WriteRevoked(new([.. news.RevokedSerials], [.. news.RevokedNodes]))) log.LogInformation("Revoked are now: {Nodes}", news.RevokedNodes.Count == 0 ? "no nodes" : string.Join(", ", news.RevokedNodes));
        if (authorities)
        {
            identity.Reload();
            log.LogInformation("The cluster's authorities changed: {Count} trusted", news.AuthoritiesPem.Split("BEGIN CERTIFICATE").Length - 1);
        }
        _issuer = news.IssuerKeyId;
        log.LogDebug("Heard who is trusted");
        if (_look.CurrentCount == 0) _look.Release();
    }

    private async Task Renew(Trust.TrustClient client, CancellationToken cancel)
    {
        for (var attempt = 0; !cancel.IsCancellationRequested;)
        {
            var due = Due(identity.Own, _issuer) - time.GetUtcNow();
            if (due > TimeSpan.Zero)
            {
                attempt = 0;
                await Sleep(due, cancel);
                continue;
            }
            try
            {
                await RenewOnce(client, cancel);
                continue;
            }
            catch (Exception e) when (!cancel.IsCancellationRequested)
            {
                log.LogWarning("The certificate (until {End:u}) was not renewed ({Error}): trying again", identity.Own.NotAfter.ToUniversalTime(), Words(e));
            }
            await Task.Delay(Backoff.After(attempt++, chance), time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>At two thirds of its life; at once when another authority signs now.</summary>
    public static DateTimeOffset Due(X509Certificate2 own, string issuer)
    {
        var (begin, end) = (own.NotBefore.ToUniversalTime(), own.NotAfter.ToUniversalTime());
        var signer = own.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().FirstOrDefault()?.KeyIdentifier is { } id ? Convert.ToHexStringLower(id.Span) : "";
        return issuer.Length > 0 && signer.Length > 0 && signer != issuer ? begin : begin + (end - begin) * 2 / 3;
    }

    private async Task RenewOnce(Trust.TrustClient client, CancellationToken cancel)
    {
        var (key, request) = IdentityFiles.MakeRequest(options.Node);
        var reply = await client.RenewAsync(new RenewRequest { CertificateRequest = Google.Protobuf.ByteString.CopyFrom(request) }, cancellationToken: cancel);
        // Throws when certificate and key do not belong together: the one in use stays.
        using (X509Certificate2.CreateFromPem(reply.CertificatePem, key)) identity.Files.WriteNode(reply.CertificatePem, key);
        identity.Reload();
        log.LogInformation("Certificate renewed: {Serial} until {End:u}", identity.Own.SerialNumber, identity.Own.NotAfter.ToUniversalTime());
    }

    /// <summary>Until then, or news; an hour at most, since the clock may be set.</summary>
    private async Task Sleep(TimeSpan due, CancellationToken cancel)
    {
        using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var (slept, news) = (Task.Delay(due < LongestSleep ? due : LongestSleep, time, woken.Token), _look.WaitAsync(woken.Token));
        log.LogDebug("The certificate is renewed in {Due}", due);
        await Task.WhenAny(slept, news);
        await woken.CancelAsync();
        await Task.WhenAll(slept, news).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static string Words(Exception e) => e is RpcException rpc ? $"{rpc.StatusCode}: {rpc.Status.Detail}" : e.Message;
}
