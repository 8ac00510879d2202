using Drover.Agent.Host;
using Drover.Agent.Volumes.Btrfs;
using Drover.Agent.Volumes.Folders;
using Drover.Core;

namespace Drover.Agent.Volumes;

public static class VolumesSetup
{
    public const string Btrfs = "btrfs", Directory = "directory";

    public static readonly IReadOnlyList<string> Drivers = [Btrfs, Directory];

    /// <summary>The volume driver. Needs <see cref="IHostCommands"/> and <see cref="IChance"/>; call <see cref="IVolumeDriver.Recover"/> once before anything else.</summary>
    public static IServiceCollection AddVolumes(this IServiceCollection services, AgentOptions options) => services.AddSingleton<IVolumeDriver>(s => options.VolumeDriver == Directory
        ? new FolderDriver(options.Pool, options.MountRoot, s.GetRequiredService<IChance>())
        : new BtrfsDriver(options.Pool, options.MountRoot, s.GetRequiredService<IHostCommands>(), s.GetRequiredService<IChance>()));
}
