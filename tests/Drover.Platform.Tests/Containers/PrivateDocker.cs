using System.Diagnostics;
using System.Formats.Tar;
using Docker.DotNet;
using Docker.DotNet.Models;
using Drover.Core;
using Xunit;

#pragma warning disable RS0030 // this fixture is what starts the engine's process

namespace Drover.Platform.Tests.Containers;

/// <summary>A Docker engine of its own: own network and mount namespaces, own data, stopped and cleaned up at the end. Needs root and Debian's docker.io, iproute2 and busybox-static.</summary>
public sealed class PrivateDocker : IAsyncLifetime
{
    public const string Image = "drover-suite:1";
    private readonly string _name = $"dt{Environment.ProcessId % 100000}{Random.Shared.Next(100, 999)}";
    private Process? _engine;

    /// <summary>Short: a unix socket's path has at most 108 bytes.</summary>
    public string Folder => $"/tmp/{_name}";
    public string Socket => $"{Folder}/d.sock";
    public DockerClient Client => field ??= new DockerClientBuilder().WithEndpoint(new Uri($"unix://{Socket}")).WithTimeout(TimeSpan.FromMinutes(1)).Build();

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(Folder);
        await Run("ip", "netns", "add", _name);
        await Run("ip", "-n", _name, "link", "set", "lo", "up");
        var script = $"""
            mount -t tmpfs tmpfs /run/docker 2>/dev/null || (mkdir -p /run/docker && mount -t tmpfs tmpfs /run/docker)
            exec dockerd --data-root {Folder}/data --exec-root /run/docker/exec -H unix://{Socket} -p {Folder}/d.pid --storage-driver overlay2 >{Folder}/log 2>&1
            """;
        _engine = Process.Start(new ProcessStartInfo("nsenter", [$"--net=/run/netns/{_name}", "unshare", "-m", "--propagation", "private", "bash", "-c", script]))!;
        await Answers();
        await Import();
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        if (_engine is { HasExited: false })
        {
            await Run("kill", "-TERM", _engine.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
            await _engine.WaitForExitAsync();
        }
        await Run("ip", "netns", "del", _name);
        Directory.Delete(Folder, recursive: true);
    }

    private async Task Answers()
    {
        for (var tries = 0; tries < 600; tries++)
        {
            if (_engine!.HasExited) throw new InvalidOperationException($"dockerd ended: {await File.ReadAllTextAsync($"{Folder}/log")}");
            try
            {
                if (File.Exists(Socket)) { await Client.System.PingAsync(CancellationToken.None); return; }
            }
            catch (Exception e) when (e is HttpRequestException or System.Net.Sockets.SocketException or IOException or DockerApiException) { /* not listening yet: ask again */ }
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, CancellationToken.None);
        }
        throw new InvalidOperationException($"dockerd did not answer in a minute: {await File.ReadAllTextAsync($"{Folder}/log")}");
    }

    /// <summary>busybox, a user `app` (1234:1235), `/owned` of that user and `/plain` of root.</summary>
    private async Task Import()
    {
        var tar = new MemoryStream();
        await using (var writer = new TarWriter(tar, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (var folder in new[] { "bin", "etc", "tmp", "plain" }) await writer.WriteEntryAsync(Folder_(folder, 0, 0, 0b111_101_101));
            await writer.WriteEntryAsync(Folder_("owned", 1234, 1235, 0b111_000_000));
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, "bin/busybox") { DataStream = File.OpenRead("/bin/busybox"), Mode = (UnixFileMode)0b111_101_101 });
            foreach (var tool in new[] { "sh", "sleep", "true", "cat", "id", "ls", "stat", "nc", "ip", "ifconfig", "touch" })
                await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.SymbolicLink, $"bin/{tool}") { LinkName = "busybox" });
            await writer.WriteEntryAsync(Text("etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:1234:1235::/:/bin/sh\n"));
            await writer.WriteEntryAsync(Text("etc/group", "root:x:0:\napp:x:1235:\n"));
        }
        tar.Position = 0;
        await Client.Images.CreateImageAsync(new ImagesCreateParameters { FromSrc = "-", Repo = "drover-suite", Tag = "1" }, tar, new AuthConfig(), new Progress<JSONMessage>(), CancellationToken.None);
    }

    private static PaxTarEntry Folder_(string name, int uid, int gid, int mode) => new(TarEntryType.Directory, name + "/") { Uid = uid, Gid = gid, Mode = (UnixFileMode)mode };

    private static PaxTarEntry Text(string name, string text) =>
        new(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)), Mode = (UnixFileMode)0b110_100_100 };

    private static async Task Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {error}");
    }
}

[CollectionDefinition(nameof(PrivateDocker))]
public sealed class PrivateDockerCollection : ICollectionFixture<PrivateDocker>;
