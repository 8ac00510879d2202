#pragma warning disable RS0030 // a server of a test's own: what a health check meets at the other end
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Drover.Agent.Tests.Reconcile;

/// <summary>Takes connections on a port of its own, reads one request of each and answers with the bytes given; with none it stays silent.</summary>
internal sealed class TinyServer : IAsyncDisposable
{
    private readonly CancellationTokenSource _end = new();
    private readonly TcpListener _listener;
    private readonly string? _answer;
    private readonly X509Certificate2? _certificate;
    private readonly Task _serving;
    private readonly List<Task> _conversations = [];
    private readonly TaskCompletionSource<string> _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TinyServer(string? answer, bool tls = false, IPAddress? at = null)
    {
        _answer = answer;
        if (tls) _certificate = Certificate();
        _listener = new(at ?? IPAddress.Loopback, 0);
        _listener.Start();
        _serving = Serve();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;
    /// <summary>The first line of the first request.</summary>
    public Task<string> Asked => _asked.Task;

    public static string Http(int status, string body = "", string type = "text/plain") =>
        $"HTTP/1.1 {status} Whatever\r\nContent-Type: {type}\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}";

    private async Task Serve()
    {
        try
        {
            while (true) _conversations.Add(Converse(await _listener.AcceptTcpClientAsync(_end.Token)));
        }
        catch (OperationCanceledException) when (_end.IsCancellationRequested) { /* the test ends */ }
    }

    private async Task Converse(TcpClient client)
    {
        using (client)
        {
            try
            {
                Stream stream = client.GetStream();
                if (_certificate is not null)
                {
                    var secure = new SslStream(stream);
                    await secure.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate }, _end.Token);
                    stream = secure;
                }
                using var reader = new StreamReader(stream, Encoding.ASCII);
                var first = await reader.ReadLineAsync(_end.Token);
                _asked.TrySetResult(first ?? "");
                while (first is not null && await reader.ReadLineAsync(_end.Token) is { Length: > 0 }) { /* headers */ }
                if (_answer is null) await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, _end.Token);
                await stream.WriteAsync(Encoding.UTF8.GetBytes(_answer!), _end.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or IOException or System.Security.Authentication.AuthenticationException) { /* the asker left, or the test ends */ }
        }
    }

    /// <summary>Of nobody, for nobody, long expired.</summary>
    private static X509Certificate2 Certificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var past = TimeProvider.System.GetUtcNow().AddYears(-2);
        using var made = new CertificateRequest("CN=nobody", key, HashAlgorithmName.SHA256).CreateSelfSigned(past, past.AddYears(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
    }

    /// <summary>A port where nobody listens.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _serving;
        await Task.WhenAll(_conversations);
        _listener.Dispose();
        _certificate?.Dispose();
        _end.Dispose();
    }
}
