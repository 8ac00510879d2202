using System.Collections.Frozen;

namespace Drover.Core.Apps;

/// <summary>Options of `docker run` that an app's docker parameters may name: those that agents can hand to Docker's Engine API.</summary>
public static class DockerOptions
{
    /// <summary>Without leading dashes.</summary>
    public static readonly FrozenSet<string> Known = FrozenSet.Create(StringComparer.Ordinal,
        "env", "label", "hostname", "domainname", "user", "workdir", "entrypoint", "stop-signal", "expose", "tty", "interactive", "cap-add", "cap-drop", "ulimit",
        "dns", "dns-search", "dns-option", "add-host", "group-add", "security-opt", "sysctl", "log-driver", "log-opt", "volume", "v", "device", "tmpfs", "shm-size",
        "memory-reservation", "memory-swap", "cpuset-cpus", "cpu-shares", "pids-limit", "oom-score-adj", "pid", "ipc", "uts", "init", "privileged", "read-only");

    private static readonly FrozenDictionary<string, string> Refused = new Dictionary<string, string>
    {
        ["restart"] = "Docker must never start a container by itself; the cluster restarts it after checking its volumes. Leave it out",
        ["name"] = "containers are named after their task. Leave it out",
        ["net"] = "use the container's network", ["network"] = "use the container's network",
        ["publish"] = "use portMappings", ["p"] = "use portMappings",
        ["rm"] = "finished containers are removed by the agent. Leave it out",
        ["detach"] = "containers always run detached. Leave it out", ["d"] = "containers always run detached. Leave it out",
        ["volume-driver"] = "volumes are kept by flocker or drover; name one of these",
    }.ToFrozenDictionary();

    /// <summary>Why this option is not taken, with what to do; null: it is.</summary>
    public static string? Problem(string key)
    {
        var name = key.TrimStart('-');
        if (Known.Contains(name)) return null;
        return Refused.TryGetValue(name, out var why) ? $"'{key}' is not taken: {why}"
            : $"'{key}' is not known: remove it; known are {string.Join(", ", Known.Order(StringComparer.Ordinal))}";
    }
}
