using System.Globalization;

namespace Drover.Cli.Lab;

/// <summary>The processes of a lab: each in its machine's namespaces, in a cgroup of its own, with its output in a file.</summary>
public sealed class LabDaemons(HostPrograms programs, LabLayout layout, LabMachines machines, Cgroups cgroups)
{
    public const string Control = "control", Dockerd = "dockerd", Agent = "agent";
    /// <summary>Memory of a node in MiB: the demo's machines had as much.</summary>
    private const int NodeMemoryMiB = 1536;

    public static IReadOnlyList<string> RolesOf(string machine) => machine == LabPlan.Master ? [Control] : [Dockerd, Agent];

    public LabProcess Start(LabPlan plan, string machine, string role)
    {
        var (program, arguments) = role switch
        {
            Control => ControlCommand(plan),
            Dockerd => DockerCommand(machine),
            Agent => AgentCommand(plan, plan.Node(machine)),
            _ => throw new LabException($"'{role}' is not a process the lab starts; {machine} has {string.Join(", ", RolesOf(machine))}"),
        };
        if (!RolesOf(machine).Contains(role)) throw new LabException($"{machine} has no process '{role}'; it has {string.Join(", ", RolesOf(machine))}");
        var pid = programs.Spawn("nsenter", [.. machines.Enter(machine), "--wd=/", "--", program, .. arguments], Environment(), layout.Log(machine, role));
        cgroups.Put(pid, layout.CgroupOf(machine, role));
        var started = ProcessTable.Find(pid) ?? throw new LabException($"{role} on {machine} ended as soon as it was started: {Tail(machine, role)}");
        return new(machine, role, pid, started.StartTime);
    }

    /// <summary>
    /// After a killed Docker daemon: ends the containerd it left, and removes that one's pid file. A daemon that starts would take the
    /// pid, by now a zombie or another process, for a containerd that answers soon, and give up waiting for it. Containers stay.
    /// </summary>
    public async Task ClearAfterDocker(string node, CancellationToken cancel)
    {
        foreach (var pid in cgroups.Processes(layout.CgroupOf(node, Dockerd)).Where(p => ProcessTable.Find(p)?.Program == "containerd")) ProcessTable.Signal(pid, 9);
        await programs.Require("nsenter", [$"--mount={layout.MountFile(node)}", "rm", "-f", "/run/docker/containerd/containerd.pid"], cancel);
    }

    /// <summary>The last lines of a process's log, for a failure message.</summary>
    public string Tail(string machine, string role)
    {
        var log = layout.Log(machine, role);
        var lines = File.Exists(log) ? File.ReadLines(log).TakeLast(5).ToList() : [];
        return lines.Count > 0 ? string.Join(" | ", lines) : $"its log {log} is empty";
    }

    public async Task MakeCertificate(LabPlan plan, LabNode node, CancellationToken cancel)
    {
        var folder = layout.Certificates(node.Name);
        if (File.Exists(Path.Combine(folder, "node.key"))) return;
        Directory.CreateDirectory(folder);
        await programs.Require(LabPrograms.Find().Control,
            ["certificate", "--data", layout.ControlData, "--node", node.Name, "--address", node.Address, "--out", folder], cancel, environment: Environment());
    }

    public static IReadOnlyDictionary<string, string> Environment()
    {
        var environment = new Dictionary<string, string>
        {
            ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ["HOME"] = "/root",
            ["LC_ALL"] = "C.UTF-8",
            // The runtime's diagnostics socket in /tmp would stay behind when the process is killed.
            ["DOTNET_EnableDiagnostics_IPC"] = "0",
        };
        if (System.Environment.GetEnvironmentVariable("DOTNET_ROOT") is { Length: > 0 } root) environment["DOTNET_ROOT"] = root;
        // The folder where builds for the fault tests look for what is to happen to them.
        if (System.Environment.GetEnvironmentVariable("DROVER_FAILPOINTS") is { Length: > 0 } failpoints) environment["DROVER_FAILPOINTS"] = failpoints;
        return environment;
    }

    private (string, IReadOnlyList<string>) ControlCommand(LabPlan plan) => (LabPrograms.Find().Control,
        ["--data", layout.ControlData, "--http", $"{plan.MasterAddress}:8080", "--agents", $"{plan.MasterAddress}:4524", "--allow-plain-http",
            "--lease", plan.LeaseSeconds.ToString(CultureInfo.InvariantCulture)]);

    private (string, IReadOnlyList<string>) DockerCommand(string node)
    {
        // What the machine's own Docker is set to must not reach into the lab.
        File.WriteAllText(layout.DockerSettings(node), "{}\n");
        // A daemon that was killed leaves its pid behind, which by now may be another process's.
        File.Delete(layout.DockerPidFile(node));
        return ("dockerd", [
            "--config-file", layout.DockerSettings(node), "--data-root", layout.DockerData(node), "--exec-root", "/run/docker",
            "--host", $"unix://{layout.DockerSocket(node)}", "--pidfile", layout.DockerPidFile(node),
            "--cgroup-parent", $"/{layout.CgroupOf(node, "containers")}", "--exec-opt", "native.cgroupdriver=cgroupfs",
            "--userland-proxy=false",
            // Nodes have no way to the outside: a name is refused at once instead of after a timeout.
            "--dns", "127.0.0.1"]);
    }

    private (string, IReadOnlyList<string>) AgentCommand(LabPlan plan, LabNode node)
    {
        List<string> arguments = [
            "--node", node.Name, "--control", $"https://{plan.MasterAddress}:4524", "--address", node.Address,
            "--certificates", layout.Certificates(node.Name), "--pool", layout.Pool(node.Name), "--volume-driver", node.VolumeDriver, "--mount-root", "/flocker",
            "--state", layout.AgentState(node.Name), "--docker-socket", layout.DockerSocket(node.Name), "--plugin-folder", "/run/docker/plugins",
            "--cgroup-parent", $"/{layout.CgroupOf(node.Name, "containers")}",
            "--cpus", System.Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture),
            "--mem", NodeMemoryMiB.ToString(CultureInfo.InvariantCulture), "--ports", "7000-9000"];
        foreach (var (name, value) in node.Attributes) arguments.AddRange(["--attribute", $"{name}={value}"]);
        return (LabPrograms.Find().Agent, arguments);
    }
}
