using Drover.Cli.Lab;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

/// <summary>Machines that start anew, engines that die, disks of yesterday, an agent that is there twice: each ends with one writer or none, and with everything that was acknowledged.</summary>
[Trait("needs", "root")]
public sealed class OneWriterTests : IAsyncLifetime
{
    // Each test has a volume of its own: its writer's history begins with it.
    private static int s_number;
    private readonly LabFixture _lab;
    private readonly AckingWriter _writer;

    public OneWriterTests(LabFixture lab)
    {
        _lab = lab;
        (App, Data) = ($"/one-writer{++s_number}", $"onewriterdata{s_number}");
        _writer = new(lab, App, Data);
    }

    private string App { get; }
    private string Data { get; }

    public async ValueTask InitializeAsync() => await _writer.Deploy();

    public async ValueTask DisposeAsync()
    {
        await _lab.Delete(App);
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
            var layout = new LabLayout(Name);
            // Into a file: what it starts lives on after it, and would hold a pipe open.
            await Tool("lab", "shell", "--name", Name, here, "--", "sh", "-c", $"timeout --signal=KILL 15 {LabPrograms.Find().Agent} --state {copy} --control https://{Net}.250:4524 --address {AddressOf(here)} "
                + $"--transfer-port 4999 --pool {PoolOf(here)} --mount-root /flocker --docker-socket {layout.DockerSocket(here)} --plugin-folder {copy} > {copy}/log 2>&1");
            Assert.Contains("AlreadyExists", await File.ReadAllTextAsync($"{copy}/log"), StringComparison.Ordinal);
            await _writer.More();
            Assert.Equal(here, await _writer.Judge());
            Assert.Equal(2, (await _lab.Status()).NodesConnected);
        }
        finally
        {
            // Its guard: it is in no group of the lab's.
            foreach (var pid in Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(n => char.IsAsciiDigit(n![0])).Select(n => int.Parse(n!, System.Globalization.CultureInfo.InvariantCulture)))
                if (ProcessTable.Find(pid)?.Arguments.Any(a => a.StartsWith(copy, StringComparison.Ordinal)) == true) ProcessTable.Signal(pid, 9);
            Directory.Delete(copy, recursive: true);
        }
    }

    /// <summary>Everything on the machine ends at once, and its disks are let go. What is on them stays.</summary>
    private async Task PowerOff(string node)
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
