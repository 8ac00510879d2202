namespace Drover.Agent.Volumes.Folders;

/// <summary>
/// Finds who could still write to live data although it is to be sealed. The mount on this host is made read-only, which the kernel refuses while a file is open for
/// writing through it; but a container has mounts of its own.
/// </summary>
internal static class FolderUsers
{
    private const int Largest = 8, AccessMask = 3;

    /// <summary>Mounts of one namespace: those that show the data, and whether its root is another than ours, as a container's is.</summary>
    private sealed record View(IReadOnlyList<(string Id, string At)> Showing, bool IsContainer);

    /// <summary>At most eight, as text for people: `mongod (pid 4711)`.</summary>
    public static IReadOnlyList<string> Writers(string live)
    {
        var own = Lines("/proc/self/mountinfo");
        if (Inside(own, live) is not { } wanted) return [];
        var root = own.LastOrDefault(w => w[4] == "/");
        var views = new Dictionary<string, View>();
        var found = new List<string>();
        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            if (!char.IsAsciiDigit(process[^1]) || Namespaces.Of(process) is not { } name) continue;
            if (!views.TryGetValue(name, out var view)) views[name] = view = Look(process, wanted, root);
            // One that is frozen writes nothing until the one who froze it says so.
            if (view.Showing.Count == 0 || Host.Freezer.Holds(process) || !(view.IsContainer || Holds(process, view))) continue;
            found.Add(OpenFiles.Named(process));
            if (found.Count == Largest) break;
        }
        return found;
    }

    private static View Look(string process, (string Device, string Path) wanted, string[]? ownRoot)
    {
        var lines = Lines(process + "/mountinfo");
        var root = lines.LastOrDefault(w => w[4] == "/");
        var showing = lines.Where(w => w[2] == wanted.Device && (w[3] == wanted.Path || w[3].StartsWith(wanted.Path + "/", StringComparison.Ordinal))).Select(w => (w[0], w[4])).ToList();
        return new(showing, root is not null && ownRoot is not null && (root[2], root[3]) != (ownRoot[2], ownRoot[3]));
    }

    /// <summary>The path as its filesystem knows it, by the deepest mount that holds it.</summary>
    private static (string Device, string Path)? Inside(List<string[]> mounts, string path)
    {
        var best = mounts.Where(w => w[4] == "/" || path == w[4] || path.StartsWith(w[4] + "/", StringComparison.Ordinal)).OrderBy(w => w[4].Length).LastOrDefault();
        if (best is null) return null;
        var rest = best[4] == "/" ? path : path[best[4].Length..];
        return (best[2], best[3] == "/" ? rest : best[3] + rest);
    }

    private static bool Holds(string process, View view)
    {
        try
        {
            return Directory.EnumerateFiles(process + "/fdinfo").Any(info => IsWriter(info, view)) || File.ReadLines(process + "/maps").Any(line => IsMapping(line, view));
        }
        // It ended while we looked: it holds nothing.
        catch (IOException) { return false; }
        catch (UnauthorizedAccessException) { return false; }
    }

    private static bool IsWriter(string info, View view)
    {
        var (flags, mount) = (0L, "");
        try
        {
            foreach (var line in File.ReadLines(info))
            {
                if (line.StartsWith("flags:", StringComparison.Ordinal)) flags = Convert.ToInt64(line[6..].Trim(), 8);
                if (line.StartsWith("mnt_id:", StringComparison.Ordinal)) mount = line[7..].Trim();
            }
        }
        catch (IOException) { return false; }
        return (flags & AccessMask) != 0 && view.Showing.Any(m => m.Id == mount);
    }

    /// <summary>"7f…-7f… rw-s 00000000 07:01 12  /flocker/db/file": a shared writable mapping outlives the descriptor it was made from.</summary>
    private static bool IsMapping(string line, View view)
    {
        var space = line.IndexOf(' ');
        if (space < 0 || space + 4 >= line.Length || line[space + 2] != 'w' || line[space + 4] != 's') return false;
        var path = line.IndexOf('/', space);
        return path > 0 && view.Showing.Any(m => line.AsSpan(path).StartsWith(m.At, StringComparison.Ordinal));
    }

    private static List<string[]> Lines(string file)
    {
        try { return [.. File.ReadLines(file).Select(l => l.Split(' ', 6)).Where(w => w.Length > 4)]; }
        catch (IOException) { return []; }
        catch (UnauthorizedAccessException) { return []; }
    }
}
