using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Drover.ControlPlane.Agents;
using Drover.Core.Nodes;

namespace Drover.ControlPlane;

/// <param name="Data">Folder of the state and keys.</param>
/// <param name="Http">Where the APIs and the console answer, in plain HTTP.</param>
/// <param name="Agents">Where agents connect, mutual TLS.</param>
/// <param name="Name">Name of the cluster, shown to people and told to agents.</param>
public sealed record ControlPlaneOptions(string Data, IPEndPoint Http, IPEndPoint Agents, bool AllowPlainHttp, string Name)
{
    /// <summary>For how long a node may write without hearing from the control plane.</summary>
    public TimeSpan Lease { get; init; } = LeaseTerms.Default.Length;
}

/// <summary>What the command line asks for.</summary>
public abstract record CommandLine
{
    public const string Usage =
        """
        drover-control --data DIR [--http 127.0.0.1:8080] [--agents 127.0.0.1:4524] [--allow-plain-http] [--name drover] [--lease 60]
            runs the control plane; a node that has not heard from it for --lease seconds stops containers with volumes
        drover-control certificate --data DIR --node NAME --address IP --out DIR
            makes ca.pem, node.pem and node.key for the agent of a node
        """;

    private CommandLine() { }

    public sealed record Serve(ControlPlaneOptions Options) : CommandLine;
    public sealed record Certificate(string Data, string Node, IPAddress Address, string Out) : CommandLine;
    public sealed record Help : CommandLine;
    /// <param name="Why">Names the option, what is wrong, and the remedy.</param>
    public sealed record Wrong(string Why) : CommandLine;

    public static CommandLine Parse(IReadOnlyList<string> args)
    {
        if (args.Any(a => a is "--help" or "-h" or "help")) return new Help();
        var certificate = args is ["certificate", ..];
        string[] known = certificate ? ["--data", "--node", "--address", "--out"] : ["--data", "--http", "--agents", "--name", "--lease", "--allow-plain-http"];
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = certificate ? 1 : 0; i < args.Count; i++)
        {
            var (name, value) = args[i].IndexOf('=', StringComparison.Ordinal) is > 0 and var at ? (args[i][..at], args[i][(at + 1)..]) : (args[i], null);
            if (!known.Contains(name)) return new Wrong($"'{args[i]}' is not known. {Usage}");
            if (name == "--allow-plain-http") value = "true";
            else if (value is null && i + 1 < args.Count) value = args[++i];
            if (string.IsNullOrEmpty(value)) return new Wrong($"{name} needs a value. {Usage}");
            if (!given.TryAdd(name, value)) return new Wrong($"{name} is given twice");
        }
        if (!given.ContainsKey("--data")) return new Wrong("--data is missing: the folder for the cluster's state and keys, for instance /var/lib/drover/control");
        return certificate ? ParseCertificate(given) : ParseServe(given);
    }

    private static CommandLine ParseServe(Dictionary<string, string> given)
    {
        if (!TryEndpoint(given.GetValueOrDefault("--http", "127.0.0.1:8080"), out var http)) return new Wrong($"--http '{given["--http"]}' is not ADDRESS:PORT: for instance 127.0.0.1:8080");
        if (!TryEndpoint(given.GetValueOrDefault("--agents", "127.0.0.1:4524"), out var agents)) return new Wrong($"--agents '{given["--agents"]}' is not ADDRESS:PORT: for instance 10.0.0.1:4524");
        if (http.Port != 0 && http.Equals(agents)) return new Wrong($"--http and --agents are both {http}: give them different ports");
        var plain = given.ContainsKey("--allow-plain-http");
        if (!plain && !IPAddress.IsLoopback(http.Address))
            return new Wrong($"--http {http} is reachable from other machines, without encryption and without a password. Use a loopback address, or say --allow-plain-http if only people you trust are on that network");
        var (least, most) = (LeaseTerms.Shortest.TotalSeconds, LeaseTerms.Longest.TotalSeconds);
        var lease = LeaseTerms.Default.Length.TotalSeconds;
        if (given.TryGetValue("--lease", out var seconds) && !(double.TryParse(seconds, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out lease) && lease >= least && lease <= most))
            return new Wrong($"--lease '{seconds}' must be seconds from {least} to {most}: for instance 60");
        return new Serve(new ControlPlaneOptions(given["--data"], http, agents, plain, given.GetValueOrDefault("--name", "drover")) { Lease = TimeSpan.FromSeconds(lease) });
    }

    private static CommandLine ParseCertificate(Dictionary<string, string> given)
    {
        foreach (var needed in (string[])["--node", "--address", "--out"])
            if (!given.ContainsKey(needed)) return new Wrong($"certificate: {needed} is missing. {Usage}");
        if (!AgentLinkService.NodeName().IsMatch(given["--node"]) || given["--node"] == Access.CertificateAuthority.ControlPlane)
            return new Wrong($"--node '{given["--node"]}' cannot be a node's name: 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit, and not {Access.CertificateAuthority.ControlPlane}");
        if (!IPAddress.TryParse(given["--address"], out var address) || address.AddressFamily != AddressFamily.InterNetwork)
            return new Wrong($"--address '{given["--address"]}' is no IPv4 address: give the one that other nodes reach this node by");
        return new Certificate(given["--data"], given["--node"], address, given["--out"]);
    }

    // "8080" alone would parse as an address.
    private static bool TryEndpoint(string text, out IPEndPoint endpoint)
    {
        endpoint = new IPEndPoint(IPAddress.None, 0);
        return text.LastIndexOf(':') is > 0 and var colon && !text.EndsWith(']') && IPEndPoint.TryParse(text, out endpoint!) && (text.Contains('.', StringComparison.Ordinal) || text[colon - 1] == ']');
    }
}
