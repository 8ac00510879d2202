using System.Globalization;

namespace Drover.Cli.Lab;

/// <summary>
/// The lab's control groups: `/drover-lab/LAB/MACHINE/PROCESS`, and `…/MACHINE/containers` which Docker fills.
/// Works on version 1 (a tree for each controller), on version 2 and where both are mounted.
/// </summary>
public sealed class Cgroups
{
    public const string Top = "drover-lab";

    private readonly IReadOnlyList<MountEntry> _trees;

    public Cgroups() => _trees = [.. MountTable.Read().Where(m => m.FileSystem is "cgroup" or "cgroup2")];

    /// <summary>Puts a process into a group, in each tree that needs no further setting to take one.</summary>
    public void Put(int pid, string group)
    {
        // A new cpuset group has no processors and refuses processes until it is given some; nothing here needs one.
        foreach (var tree in _trees.Where(t => !t.Options.Split(',').Contains("cpuset")))
        {
            var folder = Path.Combine(tree.Path, group);
            Directory.CreateDirectory(folder);
            try { File.WriteAllText(Path.Combine(folder, "cgroup.procs"), pid.ToString(CultureInfo.InvariantCulture)); }
            catch (IOException e) when (ProcessTable.Find(pid) is null) { throw new LabException($"process {pid} ended as soon as it was started", e); }
        }
    }

    /// <summary>Every process in the group and the groups below it.</summary>
    public IReadOnlySet<int> Processes(string group)
    {
        var found = new HashSet<int>();
        foreach (var folder in Folders(group))
            foreach (var line in ReadLines(Path.Combine(folder, "cgroup.procs")))
                if (int.TryParse(line, CultureInfo.InvariantCulture, out var pid) && pid > 0) found.Add(pid);
        return found;
    }

    public bool Exists(string group) => _trees.Any(t => Directory.Exists(Path.Combine(t.Path, group)));

    /// <summary>Removes the group and those below it, deepest first. True when nothing is left; false while the kernel still holds one.</summary>
    public bool TryRemove(string group)
    {
        foreach (var folder in Folders(group).OrderByDescending(f => f.Length))
        {
            // rmdir of a group removes its control files with it; one that is still busy is tried again by the caller.
            try { Directory.Delete(folder); } catch (IOException) { } catch (UnauthorizedAccessException) { }
        }
        return !Exists(group);
    }

    /// <summary>Removes the lab's top group where no lab is left in it.</summary>
    public void RemoveTopIfEmpty()
    {
        foreach (var folder in _trees.Select(t => Path.Combine(t.Path, Top)).Where(Directory.Exists))
            if (!Directory.EnumerateDirectories(folder).Any()) Directory.Delete(folder);
    }

    private IEnumerable<string> Folders(string group) =>
        _trees.Select(t => Path.Combine(t.Path, group)).Where(Directory.Exists)
            .SelectMany(top => Directory.EnumerateDirectories(top, "*", SearchOption.AllDirectories).Prepend(top).ToList());

    private static string[] ReadLines(string file)
    {
        // A group may be removed, or be of a threaded kind that lists no processes, between two looks.
        try { return File.ReadAllLines(file); } catch (IOException) { return []; } catch (UnauthorizedAccessException) { return []; }
    }
}
