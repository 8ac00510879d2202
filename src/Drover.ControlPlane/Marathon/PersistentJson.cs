using System.Security.Cryptography;
using System.Text;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Marathon;

/// <summary>Mesos' persistent volumes, `{"containerPath": "pgdata", "mode": "RW", "persistent": {"size": 512}}`: volumes of ours by a name made of the app's and the path, so that they move with the app.</summary>
public static class PersistentJson
{
    /// <summary>Where Mesos shows a container its sandbox, and in it the volume.</summary>
    public const string Sandbox = "/mnt/mesos/sandbox";
    private const int LongestName = 63;
    private const double MiBInGiB = 1024;

    /// <param name="links">Volumes of the same app whose hostPath is relative, which is how an app says where its container sees a persistent volume.</param>
    public static VolumeMount? Read(JsonFields volume, JsonFields persistent, AppId app, IReadOnlyList<JsonFields> links)
    {
        var faults = volume.Violations;
        var path = volume.String("containerPath") ?? "";
        if (path.Length == 0 || path.Contains('/', StringComparison.Ordinal) || path.Contains(':', StringComparison.Ordinal) || path is "." or "..")
            faults.Rule(volume.At("containerPath"), "must be a name without '/' and ':', such as pgdata; where the container sees it is said by a second volume with that name as its hostPath");
        if ((volume.String("mode") ?? "RW") != "RW") faults.Rule(volume.At("mode"), "must be RW: a persistent volume is written by its app");
        var ask = Ask(persistent, path);
        var link = links.FirstOrDefault(l => l.String("hostPath") == path);
        var linked = path.Length > 0 && links.Any(l => l.String("hostPath") == path);
        var at = linked ? VolumeJson.ContainerPath(link.String("containerPath"), link.At("containerPath"), faults) : $"{Sandbox}/{path}";
        if (!VolumeNames.TryParse(NameOf(app, path), out var name)) return null;
        return new VolumeMount(name.Value, at, linked && link.String("mode") == "RO", VolumeNaming.Persistent, ask.SizeMiB / MiBInGiB) { Persistent = ask with { Linked = linked } };
    }

    private static PersistentAsk Ask(JsonFields persistent, string path)
    {
        var faults = persistent.Violations;
        var kind = persistent.String("type") ?? "root";
        if (kind is not ("root" or "path" or "mount")) faults.Rule(persistent.At("type"), "must be root, path or mount");
        var size = AppJson.Amount(persistent, "size", 0);
        if (size is null or 0) faults.Rule(persistent.At("size"), "must be given, in MiB and more than 0");
        var most = AppJson.Amount(persistent, "maxSize", 0);
        if (most is not null && kind != "mount") faults.Rule(persistent.At("maxSize"), "must not be given for a volume of type root or path");
        else if (most <= size) faults.Rule(persistent.At("maxSize"), "must be more than size");
        foreach (var (field, why) in ((string, string)[])[("profileName", "disks have no profiles here; say by the app's constraints which nodes it may be on"), ("constraints", "a node keeps its volumes in one pool; say by the app's constraints which nodes it may be on")])
            if (!persistent.IsEmpty(field)) faults.Rule(persistent.At(field), $"must not be given: {why}");
        return new(path, kind, size ?? 0, most, false);
    }

    /// <summary>The app's path and the volume's: `shop_db.pgdata`. What no volume's name may hold or is too long is told apart by a hash.</summary>
    public static string NameOf(AppId app, string path)
    {
        var plain = $"{app.SafePath}.{path}";
        var name = string.Concat(plain.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-' ? c : '-'));
        if (name == plain && name.Length <= LongestName) return name;
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(plain)))[..12];
        return $"{name[..Math.Min(name.Length, LongestName - hash.Length - 1)]}-{hash}";
    }

    /// <summary>The same for as long as the volume is there, whichever node it is on.</summary>
    public static Guid IdentityOf(Volume volume) => new(SHA256.HashData(Encoding.UTF8.GetBytes($"{volume.Name} {volume.CreatedAt.UtcTicks}")).AsSpan(0, 16));
}
