using System.Globalization;

namespace Drover.Cli.Lab;

/// <summary>A node's own view of the file tree: a mount namespace with a pool and with folders that no other node shares.</summary>
public sealed class LabMachines(HostPrograms programs, LabLayout layout)
{
    /// <summary>The folder that keeps namespaces under a name.</summary>
    public async Task MakeNamespaceFolder(CancellationToken cancel)
    {
        Directory.CreateDirectory(layout.Namespaces);
        if (!MountTable.IsMounted(layout.Namespaces)) await programs.Require("mount", ["-n", "--bind", layout.Namespaces, layout.Namespaces], cancel);
        await programs.Require("mount", ["-n", "--make-private", layout.Namespaces], cancel);
    }

    /// <summary>A sparse file with an empty filesystem: btrfs, or ext4 for folders; for ZFS the file alone, <see cref="LabZfs"/> makes the pool. Made aside and renamed: a file under the final name is always whole.</summary>
    public async Task MakePool(LabPlan plan, LabNode node, CancellationToken cancel)
    {
        var file = layout.PoolFile(node.Name);
        if (File.Exists(file)) return;
        await programs.Require("truncate", ["-s", string.Create(CultureInfo.InvariantCulture, $"{plan.PoolGiB}G"), file + ".new"], cancel);
        if (node.VolumeDriver != LabPlan.Zfs) await programs.Require($"mkfs.{FilesystemOf(node)}", ["-q", FilesystemOf(node) == "btrfs" ? "-f" : "-F", "-L", $"{plan.Name}-{node.Name}", file + ".new"], cancel);
        File.Move(file + ".new", file);
    }

    private static string FilesystemOf(LabNode node) => node.VolumeDriver == LabPlan.Btrfs ? "btrfs" : "ext4";

    public async Task MakeMounts(LabNode machine, CancellationToken cancel)
    {
        var node = machine.Name;
        var file = layout.MountFile(node);
        if (!MountTable.IsMounted(file))
        {
            File.WriteAllBytes(file, []);
            await programs.Require("unshare", [$"--mount={file}", "--propagation", "private", "true"], cancel);
        }
        if (await IsMounted(node, layout.Pool(node), cancel)) return;
        await LetGoOfOthers(node, cancel);
        foreach (var folder in LabLayout.Covered)
            if (!await IsMounted(node, folder, cancel)) await Mount(node, ["-t", "tmpfs", "-o", "mode=755,size=64m", "drover-lab", folder], cancel);
        if (machine.VolumeDriver == LabPlan.Zfs) return;
        Directory.CreateDirectory(layout.Pool(node));
        // The loop device frees itself when the last mount of it goes, however that comes about.
        await Mount(node, ["-t", FilesystemOf(machine), "-o", "loop", layout.PoolFile(node), layout.Pool(node)], cancel);
    }

    /// <summary>Arguments of `nsenter` that enter a machine.</summary>
    public IReadOnlyList<string> Enter(string machine) =>
        machine == LabPlan.Master ? [$"--net={layout.NetFile(machine)}"] : [$"--net={layout.NetFile(machine)}", $"--mount={layout.MountFile(machine)}"];

    /// <summary>A new mount namespace is a copy of this machine's mounts: the other machines' namespaces must not live on in it.</summary>
    private async Task LetGoOfOthers(string node, CancellationToken cancel)
    {
        foreach (var mount in MountTable.Below(LabLayout.Root).Reverse())
            await programs.Run("nsenter", [$"--mount={layout.MountFile(node)}", "umount", "-n", "-l", mount.Path], cancel);
    }

    private async Task<bool> IsMounted(string node, string path, CancellationToken cancel)
    {
        var table = await programs.Require("nsenter", [$"--mount={layout.MountFile(node)}", "cat", "/proc/self/mountinfo"], cancel);
        return table.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(MountTable.Parse).Any(m => m.Path == path && m.Source != "none" && IsOurs(m));
    }

    // A covered folder may be a mount of this machine's own already: only the lab's own counts.
    private bool IsOurs(MountEntry mount) => mount.Source == "drover-lab" || mount.Path.StartsWith(layout.Folder, StringComparison.Ordinal);

    private Task<string> Mount(string node, IReadOnlyList<string> arguments, CancellationToken cancel) =>
        programs.Require("nsenter", [$"--mount={layout.MountFile(node)}", "mount", "-n", .. arguments], cancel);
}
