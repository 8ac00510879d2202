using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Drover.Cli.Lab;
using Drover.Contracts.Api;

namespace Drover.Faults.Lab;

/// <summary>One lab of real parts with the fault builds, and what is done to its processes and links.</summary>
public sealed class FaultLab : IAsyncDisposable
{
    public const string App = "/faults-writer", Volume = "faultdata";
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(20);

    private readonly HostPrograms _programs = new();
    private readonly LabLayout _layout;
    private readonly LabPlan _plan;
    private readonly LabProgress _progress;
    private readonly string _out;
    private readonly HttpClient _http;
    private readonly Dictionary<string, int> _keepers = [];

    /// <param name="drivers">One volume driver for all nodes, or one for each: `btrfs,directory`.</param>
    public FaultLab(string name, string subnet, int nodes, string artifacts, TextWriter log, TimeProvider time, string drivers = LabPlan.Btrfs)
    {
        Time = time;
        _layout = new(name);
        _plan = LabPlan.Make(name, subnet, 4, nodes, "").WithDrivers(VolumeKind.ForNodes(drivers, nodes));
        _progress = new(log, time);
        _out = Path.Combine(artifacts, $"{name}-writer");
        Points = new(Path.Combine(artifacts, $"{name}-failpoints"));
        _http = new() { BaseAddress = new(_plan.ControlUrl), Timeout = TimeSpan.FromSeconds(3) };
        Environment.SetEnvironmentVariable("DROVER_FAILPOINTS", Points.Path);
    }

    public TimeProvider Time { get; }
    public FailpointFolder Points { get; }
    public string Logs => _layout.Logs;
    public string AckFile => Path.Combine(_out, "acks");
    public IReadOnlyList<string> Nodes => [.. _plan.Nodes.Select(n => n.Name)];

    // ---- Life ----

    public async Task Up(CancellationToken cancel)
    {
        await Down(cancel);
        if (Directory.Exists(_out)) Directory.Delete(_out, recursive: true);
        Directory.CreateDirectory(_out);
        File.Copy(Path.Combine(AppContext.BaseDirectory, "writer.pl"), Path.Combine(_out, "writer.pl"));
        Points.Clear();
        await new LabUp(_programs, _layout, _progress).Run(_plan, cancel);
        // Something of each machine that no fault ends: through it its files are seen.
        foreach (var node in Nodes)
            _keepers[node] = _programs.Spawn("nsenter", [$"--net={_layout.NetFile(node)}", $"--mount={_layout.MountFile(node)}", "--wd=/", "--", "sleep", "infinity"], LabDaemons.Environment(), "/dev/null");
        await Deploy(cancel);
    }

    public async Task Down(CancellationToken cancel)
    {
        foreach (var keeper in _keepers.Values) ProcessTable.Signal(keeper, 9);
        _keepers.Clear();
        await new LabDown(_programs, _layout, _progress).Run(cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await Down(CancellationToken.None);
        _http.Dispose();
    }

    /// <summary>The writer, with its volume and, outside of it, the folder where it acknowledges.</summary>
    private async Task Deploy(CancellationToken cancel)
    {
        var definition = $$"""
            {"id":"{{App}}","cpus":0.2,"mem":64,"instances":1,"cmd":"exec perl /out/writer.pl /data /out","taskKillGracePeriodSeconds":5,
             "backoffSeconds":0.1,"backoffFactor":1.0,"maxLaunchDelaySeconds":1,
             "container":{"type":"DOCKER","docker":{"image":"binocarlos/powerstrip-mesosphere-demo","network":"NONE"},
               "volumes":[{"containerPath":"/data","hostPath":"/flocker/{{Volume}}","mode":"RW"},{"containerPath":"/out","hostPath":"{{_out}}","mode":"RW"} ] } }
            """;
        using var body = new StringContent(definition, Encoding.UTF8, "application/json");
        using var answer = await _http.PostAsync("/v2/apps", body, cancel);
        if (!answer.IsSuccessStatusCode) throw new LabException($"the writer was refused: {await answer.Content.ReadAsStringAsync(cancel)}");
    }

    public async Task Redeploy(CancellationToken cancel)
    {
        using var gone = await _http.DeleteAsync($"/v2/apps{App}?force=true", cancel);
        await Until("the writer to be gone", TimeSpan.FromSeconds(30), async () => (await _http.GetStringAsync("/v2/deployments", cancel)).Trim() == "[]", cancel);
        await Deploy(cancel);
    }

    /// <summary>Empties the node that has the volume, and takes it into service again.</summary>
    public async Task Drain(CancellationToken cancel)
    {
        var from = (await SeeVolume(cancel))?.Primary ?? throw new LabException("the control plane does not say where the volume is");
        using var body = new StringContent("{}", Encoding.UTF8, "application/json");
        using var begun = await _http.PostAsync($"/api/v1/nodes/{from}/drain", body, cancel);
        if (!begun.IsSuccessStatusCode) throw new LabException($"the drain of {from} was refused: {await begun.Content.ReadAsStringAsync(cancel)}");
        DrainView? seen = null;
        await Until($"{from} to be empty", TimeSpan.FromSeconds(60), async () => (seen = await Get($"/api/v1/nodes/{from}/drain", ApiJson.Default.DrainView, cancel)) is { State: "Done" }, cancel,
            () => $"{seen?.State}, waits for {seen?.WaitsFor ?? "nothing"}");
        using var back = await _http.PostAsync($"/api/v1/nodes/{from}/uncordon", null, cancel);
        if (!back.IsSuccessStatusCode) throw new LabException($"{from} was not taken into service again: {await back.Content.ReadAsStringAsync(cancel)}");
    }

    // ---- Processes ----

    /// <param name="machine">`master` or a node.</param>
    /// <param name="process">A role, or a program by name: `btrfs`.</param>
    /// <returns>False: there was none.</returns>
    public bool Signal(string machine, string process, int signal)
    {
        try { return LabKill.Run(_layout, machine, process, signal).Count > 0; }
        catch (LabException) { return false; }
    }

    /// <summary>Everything on a node ends at once, its containers too, and its mounts of volumes are gone. What is on its disk stays.</summary>
    public async Task PowerOff(string node, CancellationToken cancel)
    {
        foreach (var pid in new Cgroups().Processes($"{_layout.Cgroup}/{node}")) ProcessTable.Signal(pid, 9);
        await Until($"{node} to be dark", TimeSpan.FromSeconds(30), () => Task.FromResult(new Cgroups().Processes($"{_layout.Cgroup}/{node}").Count == 0), cancel);
        // Nothing is mounted there when it was not the primary.
        await _programs.Run("nsenter", [$"--mount={_layout.MountFile(node)}", "umount", $"/flocker/{Volume}"], cancel);
    }

    public Task Start(string machine, string role, CancellationToken cancel) => new LabUp(_programs, _layout, _progress).Start(_plan, machine, role, cancel);

    /// <summary>Starts every process of the lab that does not run.</summary>
    public async Task StartMissing(CancellationToken cancel)
    {
        foreach (var machine in _plan.Machines)
            foreach (var process in LabRecord.Read(_layout).Processes.Where(p => p.Machine == machine))
                if (!ProcessTable.Runs(process.Pid, process.StartTime)) await Start(machine, process.Role, cancel);
    }

    public int PidOf(string machine, string role) => LabRecord.Read(_layout).Processes.First(p => (p.Machine, p.Role) == (machine, role)).Pid;

    /// <summary>Pids of writers on a node that have the records open for writing.</summary>
    public IReadOnlyList<int> Writers(string node)
    {
        var found = new List<int>();
        foreach (var pid in new Cgroups().Processes(_layout.CgroupOf(node, "containers")))
            if (HasRecordsOpen(pid)) found.Add(pid);
        return found;
    }

    private static bool HasRecordsOpen(int pid)
    {
        try { return Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd").Any(fd => new FileInfo(fd).LinkTarget == "/data/records"); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return false; /* it has ended */ }
    }

    // ---- Links and disks ----

    /// <summary>What one machine sends the other vanishes, both ways.</summary>
    public async Task Cut(string one, string other, CancellationToken cancel)
    {
        foreach (var (here, there) in new[] { (one, other), (other, one) })
            await _programs.Require("nsenter", [$"--net={_layout.NetFile(here)}", "nft", "-f", "-"], cancel,
                $"add table inet faults\nadd chain inet faults input {{ type filter hook input priority 0; }}\nadd rule inet faults input ip saddr {_plan.AddressOf(there)} drop\n");
    }

    public async Task HealLinks(CancellationToken cancel)
    {
        foreach (var machine in _plan.Machines)
            await _programs.Run("nsenter", [$"--net={_layout.NetFile(machine)}", "nft", "delete", "table", "inet", "faults"], cancel);
    }

    public VolumeKind KindOf(string node) => VolumeKind.Named(_plan.Node(node).VolumeDriver);

    public string PoolOf(string node) => $"/proc/{_keepers[node]}/root{_layout.Pool(node)}";

    public async Task Fill(string node, CancellationToken cancel)
    {
        var left = KindOf(node).Left(new(PoolOf(node)));
        // What is free and what can be had at one time differ a little: approached from above.
        for (var i = 0; left > 0; left -= 4 << 20, i++)
        {
            var filler = $"{PoolOf(node)}/filler{i}";
            if ((await _programs.Run("fallocate", ["-l", left.ToString(CultureInfo.InvariantCulture), filler], cancel)).Ok) return;
            File.Delete(filler);
        }
    }

    public async Task Empty(string node, CancellationToken cancel)
    {
        var fillers = Directory.GetFiles(PoolOf(node), "filler*");
        foreach (var filler in fillers) File.Delete(filler);
        // btrfs counts the room as free after its next commit.
        if (fillers.Length > 0) await _programs.Run("sync", ["--file-system", PoolOf(node)], cancel);
    }

    /// <summary>Changes much of the volume, so that a round has something to carry.</summary>
    public void Dirty(string node, int mebibytes, Random chance)
    {
        var block = new byte[1 << 20];
        using var file = new FileStream($"/proc/{_keepers[node]}/root/flocker/{Volume}/ballast", FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite);
        for (var i = 0; i < mebibytes; i++)
        {
            chance.NextBytes(block);
            file.Write(block);
        }
    }

    /// <summary>What all processes of Drover and all pools hold now.</summary>
    public Soak.Holdings Holds()
    {
        var processes = LabRecord.Read(_layout).Processes.Where(p => p.Role is LabDaemons.Control or LabDaemons.Agent).ToList();
        var folders = Nodes.Select(_layout.AgentState).Append(_layout.ControlData);
        return new(
            processes.Select(p => ProcessTable.Memory(p.Pid)).DefaultIfEmpty().Max() / (double)(1 << 20),
            processes.Sum(p => In($"/proc/{p.Pid}/fd", files: true).Count()),
            Nodes.Sum(n => In($"{PoolOf(n)}/volumes/{Volume}/snapshots").Count()),
            folders.Where(Directory.Exists).Sum(f => Directory.EnumerateFiles(f, "*", SearchOption.AllDirectories).Count()));
    }

    public Task<ProgramResult> Docker(string node, IReadOnlyList<string> arguments, CancellationToken cancel) =>
        _programs.Run("docker", ["--host", $"unix://{_layout.DockerSocket(node)}", .. arguments], cancel, environment: LabDaemons.Environment());

    /// <summary>Every copy of the records on disk that the driver would let anyone use: live data and complete snapshots.</summary>
    public IEnumerable<(string Node, string Name, IReadOnlyList<string> Records)> Copies()
    {
        foreach (var node in Nodes)
            foreach (var (name, folder) in KindOf(node).Copies(PoolOf(node), Volume))
                if (Records($"{folder}/records") is { } records) yield return (node, name, records);
    }

    internal static IEnumerable<string> In(string folder, bool files = false)
    {
        try { return [.. (files ? Directory.EnumerateFileSystemEntries(folder) : Directory.EnumerateDirectories(folder)).Select(d => Path.GetFileName(d)!)]; }
        catch (IOException) { return []; /* there is none, or it went just now */ }
    }

    public static IReadOnlyList<string>? Records(string path)
    {
        try { return File.ReadAllText(path).Split('\n', StringSplitOptions.RemoveEmptyEntries); }
        catch (IOException) { return null; /* removed while we looked */ }
    }

    public IReadOnlyList<string>? LiveRecords(VolumeView volume) => Records($"{KindOf(volume.Primary!).Live(PoolOf(volume.Primary!), Volume, volume.Epoch)}/records");

    // ---- The API ----

    public Task<VolumeView?> SeeVolume(CancellationToken cancel) => Get($"/api/v1/volumes/{Volume}", ApiJson.Default.VolumeView, cancel);

    public async Task<MoveView?> SeeMove(string id, CancellationToken cancel) => await Get($"/api/v1/moves/{id}", ApiJson.Default.MoveView, cancel);

    public async Task<IReadOnlyList<MoveView>?> SeeMoves(CancellationToken cancel) => (await Get("/api/v1/moves", ApiJson.Default.MovesView, cancel))?.Moves;

    public async Task<NodesView?> SeeNodes(CancellationToken cancel) => await Get("/api/v1/nodes", ApiJson.Default.NodesView, cancel);

    public async Task<MoveView> Begin(string to, CancellationToken cancel)
    {
        var begun = Time.GetTimestamp();
        while (true)
        {
            using var answer = await _http.PostAsJsonAsync("/api/v1/moves", new MoveRequest(App, to, null, false, 0), ApiJson.Default.MoveRequest, cancel);
            var text = await answer.Content.ReadAsStringAsync(cancel);
            if (answer.IsSuccessStatusCode) return JsonSerializer.Deserialize(text, ApiJson.Default.MoveView)!;
            // What a node last told of its pool may be from before room was made there: it tells anew within seconds.
            if (!text.Contains("the pool has", StringComparison.Ordinal) || Time.GetElapsedTime(begun) > RoomKnownIn) throw new LabException($"the move was refused: {text}");
            await Task.Delay(TimeSpan.FromMilliseconds(500), Time, cancel);
        }
    }

    private static readonly TimeSpan RoomKnownIn = TimeSpan.FromSeconds(60);

    /// <summary>Null: no answer just now.</summary>
    private async Task<T?> Get<T>(string path, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> shape, CancellationToken cancel) where T : class
    {
        try { return await _http.GetFromJsonAsync(path, shape, cancel); }
        catch (Exception e) when (e is HttpRequestException or IOException || (e is TaskCanceledException && !cancel.IsCancellationRequested)) { return null; }
    }

    public async Task Until(string what, TimeSpan patience, Func<Task<bool>> done, CancellationToken cancel, Func<string>? seen = null)
    {
        var begun = Time.GetTimestamp();
        while (true)
        {
            try { if (await done()) return; }
            catch (Exception e) when (e is HttpRequestException or IOException || (e is TaskCanceledException && !cancel.IsCancellationRequested)) { /* no answer just now */ }
            if (Time.GetElapsedTime(begun) > patience) throw new TimeoutException($"waited {patience.TotalSeconds:0} s for {what}{(seen is null ? "" : $": {seen()}")}");
            await Task.Delay(Tick, Time, cancel);
        }
    }
}
