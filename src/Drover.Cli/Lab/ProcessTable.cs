using System.Globalization;
using System.Runtime.InteropServices;

namespace Drover.Cli.Lab;

/// <summary>A process as the kernel shows it. Pid and start time (clock ticks since boot) together name it for ever.</summary>
public sealed record RunningProcess(int Pid, int Parent, ulong StartTime, IReadOnlyList<string> Arguments)
{
    /// <summary>File name of the program: `dockerd`.</summary>
    public string Program => Arguments.Count > 0 ? Path.GetFileName(Arguments[0]) : "";
}

/// <summary>Reads `/proc`. Processes that end while it looks are left out.</summary>
public static partial class ProcessTable
{
    public static IEnumerable<int> Pids() =>
        Directory.EnumerateDirectories("/proc").Select(Path.GetFileName)
            .Where(n => n!.All(char.IsAsciiDigit)).Select(n => int.Parse(n!, CultureInfo.InvariantCulture));

    /// <summary>Null when it has ended (a zombie has ended).</summary>
    public static RunningProcess? Find(int pid)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            if (fields[0] is "Z" or "X") { Reap(pid); return null; }
            var arguments = File.ReadAllText($"/proc/{pid}/cmdline").Split('\0', StringSplitOptions.RemoveEmptyEntries);
            return new(pid, int.Parse(fields[1], CultureInfo.InvariantCulture), ulong.Parse(fields[19], CultureInfo.InvariantCulture), arguments);
        }
        catch (Exception e) when (Gone(e)) { return null; }
    }

    public static bool Runs(int pid, ulong startTime) => Find(pid)?.StartTime == startTime;

    /// <summary>`net:[4026531840]`; null when the process has ended.</summary>
    public static string? Namespace(int pid, string kind)
    {
        try { return new FileInfo($"/proc/{pid}/ns/{kind}").LinkTarget; }
        catch (Exception e) when (Gone(e)) { return null; }
    }

    /// <summary>Resident memory in bytes; 0 when the process has ended.</summary>
    public static long Memory(int pid)
    {
        try
        {
            var line = File.ReadLines($"/proc/{pid}/status").FirstOrDefault(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line.AsSpan(6).Trim().TrimEnd("kB ").Trim(), CultureInfo.InvariantCulture) * 1024;
        }
        catch (Exception e) when (Gone(e)) { return 0; }
    }

    /// <summary>Sends a signal. A process that has ended is no error.</summary>
    public static void Signal(int pid, int signal)
    {
        const int noSuchProcess = 3;
        if (Kill(pid, signal) == 0 || Marshal.GetLastPInvokeError() == noSuchProcess) return;
        throw new LabException($"signal {signal} could not be sent to process {pid}: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    public static bool IsRoot => GetEffectiveUser() == 0;

    /// <summary>Takes the exit status of a process this one started, so that it does not stay as a zombie. For others it does nothing.</summary>
    private static unsafe void Reap(int pid) => _ = WaitPid(pid, null, 1);

    // The kernel answers ENOENT or ESRCH when a process ends between two looks.
    private static bool Gone(Exception e) => e is IOException or UnauthorizedAccessException;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)] private static partial int Kill(int pid, int signal);
    [LibraryImport("libc", EntryPoint = "geteuid")] private static partial uint GetEffectiveUser();
    [LibraryImport("libc", EntryPoint = "waitpid")] private static unsafe partial int WaitPid(int pid, int* status, int options);
}
