namespace Drover.Agent.Volumes;

/// <summary>
/// Finds the mount namespaces, those of containers too, in which live data is mounted. Whoever works in it opened its files through such a mount, and an open file
/// keeps its mount: so where none is left, nobody is, and the costly look at every open file can be left out of the cutover.
/// </summary>
internal static class Namespaces
{
    /// <param name="pool">Mount point of the pool.</param>
    /// <param name="path">Path inside the pool that may be mounted somewhere.</param>
    /// <returns>Names of namespaces as `/proc/PID/ns/mnt` gives them.</returns>
    public static IReadOnlySet<string> Showing(string pool, string path)
    {
        var inside = path[pool.Length..];
        var filesystem = Lines("/proc/self/mountinfo").Where(w => w[4] == pool).Select(w => w[2]).LastOrDefault();
        var seen = new HashSet<string>();
        var showing = new HashSet<string>();
        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            if (!char.IsAsciiDigit(process[^1]) || Of(process) is not { } name || !seen.Add(name)) continue;
            if (Lines(process + "/mountinfo").Any(w => w[2] == filesystem && (w[3] == inside || w[3].StartsWith(inside + "/", StringComparison.Ordinal)))) showing.Add(name);
        }
        return showing;
    }

    /// <summary>Those in which anything of the filesystem with this device number is mounted.</summary>
    public static IReadOnlySet<string> Showing(ulong device)
    {
        var filesystem = $"{device >> 32}:{device & uint.MaxValue}";
        var seen = new HashSet<string>();
        var showing = new HashSet<string>();
        foreach (var process in Directory.EnumerateDirectories("/proc"))
            if (char.IsAsciiDigit(process[^1]) && Of(process) is { } name && seen.Add(name) && Lines(process + "/mountinfo").Any(w => w[2] == filesystem)) showing.Add(name);
        return showing;
    }

    /// <summary>Null when the process is gone.</summary>
    public static string? Of(string process)
    {
        try { return new FileInfo(process + "/ns/mnt").LinkTarget; }
        catch (IOException) { return null; }
        catch (UnauthorizedAccessException) { return null; }
    }

    /// <summary>"36 35 98:0 /root /mount/point …" as words; none when the process ended meanwhile.</summary>
    private static List<string[]> Lines(string file)
    {
        try { return [.. File.ReadLines(file).Select(l => l.Split(' ', 6)).Where(w => w.Length > 4)]; }
        catch (IOException) { return []; }
    }
}
