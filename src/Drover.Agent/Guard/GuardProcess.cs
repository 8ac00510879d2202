using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using Process = System.Diagnostics.Process;
using ProcessStartInfo = System.Diagnostics.ProcessStartInfo;

namespace Drover.Agent.Guard;

#pragma warning disable RS0030 // the guard must outlive the agent, so it is none of its commands

/// <summary>The guard as the agent sees it.</summary>
public interface IGuardProcess
{
    /// <summary>It lives and is not stopped by a signal.</summary>
    bool Runs { get; }

    /// <summary>Starts one where none runs. What stands still is ended first.</summary>
    void Start();
}

/// <param name="folder">Of its file.</param>
/// <param name="command">How this program is started again: `drover-agent`, or `dotnet` with the assembly.</param>
public sealed partial class GuardProcess(string folder, IReadOnlyList<string> command, ILogger<GuardProcess> log) : IGuardProcess
{
    private const int KillSignal = 9;
    private Process? _begun;

    public bool Runs => State() is 'S' or 'R' or 'D';

    /// <summary>This same program, as it was started.</summary>
    public static IReadOnlyList<string> OwnCommand()
    {
        var own = Environment.ProcessPath ?? throw new InvalidOperationException("the kernel does not say which program this is: /proc must be mounted");
        return Path.GetFileNameWithoutExtension(own) == "dotnet" ? [own, Path.Combine(AppContext.BaseDirectory, "drover-agent.dll")] : [own];
    }

    public void Start()
    {
        if (State() is 'T' or 't' && Pid() is { } stopped)
        {
            log.LogWarning("The guard (pid {Pid}) is stopped by a signal: another takes its place", stopped);
            _ = Signal(stopped, KillSignal);
        }
        // It needs a moment until it can be seen.
        else if (_begun is { HasExited: false }) return;
        var info = new ProcessStartInfo(command[0]) { UseShellExecute = false };
        foreach (var word in command.Skip(1).Append(GuardProgram.Word).Append(folder)) info.ArgumentList.Add(word);
        // Small and slow suffices for it.
        foreach (var (name, value) in Frugal) info.Environment[name] = value;
        _begun?.Dispose();
        try
        {
            _begun = Process.Start(info);
            log.LogInformation("Guard started, pid {Pid}", _begun?.Id);
        }
        catch (Win32Exception e) { log.LogError("The guard cannot be started ({Error}): no container with a volume is started until it can", e.Message); }
    }

    private static readonly Dictionary<string, string> Frugal = new()
    {
        ["DOTNET_gcConcurrent"] = "0", ["DOTNET_GCHeapHardLimit"] = "0x2000000", ["DOTNET_TieredPGO"] = "0", ["DOTNET_EnableDiagnostics"] = "0",
    };

    /// <summary>The kernel's letter for it; null: there is none.</summary>
    private char? State()
    {
        if (Pid() is not { } pid) return null;
        try
        {
            // Another process may have got its pid since.
            if (!File.ReadAllText($"/proc/{pid}/cmdline").Contains($"\0{GuardProgram.Word}\0{folder}\0", StringComparison.Ordinal)) return null;
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[stat.LastIndexOf(')') + 2];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }

    private int? Pid()
    {
        try { return int.TryParse(File.ReadAllText(Path.Combine(folder, "pid")), NumberStyles.None, CultureInfo.InvariantCulture, out var pid) ? pid : null; }
        catch (IOException) { return null; }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Signal(int pid, int signal);
}
