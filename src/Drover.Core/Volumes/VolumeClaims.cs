using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Volumes;

/// <summary>Who has a volume in use: one app at a time.</summary>
public static class VolumeClaims
{
    /// <summary>Where volumes are seen by containers' `hostPath`.</summary>
    public const string Root = "/flocker";

    /// <summary>Why the app cannot have these volumes, by field; empty: it can.</summary>
    public static ImmutableArray<FieldError> Refusals(ClusterState state, AppSpec spec)
    {
        if (spec.Container is not { } container) return [];
        var errors = ImmutableArray.CreateBuilder<FieldError>();
        var seen = new HashSet<VolumeName>();
        for (var i = 0; i < container.Volumes.Count; i++)
        {
            if (container.Volumes[i] is not VolumeMount mount) continue;
            if (!seen.Add(mount.Name)) errors.Add(new FieldError(PathOf(mount, i), $"volume '{mount.Name}' is named twice: mount it once"));
            if (state.Volumes.GetValueOrDefault(mount.Name) is { DeletedAt: not null } deleted)
            {
                // Never made anew empty under the name of data that is still kept.
                errors.Add(new FieldError(PathOf(mount, i), $"volume '{mount.Name}' was deleted and its data is kept on {deleted.Primary?.Value ?? "no node"}: give it back with `drover volume undelete {mount.Name}`, or name another volume"));
            }
            if (state.Volumes.TryGetValue(mount.Name, out var volume) && volume.Holder is { } holder && holder != spec.Id)
            {
                errors.Add(new FieldError(PathOf(mount, i), $"volume '{mount.Name}' is in use by app '{holder}': delete that app first, or name another volume"));
            }
            if (Resized(state.Apps.GetValueOrDefault(spec.Id)?.Spec, mount) is { } size && state.Volumes.TryGetValue(mount.Name, out var held) && size < held.Used)
            {
                errors.Add(new FieldError(SizeOf(mount, i), $"volume '{mount.Name}' holds {held.Used}, more than {size}: free space in it first, or give a greater size"));
            }
        }
        return errors.ToImmutable();
    }

    /// <summary>The size a change of the app gives its volume; null: the change is not about that, and the volume's own stays, whoever gave it.</summary>
    private static ByteCount? Resized(AppSpec? before, VolumeMount mount) =>
        before?.Volumes.FirstOrDefault(m => m.Name == mount.Name) is { } was && was.SizeGiB != mount.SizeGiB ? Size(mount) : null;

    private static ByteCount? Size(VolumeMount mount) => mount.SizeGiB is > 0 and var gib ? new ByteCount((long)(gib * (1L << 30))) : null;

    /// <summary>Marathon's rule: what was asked for as persistent is the app's for as long as it is there. Its size and where the container sees it may change, and so may everything else.</summary>
    public static IEnumerable<FieldError> Changes(AppSpec before, AppSpec after)
    {
        var (was, isNow) = (Asked(before), Asked(after));
        if (was.Count > 0 && !was.SetEquals(isNow))
            yield return new FieldError("/", $"Persistent volumes can not be changed! Keep {string.Join(", ", was.Select(v => $"'{v.Path}'").Order(StringComparer.Ordinal))} as it is; only its size may change");

        static HashSet<PersistentAsk> Asked(AppSpec spec) => [.. spec.Volumes.Select(v => v.Persistent).OfType<PersistentAsk>().Select(v => v with { Linked = false, SizeMiB = 0, MostMiB = null })];
    }

    /// <summary>Makes the app the holder of its volumes; those that do not exist yet come to be, without data, until they are first placed.</summary>
    /// <param name="before">What the app was; null: it is new.</param>
    public static IEnumerable<ClusterChange> Claim(ClusterState state, AppSpec spec, DateTimeOffset now, AppSpec? before = null)
    {
        foreach (var mount in spec.Volumes.DistinctBy(m => m.Name))
        {
            var name = mount.Name;
            if (!state.Volumes.TryGetValue(name, out var volume))
            {
                yield return new ClusterChange.PutVolume(new Volume(name, null, Epoch.None, false, null, spec.Id, now) { Size = Size(mount) });
                continue;
            }
            // Kept from the next start of the app on, which this change brings about.
            var held = volume with { Holder = spec.Id, Size = Resized(before, mount) ?? volume.Size };
            if (held != volume) yield return new ClusterChange.PutVolume(held);
        }
    }

    /// <summary>Frees the volumes this app holds and neither its spec nor any copy or open move of it uses. Data stays where it is.</summary>
    public static IEnumerable<ClusterChange> ReleaseUnused(ClusterState state, AppId app)
    {
        var used = new HashSet<VolumeName>();
        if (state.Apps.TryGetValue(app, out var known)) used.UnionWith(known.Spec.Volumes.Select(m => m.Name));
        foreach (var instance in state.InstancesOf(app)) used.UnionWith(instance.Spec.Volumes.Select(m => m.Name));
        foreach (var move in state.OpenMoves) if (move.App == app) used.UnionWith(move.Volumes.Items.Select(v => v.Name));
        return state.VolumesHeldBy(app).Where(v => !used.Contains(v.Name)).Select(v => new ClusterChange.PutVolume(v with { Holder = null }));
    }

    /// <summary>Reads `/flocker/NAME`.</summary>
    /// <param name="hostPath">A mount's host path.</param>
    /// <param name="name">The volume meant; null when the path is outside <see cref="Root"/> and so is a plain directory of the host.</param>
    /// <param name="problem">Why a path that points to, into or around <see cref="Root"/> is refused.</param>
    /// <returns>False: refused, see <paramref name="problem"/>.</returns>
    public static bool TryReadHostPath(string hostPath, out VolumeName? name, out string? problem)
    {
        name = null;
        problem = null;
        var segments = hostPath.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments.Contains("..") || segments.Contains("."))
        {
            problem = $"'{hostPath}' has a '.' or '..' segment: write the path out";
            return false;
        }
        if (!hostPath.StartsWith('/') || segments is not [var first, .. var rest] || first != Root[1..]) return true;
        if (rest.Length != 1)
        {
            problem = rest.Length == 0 ? $"'{hostPath}' names no volume: write {Root}/NAME" : $"'{hostPath}' points into a volume: write {Root}/{rest[0]}, volumes are mounted whole";
            return false;
        }
        if (VolumeNames.TryParse(rest[0], out name)) return true;
        problem = $"'{rest[0]}' is no volume name: {VolumeNames.Rule}";
        return false;
    }

    /// <summary>Reads docker's `NAME:/path[:ro|:rw]`.</summary>
    public static bool TryReadDockerVolume(string text, out VolumeMount? mount, out string? problem)
    {
        mount = null;
        var parts = text.Split(':');
        problem = parts switch
        {
            { Length: < 2 or > 3 } => $"'{text}' is not NAME:/path or NAME:/path:ro",
            _ when !VolumeNames.TryParse(parts[0], out _) => $"'{parts[0]}' is no volume name: {VolumeNames.Rule}",
            _ when !parts[1].StartsWith('/') || parts[1].Split('/').Contains("..") => $"'{parts[1]}' is no absolute container path",
            { Length: 3 } when parts[2] is not ("ro" or "rw") => $"'{parts[2]}' is no mode: use ro or rw",
            _ => null,
        };
        if (problem is not null) return false;
        mount = new VolumeMount(new VolumeName(parts[0]), parts[1], parts is [_, _, "ro"], VolumeNaming.DockerParameter);
        return true;
    }

    private static string SizeOf(VolumeMount mount, int index) => mount.Naming == VolumeNaming.Persistent ? $"/container/volumes({index})/persistent/size" : $"/container/volumes({index})/external/size";

    private static string PathOf(VolumeMount mount, int index) => mount.Naming switch
    {
        VolumeNaming.HostPath => $"/container/volumes({index})/hostPath",
        VolumeNaming.Persistent => $"/container/volumes({index})/containerPath",
        VolumeNaming.External => $"/container/volumes({index})/external/name",
        _ => "/container/docker/parameters",
    };
}
