using Drover.Agent.Containers;
using Drover.Agent.Containers.Docker;
using Drover.Conformance;
using Drover.Contracts.Agent;
using Drover.Core;
using Xunit;

namespace Drover.Platform.Tests.Containers;

[Collection(nameof(PrivateDocker)), Trait("needs", "root")]
public sealed class DockerRuntimeTests(PrivateDocker docker) : ContainerRuntimeSuite, IDisposable
{
    private readonly DockerRuntime _runtime = new(docker.Socket, new NoContainerNetworks(), TimeProvider.System);

    protected override IContainerRuntime Runtime => _runtime;
    protected override string Image => PrivateDocker.Image;

    public void Dispose() => _runtime.Dispose();

    private async Task<Docker.DotNet.Models.ContainerInspectResponse> Made(DesiredInstance instance, params Bind[] binds)
    {
        var outcome = await _runtime.Create(new(instance, binds, ""), None);
        Assert.True(outcome.Ok, outcome.Message);
        return await docker.Client.Containers.InspectContainerAsync(ContainerNames.Of(instance.TaskId), None);
    }

    [Fact]
    public async Task The_engine_never_restarts_and_the_limits_are_the_order_s()
    {
        var made = await Made(Instance("exit 0"));
        Assert.Equal(Docker.DotNet.Models.RestartPolicyKind.No, made.HostConfig!.RestartPolicy!.Name);
        Assert.Equal(64L * 1024 * 1024, made.HostConfig.Memory);
        Assert.Equal(50_000, made.HostConfig.CPUQuota);
        Assert.Equal(512, made.HostConfig.CPUShares);
    }

    [Fact]
    public async Task A_quota_taken_off_is_the_order_s_again_and_none_where_it_had_none()
    {
        foreach (var (cpus, quota) in new[] { (0.5, 50_000L), (0, -1L) })
        {
            var instance = Instance("while :; do :; done");
            instance.Container.Cpus = cpus;
            await Made(instance);
            var task = new TaskId(instance.TaskId);
            await _runtime.Start(task, None);
            Assert.True((await _runtime.Throttle(task, None)).Ok);
            var slowed = await docker.Client.Containers.InspectContainerAsync(ContainerNames.Of(instance.TaskId), None);
            // It uses all it may: half of that is left.
            Assert.InRange(slowed.HostConfig!.CPUQuota, 1000, cpus > 0 ? 40_000 : 90_000);
            Assert.True((await _runtime.Unthrottle(task, None)).Ok);
            var freed = await docker.Client.Containers.InspectContainerAsync(ContainerNames.Of(instance.TaskId), None);
            Assert.Equal(quota, freed.HostConfig!.CPUQuota);
            await _runtime.Stop(task, TimeSpan.Zero, None);
        }
    }

    /// <summary>The engine can only kill a frozen container by thawing it. Each of many processes would write a line at once if it ran for a moment.</summary>
    [Fact]
    public async Task A_frozen_container_that_is_ended_writes_nothing_more()
    {
        for (var round = 0; round < 5; round++)
        {
            var folder = Directory.CreateTempSubdirectory("drover-frozen").FullName;
            try
            {
                var instance = Instance("for i in 1 2 3 4 5 6 7 8; do (while :; do echo x >> /out/$i; done) & done; while :; do echo x >> /out/0; done");
                await Made(instance, new Bind(folder, "/out", false));
                var task = new TaskId(instance.TaskId);
                await _runtime.Start(task, None);
                while (Directory.GetFiles(folder).Length < 9) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, None);
                Assert.Equal(ContainerOutcome.Done, await _runtime.Freeze(task, None));
                var before = Directory.GetFiles(folder).Order(StringComparer.Ordinal).Select(f => (f, new FileInfo(f).Length)).ToList();
                Assert.True((await _runtime.Stop(task, TimeSpan.FromSeconds(30), None)).Killed);
                Assert.Equal(before, Directory.GetFiles(folder).Order(StringComparer.Ordinal).Select(f => (f, new FileInfo(f).Length)));
            }
            finally { Directory.Delete(folder, recursive: true); }
        }
    }

    [Fact]
    public async Task Parameters_reach_the_engine()
    {
        var instance = Instance("exit 0");
        foreach (var (key, value) in new[] { ("hostname", "db"), ("env", "A=1"), ("ulimit", "nofile=100:200"), ("cap-add", "SYS_TIME"), ("workdir", "/tmp"), ("add-host", "peer:10.0.0.1") })
            instance.Container.Parameters.Add(new DockerParameter { Key = key, Value = value });
        var made = await Made(instance);
        Assert.Equal("db", made.Config!.Hostname);
        Assert.Contains("A=1", made.Config.Env!);
        Assert.Equal("/tmp", made.Config.WorkingDir);
        Assert.Equal((100L, 200L), (made.HostConfig!.Ulimits![0].Soft, made.HostConfig.Ulimits[0].Hard));
        Assert.Equal(["peer:10.0.0.1"], made.HostConfig.ExtraHosts);
    }

    [Fact]
    public async Task A_taken_port_is_told_apart()
    {
        var first = Instance(RunsOn);
        first.Container.Network = "bridge";
        first.Container.Ports.Add(new PublishedPort { ContainerPort = 80, HostPort = 28080, Protocol = "tcp" });
        var second = Instance(RunsOn);
        second.Container = first.Container.Clone();
        await Made(first);
        await Made(second);
        var started = await _runtime.Start(new(first.TaskId), None);
        Assert.True(started.Ok, started.Message);
        Assert.NotNull((await _runtime.Inspect(new(first.TaskId), None))!.IpAddress);
        Assert.Equal(ContainerOutcomeKind.PortTaken, (await _runtime.Start(new(second.TaskId), None)).Kind);
        await _runtime.Stop(new(first.TaskId), TimeSpan.Zero, None);
    }

    [Theory]
    [InlineData("", "/owned", 1234, 1235, 0b111_000_000)]
    [InlineData("", "/plain", 0, 0, 0b111_101_101)]
    [InlineData("app", "/plain", 1234, 1235, 0b111_101_101)]
    [InlineData("app", "/not/there", 1234, 1235, 0b111_101_101)]
    [InlineData("77:app", "/not/there", 77, 1235, 0b111_101_101)]
    public async Task A_fresh_volume_belongs_to_whom_the_image_s_folder_or_user_says(string user, string path, int uid, int gid, int mode)
    {
        var host = Directory.CreateDirectory(Path.Combine(docker.Folder, "owner-of-mount")).FullName;
        var instance = Instance("exit 0");
        instance.Container.User = user;
        await Made(instance, new Bind(host, path, false));
        Assert.Equal(new MountOwner(uid, gid, mode), await _runtime.OwnerOf(new(instance.TaskId), path, None));
        Assert.DoesNotContain(await docker.Client.Containers.ListContainersAsync(new() { All = true }, None), c => c.Names!.Any(n => n.EndsWith("-owner", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_appears_in_the_mounted_folder_after_the_create_is_seen_inside()
    {
        var host = Path.Combine(docker.Folder, "later");
        Directory.CreateDirectory(host);
        var instance = Instance("cat /data/file; exit 0");
        await Made(instance, new Bind(host, "/data", false));
        await File.WriteAllTextAsync(Path.Combine(host, "file"), "there", None);
        Assert.True((await _runtime.Start(new(instance.TaskId), None)).Ok);
        var text = "";
        await foreach (var line in _runtime.Logs(new(instance.TaskId), true, 0, None)) text += System.Text.Encoding.UTF8.GetString(line.Data.Span);
        Assert.Equal("there", text);
    }

    [Fact]
    public async Task A_container_that_cannot_join_its_overlay_is_not_left_behind()
    {
        var instance = Instance("exit 0");
        instance.Container.Overlay = new OverlayEndpoint { Network = "weave", Address = "10.255.0.10", PrefixLength = 24, Mac = "02:dd:0a:ff:00:0a" };
        var outcome = await _runtime.Create(new(instance, [], ""), None);
        Assert.Equal(ContainerOutcomeKind.Failed, outcome.Kind);
        Assert.Contains("weave", outcome.Message, StringComparison.Ordinal);
        Assert.Null(await _runtime.Inspect(new(instance.TaskId), None));
    }

    [Fact]
    public async Task A_fixed_address_on_a_named_network_is_given()
    {
        await docker.Client.Networks.CreateNetworkAsync(new() { Name = "overlay1", Driver = "bridge", IPAM = new() { Config = [new() { Subnet = "10.99.0.0/24" }] } }, None);
        using var joined = new DockerRuntime(docker.Socket, new Present(), TimeProvider.System);
        var instance = Instance(RunsOn);
        instance.Container.Network = "bridge";
        instance.Container.Overlay = new OverlayEndpoint { Network = "overlay1", Address = "10.99.0.10", PrefixLength = 24, Mac = "02:dd:0a:63:00:0a" };
        var order = new ContainerOrder(instance, [], "");
        Assert.True((await joined.Create(order, None)).Ok);
        Assert.True((await joined.Create(order, None)).Ok);
        Assert.True((await joined.Start(new(instance.TaskId), None)).Ok);
        var made = await docker.Client.Containers.InspectContainerAsync(ContainerNames.Of(instance.TaskId), None);
        Assert.Equal("10.99.0.10", made.NetworkSettings!.Networks!["overlay1"].IPAddress);
        await joined.Stop(new(instance.TaskId), TimeSpan.Zero, None);
    }

    private sealed class Present : IContainerNetworks
    {
        public Task Ensure(NetworkName network, CancellationToken cancel) => Task.CompletedTask;
    }
}
