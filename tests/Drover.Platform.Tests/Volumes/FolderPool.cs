using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Folders;
using Drover.Conformance;
using Drover.Core;
using Drover.Testing;

namespace Drover.Platform.Tests.Volumes;

/// <summary>A folder on a filesystem in a file, for the directory driver; unmounted and gone at the end. Needs root and Debian's e2fsprogs and mount.</summary>
public sealed class FolderPool : IPoolBench
{
    private static int _count;
    private readonly TemporaryFolder _folder = new();
    private readonly SeededChance _chance = new(Environment.ProcessId * 1000 + 500 + Interlocked.Increment(ref _count));
    private string? _cut;

    private string Disk => _folder.File("disk");
    public string Pool => Path.Combine(Disk, "pool");
    public string MountRoot => _folder.File("flocker");
    public IVolumeDriver Driver { get; private set; } = null!;

    public static async Task<FolderPool> Make(long mebibytes = 512, string filesystem = "ext4")
    {
        var pool = new FolderPool();
        Directory.CreateDirectory(pool.Disk);
        Directory.CreateDirectory(pool.MountRoot);
        var image = pool._folder.File("image");
        using (var file = File.Create(image)) file.SetLength(mebibytes << 20);
        await LoopPool.Run($"mkfs.{filesystem}", "-q", image);
        await LoopPool.Run("mount", "-o", "loop", image, pool.Disk);
        Directory.CreateDirectory(pool.Pool);
        await pool.Restart();
        return pool;
    }

    public Task Restart()
    {
        _cut = null;
        Driver = new FolderDriver(Pool, MountRoot, _chance) { Reached = p => { if (p == _cut) throw new CutShort(p); } };
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

    public async ValueTask DisposeAsync()
    {
        foreach (var mounted in Directory.EnumerateDirectories(MountRoot)) await LoopPool.Run("umount", "-q", mounted);
        await LoopPool.Run("umount", Disk);
        _folder.Dispose();
    }

    private string Mounted(VolumeName volume, string file) => Path.Combine(MountRoot, volume.Value, file);
}
