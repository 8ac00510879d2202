using System.Globalization;
using System.Net;
using Drover.Contracts.Hosting;
using Drover.Core.Nodes;

namespace Drover.ControlPlane;

/// <param name="Data">Folder of the state and keys.</param>
/// <param name="Http">Where the APIs and the console answer: plain HTTP on loopback, HTTPS elsewhere.</param>
/// <param name="Agents">Where agents connect, mutual TLS.</param>
/// <param name="AllowPlainHttp">Plain HTTP without tokens also beyond loopback: for networks that only trusted people reach.</param>
/// <param name="Name">Name of the cluster, shown to people and told to agents.</param>
public sealed record ControlPlaneOptions(string Data, IPEndPoint Http, IPEndPoint Agents, bool AllowPlainHttp, string Name)
{
    /// <summary>HTTPS on loopback too.</summary>
    public bool Https { get; init; }
    /// <summary>Tokens also where none would be asked for.</summary>
    public bool RequireToken { get; init; }
    /// <summary>Of nodes' certificates; they renew at two thirds. Three days: a machine that was off over a weekend still gets in.</summary>
    public TimeSpan CertificateLife { get; init; } = TimeSpan.FromHours(72);

    /// <summary>Requests answered at once, streams aside; more are turned away with 503.</summary>
    public int MaxRequests { get; init; } = Marathon.ApiGate.DefaultMostAtOnce;

    /// <summary>The log as one JSON object a line.</summary>
    public bool JsonLog { get; init; }

    public bool UsesHttps => Https || (!AllowPlainHttp && !IPAddress.IsLoopback(Http.Address));
    public bool NeedsToken => RequireToken || (!AllowPlainHttp && !IPAddress.IsLoopback(Http.Address));

    /// <summary>Marathon's API writes the fields that clients of 2015 read beside those of 1.5 and later.</summary>
    public bool Marathon2015Fields { get; init; }

    /// <summary>What apps run in that name a command and no image, as Mesos ran them without a container; null: they are refused.</summary>
    public string? CommandImage { get; init; }

    /// <summary>For how long a node may write without hearing from the control plane.</summary>
    public TimeSpan Lease { get; init; } = LeaseTerms.Default.Length;
}

/// <summary>What the command line asks for.</summary>
public abstract record CommandLine
{
    public const string Usage =
        """
        drover-control init --data DIR [--name ADDRESS]… [--new-admin]
            makes the cluster's authority and one admin token, printed once; --name: what else people reach it by;
            --new-admin: another admin token, for when all are lost (the control plane must not run)
        drover-control openapi DIR
            writes the descriptions of both APIs (OpenAPI 3.1) into that folder
        drover-control --data DIR [--http 127.0.0.1:8080] [--agents 127.0.0.1:4524] [--https] [--require-token] [--allow-plain-http]
                       [--certificate-hours 72] [--name drover] [--lease 60] [--max-requests 1000] [--marathon-2015-fields] [--command-image IMAGE]
                       [--log-format text]
            runs the control plane; beyond loopback the API speaks HTTPS and asks for a token;
            a node that has not heard from it for --lease seconds stops containers with volumes; more than --max-requests at once are turned away;
            --marathon-2015-fields: apps under /v2 also with ports, uris, docker.network and what else clients of 2015 read;
            --command-image: what apps with a command and no image run in, for instance debian:12; without it they are refused;
            --log-format json: the log as one object a line, with the ids of traces
        """;

    private CommandLine() { }

    public sealed record Serve(ControlPlaneOptions Options) : CommandLine;
    /// <param name="Names">Addresses and DNS names for the control plane's own certificate, separated by commas.</param>
    public sealed record Init(string Data, string Names, bool NewAdmin) : CommandLine;
    /// <param name="Folder">Where the APIs' descriptions are written.</param>
    public sealed record OpenApi(string Folder) : CommandLine;
    public sealed record Help : CommandLine;
    /// <param name="Why">Names the option, what is wrong, and the remedy.</param>
    public sealed record Wrong(string Why) : CommandLine;

    public static CommandLine Parse(IReadOnlyList<string> args)
    {
        if (args.Any(a => a is "--help" or "-h" or "help")) return new Help();
        if (args is ["openapi", ..]) return args is [_, { Length: > 0 } folder] ? new OpenApi(folder) : new Wrong($"openapi takes one folder. {Usage}");
        var init = args is ["init", ..];
        string[] known = init ? ["--data", "--name", "--new-admin"] : ["--data", "--http", "--agents", "--name", "--https", "--require-token", "--allow-plain-http", "--certificate-hours", "--lease", "--marathon-2015-fields", "--command-image", "--max-requests", "--log-format"];
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = init ? 1 : 0; i < args.Count; i++)
        {
            var (name, value) = args[i].IndexOf('=', StringComparison.Ordinal) is > 0 and var at ? (args[i][..at], args[i][(at + 1)..]) : (args[i], null);
            if (!known.Contains(name)) return new Wrong($"'{args[i]}' is not known. {Usage}");
            if (Flags.Contains(name)) value = "true";
            else if (value is null && i + 1 < args.Count) value = args[++i];
            if (string.IsNullOrEmpty(value)) return new Wrong($"{name} needs a value. {Usage}");
            if (init && name == "--name" && given.TryGetValue(name, out var before)) given[name] = $"{before},{value}";
            else if (!given.TryAdd(name, value)) return new Wrong($"{name} is given twice");
        }
        if (!given.ContainsKey("--data")) return new Wrong("--data is missing: the folder for the cluster's state and keys, for instance /var/lib/drover/control");
        return init ? ParseInit(given) : ParseServe(given);
    }

    private static readonly string[] Flags = ["--allow-plain-http", "--https", "--require-token", "--new-admin", "--marathon-2015-fields"];

    private static CommandLine ParseServe(Dictionary<string, string> given)
    {
        if (!TryEndpoint(given.GetValueOrDefault("--http", "127.0.0.1:8080"), out var http)) return new Wrong($"--http '{given["--http"]}' is not ADDRESS:PORT: for instance 127.0.0.1:8080");
        if (!TryEndpoint(given.GetValueOrDefault("--agents", "127.0.0.1:4524"), out var agents)) return new Wrong($"--agents '{given["--agents"]}' is not ADDRESS:PORT: for instance 10.0.0.1:4524");
        if (http.Port != 0 && http.Equals(agents)) return new Wrong($"--http and --agents are both {http}: give them different ports");
        var (plain, https) = (given.ContainsKey("--allow-plain-http"), given.ContainsKey("--https"));
        if (plain && https) return new Wrong("--https and --allow-plain-http exclude each other: leave one out");
        if (!int.TryParse(given.GetValueOrDefault("--certificate-hours", "72"), NumberStyles.None, CultureInfo.InvariantCulture, out var hours) || hours is < 1 or > 8760)
            return new Wrong($"--certificate-hours '{given["--certificate-hours"]}' must be a whole number from 1 to 8760 (a year)");
        var (least, most) = (LeaseTerms.Shortest.TotalSeconds, LeaseTerms.Longest.TotalSeconds);
        var lease = LeaseTerms.Default.Length.TotalSeconds;
        if (given.TryGetValue("--lease", out var seconds) && !(double.TryParse(seconds, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out lease) && lease >= least && lease <= most))
            return new Wrong($"--lease '{seconds}' must be seconds from {least} to {most}: for instance 60");
        if (!int.TryParse(given.GetValueOrDefault("--max-requests", "1000"), NumberStyles.None, CultureInfo.InvariantCulture, out var requests) || requests is < 1 or > 100_000)
            return new Wrong($"--max-requests '{given["--max-requests"]}' must be a whole number from 1 to 100000");
        if (JsonLines.IsJson(given.GetValueOrDefault("--log-format", "text")) is not { } json) return new Wrong($"--log-format '{given["--log-format"]}' must be text or json");
        return new Serve(new ControlPlaneOptions(given["--data"], http, agents, plain, given.GetValueOrDefault("--name", "drover"))
        {
            Https = https, RequireToken = given.ContainsKey("--require-token"), CertificateLife = TimeSpan.FromHours(hours),
            Lease = TimeSpan.FromSeconds(lease), Marathon2015Fields = given.ContainsKey("--marathon-2015-fields"), MaxRequests = requests, JsonLog = json, CommandImage = given.GetValueOrDefault("--command-image"),
        });
    }

    private static CommandLine ParseInit(Dictionary<string, string> given)
    {
        var names = given.GetValueOrDefault("--name", "");
        foreach (var name in names.Split(',', StringSplitOptions.RemoveEmptyEntries))
            if (Uri.CheckHostName(name) is UriHostNameType.Unknown or UriHostNameType.Basic) return new Wrong($"--name '{name}' is no address and no DNS name: give what people and nodes reach this machine by");
        return new Init(given["--data"], names, given.ContainsKey("--new-admin"));
    }

    // "8080" alone would parse as an address.
    private static bool TryEndpoint(string text, out IPEndPoint endpoint)
    {
        endpoint = new IPEndPoint(IPAddress.None, 0);
        return text.LastIndexOf(':') is > 0 and var colon && !text.EndsWith(']') && IPEndPoint.TryParse(text, out endpoint!) && (text.Contains('.', StringComparison.Ordinal) || text[colon - 1] == ']');
    }
}
