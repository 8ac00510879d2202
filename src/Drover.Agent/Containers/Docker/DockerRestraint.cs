using System.Globalization;
using System.Net;
using Docker.DotNet;
using Docker.DotNet.Models;
using Drover.Agent.Host;
using Drover.Core;

namespace Drover.Agent.Containers.Docker;

/// <summary>Holds containers back: slower, or still. What is in place is read from the engine each time, so that an agent that was killed takes it off as well as the one that put it there.</summary>
internal sealed class DockerRestraint(DockerClient docker, TimeProvider time)
{
    private const long Period = 100_000;
    /// <summary>The engine refuses less than a millisecond.</summary>
    private const long SmallestQuota = 1000;
    private const long NoQuota = -1;
    private const double Half = 0.5;
    private const int FreezeAttempts = 5;
    /// <summary>A process that waits for a lost disk cannot be frozen, and the others must not stand still for it.</summary>
    private static readonly TimeSpan FreezeLimit = TimeSpan.FromSeconds(5);

    /// <summary>Processor time and not disk bandwidth: with cgroups of the first version the engine's disk limits reach direct writes alone, and a database's go through the page cache.</summary>
    public async Task<ContainerOutcome> Throttle(TaskId task, CancellationToken cancel)
    {
        try
        {
            if (await Cores(ContainerNames.Of(task.Value), cancel) is not { } cores) return new(ContainerOutcomeKind.Failed, $"the engine does not say how much of the processors {task} uses");
            return await Quota(task, Math.Max(SmallestQuota, (long)(cores * Half * Period)), cancel);
        }
        catch (DockerApiException e) { return Failed(e); }
    }

    public async Task<ContainerOutcome> Unthrottle(TaskId task, CancellationToken cancel)
    {
        try
        {
            var there = await docker.Containers.InspectContainerAsync(ContainerNames.Of(task.Value), cancel);
            return IsThrottled(there) ? await Quota(task, Ordered(there) ?? NoQuota, cancel) : ContainerOutcome.Done;
        }
        catch (DockerApiException e) { return Failed(e); }
    }

    public async Task<ContainerOutcome> Freeze(TaskId task, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(FreezeLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var there = await docker.Containers.InspectContainerAsync(ContainerNames.Of(task.Value), either.Token);
                if (there.State is not { Paused: true }) await docker.Containers.PauseContainerAsync(ContainerNames.Of(task.Value), either.Token);
                return ContainerOutcome.Done;
            }
            catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancel.IsCancellationRequested)
            {
                return new(ContainerOutcomeKind.Failed, $"not all its processes stood still within {FreezeLimit.TotalSeconds:0} s: one of them waits for something it cannot leave (a disk, a network file system)");
            }
            // A group whose processes come and go quickly now and then escapes the engine's freeze, which then thaws it and says so: the next one takes it.
            catch (DockerApiException e) when (e.StatusCode == HttpStatusCode.InternalServerError && attempt < FreezeAttempts) { continue; }
            catch (DockerApiException e) { return Failed(e); }
        }
    }

    public async Task<ContainerOutcome> Thaw(TaskId task, CancellationToken cancel)
    {
        try
        {
            var there = await docker.Containers.InspectContainerAsync(ContainerNames.Of(task.Value), cancel);
            if (there.State is { Paused: true }) await docker.Containers.UnpauseContainerAsync(ContainerNames.Of(task.Value), cancel);
            return ContainerOutcome.Done;
        }
        catch (DockerApiException e) { return Failed(e); }
    }

    /// <summary>Ends a frozen container without any of its processes running again. Each has the signal before the group is thawed, and a process with that signal pending
    /// never returns from the kernel to its program: so a thaw, which the engine needs to be rid of them, lets nobody write.</summary>
    public async Task EndFrozen(string container, string id, CancellationToken cancel)
    {
        var listed = await docker.Containers.ListProcessesAsync(container, new ContainerListProcessesParameters { PsArgs = "-eo pid" }, cancel);
        foreach (var row in listed.Processes ?? [])
        {
            // Frozen processes make no children: the list is whole. The group's name guards against a number of another process.
            if (int.TryParse(row[0].Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var process) && Within(process, id)) Signals.End(process);
        }
        await docker.Containers.KillContainerAsync(container, new ContainerKillParameters { Signal = "KILL" }, cancel);
        await docker.Containers.WaitContainerAsync(container, cancel);
    }

    public static bool IsThrottled(ContainerInspectResponse one) => Ordered(one) is { } ordered && (one.HostConfig?.CPUQuota is null or 0 ? NoQuota : one.HostConfig.CPUQuota) != ordered;

    private static long? Ordered(ContainerInspectResponse one) =>
        one.Config?.Labels is { } labels && labels.TryGetValue(ContainerLabels.Quota, out var text) && long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var quota) ? quota : null;

    private async Task<ContainerOutcome> Quota(TaskId task, long quota, CancellationToken cancel)
    {
        await docker.Containers.UpdateContainerAsync(ContainerNames.Of(task.Value), new ContainerUpdateParameters { CPUPeriod = Period, CPUQuota = quota }, cancel);
        return ContainerOutcome.Done;
    }

    /// <summary>Processors it uses now, between two readings of the engine's own; null: it gave none.</summary>
    private async Task<double?> Cores(string container, CancellationToken cancel)
    {
        double? cores = null;
        var reading = new Readings(r =>
        {
            var span = (r.Read - r.PreRead).TotalSeconds;
            if (span is > 0 and < 3600 && r.CPUStats?.CPUUsage is { } now && r.PreCPUStats?.CPUUsage is { } before && now.TotalUsage >= before.TotalUsage)
                cores = (now.TotalUsage - before.TotalUsage) / 1e9 / span;
        });
        await docker.Containers.GetContainerStatsAsync(container, new ContainerStatsParameters { Stream = false, OneShot = false }, reading, cancel);
        return cores;
    }

    private static ContainerOutcome Failed(DockerApiException e) =>
        new(e.StatusCode == HttpStatusCode.NotFound ? ContainerOutcomeKind.NoContainer : ContainerOutcomeKind.Failed, DockerRuntime.Words(e));

    private static bool Within(int process, string id)
    {
        try { return File.ReadAllText($"/proc/{process}/cgroup").Contains(id, StringComparison.Ordinal); }
        // It ended meanwhile.
        catch (IOException) { return false; }
    }

    // The library's Progress<T> answers later on another thread; this one answers at once.
    private sealed class Readings(Action<ContainerStatsResponse> read) : IProgress<ContainerStatsResponse>
    {
        public void Report(ContainerStatsResponse value) => read(value);
    }
}
