using System.Globalization;

namespace Drover.Cli.Lab;

/// <summary>
/// A node's ZFS pool: a file, and a zfs-fuse of the node's own, in its mount namespace, where it has its own socket. The pool's name is no other's on this machine: `zfs` goes by
/// names when it looks for what is mounted.
/// </summary>
public sealed class LabZfs(HostPrograms programs, LabLayout layout, Cgroups cgroups, LabProgress progress)
{
    public const string Daemon = "zfs-fuse";
    /// <summary>What the daemon keeps for itself; each node covers them with its own.</summary>
    private static readonly string[] s_folders = ["/run/zfs", "/var/lock/zfs", "/var/lib/zfs"];
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50), Patience = TimeSpan.FromSeconds(30);

    private string NameOf(string node) => $"drover-{layout.Name}-{node}";

    /// <summary>The pool, mounted; after a killed daemon too.</summary>
    public async Task Ensure(string node, CancellationToken cancel)
    {
        if (Runs(node) && (await In(node, "zfs", ["get", "-H", "-o", "value", "mounted", NameOf(node)], cancel)).Output.Trim() == "yes") return;
        await LetGoOfTheDead(node, cancel);
        foreach (var folder in s_folders)
        {
            Directory.CreateDirectory(folder);
            await Require(node, "mount", ["-n", "-t", "tmpfs", "-o", "mode=700,size=16m", "drover-lab", folder], cancel);
        }
        var log = layout.Log(node, Daemon);
        // The block cache of the kernel has the file already: the daemon's own need not be large.
        var pid = programs.Spawn("nsenter", [$"--mount={layout.MountFile(node)}", "--wd=/", "--", Daemon, "--no-daemon", "--no-kstat-mount", "--enable-xattr", "-m", "64", "-p", "/run/zfs/pid"],
            await Environment(node, cancel), log);
        cgroups.Put(pid, layout.CgroupOf(node, Daemon));
        await Answers(node, log, cancel);
        var found = await In(node, "zpool", ["import", "-f", "-d", layout.Of(node), NameOf(node)], cancel);
        if (found.Ok) return;
        // Safe: without `-f` a file that holds a pool already is refused.
        await Require(node, "zpool", ["create", "-m", layout.Pool(node), NameOf(node), layout.PoolFile(node)], cancel);
    }

    private bool Runs(string node) => cgroups.Processes(layout.CgroupOf(node, Daemon)).Count > 0;

    /// <summary>Mounts of a daemon that was killed answer nothing and are in the way.</summary>
    private async Task LetGoOfTheDead(string node, CancellationToken cancel)
    {
        var table = await Require(node, "cat", ["/proc/self/mountinfo"], cancel);
        var dead = table.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(MountTable.Parse)
            .Where(m => (m.FileSystem == "fuse.zfs" && m.Source.Split('/')[0] == NameOf(node)) || (m.Source == "drover-lab" && s_folders.Contains(m.Path.Replace("/run/lock", "/var/lock", StringComparison.Ordinal))));
        foreach (var mount in dead.Reverse()) await In(node, "umount", ["-n", "-l", mount.Path], cancel);
    }

    private async Task Answers(string node, string log, CancellationToken cancel)
    {
        var begin = progress.Time.GetTimestamp();
        while (!(await In(node, "zpool", ["list", "-H", "-o", "name"], cancel)).Ok)
        {
            if (!Runs(node) || progress.Time.GetElapsedTime(begin) > Patience)
                throw new LabException($"{Daemon} on {node} does not answer: {string.Join(" | ", File.ReadLines(log).TakeLast(5))}. It is Debian's package zfs-fuse (eng/setup.sh) and needs /dev/fuse");
            await Task.Delay(Look, progress.Time, cancel);
        }
    }

    /// <summary>At every unmount zfs-fuse waits for all disks of the machine, and answers nobody meanwhile: a lab is not slowed by what else the machine writes.</summary>
    private async Task<IReadOnlyDictionary<string, string>> Environment(string node, CancellationToken cancel)
    {
        var library = $"{layout.Of(node)}/no-sync.so";
        var made = await programs.Run("gcc", ["-shared", "-fPIC", "-x", "c", "-o", library, "-"], cancel, input: "void sync(void) { }\n");
        return made.Ok ? new Dictionary<string, string>(LabDaemons.Environment()) { ["LD_PRELOAD"] = library } : LabDaemons.Environment();
    }

    private Task<ProgramResult> In(string node, string program, IReadOnlyList<string> arguments, CancellationToken cancel) =>
        programs.Run("nsenter", [$"--mount={layout.MountFile(node)}", "--wd=/", "--", program, .. arguments], cancel);

    private Task<string> Require(string node, string program, IReadOnlyList<string> arguments, CancellationToken cancel) =>
        programs.Require("nsenter", [$"--mount={layout.MountFile(node)}", "--wd=/", "--", program, .. arguments], cancel);
}
