using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Drover.Contracts.Trust;
using Grpc.Core;
using Grpc.Net.Client;

namespace Drover.Agent.Link;

/// <summary>`drover-agent join TOKEN`: makes a key, has it certified with the token's secret, and leaves both for the agent.</summary>
public sealed class JoinCommand(TimeProvider time)
{
    public const string DefaultData = "/var/lib/drover/agent";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    public const string Usage = """
        drover-agent join TOKEN makes this machine a node.

          TOKEN                  of `drover node token`; - reads it from standard input
          --token-file FILE      reads it from a file instead
          --name NAME            of this node, default the token's, else the machine's
          --data DIR             where the identity is kept (as the agent's --state), default /var/lib/drover/agent
        """;

    /// <summary>Where an agent with this state folder looks for its identity.</summary>
    public static string IdentityIn(string data) => Path.Combine(data, "identity");

    private sealed record Wish(string Token, string? Name, string Data);

    public async Task<int> Run(IReadOnlyList<string> arguments, TextReader input, TextWriter output, CancellationToken cancel)
    {
        var wish = await Read(arguments, input);
        var invitation = Invitation.Parse(wish.Token.Trim()) ?? throw new OptionsInvalid("join: this is no join token: it begins with drover1. and is printed by `drover node token`, as one line");
        var node = wish.Name ?? invitation.Node ?? Environment.MachineName;
        var files = new IdentityFiles(IdentityIn(wish.Data));
        Exception? last = null;
        foreach (var address in invitation.Addresses)
        {
            try
            {
                var certificate = await Join(new Uri(address), invitation, node, files, cancel);
                await output.WriteLineAsync($"joined {address} as {node}: certificate {certificate.SerialNumber} until {certificate.NotAfter.ToUniversalTime():u}, in {files.Folder}");
                return 0;
            }
            catch (RpcException e) when (e.StatusCode is StatusCode.PermissionDenied or StatusCode.InvalidArgument) { throw new InvalidOperationException($"join: {address} refused: {e.Status.Detail}", e); }
            catch (Exception e) when (e is RpcException or AuthenticationException) { last = e; }
        }
        throw new InvalidOperationException($"join: no control plane of this token was reached at {string.Join(", ", invitation.Addresses)}: {(last is RpcException rpc ? rpc.Status.Detail : last?.Message)}", last);
    }

    private async Task<X509Certificate2> Join(Uri address, Invitation invitation, string node, IdentityFiles files, CancellationToken cancel)
    {
        var authorities = await PinnedAuthorities(address, invitation, cancel);
        var (key, request) = IdentityFiles.MakeRequest("node");
        using var channel = Dial(address, (_, shown, _, errors) => AgentIdentity.IsControl(shown, errors, authorities));
        var reply = await new Meeting.MeetingClient(channel).JoinAsync(
            new JoinRequest { Secret = invitation.Secret, Node = node, CertificateRequest = Google.Protobuf.ByteString.CopyFrom(request) }, deadline: Deadline, cancellationToken: cancel);
        var certificate = X509Certificate2.CreateFromPem(reply.CertificatePem, key);
        files.MakeFolder();
        files.WriteAuthorities(reply.AuthoritiesPem);
        files.WriteRevoked(Revocations.None);
        files.WriteJoined(new(node, address.ToString().TrimEnd('/'), reply.SeenAddress));
        // Last: with it the folder is whole.
        files.WriteNode(reply.CertificatePem, key);
        return certificate;
    }

    /// <summary>Nothing is trusted on this connection and nothing secret goes over it: what comes back counts only if its key is one that the token names.</summary>
    private async Task<X509Certificate2Collection> PinnedAuthorities(Uri address, Invitation invitation, CancellationToken cancel)
    {
        using var channel = Dial(address, (_, shown, _, _) => shown is not null);
        var reply = await new Meeting.MeetingClient(channel).AuthoritiesAsync(new AuthoritiesRequest(), deadline: Deadline, cancellationToken: cancel);
        var told = new X509Certificate2Collection();
        told.ImportFromPem(reply.AuthoritiesPem);
        var pinned = new X509Certificate2Collection(told.Where(c => invitation.Pins.Contains(Convert.ToHexStringLower(SHA256.HashData(c.PublicKey.ExportSubjectPublicKeyInfo())))).ToArray());
        return pinned.Count > 0 ? pinned
            : throw new AuthenticationException($"{address} is not the control plane that made this token (its authority is another): check the address, or make a new token if the authority was changed since");
    }

    private DateTime Deadline => time.GetUtcNow().UtcDateTime + Patience;

    private static GrpcChannel Dial(Uri address, RemoteCertificateValidationCallback trusts) => GrpcChannel.ForAddress(address, new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler
        {
            ConnectTimeout = Patience,
            SslOptions = new() { TargetHost = AgentIdentity.ControlName, EnabledSslProtocols = SslProtocols.Tls13, CertificateRevocationCheckMode = X509RevocationMode.NoCheck, RemoteCertificateValidationCallback = trusts },
        },
        DisposeHttpClient = true,
    });

    private static async Task<Wish> Read(IReadOnlyList<string> arguments, TextReader input)
    {
        string? token = null, name = null;
        var data = DefaultData;
        for (var n = 0; n < arguments.Count; n++)
        {
            string Value() => n + 1 < arguments.Count ? arguments[++n] : throw new OptionsInvalid($"join: {arguments[n]} needs a value");
            switch (arguments[n])
            {
                case "--name": name = Value(); break;
                case "--data": data = Value(); break;
                case "--token-file":
                    var file = Value();
                    token = File.Exists(file) ? await File.ReadAllTextAsync(file) : throw new OptionsInvalid($"join: --token-file {file} does not exist");
                    break;
                case "-": token = await input.ReadLineAsync(); break;
                case var word when token is null && !word.StartsWith('-'): token = word; break;
                default: throw new OptionsInvalid($"join: '{arguments[n]}' is not understood; see drover-agent join --help");
            }
        }
        return new(token ?? throw new OptionsInvalid("join: the token is missing: get one with `drover node token`"), name, data);
    }
}
