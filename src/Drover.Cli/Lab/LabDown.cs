namespace Drover.Cli.Lab;

/// <summary>
/// Removes a lab and everything of it, whatever state it is in. It goes by names, cgroups and namespaces, not by what was written
/// down: a half-made lab and one whose processes were all killed go the same way.
/// </summary>
public sealed class LabDown(HostPrograms programs, LabLayout layout, LabProgress progress)
{
    private const int Kill = 9;
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50), Patience = TimeSpan.FromSeconds(20);

    private readonly Cgroups _cgroups = new();

    public async Task Run(CancellationToken cancel)
    {
        if (!Directory.Exists(layout.Folder) && !_cgroups.Exists(layout.Cgroup))
        {
            progress.Plain($"There is no lab '{layout.Name}' on this machine: nothing to remove.");
            HostFolders.RemoveWithLastLab();
            return;
        }
        Directory.CreateDirectory(layout.Folder);
        using (LabLock.Take(layout))
        {
            RefuseFromInside();
            var killed = await KillAll(cancel);
            progress.Say($"{killed} processes ended");
            await new LabNetwork(programs, layout).Remove(cancel);
            await Unmount(cancel);
            await FreeLoopDevices(cancel);
            progress.Say("links, namespaces, mounts and loop devices removed");
            await Until(() => _cgroups.TryRemove(layout.Cgroup), "its cgroups to be empty", cancel);
            _cgroups.RemoveTopIfEmpty();
            progress.Say("cgroups removed");
            await RemoveFolder(cancel);
        }
        HostFolders.RemoveWithLastLab();
        progress.Say($"lab '{layout.Name}' is gone; the images stay in {Images.ImageStore.Folder} for the next one");
    }

    /// <summary>Kills until a look finds none: what was being started meanwhile is found by the next look.</summary>
    private async Task<int> KillAll(CancellationToken cancel)
    {
        var killed = new HashSet<int>();
        await Until(() =>
        {
            var found = Processes();
            foreach (var pid in found)
            {
                killed.Add(pid);
                ProcessTable.Signal(pid, Kill);
            }
            return found.Count == 0;
        }, "its processes to end", cancel);
        return killed.Count;
    }

    /// <summary>By cgroup (containers among them), by namespace, and by what was written down.</summary>
    private HashSet<int> Processes()
    {
        var found = _cgroups.Processes(layout.Cgroup).ToHashSet();
        var namespaces = MountTable.Below(layout.Namespaces).Where(m => m.FileSystem == "nsfs").Select(m => m.Root).ToHashSet();
        if (namespaces.Count > 0) found.UnionWith(ProcessTable.Pids().Where(p => Lives(p, namespaces)));
        found.UnionWith(Recorded().Where(p => ProcessTable.Runs(p.Pid, p.StartTime)).Select(p => p.Pid));
        return [.. found.Where(p => ProcessTable.Find(p) is not null)];
    }

    private IReadOnlyList<LabProcess> Recorded()
    {
        // A record that cannot be read is no reason to keep the lab: the other two ways find its processes.
        try { return LabRecord.Find(layout)?.Processes ?? []; } catch (LabException) { return []; }
    }

    private static bool Lives(int pid, HashSet<string> namespaces) =>
        (ProcessTable.Namespace(pid, "net") is { } net && namespaces.Contains(net)) || (ProcessTable.Namespace(pid, "mnt") is { } mnt && namespaces.Contains(mnt));

    private void RefuseFromInside()
    {
        var inside = Processes();
        for (var pid = Environment.ProcessId; pid > 1 && ProcessTable.Find(pid) is { } process; pid = process.Parent)
            if (inside.Contains(pid)) throw new LabException($"this command runs inside lab '{layout.Name}' (process {pid}): leave the lab's shell first");
    }

    private async Task Unmount(CancellationToken cancel)
    {
        foreach (var mount in MountTable.Below(layout.Folder).Reverse())
            if (!(await programs.Run("umount", ["-n", mount.Path], cancel)).Ok)
                // Busy with something that is not the lab's: detach it, the path must be free of mounts before its folder is removed.
                await programs.Run("umount", ["-n", "-l", mount.Path], cancel);
        await Until(() => MountTable.Below(layout.Folder).Count == 0, $"the mounts below {layout.Folder} to go", cancel);
    }

    /// <summary>They free themselves when the namespace that had them mounted is gone, which the kernel does in its own time.</summary>
    private async Task FreeLoopDevices(CancellationToken cancel)
    {
        var begin = progress.Time.GetTimestamp();
        while (await LoopDevices.Below(programs, layout.Folder, cancel) is { Count: > 0 } left)
        {
            if (progress.Time.GetElapsedTime(begin) > Patience) throw new LabException($"loop devices of lab '{layout.Name}' are still in use: {string.Join(", ", left)}. See who has them mounted (grep loop /proc/*/mountinfo), then run `drover lab down` again");
            // One that was attached and never mounted frees itself only when told to.
            foreach (var device in left) await programs.Run("losetup", ["--detach", device], cancel);
            await Task.Delay(Look, progress.Time, cancel);
        }
    }

    private async Task RemoveFolder(CancellationToken cancel)
    {
        // Safe: no process of the lab runs, nothing is mounted below (checked above), and the lab's volumes are the lab's own;
        // the option keeps it from crossing into any other filesystem all the same.
        await programs.Require("rm", ["-rf", "--one-file-system", layout.Folder], cancel);
    }

    private async Task Until(Func<bool> done, string what, CancellationToken cancel)
    {
        var begin = progress.Time.GetTimestamp();
        while (!done())
        {
            if (progress.Time.GetElapsedTime(begin) > Patience) throw new LabException($"waited {Patience.TotalSeconds:0} s for {what}; run `drover lab down --name {layout.Name}` again");
            await Task.Delay(Look, progress.Time, cancel);
        }
    }
}
