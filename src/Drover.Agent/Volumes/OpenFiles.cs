namespace Drover.Agent.Volumes;

/// <summary>
/// Finds processes that have files of a subvolume open. Needed because the read-only flag of btrfs stops new openings for
/// writing, but not writes to a file that is open already (seen on kernel 6.18).
/// </summary>
internal static class OpenFiles
{
    private const int AccessMask = 3, Largest = 8;

    /// <summary>At most eight, as text for people: `mongod (pid 4711)`.</summary>
    /// <param name="onlyWriters">Only those that could write: one that is frozen cannot, and whoever thaws it unseals the data first.</param>
    /// <param name="device">Number of the subvolume's device.</param>
    /// <param name="among">Mount namespaces to look in; null: all.</param>
    public static IReadOnlyList<string> Of(ulong device, bool onlyWriters, IReadOnlySet<string>? among = null)
    {
        if (among is { Count: 0 }) return [];
        var found = new List<string>();
        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            if (!char.IsAsciiDigit(process[^1])) continue;
            if (among is not null && (Namespaces.Of(process) is not { } name || !among.Contains(name))) continue;
            if (onlyWriters && Host.Freezer.Holds(process)) continue;
            if (HoldsFile(process, device, onlyWriters) || HoldsMapping(process, device)) found.Add(Named(process));
            if (found.Count == Largest) break;
        }
        return found;
    }

    private static bool HoldsFile(string process, ulong device, bool onlyWriters)
    {
        try
        {
            foreach (var file in Directory.EnumerateFiles(process + "/fd"))
                if (Native.DeviceOf(file) == device && (!onlyWriters || IsForWriting($"{process}/fdinfo/{Path.GetFileName(file)}"))) return true;
            return !onlyWriters && Native.DeviceOf(process + "/cwd") == device;
        }
        // It ended while we looked: it holds nothing.
        catch (IOException) { return false; }
        catch (UnauthorizedAccessException) { return false; }
    }

    private static bool IsForWriting(string info)
    {
        try
        {
            foreach (var line in File.ReadLines(info))
                if (line.StartsWith("flags:", StringComparison.Ordinal)) return (Convert.ToInt64(line[6..].Trim(), 8) & AccessMask) != 0;
            return true;
        }
        // This one was closed while we looked; the others of the process still count.
        catch (IOException) { return false; }
    }

    /// <summary>A shared writable mapping outlives the descriptor it was made from.</summary>
    private static bool HoldsMapping(string process, ulong device)
    {
        try
        {
            foreach (var line in File.ReadLines(process + "/maps"))
            {
                var space = line.IndexOf(' ');
                if (space < 0 || space + 4 >= line.Length || line[space + 2] != 'w' || line[space + 4] != 's') continue;
                if (Native.DeviceOf($"{process}/map_files/{line[..space]}") == device) return true;
            }
            return false;
        }
        catch (IOException) { return false; }
        catch (UnauthorizedAccessException) { return false; }
    }

    /// <summary>`mongod (pid 4711)`.</summary>
    public static string Named(string process) => $"{NameOf(process)} (pid {Path.GetFileName(process)})";

    private static string NameOf(string process)
    {
        try { return File.ReadAllText(process + "/comm").Trim(); }
        catch (IOException) { return "a process that just ended"; }
    }
}
