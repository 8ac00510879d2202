using System.Globalization;
using System.Text;

namespace Drover.Agent.Volumes;

/// <param name="Device">Of the filesystem, "98:0".</param>
/// <param name="Root">The folder of that filesystem which is seen.</param>
/// <param name="At">Where it is seen.</param>
internal sealed record MountEntry(int Id, int Parent, string Device, string Root, string At);

/// <summary>The kernel's list of a namespace's mounts, and what follows from it alone: no path is looked at, because one on a server that is gone, or a FUSE program that hangs, would never answer.</summary>
internal sealed class MountTable
{
    private readonly List<MountEntry> _entries;
    /// <summary>What lies on this place of that mount.</summary>
    private readonly Dictionary<(int Parent, string At), MountEntry> _on = [];

    private MountTable(List<MountEntry> entries)
    {
        _entries = entries;
        foreach (var entry in entries) _on[(entry.Parent, entry.At)] = entry;
    }

    public static MountTable Own() => Parse(File.ReadLines("/proc/self/mountinfo"));

    /// <summary>Lines like "36 35 98:0 /root /mount/point rw,… - btrfs /dev/loop0 …".</summary>
    public static MountTable Parse(IEnumerable<string> lines)
    {
        var entries = new List<MountEntry>();
        foreach (var line in lines)
            if (line.Split(' ', 6) is [var id, var parent, var device, var root, var at, _] && int.TryParse(id, CultureInfo.InvariantCulture, out var own) && int.TryParse(parent, CultureInfo.InvariantCulture, out var under))
                entries.Add(new(own, under, device, Plain(root), Plain(at)));
        return new(entries);
    }

    /// <summary>Every place at which just this folder is seen by a mount of its own, and that mount is the one on top there: what lies hidden under another cannot be reached by its path.</summary>
    /// <param name="folder">Its real path, without links.</param>
    /// <param name="hidden">There are some that cannot be reached.</param>
    public IReadOnlyList<string> Showing(string folder, out bool hidden)
    {
        hidden = false;
        if (Over(folder) is not { } holder) return [];
        var inside = Below(holder.Root, holder.At == "/" ? folder : folder[holder.At.Length..]);
        var all = _entries.Where(e => e.At != folder && e.Device == holder.Device && e.Root == inside).ToList();
        var reached = all.Where(e => Over(e.At) == e).Select(e => e.At).ToList();
        hidden = reached.Count < all.Count;
        return reached;
    }

    /// <summary>The mount that a look-up of this path ends in, as the kernel walks it.</summary>
    private MountEntry? Over(string path)
    {
        var known = _entries.Select(e => e.Id).ToHashSet();
        var at = _entries.FirstOrDefault(e => e.At == "/" && (e.Parent == e.Id || !known.Contains(e.Parent)));
        if (at is null) return null;
        at = Top(at, "/");
        for (var end = path.IndexOf('/', 1); path.Length > 1; end = path.IndexOf('/', end + 1))
        {
            at = Top(at, end < 0 ? path : path[..end]);
            if (end < 0) break;
        }
        return at;
    }

    private MountEntry Top(MountEntry at, string place)
    {
        while (_on.TryGetValue((at.Id, place), out var upper) && upper != at) at = upper;
        return at;
    }

    private static string Below(string root, string rest) => rest is "" or "/" ? root : root == "/" ? rest : root + rest;

    /// <summary>Spaces and the like are octal there: "\040".</summary>
    private static string Plain(string word)
    {
        if (!word.Contains('\\', StringComparison.Ordinal)) return word;
        var text = new StringBuilder();
        for (var i = 0; i < word.Length; i++)
        {
            if (word[i] == '\\' && i + 3 < word.Length) { text.Append((char)(((word[i + 1] - '0') << 6) | ((word[i + 2] - '0') << 3) | (word[i + 3] - '0'))); i += 3; }
            else text.Append(word[i]);
        }
        return text.ToString();
    }
}
