using System.Globalization;
using Drover.Cli.Control;
using Drover.Contracts.Api;

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
            Agent => AgentCommand(plan.Node(machine)),
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

    /// <summary>Makes the machine a node with a token that is good once, unless it is one already. The control plane must answer.</summary>
    public async Task Join(LabPlan plan, LabNode node, CancellationToken cancel)
    {
        if (JoinedUntil(node) > TimeProvider.System.GetUtcNow()) return;
        using var control = new ControlClient(new Uri(plan.ControlUrl));
        var made = await control.Post("/api/v1/nodes/tokens", new JoinTokenRequest(node.Name, 600), TrustApiJson.Default.JoinTokenRequest, TrustApiJson.Default.JoinTokenView, cancel);
        // Not as an argument: those are every user's to read.
        var file = layout.JoinToken(node.Name);
        using (var stream = new FileStream(file, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
            stream.Write(System.Text.Encoding.UTF8.GetBytes(made.Token));
        try
        {
            await programs.Require("nsenter", [.. machines.Enter(node.Name), "--wd=/", "--", LabPrograms.Find().Agent, "join", "--token-file", file, "--name", node.Name, "--data", layout.AgentState(node.Name)],
                cancel, environment: Environment());
        }
        finally { File.Delete(file); }
    }

    /// <summary>When the certificate of a node runs out: one that was off for long must join again.</summary>
    private DateTimeOffset JoinedUntil(LabNode node)
    {
        if (!File.Exists(layout.NodeCertificate(node.Name))) return DateTimeOffset.MinValue;
        using var certificate = System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPem(File.ReadAllText(layout.NodeCertificate(node.Name)));
        return certificate.NotAfter.ToUniversalTime();
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

    private (string, IReadOnlyList<string>) AgentCommand(LabNode node)
    {
        List<string> arguments = [
            "--address", node.Address, "--pool", layout.Pool(node.Name), "--volume-driver", node.VolumeDriver, "--mount-root", "/flocker",
            "--state", layout.AgentState(node.Name), "--docker-socket", layout.DockerSocket(node.Name), "--plugin-folder", "/run/docker/plugins",
            "--cgroup-parent", $"/{layout.CgroupOf(node.Name, "containers")}",
            "--cpus", System.Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture),
            "--mem", NodeMemoryMiB.ToString(CultureInfo.InvariantCulture), "--ports", "7000-9000"];
        foreach (var (name, value) in node.Attributes) arguments.AddRange(["--attribute", $"{name}={value}"]);
        return (LabPrograms.Find().Agent, arguments);
    }
}
