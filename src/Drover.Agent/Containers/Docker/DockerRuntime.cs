using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Docker.DotNet;
using Docker.DotNet.Models;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Containers.Docker;

/// <summary>Containers by Docker's Engine API (1.41) over its unix socket.</summary>
public sealed class DockerRuntime : IContainerRuntime, IDisposable
{
    private readonly DockerClient _docker;
    private readonly IContainerNetworks _networks;
    private readonly TimeProvider _time;
    private readonly DockerImages _images;
    private readonly DockerRestraint _restraint;

    public DockerRuntime(string socket, IContainerNetworks networks, TimeProvider time)
    {
        _docker = new DockerClientBuilder().WithEndpoint(new Uri($"unix://{socket}")).WithApiVersion(new System.Version(1, 41)).WithTimeout(Timeout.InfiniteTimeSpan).Build();
        _networks = networks;
        _time = time;
        _images = new DockerImages(_docker);
        _restraint = new DockerRestraint(_docker, time);
    }

    public void Dispose() => _docker.Dispose();

    public async Task<string> Probe(CancellationToken cancel) => $"docker {(await _docker.System.GetVersionAsync(cancel)).Version}";

    public async Task<IReadOnlyList<ContainerView>> List(CancellationToken cancel)
    {
        var filter = new Dictionary<string, IDictionary<string, bool>> { ["label"] = new Dictionary<string, bool> { [ContainerLabels.Instance] = true } };
        var found = await _docker.Containers.ListContainersAsync(new ContainersListParameters { All = true, Filters = filter }, cancel);
        var views = new List<ContainerView>(found.Count);
        foreach (var one in found)
            if (await InspectId(one.ID, cancel) is { } view) views.Add(view);
        return views;
    }

    public Task<ContainerView?> Inspect(TaskId task, CancellationToken cancel) => InspectId(ContainerNames.Of(task.Value), cancel);

    public Task<ContainerOutcome> Pull(string image, bool force, CancellationToken cancel) => _images.Pull(image, force, cancel);

    public async Task<ContainerOutcome> Create(ContainerOrder order, CancellationToken cancel)
    {
        var hash = OrderHash.Of(order);
        var task = new TaskId(order.Instance.TaskId);
        try
        {
            var created = await _docker.Containers.CreateContainerAsync(DockerOrder.Of(order, hash), cancel);
            return await Join(created.ID, task, order.Instance.Container.Overlay, cancel);
        }
        catch (DockerParameterRefused e) { return new(ContainerOutcomeKind.Failed, e.Message); }
        catch (DockerApiException e) when (e.StatusCode == HttpStatusCode.Conflict)
        {
            var there = await Inspect(task, cancel);
            if (there?.Labels.GetValueOrDefault(ContainerLabels.Order) == hash) return await Join(there.ContainerId, task, order.Instance.Container.Overlay, cancel);
            return new(ContainerOutcomeKind.Conflict, $"container {ContainerNames.Of(task.Value)} exists already with another configuration: {Words(e)}");
        }
        catch (DockerApiException e) when (e.StatusCode == HttpStatusCode.NotFound) { return new(ContainerOutcomeKind.NoImage, Words(e)); }
        catch (DockerApiException e) { return new(ContainerOutcomeKind.Failed, Words(e)); }
    }

    private async Task<ContainerOutcome> Join(string containerId, TaskId task, OverlayEndpoint? overlay, CancellationToken cancel)
    {
        if (overlay is null) return ContainerOutcome.Done;
        try
        {
            await _networks.Ensure(new NetworkName(overlay.Network), cancel);
            await _docker.Networks.ConnectNetworkAsync(overlay.Network, new NetworkConnectParameters
            {
                Container = containerId,
                EndpointConfig = new EndpointSettings { IPAMConfig = new EndpointIPAMConfig { IPv4Address = overlay.Address }, MacAddress = overlay.Mac },
            }, cancel);
            return ContainerOutcome.Done;
        }
        catch (DockerApiException e) when (Words(e).Contains("already exists in network", StringComparison.Ordinal) || Words(e).Contains("already attached", StringComparison.Ordinal))
        {
            return ContainerOutcome.Done;
        }
        catch (Exception e) when (e is DockerApiException or InvalidOperationException)
        {
            // A container that is half made would pass for a good one next time. It has never run: nothing is lost.
            await Remove(task, cancel);
            return new(ContainerOutcomeKind.Failed, $"cannot join overlay '{overlay.Network}' with {overlay.Address}: {(e is DockerApiException api ? Words(api) : e.Message)}");
        }
    }

    public async Task<MountOwner> OwnerOf(TaskId task, string path, CancellationToken cancel)
    {
        var there = await _docker.Containers.InspectContainerAsync(ContainerNames.Of(task.Value), cancel);
        return await _images.OwnerOf(there.Image, there.Config?.User ?? "", path, ContainerNames.Of(task.Value) + "-owner", cancel);
    }

    public async Task<ContainerOutcome> Start(TaskId task, CancellationToken cancel)
    {
        try
        {
            await _docker.Containers.StartContainerAsync(ContainerNames.Of(task.Value), new ContainerStartParameters(), cancel);
            return ContainerOutcome.Done;
        }
        catch (DockerApiException e)
        {
            var words = Words(e);
            if (e.StatusCode == HttpStatusCode.NotFound && words.Contains("No such container", StringComparison.OrdinalIgnoreCase)) return new(ContainerOutcomeKind.NoContainer, words);
            if (words.Contains("port is already allocated", StringComparison.Ordinal) || words.Contains("address already in use", StringComparison.Ordinal))
                return new(ContainerOutcomeKind.PortTaken, words);
            return new(ContainerOutcomeKind.Failed, words);
        }
    }

    public async Task<StopOutcome> Stop(TaskId task, TimeSpan grace, CancellationToken cancel)
    {
        var begun = _time.GetTimestamp();
        try
        {
            if (await Inspect(task, cancel) is { Frozen: true } frozen) return await EndFrozen(task, frozen, begun, cancel);
            var seconds = (uint)Math.Max(0, Math.Ceiling(grace.TotalSeconds));
            var stopped = await _docker.Containers.StopContainerAsync(ContainerNames.Of(task.Value), new ContainerStopParameters { WaitBeforeKillSeconds = seconds }, cancel);
            var elapsed = _time.GetElapsedTime(begun);
            var view = await Inspect(task, cancel);
            if (view?.State == ContainerState.Running)
                throw new InvalidOperationException($"container {ContainerNames.Of(task.Value)} still runs after stop and kill: look at `docker inspect` and `dmesg` on this node");
            return new(stopped, stopped ? elapsed : TimeSpan.Zero, view?.ExitCode, stopped && view?.ExitCode == 137);
        }
        catch (DockerApiException e) when (e.StatusCode == HttpStatusCode.NotFound) { return new(false, TimeSpan.Zero, null, false); }
    }

    private async Task<StopOutcome> EndFrozen(TaskId task, ContainerView frozen, long begun, CancellationToken cancel)
    {
        await _restraint.EndFrozen(ContainerNames.Of(task.Value), frozen.ContainerId, cancel);
        return new(true, _time.GetElapsedTime(begun), (await Inspect(task, cancel))?.ExitCode, Killed: true);
    }

    public Task<ContainerOutcome> Freeze(TaskId task, CancellationToken cancel) => _restraint.Freeze(task, cancel);

    public Task<ContainerOutcome> Thaw(TaskId task, CancellationToken cancel) => _restraint.Thaw(task, cancel);

    public Task<ContainerOutcome> Throttle(TaskId task, CancellationToken cancel) => _restraint.Throttle(task, cancel);

    public Task<ContainerOutcome> Unthrottle(TaskId task, CancellationToken cancel) => _restraint.Unthrottle(task, cancel);

    public async Task<ContainerOutcome> Remove(TaskId task, CancellationToken cancel)
    {
        try
        {
            // Not forced: a container that runs is never removed. Anonymous volumes go with it, they belong to nothing else.
            await _docker.Containers.RemoveContainerAsync(ContainerNames.Of(task.Value), new ContainerRemoveParameters { RemoveVolumes = true }, cancel);
            return ContainerOutcome.Done;
        }
        catch (DockerApiException e) when (e.StatusCode == HttpStatusCode.NotFound) { return ContainerOutcome.Done; }
        catch (DockerApiException e) when (e.StatusCode == HttpStatusCode.Conflict)
        {
            // Either it runs, or its removal is under way: the second is what was asked for.
            return Words(e).Contains("already in progress", StringComparison.Ordinal) ? ContainerOutcome.Done : new(ContainerOutcomeKind.Conflict, Words(e));
        }
        catch (DockerApiException e) { return new(ContainerOutcomeKind.Failed, Words(e)); }
    }

    public async Task<ExecOutcome> Exec(TaskId task, IReadOnlyList<string> command, TimeSpan timeout, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            var exec = await _docker.Exec.CreateContainerExecAsync(ContainerNames.Of(task.Value),
                new ContainerExecCreateParameters { AttachStdout = true, AttachStderr = true, Cmd = [.. command] }, either.Token);
            using var stream = await _docker.Exec.StartContainerExecAsync(exec.ID, new ContainerExecStartParameters(), either.Token);
            var output = await ReadTail(stream, either.Token);
            var end = await _docker.Exec.InspectContainerExecAsync(exec.ID, either.Token);
            return new(false, (int)(end.ExitCode ?? -1), output);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            // The engine has no way to end an exec: the program inside runs on until it ends by itself.
            return new(true, -1, $"no end within {timeout.TotalSeconds:0.###} s");
        }
        catch (DockerApiException e) { return new(false, -1, Words(e)); }
    }

    private static async Task<string> ReadTail(MultiplexedStream stream, CancellationToken cancel)
    {
        const int kept = 1024;
        var buffer = new byte[4096];
        var tail = new System.Text.StringBuilder();
        while (await stream.ReadOutputAsync(buffer, 0, buffer.Length, cancel) is { EOF: false } read)
        {
            tail.Append(System.Text.Encoding.UTF8.GetString(buffer, 0, read.Count));
            if (tail.Length > kept) tail.Remove(0, tail.Length - kept);
        }
        return tail.ToString();
    }

    public async IAsyncEnumerable<LogLine> Logs(TaskId task, bool follow, int tail, [EnumeratorCancellation] CancellationToken cancel)
    {
        var parameters = new ContainerLogsParameters
        {
            ShowStdout = true, ShowStderr = true, Follow = follow, Tail = tail > 0 ? tail.ToString(CultureInfo.InvariantCulture) : "all",
        };
        using var stream = await _docker.Containers.GetContainerLogsAsync(ContainerNames.Of(task.Value), parameters, cancel);
        var buffer = new byte[16 * 1024];
        while (await stream.ReadOutputAsync(buffer, 0, buffer.Length, cancel) is { EOF: false } read)
            yield return new(buffer.AsMemory(0, read.Count).ToArray(), read.Target == MultiplexedStream.TargetStream.StandardError);
    }

    public async IAsyncEnumerable<ContainerEvent> Watch([EnumeratorCancellation] CancellationToken cancel)
    {
        var filters = new Dictionary<string, IDictionary<string, bool>>
        {
            ["type"] = new Dictionary<string, bool> { ["container"] = true },
            ["label"] = new Dictionary<string, bool> { [ContainerLabels.Task] = true },
        };
#pragma warning disable CS0618 // The stream lets a reader go at its own pace; the library's callback form would need a buffer of ours.
        await using var stream = await _docker.System.MonitorEventsAsync(new ContainerEventsParameters { Filters = filters }, cancel);
#pragma warning restore CS0618
        using var reader = new StreamReader(stream);
        while (await reader.ReadLineAsync(cancel) is { } line)
            if (DockerEvents.Read(line) is { } seen) yield return seen;
    }

    private async Task<ContainerView?> InspectId(string id, CancellationToken cancel)
    {
        try
        {
            var one = await _docker.Containers.InspectContainerAsync(id, cancel);
            var labels = (IReadOnlyDictionary<string, string>)new Dictionary<string, string>(one.Config?.Labels ?? new Dictionary<string, string>());
            if (!labels.TryGetValue(ContainerLabels.Instance, out var instance) || !labels.TryGetValue(ContainerLabels.Task, out var task)) return null;
            if (one.State is null) return null;
            var state = one.State.Status switch { "created" => ContainerState.Created, "running" or "paused" or "restarting" or "removing" => ContainerState.Running, _ => ContainerState.Exited };
            var ended = state == ContainerState.Exited;
            return new(
                new(task), new(instance), new(labels.GetValueOrDefault(ContainerLabels.App, "")), one.ID, state, ended ? (int)one.State.ExitCode : null,
                string.IsNullOrEmpty(one.State.Error) ? null : one.State.Error, Moment(one.State.StartedAt), ended ? Moment(one.State.FinishedAt) : null,
                Address(one), labels, one.State.OOMKilled) { Ipv6Address = Ipv6(one), Frozen = one.State.Paused, Throttled = DockerRestraint.IsThrottled(one) };
        }
        catch (DockerApiException e) when (e.StatusCode == HttpStatusCode.NotFound) { return null; }
    }

    private static string? Address(ContainerInspectResponse one)
    {
        if (one.NetworkSettings?.Networks is not { } networks) return null;
        return networks.TryGetValue("bridge", out var bridge) && !string.IsNullOrEmpty(bridge.IPAddress) ? bridge.IPAddress : null;
    }

    private static string? Ipv6(ContainerInspectResponse one) =>
        one.NetworkSettings?.Networks?.TryGetValue("bridge", out var bridge) == true && !string.IsNullOrEmpty(bridge.GlobalIPv6Address) ? bridge.GlobalIPv6Address : null;

    private static DateTimeOffset? Moment(string? text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var moment) && moment.Year > 1 ? moment : null;

    /// <summary>The engine's own words out of its error body `{"message":"…"}`.</summary>
    internal static string Words(DockerApiException e)
    {
        try
        {
            using var body = JsonDocument.Parse(e.ResponseBody ?? "");
            return body.RootElement.TryGetProperty("message", out var message) ? message.GetString() ?? e.Message : e.Message;
        }
        catch (JsonException) { return e.Message; /* not the engine's form: its raw text is all there is */ }
    }
}
