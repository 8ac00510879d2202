using System.Diagnostics;
using System.Globalization;
using Docker.DotNet;
using Docker.DotNet.Models;
using ContainerSpec = Drover.Contracts.Agent.ContainerSpec;
using Drover.Agent.Containers;
using Drover.Agent.Containers.Docker;
using Drover.Agent.Guard;
using Drover.Agent.Host;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Btrfs;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Platform.Tests.Containers;
using Drover.Platform.Tests.Volumes;
using Drover.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Drover.Platform.Tests.Leases;

#pragma warning disable RS0030 // these tests are about processes

/// <summary>The guard as a process of its own, a container that writes to a btrfs volume, and the agent and the engine killed or stopped.</summary>
[Collection(nameof(PrivateDocker)), Trait("needs", "root")]
public sealed class GuardProcessTests(PrivateDocker docker) : IAsyncLifetime
{
    private const string Kill = "-KILL", Stop = "-STOP", Continue = "-CONT";
    private static readonly VolumeName Data = new("data");
    private readonly TemporaryFolder _folder = new();
    private readonly BootClock _clock = new();
    private readonly DockerRuntime _runtime = new(docker.Socket, new NoContainerNetworks(), TimeProvider.System);
    private readonly TestCertificates _certificates = new();
    private LoopPool _pool = null!;
    private Process? _agent;
    private string _container = "";

    private string State => _folder.File("state");
    private GuardFile File => new(Path.Combine(State, "lease"));
    private string Live => Path.Combine(_pool.Pool, "volumes", "data", "live", "1");
    private string Log => Path.Combine(Live, "log");
    private string Engine => System.IO.File.ReadAllText($"{docker.Folder}/d.pid").Trim();

    private static IReadOnlyList<string> Command =>
        [Path.GetFullPath(Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet")), Path.Combine(AppContext.BaseDirectory, "drover-agent.dll")];

    public async ValueTask InitializeAsync()
    {
        _pool = await LoopPool.Make();
        Assert.True((await _pool.Btrfs.CreateEmpty(Data, new(1), default)).Ok);
        // The engine has mounts of its own: it must see the same filesystem.
        var device = (await LoopPool.Run("findmnt", "-no", "SOURCE", _pool.Pool)).Trim();
        await LoopPool.Run("nsenter", "-t", Engine, "-m", "mount", "-o", "subvolid=5", device, _pool.Pool);
        var instance = new DesiredInstance
        {
            InstanceId = "db.instance-1", TaskId = $"db.instance-1._app.{Environment.ProcessId}{Random.Shared.Next(1000)}", AppId = "/db", Incarnation = 1, StopGraceMs = 1000,
            Container = new ContainerSpec { Image = PrivateDocker.Image, Command = "while :; do echo x >> /data/log; sleep 0.02; done", Network = "none" },
        };
        instance.Volumes.Add(new InstanceVolume { Name = "data", Epoch = 1, ContainerPath = "/data" });
        var made = await _runtime.Create(new(instance, [new(Live, "/data", false)], ""), default);
        Assert.True(made.Ok, made.Message);
        Assert.True((await _runtime.Start(new(instance.TaskId), default)).Ok);
        _container = (await _runtime.Inspect(new(instance.TaskId), default))!.ContainerId;
        await Until(() => System.IO.File.Exists(Log), "the container writes");
    }

    public async ValueTask DisposeAsync()
    {
        await Signal(Continue, int.Parse(Engine, CultureInfo.InvariantCulture));
        if (_agent is { HasExited: false }) { await Signal(Kill, _agent.Id); await _agent.WaitForExitAsync(); }
        if (Guard() is { } guard) await Signal(Kill, guard);
        await docker.Client.Containers.RemoveContainerAsync(_container, new ContainerRemoveParameters { Force = true });
        await LoopPool.Run("nsenter", "-t", Engine, "-m", "umount", "-l", _pool.Pool);
        await _pool.DisposeAsync();
        _runtime.Dispose();
        _certificates.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task At_the_end_of_the_lease_writers_are_killed_and_data_is_sealed_though_the_engine_hangs_and_a_late_start_writes_nothing()
    {
        File.Write(Lease(TimeSpan.FromHours(1)));
        var guard = new GuardProcess(File.Folder, Command, NullLogger<GuardProcess>.Instance);
        guard.Start();
        await Until(() => guard.Runs, "the guard runs");
        Assert.NotEmpty(GuardHands.ProcessesOf([_container]));
        await Signal(Stop, int.Parse(Engine, CultureInfo.InvariantCulture));
        File.Write(Lease(TimeSpan.Zero));
        await Until(() => Subvolume.Find(Live)!.Value.IsReadOnly, "the volume is sealed");
        Assert.Empty(GuardHands.ProcessesOf([_container]));
        await Signal(Continue, int.Parse(Engine, CultureInfo.InvariantCulture));

        var written = new FileInfo(Log).Length;
        await Until(() => !docker.Client.Containers.InspectContainerAsync(_container, default).GetAwaiter().GetResult().State!.Running, "the engine knows of the end");
        try { await docker.Client.Containers.StartContainerAsync(_container, new ContainerStartParameters(), default); }
        catch (DockerApiException e) when (e.Message.Contains("stopped process", StringComparison.Ordinal)) { /* the guard was quicker than the engine: ended before it began */ }
        await Until(() => !docker.Client.Containers.InspectContainerAsync(_container, default).GetAwaiter().GetResult().State!.Running, "the late start is ended too");
        Assert.Equal(written, new FileInfo(Log).Length);
        Assert.Throws<IOException>(() => System.IO.File.AppendAllText(Log, "x"));

        // A new lease: the agent unseals, the guard lets it be.
        File.Write(Lease(TimeSpan.FromHours(1)));
        Assert.True((await _pool.Btrfs.Seal(Data, false, new(1), default)).Ok);
        System.IO.File.AppendAllText(Log, "x");
    }

    [Theory]
    [InlineData(Kill)]
    [InlineData(Stop)]
    public async Task The_agent_starts_a_guard_that_ends_the_writers_when_the_agent_is_killed_or_stands_still(string signal)
    {
        File.Write(Lease(TimeSpan.FromHours(1)));
        await StartAgent();
        await Signal(signal, _agent!.Id);
        if (signal == Kill) await _agent.WaitForExitAsync();
        var guard = Guard();
        Assert.NotNull(guard);
        Assert.NotEmpty(GuardHands.ProcessesOf([_container]));
        File.Write(Lease(TimeSpan.Zero));
        await Until(() => Subvolume.Find(Live)!.Value.IsReadOnly, "the volume is sealed");
        Assert.Empty(GuardHands.ProcessesOf([_container]));
        Assert.Equal(guard, Guard());
    }

    [Theory]
    [InlineData(Kill)]
    [InlineData(Stop)]
    public async Task The_agent_puts_another_guard_in_the_place_of_one_that_was_killed_or_stands_still(string signal)
    {
        File.Write(Lease(TimeSpan.FromHours(1)));
        await StartAgent();
        var first = Guard()!.Value;
        await Signal(signal, first);
        await Until(() => Guard() is { } now && now != first, "another guard runs");
        Assert.NotEmpty(GuardHands.ProcessesOf([_container]));
        File.Write(Lease(TimeSpan.Zero));
        await Until(() => Subvolume.Find(Live)!.Value.IsReadOnly, "the volume is sealed");
    }

    private GuardState Lease(TimeSpan left) => new(File.StartOf(_clock), _clock.Now + left, TimeSpan.FromHours(1), [new(Data, new(1), _pool.Btrfs.SealPath(Data, new(1))!)], [_container]);

    private async Task StartAgent()
    {
        string[] arguments =
        [
            "--node", "node1", "--control", "https://127.0.0.1:1", "--address", "127.0.0.1", "--certificates", _certificates.Of("node1"), "--pool", _pool.Pool, "--mount-root", _pool.MountRoot,
            "--state", State, "--docker-socket", docker.Socket, "--plugin-folder", _folder.File("plugins"), "--transfer-port", Random.Shared.Next(20_000, 30_000).ToString(CultureInfo.InvariantCulture),
        ];
        _agent = Process.Start(new ProcessStartInfo(Command[0], [Command[1], .. arguments]) { WorkingDirectory = _folder.Path });
        await Until(() => Guard() is not null, "the agent starts its guard");
    }

    /// <summary>Pid of the guard that runs.</summary>
    private int? Guard()
    {
        var file = Path.Combine(File.Folder, "pid");
        if (!System.IO.File.Exists(file) || !int.TryParse(System.IO.File.ReadAllText(file), CultureInfo.InvariantCulture, out var pid)) return null;
        try
        {
            var stat = System.IO.File.ReadAllText($"/proc/{pid}/stat");
            return stat[stat.LastIndexOf(')') + 2] is 'S' or 'R' or 'D' ? pid : null;
        }
        catch (IOException) { return null; }
    }

    private static async Task Signal(string signal, int pid) => await LoopPool.Run("kill", signal, pid.ToString(CultureInfo.InvariantCulture));

    private async Task Until(Func<bool> holds, string what)
    {
        for (var looks = 0; !holds(); looks++)
        {
            if (looks > 3000) throw new InvalidOperationException($"never came: {what}{(_agent is { HasExited: true } ? $"; the agent ended with {_agent.ExitCode}" : "")}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }
    }
}
