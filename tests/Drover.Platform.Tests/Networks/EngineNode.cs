using System.Diagnostics;
using System.Globalization;
using Drover.Agent;
using Drover.Agent.Networks;
using Drover.Agent.Networks.Vxlan;
using Drover.Agent.Plugins;
using Drover.Agent.Plugins.DockerNetwork;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

#pragma warning disable RS0030 // starts an engine of its own and waits for it to answer

namespace Drover.Platform.Tests.Networks;

/// <summary>A node with an engine of its own and the agent's networks beside it.</summary>
/// <remarks>The engine has its own mount namespace and so its own `/run/docker`; the test is outside, so the plugin's folder is bound into it.</remarks>
public sealed class EngineNode(Namespaces names, string node, string address) : IAsyncDisposable
{
    private const string Image = "drover-networks:1";
    private readonly string _folder = $"/tmp/{names.Name(node)}";
    private Process? _engine;
    private Process? _machine;
    private PluginServer? _plugin;
    private DockerNetworks? _networks;

    public VxlanOverlay Overlay { get; private set; } = null!;
    public DockerNetworks Networks => _networks!;
    public string Address => address;

    public async Task Start()
    {
        await names.Machine(node, address);
        Directory.CreateDirectory($"{_folder}/plugins");
        await StartAgent();
        await StartMachine();
        await StartEngine();
        await Import();
    }

    /// <summary>Holds the mount namespace, which outlives the engine as a machine does.</summary>
    private async Task StartMachine()
    {
        var script = $"mkdir -p /run/docker && mount -t tmpfs tmpfs /run/docker && mkdir /run/docker/plugins && mount --bind {_folder}/plugins /run/docker/plugins && echo ready && exec cat";
        _machine = Process.Start(new ProcessStartInfo("unshare", ["-m", "--propagation", "private", "bash", "-c", script]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        if (await _machine.StandardOutput.ReadLineAsync() != "ready") throw new InvalidOperationException("the node's mount namespace could not be made: run as root");
    }

    /// <summary>A new agent over what the old one left: the state folder and the kernel's devices.</summary>
    public async Task StartAgent()
    {
        await StopAgent();
        var options = new AgentOptions
        {
            Node = node, Control = new("https://10.99.0.250:4524"), Address = address, Certificates = "/nowhere", Pool = "/nowhere",
            StateFolder = $"{_folder}/state", PluginFolder = $"{_folder}/plugins", DockerSocket = $"{_folder}/d.sock",
        };
        var (leases, links) = (new LeaseBook(), new NamespaceLinks(names.PathOf(node)));
        var register = new EndpointRegister(options, NullLogger<EndpointRegister>.Instance);
        Overlay = new(new NamespaceCommands(names.PathOf(node)), links, leases, options, TimeProvider.System, NullLogger<VxlanOverlay>.Instance);
        _networks = new(options, register, NullLogger<DockerNetworks>.Instance);
        _plugin = new([new NetworkDriver(Overlay, links, leases, register, options), new IpamDriver()], options, NullLoggerFactory.Instance);
        await _plugin.StartAsync(CancellationToken.None);
    }

    public async Task StopAgent()
    {
        if (_plugin is not null) await _plugin.DisposeAsync();
        _networks?.Dispose();
        Overlay?.Dispose();
    }

    public async Task StartEngine()
    {
        var mounts = $"--mount=/proc/{_machine!.Id}/ns/mnt";
        var script = $"exec dockerd --data-root {_folder}/data --exec-root /run/docker/exec -H unix://{_folder}/d.sock -p {_folder}/d.pid --storage-driver overlay2 >>{_folder}/log 2>&1";
        _engine = Process.Start(new ProcessStartInfo("nsenter", [$"--net={names.PathOf(node)}", mounts, "bash", "-c", script]))!;
        for (var tries = 0; tries < 600; tries++)
        {
            if (_engine.HasExited) throw new InvalidOperationException($"dockerd ended: {await File.ReadAllTextAsync($"{_folder}/log")}");
            if (File.Exists($"{_folder}/d.sock") && (await TryDocker("version")).Exit == 0) return;
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, CancellationToken.None);
        }
        throw new InvalidOperationException($"dockerd did not answer in a minute: {await File.ReadAllTextAsync($"{_folder}/log")}");
    }

    /// <summary>As in a crash: containers and their sandboxes are left to the next run.</summary>
    public async Task KillEngine()
    {
        _engine!.Kill();
        await _engine.WaitForExitAsync();
        // Its containerd died with it. Where nobody reaps orphans their numbers stay taken, and the next engine would wait for the dead.
        File.Delete($"{_folder}/d.pid");
        File.Delete($"/proc/{_machine!.Id}/root/run/docker/exec/containerd/containerd.pid");
    }

    public async Task<string> Docker(params string[] arguments)
    {
        var (exit, output, error) = await TryDocker(arguments);
        return exit == 0 ? output.Trim() : throw new InvalidOperationException($"docker {string.Join(' ', arguments)}: {error}");
    }

    public Task<(int Exit, string Output, string Error)> TryDocker(params string[] arguments) => Namespaces.Try("docker", ["-H", $"unix://{_folder}/d.sock", .. arguments]);

    /// <summary>A network by the engine's API, without its look whether there is one of that name.</summary>
    public Task CreateUnchecked(string body) =>
        Namespaces.Run("curl", "-sf", "--unix-socket", $"{_folder}/d.sock", "-H", "Content-Type: application/json", "-d", body, "http://docker/v1.41/networks/create");

    /// <summary>As the agent does it: created, connected to the overlay with its address, then started.</summary>
    public async Task Run(string name, string overlayAddress, params string[] more)
    {
        await Docker(["create", "--name", name, "--stop-timeout", "1", .. more, Image, "/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/www"]);
        await Docker("network", "connect", "--ip", overlayAddress, "weave", name);
        await Docker("start", name);
    }

    public async Task<bool> Reaches(string container, string to) => (await TryDocker("exec", container, "/bin/busybox", "ping", "-c", "1", "-W", "1", to)).Exit == 0;

    private async Task Import()
    {
        var root = $"{_folder}/root";
        foreach (var folder in new[] { "bin", "www" }) Directory.CreateDirectory($"{root}/{folder}");
        File.Copy("/bin/busybox", $"{root}/bin/busybox");
        await File.WriteAllTextAsync($"{root}/www/index.html", node);
        await Namespaces.Run("tar", "-C", root, "-cf", $"{_folder}/root.tar", ".");
        await Docker("import", $"{_folder}/root.tar", Image);
    }

    public async ValueTask DisposeAsync()
    {
        if (_engine is { HasExited: false })
        {
            foreach (var id in (await Docker("ps", "-q")).Split('\n', StringSplitOptions.RemoveEmptyEntries)) await TryDocker("kill", id);
            await Namespaces.Run("kill", "-TERM", _engine.Id.ToString(CultureInfo.InvariantCulture));
            await _engine.WaitForExitAsync();
        }
        await StopAgent();
        // What a failed test left: shims are in the node's namespace, their containers are their children.
        foreach (var left in (await Namespaces.Run("ip", "netns", "pids", names.Name(node))).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var children = await File.ReadAllTextAsync($"/proc/{left}/task/{left}/children");
            await Namespaces.Try("kill", ["-9", .. children.Split(' ', StringSplitOptions.RemoveEmptyEntries), left]);
        }
        if (_machine is not null)
        {
            // Its input's end ends it.
            _machine.StandardInput.Close();
            await _machine.WaitForExitAsync();
        }
        Directory.Delete(_folder, recursive: true);
    }
}
