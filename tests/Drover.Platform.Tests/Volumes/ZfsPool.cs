using System.Globalization;
using Drover.Agent.Host;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Zfs;
using Drover.Conformance;
using Drover.Core;
using Drover.Testing;

namespace Drover.Platform.Tests.Volumes;

/// <summary>A ZFS pool in a file, with a zfs-fuse of its own, as a node has; gone at the end. Needs root and Debian's zfs-fuse.</summary>
public sealed class ZfsPool : IPoolBench
{
    private static int _count;
    private readonly ZfsDaemon _daemon;
    private readonly SeededChance _chance = new(Environment.ProcessId * 1000 + 700 + Interlocked.Increment(ref _count));
    private string? _cut;

    private ZfsPool(ZfsDaemon daemon) => _daemon = daemon;

    public string Pool => Path.Combine(_daemon.Shared, "pool");
    public string MountRoot => Path.Combine(_daemon.Shared, "flocker");
    /// <summary>No other has this name: `zfs` goes by names when it looks for what is mounted.</summary>
    public string Dataset { get; } = $"tank-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}";
    public ZfsDriver Zfs { get; private set; } = null!;
    public IVolumeDriver Driver => Zfs;
    public IHostCommands Commands => _daemon.Commands;

    public static async Task<ZfsPool> Make(long mebibytes = 512)
    {
        var pool = new ZfsPool(await ZfsDaemon.Start());
        Directory.CreateDirectory(pool.MountRoot);
        await pool._daemon.MakePool(pool.Dataset, pool.Pool, mebibytes);
        await pool.Restart();
        return pool;
    }

    public Task Restart()
    {
        _cut = null;
        Zfs = new ZfsDriver(Pool, MountRoot, Commands, _chance, TimeProvider.System) { Reached = p => { if (p == _cut) throw new CutShort(p); } };
        return Task.CompletedTask;
    }

    public void CutShortAt(string point) => _cut = point;

    public void Write(VolumeName volume, string file, byte[] contents)
    {
        var path = Mounted(volume, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, contents);
    }

    public void Delete(VolumeName volume, string file) => File.Delete(Mounted(volume, file));

    public IOpenFile Open(VolumeName volume, string file) => new LoopPool.OpenFile(new FileStream(Mounted(volume, file), FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0));

    public string? Contents(VolumeName volume, Epoch epoch)
    {
        var live = Path.Combine(Pool, "volumes", volume.Value, "live", epoch.ToString());
        return Directory.Exists(live) ? TreeHash.Of(live) : null;
    }

    /// <summary>Every dataset and snapshot of the pool, with the snapshot it comes from.</summary>
    public async Task<string> Datasets()
    {
        var command = new HostCommand("zfs", ["list", "-H", "-r", "-t", "all", "-o", "name,origin", Dataset]);
        return (await Commands.Run(command, default)).Require(command);
    }

    public ValueTask DisposeAsync() => _daemon.DisposeAsync();

    private string Mounted(VolumeName volume, string file) => Path.Combine(MountRoot, volume.Value, file);
}
