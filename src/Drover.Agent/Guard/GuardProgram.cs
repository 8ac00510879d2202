using System.Globalization;
using System.Runtime.InteropServices;
using Drover.Agent.Host;

namespace Drover.Agent.Guard;

/// <summary>`drover-agent guard FOLDER`: the process that outlives the agent. One thread, no services, no engine, no network.</summary>
public static partial class GuardProgram
{
    public const string Word = "guard";

    public static int Run(string folder)
    {
        // Its own session: what ends the agent's does not end it.
        _ = NewSession();
        Directory.CreateDirectory(folder);
        // Held as long as this process lives: a second guard of the same folder ends at once.
        using var only = Alone(folder);
        if (only is null) return 0;
        WritePid(folder);
        Spare();
        var clock = new BootClock();
        var file = new GuardFile(folder);
        var loop = new GuardLoop(file, file.StartOf(clock), new GuardHands(clock), Say);
        // Ends with its folder: nothing can be guarded there any more.
        while (Directory.Exists(folder)) BootClock.SleepUntil(Look(loop, clock.Now));
        return 0;
    }

    private static TimeSpan Look(GuardLoop loop, TimeSpan now)
    {
        try { return loop.Look(now); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            // It must not end: it looks again soon.
            Say(e.Message);
            return now + TimeSpan.FromSeconds(1);
        }
    }

    private static FileStream? Alone(string folder)
    {
        try { return new FileStream(Path.Combine(folder, "alone"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None); }
        catch (IOException) { return null; }
    }

    private static void WritePid(string folder)
    {
        var fresh = Path.Combine(folder, "pid.new");
        File.WriteAllText(fresh, Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        File.Move(fresh, Path.Combine(folder, "pid"), overwrite: true);
    }

    /// <summary>When memory runs out, this small process is the last to go.</summary>
    private static void Spare()
    {
        try { File.WriteAllText("/proc/self/oom_score_adj", "-1000"); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { Say($"may be ended when memory runs out: {e.Message}"); }
    }

    private static void Say(string what) => Console.Error.WriteLine($"drover-agent guard: {what}");

    [LibraryImport("libc", EntryPoint = "setsid")]
    private static partial int NewSession();
}
