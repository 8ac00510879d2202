using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Marathon;

/// <summary>The three ways to name a volume: host path `/flocker/NAME`, docker parameters `volume-driver` with `volume`, Marathon's `external` volume. And plain host directories.</summary>
public static class VolumeJson
{
    public static List<Mount> Read(JsonFields container, AppId app)
    {
        var mounts = new List<Mount>();
        var volumes = container.Objects("volumes") ?? [];
        var persistent = volumes.Where(v => v.Has("persistent")).Select(v => v.String("containerPath")).ToHashSet();
        var links = volumes.Where(v => !v.Has("persistent") && v.String("hostPath") is { Length: > 0 } host && persistent.Contains(host)).ToList();
        foreach (var volume in volumes.Where(v => !links.Contains(v)))
        {
            var mount = volume.Object("persistent") is { } asked ? PersistentJson.Read(volume, asked, app, links) : One(volume);
            if (mount is not null) mounts.Add(mount);
        }
        foreach (var twice in links.GroupBy(l => l.String("hostPath")).SelectMany(g => g.Skip(1))) twice.Violations.Rule(twice.At("hostPath"), "the volume is mounted already; mount it once");
        return mounts;
    }

    private static Mount? One(JsonFields volume)
    {
        if (volume.Has("persistent")) return null;
        if (volume.Has("secret"))
        {
            volume.Violations.Rule(volume.At("secret"), "secrets are not kept here; give values in env, or files in a volume");
            return null;
        }
        var path = ContainerPath(volume.String("containerPath"), volume.At("containerPath"), volume.Violations);
        var mode = volume.String("mode") ?? "RW";
        if (mode is not ("RO" or "RW")) volume.Violations.Rule(volume.At("mode"), "must be RO or RW");
        if (volume.Object("external") is { } external) return External(external, path, mode == "RO");
        var host = volume.String("hostPath");
        if (!string.IsNullOrEmpty(host)) return FromHostPath(host, path, mode == "RO", volume.At("hostPath"), volume.Violations);
        volume.Violations.Rule(volume.At("hostPath"), "must be given, such as /flocker/mongodata for a volume that moves with the app");
        return null;
    }

    public static string ContainerPath(string? path, string at, Violations faults)
    {
        if (string.IsNullOrEmpty(path)) faults.Rule(at, "must be given: where the container sees it, such as /data/db");
        else if (path[0] != '/' || path.Contains(':', StringComparison.Ordinal) || Segments(path) is not { Length: > 0 } segments || segments.Contains(".."))
            faults.Rule(at, $"must be an absolute path below / without '..' and ':', such as /data/db; it was '{path}'");
        else return "/" + string.Join('/', Segments(path));
        return path ?? "";
    }

    private static string[] Segments(string path) => [.. path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(s => s != ".")];

    private static Mount? FromHostPath(string host, string path, bool readOnly, string at, Violations faults)
    {
        if (host[0] != '/' || host.Contains(':', StringComparison.Ordinal)) faults.Rule(at, $"must be an absolute path without ':', such as {VolumeClaims.Root}/mongodata; it was '{host}'");
        else if (!VolumeClaims.TryReadHostPath(host, out var name, out var problem)) faults.Rule(at, problem!);
        else if (name is not null) return new VolumeMount(name.Value, path, readOnly, VolumeNaming.HostPath);
        else return new HostMount("/" + string.Join('/', Segments(host)), path, readOnly);
        return null;
    }

    public const string DriverOption = "dvdi/driver";

    private static VolumeMount? External(JsonFields external, string path, bool readOnly)
    {
        var provider = external.String("provider");
        var options = external.Map("options", "must be a string")?.Select(o => new DockerParameter(o.Key, o.Value)).ToEquatableList() ?? [];
        var driver = options.FirstOrDefault(o => o.Key == DriverOption)?.Value;
        if (provider is not ("drover" or "dvdi"))
        {
            external.Violations.Rule(external.At("provider"), "must be drover, or dvdi with options {\"dvdi/driver\": \"flocker\"}");
            return null;
        }
        // Whatever driver it was, the volume is one of ours from now on: that is how it can move.
        if (provider == "dvdi" && string.IsNullOrEmpty(driver)) external.Violations.Rule($"{external.At("options")}/\"{DriverOption}\"", "must be given for provider dvdi, such as \"flocker\"");
        if (external.Boolean("shared") == true) external.Violations.Rule(external.At("shared"), "must be false: a volume has one writer at a time");
        var size = AppJson.Amount(external, "size", 0);
        if (VolumeNames.TryParse(external.String("name"), out var name))
            return new VolumeMount(name.Value, path, readOnly, VolumeNaming.External, size) { Driver = provider == "dvdi" ? driver : provider, Options = options };
        external.Violations.Rule(external.At("name"), $"must be {VolumeNames.Rule}");
        return null;
    }

    /// <summary>Takes out of `docker.parameters` those that name volumes of ours; the rest goes to Docker as it stands.</summary>
    public static (List<DockerParameter> Others, List<Mount> Named) FromParameters(JsonFields docker)
    {
        var given = (docker.Objects("parameters") ?? []).Select(p => (Fields: p, Key: p.String("key"), Value: p.String("value"))).ToList();
        foreach (var (fields, key, value) in given)
        {
            if (string.IsNullOrEmpty(key)) fields.Violations.Rule(fields.At("key"), "must name an option of docker run, without dashes");
            if (value is null) fields.Violations.Rule(fields.At("value"), "must be given, a string");
        }
        var driver = given.FirstOrDefault(p => p.Key == "volume-driver").Value;
        var ours = driver is "flocker" or "drover";
        var rest = new List<DockerParameter>();
        var named = new List<Mount>();
        foreach (var (fields, key, value) in given)
        {
            if (key is null || value is null || (ours && key == "volume-driver")) continue;
            if (key is "volume" or "v" && (value.StartsWith('/') ? IsOurs(value) : ours))
            {
                if (Named(value, driver, fields) is { } mount) named.Add(mount);
            }
            else
            {
                if (DockerOptions.Problem(key) is { } problem) fields.Violations.Rule(fields.At("key"), problem);
                rest.Add(new(key, value));
            }
        }
        if (ours && named.Count == 0) docker.Violations.Rule(docker.At("parameters"), "volume-driver needs a parameter volume of the form NAME:/path");
        return (rest, named);
    }

    /// <summary>`-v /flocker/NAME:/path`: the host path form, said as a parameter. Also every path that only gets there by a detour.</summary>
    private static bool IsOurs(string value)
    {
        var segments = Segments(value.Split(':')[0]);
        return segments.Contains("..") || (segments.Length > 0 && "/" + segments[0] == VolumeClaims.Root);
    }

    private static Mount? Named(string value, string? driver, JsonFields fields)
    {
        var at = fields.At("value");
        if (value.StartsWith('/'))
        {
            var parts = value.Split(':');
            var readOnly = parts is [_, _, "ro"];
            if (parts.Length is 2 || readOnly || parts is [_, _, "rw"]) return FromHostPath(parts[0], ContainerPath(parts[1], at, fields.Violations), readOnly, at, fields.Violations);
            fields.Violations.Rule(at, $"must be /host/path:/path or /host/path:/path:ro; it was '{value}'");
            return null;
        }
        if (VolumeClaims.TryReadDockerVolume(value, out var mount, out var problem))
            return mount! with { Driver = driver, ContainerPath = ContainerPath(mount.ContainerPath, at, fields.Violations) };
        fields.Violations.Rule(at, problem!);
        return null;
    }
}
