using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Drover.Agent.Link;
using Drover.Agent.Volumes;
using Drover.Contracts.Hosting;

namespace Drover.Agent;

/// <summary>A setting that is missing or wrong. The message names it, the reason and the remedy.</summary>
public sealed class OptionsInvalid(string message) : Exception(message);

/// <summary>Reads settings: command line before environment (`DROVER_NODE`) before the file (`{"node":"node1"}`).</summary>
public static class AgentOptionsReader
{
    public const string DefaultFile = "/etc/drover/agent.json";

    private static readonly string[] Names =
    [
        "node", "hostname", "control", "address", "transfer-port", "transfer-limit", "certificates", "pool", "volume-driver", "mount-root", "state", "docker-socket", "plugin-folder", "cgroup-parent", "cpus", "mem", "ports", "attribute", "metrics", "log-format",
    ];

    public const string Usage = """
        drover-agent runs containers and their volumes on this node.

        `drover-agent join TOKEN` comes first; what it learned is the default of the first four.

          --node NAME            as in the node's certificate
          --control URL          control plane, https://IP:4524
          --address IP           IPv4 that other nodes reach
          --certificates DIR     the node's identity, default STATE/identity
          --pool DIR             mount point of the btrfs pool or of a ZFS dataset, or the folder of the directory driver (required)
          --volume-driver NAME   btrfs (default), zfs, or directory: any filesystem, slower
          --hostname NAME        shown in APIs and matched by the `hostname` constraint; default: the node's name
          --transfer-port PORT   where bulk data comes in, default 4525
          --transfer-limit RATE  what all moves out of this node may take together, such as 50MB/s; default: no limit
          --mount-root DIR       where volumes are mounted for containers, default /flocker
          --state DIR            agent's own state, default /var/lib/drover/agent
          --docker-socket PATH   default /var/run/docker.sock
          --plugin-folder DIR    default /run/docker/plugins
          --cgroup-parent NAME   cgroup that containers are put under, default Docker's own
          --cpus N --mem MiB     what the node offers, default what the machine has
          --ports 31000-32000    host ports that apps may get, also several: 80-81,7000-9000
          --attribute NAME=VALUE what constraints match, as often as needed
          --metrics IP:PORT      where Prometheus reads /metrics, such as 127.0.0.1:4526; default: nowhere
          --log-format json      the log as one object a line, with the ids of traces; default: text
          --config FILE          default /etc/drover/agent.json
        """;

    public static AgentOptions Read(IReadOnlyList<string> arguments, Func<string, string?> environment, Func<string, string?> readFile)
    {
        var given = CommandLine(arguments, out var file);
        var text = readFile(file ?? DefaultFile);
        if (text is null && file is not null) throw new OptionsInvalid($"--config: {file} does not exist");
        var stored = text is null ? [] : FromJson(text, file ?? DefaultFile);
        List<string> All(string name) => given.GetValueOrDefault(name) ?? (environment("DROVER_" + name.Replace('-', '_').ToUpperInvariant()) is { Length: > 0 } value
            ? [.. name == "attribute" ? value.Split(',') : [value]] : stored.GetValueOrDefault(name) ?? []);
        string? One(string name) => All(name).LastOrDefault();
        var state = Absolute(One("state") ?? JoinCommand.DefaultData, "state");
        var certificates = One("certificates") ?? JoinCommand.IdentityIn(state);
        var joined = IdentityFiles.ParseJoined(readFile(new IdentityFiles(certificates).About));
        return new AgentOptions
        {
            Node = Required(One("node") ?? joined?.Node, "node", "the name this node joined with, e.g. --node node1"),
            Hostname = One("hostname") ?? "",
            Control = Control(Required(One("control") ?? joined?.Control, "control", "where the control plane listens for agents, e.g. --control https://172.16.255.250:4524")),
            Address = Address(Required(One("address") ?? joined?.Address, "address", "an IPv4 address of this node that other nodes reach, e.g. --address 172.16.255.251")),
            Certificates = certificates,
            Pool = Required(One("pool"), "pool", "the mount point of this node's btrfs pool, e.g. --pool /srv/drover"),
            VolumeDriver = Driver(One("volume-driver") ?? VolumesSetup.Btrfs),
            TransferPort = (int)Number(One("transfer-port"), "transfer-port", 4525, 1, 65535),
            TransferLimit = Rate(One("transfer-limit"), "transfer-limit"),
            MountRoot = Absolute(One("mount-root") ?? "/flocker", "mount-root"),
            StateFolder = state,
            DockerSocket = Absolute(One("docker-socket") ?? "/var/run/docker.sock", "docker-socket"),
            PluginFolder = Absolute(One("plugin-folder") ?? "/run/docker/plugins", "plugin-folder"),
            CgroupParent = One("cgroup-parent") ?? "",
            Cpus = Number(One("cpus"), "cpus", 0, 0, 100_000),
            MemoryMiB = Number(One("mem"), "mem", 0, 0, 1e12),
            Ports = Ports(One("ports") ?? "31000-32000"),
            JsonLog = JsonLines.IsJson(One("log-format") ?? "text") ?? throw new OptionsInvalid($"--log-format '{One("log-format")}' must be text or json"),
            Metrics = Metrics(One("metrics")),
            Attributes = All("attribute").Select(Attribute).ToDictionary(a => a.Name, a => a.Value),
        };
    }

    private static Dictionary<string, List<string>> CommandLine(IReadOnlyList<string> arguments, out string? file)
    {
        var given = new Dictionary<string, List<string>>();
        file = null;
        for (var n = 0; n < arguments.Count; n++)
        {
            var word = arguments[n];
            if (!word.StartsWith("--", StringComparison.Ordinal)) throw new OptionsInvalid($"'{word}' is not understood: options begin with --; see drover-agent --help");
            var at = word.IndexOf('=', StringComparison.Ordinal);
            var name = at < 0 ? word[2..] : word[2..at];
            if (name != "config" && !Names.Contains(name)) throw new OptionsInvalid($"--{name} is no option of drover-agent; see drover-agent --help");
            if (at < 0 && n + 1 >= arguments.Count) throw new OptionsInvalid($"--{name} needs a value");
            var value = at < 0 ? arguments[++n] : word[(at + 1)..];
            if (name == "config") { file = value; continue; }
            if (!given.TryGetValue(name, out var values)) given[name] = values = [];
            values.Add(value);
        }
        return given;
    }

    private static Dictionary<string, List<string>> FromJson(string text, string file)
    {
        try
        {
            using var json = JsonDocument.Parse(text, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            if (json.RootElement.ValueKind != JsonValueKind.Object) throw new OptionsInvalid($"{file} must hold one object, {{\"node\":\"node1\", …}}");
            var stored = new Dictionary<string, List<string>>();
            foreach (var field in json.RootElement.EnumerateObject())
            {
                var name = field.Name == "attributes" ? "attribute" : field.Name;
                if (!Names.Contains(name)) throw new OptionsInvalid($"{file}: '{field.Name}' is no setting; known are {string.Join(", ", Names)}");
                stored[name] = field.Value.ValueKind == JsonValueKind.Object
                    ? [.. field.Value.EnumerateObject().Select(a => $"{a.Name}={a.Value}")]
                    : [field.Value.ToString()];
            }
            return stored;
        }
        catch (JsonException e) { throw new OptionsInvalid($"{file} is no JSON: {e.Message}"); }
    }

    private static string Required(string? value, string name, string what) =>
        string.IsNullOrWhiteSpace(value) ? throw new OptionsInvalid($"--{name} is missing: {what} (or \"{name}\" in {DefaultFile}){(name == "pool" ? "" : "; `drover-agent join TOKEN` sets it too")}") : value;

    private static Uri Control(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme == "https" ? uri : throw new OptionsInvalid($"--control '{text}' is no https address: agents speak only TLS; write https://IP:4524");

    private static string Address(string text) =>
        IPAddress.TryParse(text, out var ip) && ip.AddressFamily == AddressFamily.InterNetwork && text.Split('.').Length == 4 ? text : throw new OptionsInvalid($"--address '{text}' is no IPv4 address");

    private static IPEndPoint? Metrics(string? text) =>
        text is null ? null
        : text.Contains(':', StringComparison.Ordinal) && text.Contains('.', StringComparison.Ordinal) && IPEndPoint.TryParse(text, out var endpoint) ? endpoint
        : throw new OptionsInvalid($"--metrics '{text}' is not IP:PORT: write something like 127.0.0.1:4526, or leave it out and nobody reads metrics here");

    private static string Driver(string name) => VolumesSetup.Drivers.Contains(name) ? name
        : throw new OptionsInvalid($"--volume-driver '{name}' is not known: this agent has {string.Join(", ", VolumesSetup.Drivers)}");

    private static string Absolute(string path, string name) => path.StartsWith('/') ? path : throw new OptionsInvalid($"--{name} '{path}' must be an absolute path");

    private static double Number(string? text, string name, double missing, double least, double most) =>
        text is null ? missing
        : double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most ? number
        : throw new OptionsInvalid($"--{name} '{text}' must be a number from {least} to {most}");

    /// <summary>`50MB/s`, `1GiB/s`, `800kB` → bytes a second. Decimal units unless they carry an `i`.</summary>
    private static long Rate(string? text, string name)
    {
        if (text is null) return 0;
        var trimmed = text.EndsWith("/s", StringComparison.OrdinalIgnoreCase) ? text[..^2] : text;
        var digits = new string([.. trimmed.TakeWhile(c => char.IsAsciiDigit(c) || c == '.')]);
        long? factor = trimmed[digits.Length..].ToUpperInvariant() switch
        {
            "" or "B" => 1, "K" or "KB" => 1000, "M" or "MB" => 1_000_000, "G" or "GB" => 1_000_000_000, "KIB" => 1L << 10, "MIB" => 1L << 20, "GIB" => 1L << 30, _ => null,
        };
        return factor is not null && double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) && value * factor.Value is >= 1024 and <= 1e15
            ? (long)(value * factor.Value) : throw new OptionsInvalid($"--{name} '{text}' is no rate of at least 1 KiB a second: write something like 50MB/s, or leave it out for no limit");
    }

    private static string Ports(string text)
    {
        foreach (var range in text.Split(','))
        {
            var ends = range.Split('-');
            if (ends.Length > 2 || !int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var begin) || !int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var end)
                || begin < 1 || end > 65535 || begin > end) throw new OptionsInvalid($"--ports '{text}': '{range}' is no range of ports; write 7000-9000, several with commas");
        }
        return text;
    }

    private static (string Name, string Value) Attribute(string text)
    {
        var at = text.IndexOfAny(['=', ':']);
        return at > 0 && at < text.Length - 1 ? (text[..at], text[(at + 1)..]) : throw new OptionsInvalid($"--attribute '{text}' must be NAME=VALUE, e.g. disk=ssd");
    }
}
