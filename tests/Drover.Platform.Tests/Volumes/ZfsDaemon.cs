using System.Globalization;
using Drover.Agent.Host;
using Drover.Testing;

namespace Drover.Platform.Tests.Volumes;

#pragma warning disable RS0030 // fixtures start and end real programs

/// <summary>
/// A zfs-fuse in a mount namespace of its own, where it has its own socket. What it mounts below <see cref="Shared"/> is seen here too.
/// </summary>
public sealed class ZfsDaemon : IAsyncDisposable
{
    private const string OwnerFile = "owner";
    private static readonly Lazy<Task> s_swept = new(Sweep);
    private static readonly Lazy<Task<string>> s_noSync = new(MakeNoSync);
    private readonly TemporaryFolder _folder = new();
    private readonly System.Diagnostics.Process _process;

    private ZfsDaemon(System.Diagnostics.Process process, TemporaryFolder folder)
    {
        _process = process;
        _folder = folder;
        Commands = new InNamespace(process.Id);
    }

    public string Shared => _folder.File("shared");
    public IHostCommands Commands { get; }

    public static async Task<ZfsDaemon> Start()
    {
        await s_swept.Value;
        var folder = new TemporaryFolder();
        var shared = folder.File("shared");
        Directory.CreateDirectory(shared);
        await LoopPool.Run("mount", "--bind", shared, shared);
        await LoopPool.Run("mount", "--make-shared", shared);
        // What the daemon needs for itself must not be seen by another one: places of its own, on mounts that tell nobody.
        const string script = """
            set -e
            for d in /run/zfs /var/lock/zfs /var/lib/zfs; do
              mkdir -p $d
              mount --make-private "$(findmnt -n -o TARGET -T $d | tail -n 1)"
              mount -t tmpfs none $d
            done
            echo ready
            exec env LD_PRELOAD="$1" zfs-fuse --no-daemon --no-kstat-mount --enable-xattr -m 32 -p /run/zfs/pid >/dev/null 2>&1
            """;
        var start = new System.Diagnostics.ProcessStartInfo("unshare", ["-m", "--propagation", "unchanged", "sh", "-c", script, "sh", await s_noSync.Value]) { RedirectStandardOutput = true, RedirectStandardError = true };
        var process = System.Diagnostics.Process.Start(start)!;
        await File.WriteAllTextAsync(folder.File(OwnerFile), $"{Alive(Environment.ProcessId)}\n{Alive(process.Id)}\n");
        if (await process.StandardOutput.ReadLineAsync() != "ready") throw new InvalidOperationException($"zfs-fuse did not start: {await process.StandardError.ReadToEndAsync()}");
        return new(process, folder);
    }

    /// <summary>
    /// At every unmount zfs-fuse waits for all disks of the machine, whatever they belong to, and answers nobody meanwhile: under load for minutes. Its own pools it has written
    /// before that.
    /// </summary>
    private static async Task<string> MakeNoSync()
    {
        var library = Path.Combine(AppContext.BaseDirectory, "no-sync.so");
        var source = Path.Combine(AppContext.BaseDirectory, "no-sync.c");
        await File.WriteAllTextAsync(source, "void sync(void) { }\n");
        await LoopPool.Run("gcc", "-shared", "-fPIC", "-o", library, source);
        return library;
    }

    public async Task MakePool(string name, string mountPoint, long mebibytes)
    {
        var image = _folder.File(name);
        using (var file = File.Create(image)) file.SetLength(mebibytes << 20);
        var command = new HostCommand("zpool", ["create", "-m", mountPoint, name, image]);
        const int tries = 200;
        for (var i = 1; ; i++)
        {
            var result = await Commands.Run(command, default);
            if (result.Ok) return;
            // The socket comes a moment after the start.
            if (i == tries || !result.Error.Contains("daemon", StringComparison.Ordinal)) result.Require(command);
            await Task.Delay(TimeSpan.FromMilliseconds(25));
        }
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        await Unmount(_folder.Path);
        _folder.Dispose();
    }

    /// <summary>Everything mounted below a folder, the deepest first. The daemon is dead: nothing is written any more.</summary>
    private static async Task Unmount(string folder)
    {
        var mounted = (await File.ReadAllLinesAsync("/proc/self/mountinfo")).Select(l => l.Split(' ', 6)[4]).Where(p => p.StartsWith(folder + "/", StringComparison.Ordinal));
        foreach (var path in mounted.Reverse()) await LoopPool.Run("umount", "-q", "-l", path);
    }

    /// <summary>What runs of this kind left behind that did not come to their end.</summary>
    private static async Task Sweep()
    {
        foreach (var folder in Directory.EnumerateDirectories(Path.GetTempPath(), "drover-test-*").Where(f => File.Exists(Path.Combine(f, OwnerFile))))
        {
            if (await File.ReadAllLinesAsync(Path.Combine(folder, OwnerFile)) is not [var owner, var daemon] || IsAlive(owner)) continue;
            if (IsAlive(daemon)) System.Diagnostics.Process.GetProcessById(int.Parse(daemon.Split(' ')[0], CultureInfo.InvariantCulture)).Kill();
            await Unmount(folder);
            try { Directory.Delete(folder, recursive: true); }
            catch (IOException) { /* another run does the same just now */ }
        }
    }

    /// <summary>Number and start of a process: a later one of the same number has another start.</summary>
    private static string Alive(int pid)
    {
        try { return $"{pid} {File.ReadAllText($"/proc/{pid}/stat").Split(')')[^1].Split(' ')[20]}"; }
        catch (IOException) { return $"{pid} gone"; }
    }

    private static bool IsAlive(string process) => Alive(int.Parse(process.Split(' ')[0], CultureInfo.InvariantCulture)) == process;

    /// <summary>`zfs` finds its daemon by a socket that is only in the daemon's namespace.</summary>
    private sealed class InNamespace(int pid) : IHostCommands
    {
        private readonly HostCommands _real = new();

        public Task<CommandResult> Run(HostCommand command, CancellationToken cancel) => _real.Run(There(command), cancel);

        public IRunningCommand Start(HostCommand command) => _real.Start(There(command));

        private HostCommand There(HostCommand command) => command with { Program = "nsenter", Arguments = ["-t", pid.ToString(CultureInfo.InvariantCulture), "-m", command.Program, .. command.Arguments] };
    }
}
