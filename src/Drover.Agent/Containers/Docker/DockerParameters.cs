using System.Collections.Frozen;
using System.Globalization;
using Docker.DotNet.Models;

namespace Drover.Agent.Containers.Docker;

/// <summary>A docker parameter that cannot be honoured. The message names the field, the reason and the remedy.</summary>
public sealed class DockerParameterRefused(string message) : Exception(message);

/// <summary>`docker run` options of an app's `parameters`, where the Engine API has them.</summary>
internal static class DockerParameters
{
    private static readonly FrozenDictionary<string, Action<CreateContainerParameters, string>> Known = new Dictionary<string, Action<CreateContainerParameters, string>>
    {
        ["env"] = (c, v) => c.Env!.Add(v),
        ["label"] = (c, v) => Pair(c.Labels!, v),
        ["hostname"] = (c, v) => c.Hostname = v,
        ["domainname"] = (c, v) => c.Domainname = v,
        ["user"] = (c, v) => c.User = v,
        ["workdir"] = (c, v) => c.WorkingDir = v,
        ["entrypoint"] = (c, v) => c.Entrypoint = [v],
        ["stop-signal"] = (c, v) => c.StopSignal = v,
        ["expose"] = (c, v) => c.ExposedPorts![v.Contains('/', StringComparison.Ordinal) ? v : v + "/tcp"] = default,
        ["tty"] = (c, v) => c.Tty = Flag(v),
        ["interactive"] = (c, v) => c.OpenStdin = Flag(v),
        ["cap-add"] = (c, v) => (Host(c).CapAdd ??= []).Add(v),
        ["cap-drop"] = (c, v) => (Host(c).CapDrop ??= []).Add(v),
        ["ulimit"] = (c, v) => (Host(c).Ulimits ??= []).Add(Limit(v)),
        ["dns"] = (c, v) => (Host(c).DNS ??= []).Add(v),
        ["dns-search"] = (c, v) => (Host(c).DNSSearch ??= []).Add(v),
        ["dns-option"] = (c, v) => (Host(c).DNSOptions ??= []).Add(v),
        ["add-host"] = (c, v) => (Host(c).ExtraHosts ??= []).Add(v),
        ["group-add"] = (c, v) => (Host(c).GroupAdd ??= []).Add(v),
        ["security-opt"] = (c, v) => (Host(c).SecurityOpt ??= []).Add(v),
        ["sysctl"] = (c, v) => Pair(Host(c).Sysctls ??= new Dictionary<string, string>(), v),
        ["log-driver"] = (c, v) => (Host(c).LogConfig ??= new()).Type = v,
        ["log-opt"] = (c, v) => Pair((Host(c).LogConfig ??= new()).Config ??= new Dictionary<string, string>(), v),
        ["volume"] = (c, v) => HostFolder(c, v),
        ["v"] = (c, v) => HostFolder(c, v),
        ["device"] = (c, v) => (Host(c).Devices ??= []).Add(Device(v)),
        ["tmpfs"] = (c, v) => Tmpfs(c, v),
        ["shm-size"] = (c, v) => Host(c).ShmSize = Size(v),
        ["memory-reservation"] = (c, v) => Host(c).MemoryReservation = Size(v),
        ["memory-swap"] = (c, v) => Host(c).MemorySwap = v == "-1" ? -1 : Size(v),
        ["cpuset-cpus"] = (c, v) => Host(c).CpusetCpus = v,
        ["cpu-shares"] = (c, v) => Host(c).CPUShares = Whole(v),
        ["pids-limit"] = (c, v) => Host(c).PidsLimit = Whole(v),
        ["oom-score-adj"] = (c, v) => Host(c).OomScoreAdj = Whole(v),
        ["pid"] = (c, v) => Host(c).PidMode = v,
        ["ipc"] = (c, v) => Host(c).IpcMode = v,
        ["uts"] = (c, v) => Host(c).UTSMode = v,
        ["init"] = (c, v) => Host(c).Init = Flag(v),
        ["privileged"] = (c, v) => Host(c).Privileged = Flag(v),
        ["read-only"] = (c, v) => Host(c).ReadonlyRootfs = Flag(v),
    }.ToFrozenDictionary();

    /// <summary>The options this agent can hand on: the same as the control plane takes, see <see cref="Core.Apps.DockerOptions"/>.</summary>
    public static IEnumerable<string> Names => Known.Keys;

    public static void Apply(CreateContainerParameters request, string key, string value)
    {
        var name = key.TrimStart('-');
        if (!Known.TryGetValue(name, out var apply))
            throw new DockerParameterRefused($"docker parameter {Core.Apps.DockerOptions.Problem(key) ?? $"'{key}' is not known to this agent: update it"}");
        try
        {
            apply(request, value);
        }
        catch (FormatException e)
        {
            throw new DockerParameterRefused($"docker parameter '{key}' has the value '{value}': {e.Message}");
        }
    }

    private static HostConfig Host(CreateContainerParameters request) => request.HostConfig ?? throw new InvalidOperationException("a create request is made with its host part");

    private static void Pair(IDictionary<string, string> into, string value)
    {
        var at = value.IndexOf('=', StringComparison.Ordinal);
        var (name, text) = at < 0 ? (value, "") : (value[..at], value[(at + 1)..]);
        if (name.StartsWith("drover.", StringComparison.Ordinal)) throw new FormatException("names that begin with 'drover.' are the agent's own; choose another");
        into[name] = text;
    }

    private static Ulimit Limit(string value)
    {
        var at = value.IndexOf('=', StringComparison.Ordinal);
        var parts = at < 0 ? [] : value[(at + 1)..].Split(':');
        if (at < 1 || parts.Length is < 1 or > 2) throw new FormatException("write NAME=SOFT or NAME=SOFT:HARD");
        return new Ulimit { Name = value[..at], Soft = Whole(parts[0]), Hard = Whole(parts[^1]) };
    }

    private static void HostFolder(CreateContainerParameters request, string value)
    {
        if (!value.StartsWith('/')) throw new FormatException("a plain bind must begin with a folder of the host; name a volume through `volume-driver`");
        if (value.Split(':').Length is < 2 or > 3) throw new FormatException("write /host/path:/container/path or /host/path:/container/path:ro");
        Host(request).Binds!.Add(value);
    }

    private static DeviceMapping Device(string value)
    {
        var parts = value.Split(':');
        return new DeviceMapping { PathOnHost = parts[0], PathInContainer = parts.Length > 1 ? parts[1] : parts[0], CgroupPermissions = parts.Length > 2 ? parts[2] : "rwm" };
    }

    private static void Tmpfs(CreateContainerParameters request, string value)
    {
        var at = value.IndexOf(':', StringComparison.Ordinal);
        (Host(request).Tmpfs ??= new Dictionary<string, string>())[at < 0 ? value : value[..at]] = at < 0 ? "" : value[(at + 1)..];
    }

    private static bool Flag(string value) => value.Length == 0 || (bool.TryParse(value, out var flag) ? flag : throw new FormatException("write true or false"));

    private static long Whole(string value) =>
        long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : throw new FormatException("write a whole number");

    private static long Size(string value)
    {
        var text = value.Trim().ToLowerInvariant().TrimEnd('b');
        var factor = text.Length > 0 ? text[^1] switch { 'k' => 1L << 10, 'm' => 1L << 20, 'g' => 1L << 30, _ => 1L } : 1L;
        if (factor > 1) text = text[..^1];
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number * factor : throw new FormatException("write a size such as 64m");
    }
}
