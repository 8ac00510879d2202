using System.Globalization;
using System.Runtime.InteropServices;
using Drover.Agent.Host;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Btrfs;

namespace Drover.Agent.Guard;

/// <summary>Finds a container's processes by their control group, whose path holds the container's id with every engine setting and on both versions of control groups.</summary>
public sealed partial class GuardHands(IBootClock clock) : IGuardHands
{
    private const int KillSignal = 9;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1), Pause = TimeSpan.FromMilliseconds(10);

    public int Kill(IReadOnlyCollection<string> containers)
    {
        var killed = new HashSet<int>();
        // A process that forks while it is being killed leaves a child: look until there is none. One that cannot end (a frozen one, a lost disk)
        // cannot write either, and is not waited for: the seal must come.
        for (var until = clock.Now + Patience; clock.Now < until;)
        {
            var found = ProcessesOf(containers);
            if (found.Count == 0) break;
            foreach (var pid in found)
            {
                _ = Signal(pid, KillSignal);
                killed.Add(pid);
            }
            BootClock.SleepUntil(clock.Now + Pause);
        }
        return killed.Count;
    }

    public bool Seal(string path)
    {
        // A plain folder has no flag of its own: the mounts that show it have one.
        if (Subvolume.Find(path) is null) return Directory.Exists(path) && Mounts.MakeReadOnly(path);
        if (Subvolume.Find(path) is not { IsReadOnly: false }) return false;
        Subvolume.SetReadOnly(path, true);
        return true;
    }

    internal static List<int> ProcessesOf(IReadOnlyCollection<string> containers)
    {
        var found = new List<int>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out var pid)) continue;
            string groups;
            try { groups = File.ReadAllText($"{folder}/cgroup"); }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { continue; /* it ended between two looks */ }
            if (containers.Any(c => c.Length > 0 && groups.Contains(c, StringComparison.Ordinal)) && !IsDead($"{folder}/stat")) found.Add(pid);
        }
        return found;
    }

    /// <summary>A zombie writes nothing and cannot be killed.</summary>
    private static bool IsDead(string stat)
    {
        try
        {
            var text = File.ReadAllText(stat);
            return text[(text.LastIndexOf(')') + 2)..] is ['Z' or 'X', ..];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return true; }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Signal(int pid, int signal);
}
