using System.CommandLine;
using System.Text;
using System.Text.Json;
using Drover.Cli.Commands;
using Drover.Cli.Lab;
using Drover.Testing.Labs;
using Xunit;

namespace Drover.Platform.Tests;

/// <summary>Starts many daemons: alone, so that the machine is theirs.</summary>
[CollectionDefinition(nameof(LabTests), DisableParallelization = true)]
public sealed class LabTestsAlone;

/// <summary>Labs for real: namespaces, mounts, daemons.</summary>
[Collection(nameof(LabTests))]
[Trait("needs", "root")]
public sealed class LabTests : IAsyncLifetime
{
    private static readonly string[] Kinds = ["tla", "tlb"];
    private static readonly string One = LabRun.Name(Kinds[0]), Two = LabRun.Name(Kinds[1]);
    private static readonly IReadOnlyList<string> Nets = LabRun.FreeNetworks(2);
    private static readonly string[] OneUp = ["up", "--name", One, "--subnet", $"{Nets[0]}.0/24", "--pool-size", "1GiB"];

    public async ValueTask InitializeAsync()
    {
        foreach (var left in Kinds.SelectMany(kind => LabRun.Dead(kind, LabLayout.Existing(), LabRun.Lives))) await Must("down", "--name", left);
    }

    /// <summary>Also after a test that failed half-way.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var name in new[] { One, Two }) await Must("down", "--name", name);
    }

    [Fact]
    public async Task A_lab_is_made_mended_and_taken_down_and_leaves_the_machine_as_it_was()
    {
        var before = await Machine.Look(One, Two);
        await Must([.. OneUp, "--attributes", "node2=disk:ssd,rack:b"]);
        var status = await Status(One);
        Assert.True(status.Complete);
        Assert.Equal(["master", "node1", "node2"], status.Machines.Select(m => m.Name));
        Assert.Equal("b", status.Machines[2].Attributes["rack"]);
        Assert.NotEqual(before, await Machine.Look(One, Two));

        foreach (var (machine, process) in new[] { ("node1", "dockerd"), ("node2", "agent"), ("master", "control") })
        {
            await Must("kill", "--name", One, machine, process);
            await Ended(Pid(status, machine, process));
        }
        status = await Status(One);
        Assert.Equal(["control", "dockerd", "agent"], status.Machines.SelectMany(m => m.Processes).Where(p => !p.Running).Select(p => p.Role));

        await Must(OneUp);
        Assert.True((await Status(One)).Complete);

        await Must("down", "--name", One);
        Assert.Equal(before, await Machine.Look(One, Two));
    }

    [Fact]
    public async Task A_lab_whose_every_process_was_killed_is_taken_down_all_the_same()
    {
        var before = await Machine.Look(One, Two);
        await Must([.. OneUp, "--nodes", "1"]);
        await OnNode1("docker", "run", "--detach", "--env", "POSTGRES_PASSWORD=secret", "postgres");
        // The container's processes come a moment after `docker run` returns.
        using var giveUp = new CancellationTokenSource(TimeSpan.FromSeconds(60), TimeProvider.System);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        IReadOnlyList<int> all;
        do all = [.. new Cgroups().Processes(new LabLayout(One).Cgroup)];
        while (!all.Any(p => ProcessTable.Find(p)?.Program.StartsWith("postgres", StringComparison.Ordinal) == true) && await tick.WaitForNextTickAsync(giveUp.Token));
        foreach (var pid in all) ProcessTable.Signal(pid, 9);
        foreach (var pid in all) await Ended(pid);

        await Must("down", "--name", One);
        Assert.Equal(before, await Machine.Look(One, Two));
    }

    [Fact]
    public async Task A_lab_that_was_given_up_half_way_is_taken_down_all_the_same()
    {
        var before = await Machine.Look(One, Two);
        using var giveUp = new CancellationTokenSource();
        var output = new Interrupting("Docker answers", giveUp);
        Assert.Equal(130, await Drover(OneUp, output, new StringWriter(), giveUp.Token));
        Assert.NotEqual(before, await Machine.Look(One, Two));

        await Must("down", "--name", One);
        Assert.Equal(before, await Machine.Look(One, Two));
    }

    [Fact]
    public async Task Two_labs_side_by_side_do_not_disturb_each_other()
    {
        await Must([.. OneUp, "--nodes", "1"]);
        await Must("up", "--name", Two, "--subnet", $"{Nets[1]}.0/24", "--pool-size", "1GiB", "--nodes", "1");
        await OnNode1("mkdir", "/flocker/mine");
        await Must("down", "--name", Two);

        Assert.True((await Status(One)).Complete);
        await OnNode1("rmdir", "/flocker/mine");
        await OnNode1("findmnt", "--noheadings", "/flocker");
    }

    [Fact]
    public async Task A_network_that_is_taken_is_refused_with_the_way_out_and_nothing_is_made()
    {
        await Must([.. OneUp, "--nodes", "1"]);
        var before = await Machine.Look(One, Two);
        var error = new StringWriter();
        Assert.Equal(1, await Drover(["up", "--name", Two, "--subnet", $"{Nets[0]}.0/24"], new StringWriter(), error));
        Assert.Contains($"lab '{One}' has it: give this one another with --subnet", error.ToString(), StringComparison.Ordinal);
        Assert.Equal(before, await Machine.Look(One, Two));
        Assert.False(Directory.Exists(new LabLayout(Two).Folder));
    }

    [Fact]
    public async Task A_machine_that_is_cut_off_is_not_reached_until_it_is_connected_again()
    {
        await Must([.. OneUp, "--nodes", "1"]);
        var address = $"{Nets[0]}.251";
        Assert.True(await Reached(address));
        await Must("partition", "--name", One, "node1");
        Assert.True((await Status(One)).Machines[1].Partitioned);
        Assert.False(await Reached(address));
        await Must("heal", "--name", One, "node1");
        Assert.False((await Status(One)).Machines[1].Partitioned);
        Assert.True(await Reached(address));
    }

    /// <summary>By a neighbour request from the lab's master: the kernel answers for the machine, whatever runs on it.</summary>
    private static async Task<bool> Reached(string address)
    {
        var programs = new HostPrograms();
        var net = $"--net={new LabLayout(One).NetFile("master")}";
        await programs.Run("nsenter", [net, "ip", "neighbour", "flush", "all"], CancellationToken.None);
        return (await programs.Run("nsenter", [net, "curl", "--silent", "--connect-timeout", "5", "--output", "/dev/null", $"http://{address}:1/"], CancellationToken.None)).ExitCode == 7
            && (await programs.Require("nsenter", [net, "ip", "neighbour", "show", address], CancellationToken.None)).Contains("lladdr", StringComparison.Ordinal);
    }

    private static async Task OnNode1(params string[] command) => Assert.Equal(0, await new HostPrograms().RunAttached("nsenter",
        [.. new LabMachines(new HostPrograms(), new LabLayout(One)).Enter("node1"), "--", .. command],
        new Dictionary<string, string> { ["DOCKER_HOST"] = $"unix://{new LabLayout(One).DockerSocket("node1")}" }, CancellationToken.None));

    private static int Pid(LabStatus status, string machine, string process) =>
        status.Machines.Single(m => m.Name == machine).Processes.Single(p => p.Role == process).Pid;

    /// <summary>A killed process is gone once the kernel has torn it down.</summary>
    private static async Task Ended(int pid)
    {
        using var giveUp = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        while (ProcessTable.Find(pid) is not null) await tick.WaitForNextTickAsync(giveUp.Token);
    }

    private static async Task<LabStatus> Status(string name)
    {
        var output = new StringWriter();
        await Drover(["status", "--name", name, "--json"], output, new StringWriter());
        return JsonSerializer.Deserialize(output.ToString(), LabJson.Default.LabStatus)!;
    }

    private static async Task Must(params string[] arguments)
    {
        StringWriter output = new(), error = new();
        var code = await Drover(arguments, output, error);
        Assert.True(code == 0, $"`drover lab {string.Join(' ', arguments)}` exited with {code}:\n{output}{error}");
    }

    private static Task<int> Drover(string[] arguments, TextWriter output, TextWriter error, CancellationToken cancel = default) =>
        RootCommands.Build().Parse(["lab", .. arguments]).InvokeAsync(new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, cancel);

    /// <summary>Cancels when a line says what it waits for.</summary>
    private sealed class Interrupting(string at, CancellationTokenSource giveUp) : TextWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void WriteLine(string? value)
        {
            if (value?.Contains(at, StringComparison.Ordinal) == true) giveUp.Cancel();
        }
    }
}

/// <summary>What the labs of these tests could leave behind on this machine, one thing a line. What others do meanwhile is not in it.</summary>
internal static class Machine
{
    private static readonly HashSet<string> Seen = [];

    public static async Task<string> Look(params string[] labs)
    {
        var programs = new HostPrograms();
        var layouts = labs.Select(l => new LabLayout(l)).ToList();
        bool Ours(string text) => layouts.Any(l => text.Contains(l.Folder + "/", StringComparison.Ordinal) || text.EndsWith(l.Folder, StringComparison.Ordinal));

        var links = (await programs.Require("ip", ["-brief", "link", "show"], CancellationToken.None)).Split('\n').Where(l => layouts.Any(o => l.StartsWith(o.HostLink + "@", StringComparison.Ordinal)));
        var loops = (await programs.Require("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"], CancellationToken.None)).Split('\n').Where(Ours);
        // Mounts in whatever namespace: a copy that some process keeps would hold a pool or a namespace of the lab.
        var mounts = ProcessTable.Pids().SelectMany(Mounts).Where(Ours).Distinct().Order(StringComparer.Ordinal);
        Seen.UnionWith(MountTable.Read().Where(m => m.FileSystem == "nsfs" && Ours(m.Path)).Select(m => m.Root));
        var living = ProcessTable.Pids().Where(p => Seen.Contains(ProcessTable.Namespace(p, "net") ?? "") || Seen.Contains(ProcessTable.Namespace(p, "mnt") ?? "")).Select(p => $"process {p}");
        var cgroups = layouts.Where(l => new Cgroups().Exists(l.Cgroup)).Select(l => $"cgroup {l.Cgroup}");
        var folders = layouts.Select(l => l.Folder).Where(Directory.Exists);
        return string.Join('\n', [.. links, .. loops, .. mounts, .. living, .. cgroups, .. folders]);
    }

    private static string[] Mounts(int pid)
    {
        // A process may end between two looks.
        try { return File.ReadAllLines($"/proc/{pid}/mountinfo"); } catch (IOException) { return []; }
    }
}
