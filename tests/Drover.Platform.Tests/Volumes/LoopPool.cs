using Drover.Agent.Host;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Btrfs;
using Drover.Conformance;
using Drover.Core;
using Drover.Testing;

namespace Drover.Platform.Tests.Volumes;

#pragma warning disable RS0030 // fixtures make real filesystems: they start programs

/// <summary>A btrfs filesystem in a file, in a private folder; unmounted and gone at the end. Needs root and Debian's btrfs-progs and mount.</summary>
public sealed class LoopPool : IPoolBench
{
    private static int _count;
    private readonly TemporaryFolder _folder = new();
    private readonly SeededChance _chance = new(Environment.ProcessId * 1000 + Interlocked.Increment(ref _count));
    private string? _cut;

    public string Pool => _folder.File("pool");
    public string MountRoot => _folder.File("flocker");
    public BtrfsDriver Btrfs { get; private set; } = null!;
    public IVolumeDriver Driver => Btrfs;
    public IHostCommands Commands { get; init; } = new HostCommands();

    public static async Task<LoopPool> Make(long mebibytes = 512, IHostCommands? commands = null)
    {
        var pool = new LoopPool { Commands = commands ?? new HostCommands() };
        Directory.CreateDirectory(pool.Pool);
        Directory.CreateDirectory(pool.MountRoot);
        var image = pool._folder.File("image");
        using (var file = File.Create(image)) file.SetLength(mebibytes << 20);
        await Run("mkfs.btrfs", "-q", image);
        await Run("mount", "-o", "loop,subvolid=5", image, pool.Pool);
        await pool.Restart();
        return pool;
    }

    /// <summary>The machine loses power: what the device was not given by now is gone. A new driver on what is left, not yet recovered.</summary>
    public async Task LosePower()
    {
        var (image, left) = (_folder.File("image"), _folder.File($"left{Interlocked.Increment(ref _count)}"));
        await Run("cp", "--sparse=always", image, left);
        foreach (var mounted in Directory.EnumerateDirectories(MountRoot)) await Run("umount", "-q", mounted);
        await Run("umount", Pool);
        File.Move(left, image, overwrite: true);
        await Run("mount", "-o", "loop,subvolid=5", image, Pool);
        await Restart();
    }

    public Task Restart()
    {
        _cut = null;
        Btrfs = new BtrfsDriver(Pool, MountRoot, Commands, _chance, TimeProvider.System) { Reached = p => { if (p == _cut) throw new CutShort(p); } };
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

    public IOpenFile Open(VolumeName volume, string file) => new OpenFile(new FileStream(Mounted(volume, file), FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0));

    public string? Contents(VolumeName volume, Epoch epoch)
    {
        var live = Path.Combine(Pool, "volumes", volume.Value, "live", epoch.ToString());
        return Directory.Exists(live) ? TreeHash.Of(live) : null;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var mounted in Directory.EnumerateDirectories(MountRoot)) await Run("umount", "-q", mounted);
        await Run("umount", Pool);
        _folder.Dispose();
    }

    /// <summary>Runs a program that must succeed (except `umount -q`, which also says when there is nothing to do).</summary>
    public static async Task<string> Run(string program, params string[] arguments)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 || arguments[0] == "-q" ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {await error}");
    }

    private string Mounted(VolumeName volume, string file) => Path.Combine(MountRoot, volume.Value, file);

    internal sealed class OpenFile(FileStream file) : IOpenFile
    {
        public void Write(byte[] contents) => file.Write(contents);
        public void Dispose() => file.Dispose();
    }
}
