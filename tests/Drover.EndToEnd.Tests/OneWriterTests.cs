using Drover.Cli.Lab;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

/// <summary>Machines that start anew, engines that die, disks of yesterday, an agent that is there twice: each ends with one writer or none, and with everything that was acknowledged.</summary>
[Trait("needs", "root")]
public sealed class OneWriterTests : IAsyncLifetime
{
    private const string App = "/one-writer", Data = "onewriterdata";
    private readonly LabFixture _lab;
    private readonly AckingWriter _writer;

    public OneWriterTests(LabFixture lab) => (_lab, _writer) = (lab, new(lab, App, Data));

    public async ValueTask InitializeAsync() => await _writer.Deploy();

    public async ValueTask DisposeAsync()
    {
        await _lab.Delete(App);
        (await Control("volume", "delete", Data)).Must();
        _writer.Dispose();
    }

    private static string Other(string node) => node == Node1 ? Node2 : Node1;

    private async Task<string> Here() => (await _lab.Volume(Data)).Primary!;

    [Fact]
    public async Task A_docker_daemon_that_is_killed_and_starts_again()
    {
        var here = await Here();
        await Kill(here, "dockerd");
        await Start(here, "dockerd");
        await _writer.More();
        Assert.Equal(here, await _writer.Judge());
    }

    [Fact]
    public async Task A_machine_that_loses_its_power_and_starts_again()
    {
        var here = await Here();
        await PowerOff(here);
        await LabUp();
        await _writer.More();
        Assert.Equal(here, await _writer.Judge());
        await _writer.IsNotOn(Other(here));
    }

    [Fact]
    public async Task A_disk_that_is_put_back_to_before_the_move_is_not_written_and_takes_the_data_again()
    {
        var (old, image) = (await Here(), new LabLayout(Name).PoolFile(await Here()));
        // What a backup of the whole disk is: one moment of it, with the volume still live there.
        await On(old, "fsfreeze", "--freeze", PoolOf(old));
        try { (await Shell.Run("cp", ["--sparse=always", image, image + ".old"], default)).Must(); }
        finally { await On(old, "fsfreeze", "--unfreeze", PoolOf(old)); }
        await _writer.MoveTo(Other(old));
        await _writer.More();
        await PowerOff(old);
        File.Move(image + ".old", image, overwrite: true);
        await LabUp();
        Assert.True(Directory.Exists($"{PoolSeenFromHere(old)}/volumes/{Data}/live"), "the old disk has its old live data");
        await _writer.More();
        Assert.Equal(Other(old), await _writer.Judge());
        await _writer.IsNotOn(old);
        // And it is a place for the data like any other.
        await _writer.MoveTo(old);
        await _writer.More();
        Assert.Equal(old, await _writer.Judge());
    }

    [Fact]
    public async Task Two_agents_with_one_identity()
    {
        var here = await Here();
        var copy = Directory.CreateTempSubdirectory("drover-e2e-copy-").FullName;
        try
        {
            (await Shell.Run("cp", ["-a", new LabLayout(Name).AgentState(here) + "/identity", copy], default)).Must();
            var second = await Tool("lab", "shell", "--name", Name, here, "--", "timeout", "--signal=KILL", "15", LabPrograms.Find().Agent, "--state", copy, "--address", AddressOf(here), "--transfer-port", "4999",
                "--pool", PoolOf(here), "--mount-root", "/flocker", "--docker-socket", new LabLayout(Name).DockerSocket(here), "--plugin-folder", copy);
            Assert.Contains("AlreadyExists", second.Output + second.Error, StringComparison.Ordinal);
            await _writer.More();
            Assert.Equal(here, await _writer.Judge());
            Assert.Equal(2, (await _lab.Status()).NodesConnected);
        }
        finally { Directory.Delete(copy, recursive: true); }
    }

    /// <summary>Everything on the machine ends at once, and its disks are let go. What is on them stays.</summary>
    private static async Task PowerOff(string node)
    {
        var layout = new LabLayout(Name);
        foreach (var pid in new Cgroups().Processes($"{layout.Cgroup}/{node}")) ProcessTable.Signal(pid, 9);
        await Until($"{node} to be dark", () => Task.FromResult(new Cgroups().Processes($"{layout.Cgroup}/{node}").Count == 0));
        await Until($"{node} to let go of its disk", async () =>
        {
            await Tool("lab", "shell", "--name", Name, node, "--", "umount", $"/flocker/{Data}");
            await Tool("lab", "shell", "--name", Name, node, "--", "umount", PoolOf(node));
            return !(await On(node, "cat", "/proc/self/mountinfo")).Contains($" {PoolOf(node)} ", StringComparison.Ordinal);
        });
    }

    private async Task LabUp()
    {
        (await Tool("lab", "up", "--name", Name, "--subnet", $"{Net}.0/24", "--pool-size", "8GiB")).Must();
        await Until("both nodes to be connected", async () => (await _lab.Status()).NodesConnected == 2);
    }

    private static string PoolSeenFromHere(string node)
    {
        var agent = LabRecord.Read(new(Name)).Processes.Single(p => (p.Machine, p.Role) == (node, LabDaemons.Agent)).Pid;
        return $"/proc/{agent}/root{PoolOf(node)}";
    }
}
