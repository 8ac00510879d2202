using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;
using Process = System.Diagnostics.Process;
using ProcessStartInfo = System.Diagnostics.ProcessStartInfo;

namespace Drover.Cli.Lab;

#pragma warning disable RS0030 // the one place of the lab that may start processes

/// <summary>Result of a program that ran to its end.</summary>
public sealed record ProgramResult(int ExitCode, string Output, string Error)
{
    public bool Ok => ExitCode == 0;
}

/// <summary>Starts programs for the lab: by name and argument list, never through a shell.</summary>
public sealed partial class HostPrograms
{
    private static readonly string[] Folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    /// <summary>Runs to the end. A non-zero exit is a value; a program that is not there is an exception naming the remedy.</summary>
    public async Task<ProgramResult> Run(string program, IReadOnlyList<string> arguments, CancellationToken cancel, string? input = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        var info = new ProcessStartInfo(Find(program)) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in arguments) info.ArgumentList.Add(argument);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) info.Environment[name] = value;
        info.Environment["LC_ALL"] = "C";
        using var process = Begin(info);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancel);
            var error = process.StandardError.ReadToEndAsync(cancel);
            // A program may end before it has read everything: its exit code tells why, the broken pipe does not.
            try { if (input is not null) await process.StandardInput.WriteAsync(input.AsMemory(), cancel); process.StandardInput.Close(); } catch (IOException) { }
            await process.WaitForExitAsync(cancel);
            return new(process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException)
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
            throw;
        }
    }

    /// <summary>Output of a program that must succeed; else a <see cref="LabException"/> with what it said.</summary>
    public async Task<string> Require(string program, IReadOnlyList<string> arguments, CancellationToken cancel, string? input = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        var result = await Run(program, arguments, cancel, input, environment);
        if (result.Ok) return result.Output;
        var said = result.Error.Trim() is { Length: > 0 } error ? error : result.Output.Trim();
        throw new LabException($"`{program} {string.Join(' ', arguments)}` exited with {result.ExitCode}: {Tail(said)}");
    }

    /// <summary>Runs on the caller's own terminal and answers the exit code.</summary>
    public async Task<int> RunAttached(string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> environment, CancellationToken cancel)
    {
        var info = new ProcessStartInfo(Find(program));
        foreach (var argument in arguments) info.ArgumentList.Add(argument);
        foreach (var (name, value) in environment) info.Environment[name] = value;
        using var process = Begin(info);
        await process.WaitForExitAsync(cancel);
        return process.ExitCode;
    }

    /// <summary>
    /// Starts a program that outlives this one: a session of its own, nothing of the terminal, both outputs appended to <paramref name="log"/>.
    /// Answers its pid.
    /// </summary>
    public unsafe int Spawn(string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> environment, string log)
    {
        var path = Find(program);
        byte* actions = stackalloc byte[512], attributes = stackalloc byte[1024], signals = stackalloc byte[128];
        nint[] argv = [.. arguments.Prepend(path).Select(Marshal.StringToCoTaskMemUTF8), 0];
        nint[] environ = [.. environment.Select(e => Marshal.StringToCoTaskMemUTF8($"{e.Key}={e.Value}")), 0];
        try
        {
            Check(ActionsInit(actions), path);
            Check(AttributesInit(attributes), path);
            const int readOnly = 0, writeCreateAppend = 0x1 | 0x40 | 0x400;
            Check(AddOpen(actions, 0, "/dev/null", readOnly, 0), path);
            Check(AddOpen(actions, 1, log, writeCreateAppend, 0x1A4), path);
            Check(AddDup2(actions, 1, 2), path);
            // The runtime ignores SIGPIPE and masks others; a daemon must not inherit that.
            const short setSignalDefaults = 0x04, setSignalMask = 0x08, setSession = 0x80;
            _ = SigFillSet(signals);
            Check(SetDefaults(attributes, signals), path);
            _ = SigEmptySet(signals);
            Check(SetMask(attributes, signals), path);
            Check(SetFlags(attributes, setSignalDefaults | setSignalMask | setSession), path);
            int pid;
            fixed (nint* a = argv, e = environ) Check(PosixSpawn(&pid, path, actions, attributes, a, e), path);
            return pid;
        }
        finally
        {
            _ = ActionsDestroy(actions);
            _ = AttributesDestroy(attributes);
            foreach (var text in argv.Concat(environ)) Marshal.FreeCoTaskMem(text);
        }
    }

    private static Process Begin(ProcessStartInfo info)
    {
        try { return Process.Start(info) ?? throw new LabException($"{info.FileName} did not start"); }
        catch (Win32Exception e) { throw new LabException($"{info.FileName} cannot be started ({e.Message}): run eng/setup.sh", e); }
    }

    private static string Find(string program)
    {
        if (program.Contains('/', StringComparison.Ordinal)) return program;
        return Folders.Select(f => Path.Combine(f, program)).FirstOrDefault(File.Exists)
            ?? throw new LabException($"the program '{program}' is missing on this machine: run eng/setup.sh, it installs what the lab needs");
    }

    private static string Tail(string said)
    {
        const int kept = 2000;
        return said.Length <= kept ? said : string.Concat("…", said.AsSpan(said.Length - kept));
    }

    private static void Check(int error, string path)
    {
        if (error != 0) throw new LabException($"{path} cannot be started: {new Win32Exception(error).Message}");
    }

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")] private static unsafe partial int ActionsInit(byte* actions);
    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")] private static unsafe partial int ActionsDestroy(byte* actions);
    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_addopen", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int AddOpen(byte* actions, int descriptor, string path, int flags, uint mode);
    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")] private static unsafe partial int AddDup2(byte* actions, int from, int to);
    [LibraryImport("libc", EntryPoint = "posix_spawnattr_init")] private static unsafe partial int AttributesInit(byte* attributes);
    [LibraryImport("libc", EntryPoint = "posix_spawnattr_destroy")] private static unsafe partial int AttributesDestroy(byte* attributes);
    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setflags")] private static unsafe partial int SetFlags(byte* attributes, short flags);
    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigdefault")] private static unsafe partial int SetDefaults(byte* attributes, byte* signals);
    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigmask")] private static unsafe partial int SetMask(byte* attributes, byte* signals);
    [LibraryImport("libc", EntryPoint = "sigfillset")] private static unsafe partial int SigFillSet(byte* signals);
    [LibraryImport("libc", EntryPoint = "sigemptyset")] private static unsafe partial int SigEmptySet(byte* signals);
    [LibraryImport("libc", EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int PosixSpawn(int* pid, string path, byte* actions, byte* attributes, nint* argv, nint* environ);
}
