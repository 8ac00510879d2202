using System.Diagnostics;

namespace Drover.Bench;

/// <summary>How somebody moves the container by hand between two machines of the lab.</summary>
/// <param name="Floor">The best known order: the target is synced after every pass, the source before the stop, two passes while it runs.</param>
internal sealed record ByHand(string Name, bool Btrfs, bool CopyFirst, bool Floor)
{
    public static readonly ByHand
        TheFloor = new("floor", Btrfs: true, CopyFirst: true, Floor: true),
        BtrfsByHand = new("btrfs-by-hand", Btrfs: true, CopyFirst: true, Floor: false),
        Rsync = new("rsync", Btrfs: false, CopyFirst: false, Floor: false),
        RsyncTwice = new("rsync-twice", Btrfs: false, CopyFirst: true, Floor: false);
}

/// <summary>One container under load on a folder of its machine's pool; moved there and back, as often as asked.</summary>
internal sealed class HandMoves(Lab lab, Workload workload, ByHand way)
{
    private const string Container = "bench";
    private Machine _here = lab.Machines[0], _there = lab.Machines[1];
    private string? _base;
    private int _snapshots;

    private static string Folder(Machine machine) => $"{machine.Pool}/bench";
    private static string Live(Machine machine) => $"{Folder(machine)}/live";

    public async Task<Run> Measure(int moves, Action<string> say)
    {
        foreach (var machine in new[] { _here, _there }) await machine.Run("mkdir", "-p", Folder(machine));
        await _here.Run("btrfs", "subvolume", "create", Live(_here));
        try
        {
            await Create(_here);
            await _here.Start(Container);
            await workload.FirstAnswer(_here.Address, TimeSpan.FromMinutes(15));
            if (workload is Postgres postgres) await postgres.Fill(_here.Address);
            await using var load = workload.Load(() => _here.Address);
            await Task.Delay(3000);
            var (seed, bytes) = await Seed();
            var own = await Own(moves);
            var cutovers = new List<double>();
            for (var i = 0; i < moves; i++)
            {
                cutovers.Add(await Move());
                say($"{way.Name} {workload.Name}: {cutovers[^1]:0} ms of which the container's own {own:0} ms");
                await Task.Delay(3000);
            }
            return new(way.Name, workload.Name, workload.Bytes, cutovers.Count, Spread.Of(cutovers), Spread.Of(cutovers.Select(c => c - own)), Spread.Of([own]), seed, bytes, null, null, []);
        }
        finally { await CleanUp(); }
    }

    /// <summary>Median of the container's own stop and start where it is.</summary>
    private async Task<double> Own(int times)
    {
        var took = new List<double>();
        for (var i = 0; i < times; i++)
        {
            await Task.Delay(1500);
            var began = Stopwatch.GetTimestamp();
            await _here.Stop(Container);
            await _here.Start(Container);
            await workload.FirstAnswer(_here.Address, TimeSpan.FromMinutes(2));
            took.Add(Host.Milliseconds(began));
        }
        return Spread.Of(took)!.Median;
    }

    private Task Create(Machine machine) =>
        machine.Docker(["create", "--name", Container, .. workload.DockerOptions, "-v", $"{Live(machine)}:{workload.DataPath}", workload.Image, .. workload.Command]);

    /// <summary>First full copy, while the load runs. Only the pipe's own time counts.</summary>
    private async Task<(long? Rate, long? Bytes)> Seed()
    {
        if (!way.Btrfs) return (null, null);
        var snapshot = await Snapshot();
        await _here.Run("sync", "-f", _here.Pool);
        var used = long.Parse((await _here.Run("btrfs", "filesystem", "du", "-s", "--raw", snapshot)).Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0], System.Globalization.CultureInfo.InvariantCulture);
        var took = await _here.Pipe(_there, snapshot, null, Folder(_there));
        if (way.Floor) await _there.Run("sync", "-f", _there.Pool);
        _base = Path.GetFileName(snapshot);
        return ((long)(used / took * 1000), used);
    }

    private async Task<string> Snapshot()
    {
        var path = $"{Folder(_here)}/s{++_snapshots}";
        await _here.Run("btrfs", "subvolume", "snapshot", "-r", Live(_here), path);
        return path;
    }

    private async Task Pass()
    {
        var snapshot = await Snapshot();
        await _here.Pipe(_there, snapshot, $"{Folder(_here)}/{_base}", Folder(_there));
        if (way.Floor) await _there.Run("sync", "-f", _there.Pool);
        _base = Path.GetFileName(snapshot);
    }

    private async Task<double> Move()
    {
        // What can be done outside the stop is: the container is made before, on a folder that comes later.
        await Create(_there);
        if (way.CopyFirst) await Copy();
        if (way.Floor)
        {
            await Pass();
            await _here.Run("sync", "-f", _here.Pool);
        }
        var began = Stopwatch.GetTimestamp();
        await _here.Stop(Container);
        await Copy();
        if (way.Btrfs) await _there.Run("btrfs", "subvolume", "snapshot", $"{Folder(_there)}/{_base}", Live(_there));
        await _there.Start(Container);
        await workload.FirstAnswer(_there.Address, TimeSpan.FromMinutes(5));
        var took = Host.Milliseconds(began);
        await Retire();
        (_here, _there) = (_there, _here);
        return took;
    }

    private async Task Copy()
    {
        if (way.Btrfs) { await Pass(); return; }
        await _there.Run("mkdir", "-p", Live(_there));
        // As over ssh, without the cost of encryption: the far end is rsync's own server in the other machine.
        await Host.Run([.. _here.Enter, "rsync", "-aHAX", "--delete", "--inplace", "-e", $"{Enter} {await Inside(_there)}", $"{Live(_here)}/", $"{_there.Name}:{Live(_there)}/"]);
    }

    /// <summary>Takes the place of ssh: enters the machine instead of dialling it.</summary>
    private static string Enter => Path.Combine(Path.GetDirectoryName(Program.Script)!, "enter.sh");

    /// <summary>A process in the machine's namespaces: the names of namespaces are not seen from another machine.</summary>
    private static async Task<int> Inside(Machine machine) =>
        int.Parse((await machine.Run("sh", "-c", "for p in $(pgrep dockerd); do if [ \"$(readlink /proc/$p/ns/mnt)\" = \"$(readlink /proc/self/ns/mnt)\" ]; then echo $p; fi; done")).Split('\n')[0], System.Globalization.CultureInfo.InvariantCulture);

    private async Task Retire()
    {
        await _here.Docker("rm", "-f", Container);
        if (!way.Btrfs) return;
        await _here.Run("btrfs", "subvolume", "delete", Live(_here));
        foreach (var machine in new[] { _here, _there })
            foreach (var old in (await machine.Run("ls", Folder(machine))).Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(n => n[0] == 's' && n != _base))
                await machine.Run("btrfs", "subvolume", "delete", $"{Folder(machine)}/{old}");
    }

    private async Task CleanUp()
    {
        foreach (var machine in new[] { _here, _there })
        {
            try { await machine.Docker("rm", "-f", Container); } catch (BenchFailed) { /* was not there */ }
            foreach (var name in (await machine.Run("ls", Folder(machine))).Split('\n', StringSplitOptions.RemoveEmptyEntries))
                try { await machine.Run("btrfs", "subvolume", "delete", $"{Folder(machine)}/{name}"); }
                catch (BenchFailed) { await machine.Run("rm", "-rf", $"{Folder(machine)}/{name}"); }
            await machine.Run("btrfs", "subvolume", "sync", machine.Pool);
        }
    }
}
