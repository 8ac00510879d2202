namespace Drover.Agent.Host;

/// <summary>Whether a process stands still by its cgroup: it executes nothing and stands in no system call until it is thawed.</summary>
internal static class Freezer
{
    private const string Root = "/sys/fs/cgroup";

    /// <param name="process">`/proc/4711`</param>
    public static bool Holds(string process)
    {
        try
        {
            foreach (var line in File.ReadLines(process + "/cgroup"))
            {
                // "7:freezer:/docker/…" of the first version, "0::/docker/…" of the second.
                var words = line.Split(':', 3);
                if (words.Length < 3) continue;
                if (words[1] == "freezer") return Says($"{Root}/freezer{words[2]}/freezer.state", "FROZEN");
                if (words[0] == "0" && Says($"{Root}{words[2]}/cgroup.events", "frozen 1")) return true;
            }
            return false;
        }
        // It ended while we looked, or its group cannot be read: whoever asks takes it for one that runs.
        catch (IOException) { return false; }
        catch (UnauthorizedAccessException) { return false; }
    }

    private static bool Says(string file, string wanted) => File.Exists(file) && File.ReadLines(file).Any(line => line.Trim() == wanted);
}
