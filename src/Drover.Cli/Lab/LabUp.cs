using System.Net;
using System.Text.Json;
using Drover.Cli.Lab.Images;
using Drover.Contracts.Api;

namespace Drover.Cli.Lab;

/// <summary>Makes a lab, or starts again what is missing of one. Each step looks first whether it is already done.</summary>
public sealed class LabUp(HostPrograms programs, LabLayout layout, LabProgress progress)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200), DaemonPatience = TimeSpan.FromMinutes(3);

    private readonly Cgroups _cgroups = new();
    private readonly LabMachines _machines = new(programs, layout);
    private readonly LabNetwork _network = new(programs, layout);
    private readonly Lock _recording = new();

    private LabDaemons Daemons => new(programs, layout, _machines, _cgroups);

    public async Task Run(LabPlan plan, CancellationToken cancel)
    {
        LabPrograms.Find();
        if (LabRecord.Find(layout) is null) await _network.CheckFree(Subnet.ParseLab(plan.Subnet), cancel);
        var archive = await new ImageStore(programs, progress).Ensure(rebuild: false, cancel);
        HostFolders.Make(layout);
        using var only = LabLock.Take(layout);
        if (LabRecord.Find(layout) is null) new LabRecord(plan, plan.ControlUrl, [], LabResources.None).Write(layout);
        await MakeGround(plan, cancel);
        var control = StartControl(plan, cancel);
        await Task.WhenAll(plan.Nodes.Select(n => MakeNode(plan, n, archive, control, cancel)).Append(control));
        await AwaitAgents(plan, cancel);
        await RecordResources(plan, cancel);
    }

    /// <summary>Starts one process of a lab that is up; nothing when it already runs.</summary>
    public async Task Start(LabPlan plan, string machine, string role, CancellationToken cancel)
    {
        plan.AddressOf(machine);
        using var only = LabLock.Take(layout);
        if (!await Begin(plan, machine, role, cancel)) { progress.Say($"{machine}: {role} runs already"); return; }
        if (role == LabDaemons.Control) await Await(plan, machine, role, "to answer", () => Answers(plan, cancel), cancel);
        if (role == LabDaemons.Dockerd) await Await(plan, machine, role, "to answer", async () => (await Docker(machine, ["version"], cancel)).Ok, cancel);
        progress.Say($"{machine}: {role} started");
    }

    private async Task MakeGround(LabPlan plan, CancellationToken cancel)
    {
        foreach (var folder in plan.Machines.Select(layout.Of).Append(layout.Logs)) Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await _machines.MakeNamespaceFolder(cancel);
        await _network.MakeSwitch(plan, cancel);
        foreach (var machine in plan.Machines) await _network.Connect(plan, machine, cancel);
        progress.Say($"network {plan.Subnet}: this machine {plan.HostAddress}, master {plan.MasterAddress}, {string.Join(", ", plan.Nodes.Select(n => $"{n.Name} {n.Address}"))}");
    }

    private async Task StartControl(LabPlan plan, CancellationToken cancel)
    {
        if (!await Begin(plan, LabPlan.Master, LabDaemons.Control, cancel)) return;
        await Await(plan, LabPlan.Master, LabDaemons.Control, "to answer", () => Answers(plan, cancel), cancel);
        progress.Say($"control plane answers at {plan.ControlUrl} (plain HTTP without a token: only this machine and the lab reach it)");
    }

    private async Task MakeNode(LabPlan plan, LabNode node, ImageArchive archive, Task control, CancellationToken cancel)
    {
        await _machines.MakePool(plan, node, cancel);
        await _machines.MakeMounts(node, cancel);
        if (node.VolumeDriver == LabPlan.Zfs) await new LabZfs(programs, layout, _cgroups, progress).Ensure(node.Name, cancel);
        if (await Begin(plan, node.Name, LabDaemons.Dockerd, cancel))
        {
            await Await(plan, node.Name, LabDaemons.Dockerd, "to answer", async () => (await Docker(node.Name, ["version"], cancel)).Ok, cancel);
            progress.Say($"{node.Name}: Docker answers");
        }
        await LoadImages(node.Name, archive, cancel);
        await control;
        await Daemons.Join(plan, node, cancel);
        if (await Begin(plan, node.Name, LabDaemons.Agent, cancel)) progress.Say($"{node.Name}: agent started ({string.Join(", ", node.Attributes.Select(a => $"{a.Key}:{a.Value}"))})");
    }

    private async Task LoadImages(string node, ImageArchive archive, CancellationToken cancel)
    {
        if (File.Exists(layout.ImagesLoaded(node)) && File.ReadAllText(layout.ImagesLoaded(node)) == archive.Key) return;
        var loaded = await Docker(node, ["load", "--quiet", "--input", archive.File], cancel);
        if (!loaded.Ok) throw new LabException($"{node}: Docker did not take the images from {archive.File}: {loaded.Error.Trim()}");
        File.WriteAllText(layout.ImagesLoaded(node), archive.Key);
        progress.Say($"{node}: images loaded: {string.Join(", ", archive.Tags)}");
    }

    /// <summary>True when it was started, false when it ran already.</summary>
    private async Task<bool> Begin(LabPlan plan, string machine, string role, CancellationToken cancel)
    {
        if (Runs(machine, role)) return false;
        if (role == LabDaemons.Dockerd && machine != LabPlan.Master) await Daemons.ClearAfterDocker(machine, cancel);
        lock (_recording)
        {
            var record = LabRecord.Read(layout);
            record.With(Daemons.Start(plan, machine, role)).Write(layout);
            return true;
        }
    }

    private bool Runs(string machine, string role) =>
        LabRecord.Read(layout).Processes.Any(p => (p.Machine, p.Role) == (machine, role) && ProcessTable.Runs(p.Pid, p.StartTime));

    private async Task AwaitAgents(LabPlan plan, CancellationToken cancel)
    {
        var missing = plan.Nodes.Select(n => n.Name).ToList();
        await Await(plan, missing[0], LabDaemons.Agent, "and the other agents to connect to the control plane", async () =>
        {
            foreach (var node in missing) Fail(node, LabDaemons.Agent);
            var connected = await Connected(plan, cancel);
            missing = [.. missing.Where(n => !connected.Contains(n))];
            return missing.Count == 0;
        }, cancel, except: () => $"not connected: {string.Join(", ", missing)}");
        progress.Say($"{plan.Nodes.Count} agents connected");
    }

    private async Task Await(LabPlan plan, string machine, string role, string what, Func<Task<bool>> done, CancellationToken cancel, Func<string>? except = null)
    {
        var begin = progress.Time.GetTimestamp();
        while (!await done())
        {
            Fail(machine, role);
            if (progress.Time.GetElapsedTime(begin) > DaemonPatience)
                throw new LabException($"waited {DaemonPatience.TotalSeconds:0} s for {role} on {machine} {what}{(except is null ? "" : $" ({except()})")}: {Daemons.Tail(machine, role)}\n"
                    + $"The lab '{plan.Name}' is left as it is: look with `drover lab logs {machine}`, go on with `drover lab up`, or remove it with `drover lab down`.");
            await Task.Delay(Look, progress.Time, cancel);
        }
    }

    /// <summary>Throws when a process that was started has ended.</summary>
    private void Fail(string machine, string role)
    {
        var process = LabRecord.Read(layout).Processes.FirstOrDefault(p => (p.Machine, p.Role) == (machine, role));
        if (process is null || ProcessTable.Runs(process.Pid, process.StartTime)) return;
        throw new LabException($"{role} on {machine} ended: {Daemons.Tail(machine, role)}\nThe lab '{layout.Name}' is left as it is: look with `drover lab logs {machine}`, go on with `drover lab up`, or remove it with `drover lab down`.");
    }

    private static async Task<bool> Answers(LabPlan plan, CancellationToken cancel)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(2) };
        try { return (await http.GetAsync(new Uri($"{plan.ControlUrl}/ping"), cancel)).StatusCode < HttpStatusCode.InternalServerError; }
        catch (Exception e) when (NotYet(e, cancel)) { return false; }
    }

    private static async Task<IReadOnlySet<string>> Connected(LabPlan plan, CancellationToken cancel)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(2) };
        try
        {
            var text = await http.GetStringAsync(new Uri($"{plan.ControlUrl}/api/v1/nodes"), cancel);
            return JsonSerializer.Deserialize(text, ApiJson.Default.NodesView)!.Nodes.Where(n => n.Connected).Select(n => n.Id).ToHashSet();
        }
        catch (Exception e) when (NotYet(e, cancel)) { return new HashSet<string>(); }
    }

    // A refused connection or a slow answer is what is being waited out.
    private static bool NotYet(Exception e, CancellationToken cancel) => e is HttpRequestException || (e is TaskCanceledException && !cancel.IsCancellationRequested);

    private async Task RecordResources(LabPlan plan, CancellationToken cancel)
    {
        var namespaces = MountTable.Below(layout.Namespaces).Where(m => m.FileSystem == "nsfs").ToDictionary(m => m.Path, m => m.Root);
        var loops = await LoopDevices.Below(programs, layout.Folder, cancel);
        var mounts = plan.Nodes.SelectMany(n => LabLayout.Covered.Append(layout.Pool(n.Name)).Select(p => $"{n.Name}:{p}")).Prepend(layout.Namespaces);
        (LabRecord.Read(layout) with { Resources = new([layout.HostLink], namespaces, [.. loops], [.. mounts]) }).Write(layout);
    }

    private Task<ProgramResult> Docker(string node, IReadOnlyList<string> arguments, CancellationToken cancel) =>
        programs.Run("docker", ["--host", $"unix://{layout.DockerSocket(node)}", .. arguments], cancel, environment: LabDaemons.Environment());
}
