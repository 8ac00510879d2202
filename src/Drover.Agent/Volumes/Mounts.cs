namespace Drover.Agent.Volumes;

/// <summary>Bind mounts of live data, as this process's mount namespace has them.</summary>
internal static class Mounts
{
    private const int Deepest = 16;

    public static bool IsMounted(string path)
    {
        foreach (var line in File.ReadLines("/proc/self/mountinfo"))
        {
            // "36 35 98:0 /root /mount/point rw,… - btrfs /dev/loop0 …": the fifth word, spaces and the like as octal escapes.
            var words = line.Split(' ', 6);
            if (words.Length > 4 && words[4] == Escaped(path)) return true;
        }
        return false;
    }

    /// <summary>What is mounted there last takes no writes.</summary>
    public static bool IsReadOnly(string path) =>
        File.ReadLines("/proc/self/mountinfo").Select(line => line.Split(' ', 7)).LastOrDefault(words => words.Length > 5 && words[4] == Escaped(path)) is { } found
        && found[5].Split(',').Contains("ro");

    /// <summary>Kind and source of what is mounted there last, as `zfs` and `tank/drover`; null when nothing is.</summary>
    public static (string Kind, string Source)? FilesystemAt(string path)
    {
        var line = File.ReadLines("/proc/self/mountinfo").LastOrDefault(l => l.Split(' ', 6) is { Length: 6 } words && words[4] == Escaped(path));
        return line?[(line.IndexOf(" - ", StringComparison.Ordinal) + 3)..].Split(' ') is [var kind, var source, ..] ? (kind, source.Replace("\\040", " ", StringComparison.Ordinal)) : null;
    }

    /// <summary>Whether just this data is mounted there.</summary>
    public static bool Shows(string path, string live) => IsMounted(path) && Native.PlaceOf(path) is { } place && place == Native.PlaceOf(live);

    /// <summary>Takes writing away from every mount of this namespace that shows just this data. False when there is none, one lies hidden under another mount, or a file is open for writing
    /// through one; the others are read-only all the same. Looks at no other mount of the machine than those: the guard calls this, and must not hang on a stranger's.</summary>
    public static bool MakeReadOnly(string live)
    {
        if (Native.RealPath(live) is not { } folder) return false;
        var showing = MountTable.Own().Showing(folder, out var hidden);
        var all = showing.Count > 0 && !hidden;
        // One that refuses must not leave the next ones writable.
        foreach (var path in showing) all &= Native.SetMountReadOnly(path, true) == 0;
        return all;
    }

    public static void Bind(string live, string path)
    {
        Directory.CreateDirectory(path);
        Native.BindMount(live, path);
    }

    /// <summary>False when a process works in it. Takes away everything that lies mounted there, also what was stacked by mistake.</summary>
    public static bool Unmount(string path)
    {
        for (var i = 0; i < Deepest && IsMounted(path); i++)
        {
            var error = Native.Unmount(path);
            if (error == Native.ErrorBusy) return false;
            if (error is not (0 or Native.ErrorInvalid)) throw Native.Failed("unmount of", path, error);
        }
        return true;
    }

    private static string Escaped(string path) => path.Replace("\\", "\\134", StringComparison.Ordinal).Replace(" ", "\\040", StringComparison.Ordinal)
        .Replace("\t", "\\011", StringComparison.Ordinal).Replace("\n", "\\012", StringComparison.Ordinal);
}
