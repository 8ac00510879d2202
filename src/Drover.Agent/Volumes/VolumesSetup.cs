using Drover.Agent.Host;
using Drover.Agent.Volumes.Btrfs;
using Drover.Agent.Volumes.Folders;
using Drover.Agent.Volumes.Zfs;
using Drover.Core;

namespace Drover.Agent.Volumes;

public static class VolumesSetup
{
    public const string Btrfs = "btrfs", Zfs = "zfs", Directory = "directory";

    public static readonly IReadOnlyList<string> Drivers = [Btrfs, Zfs, Directory];

    /// <summary>The volume driver. Needs <see cref="IHostCommands"/>, <see cref="IChance"/> and <see cref="TimeProvider"/>; call <see cref="IVolumeDriver.Recover"/> once before anything else.</summary>
    public static IServiceCollection AddVolumes(this IServiceCollection services, AgentOptions options) => services.AddSingleton<IVolumeDriver>(s => options.VolumeDriver switch
    {
        Directory => new FolderDriver(options.Pool, options.MountRoot, s.GetRequiredService<IChance>()),
        Zfs => new ZfsDriver(options.Pool, options.MountRoot, s.GetRequiredService<IHostCommands>(), s.GetRequiredService<IChance>(), s.GetRequiredService<TimeProvider>()),
        _ => new BtrfsDriver(options.Pool, options.MountRoot, s.GetRequiredService<IHostCommands>(), s.GetRequiredService<IChance>(), s.GetRequiredService<TimeProvider>()),
    });
}
