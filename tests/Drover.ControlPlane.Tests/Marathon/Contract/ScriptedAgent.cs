using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing;
using Grpc.Core;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>What an agent makes of the copies of one app.</summary>
public enum Play
{
    /// <summary>Runs, and answers its health checks.</summary>
    Healthy,
    /// <summary>As healthy, and its readiness checks say ready.</summary>
    Ready,
    /// <summary>Runs; no check has answered yet.</summary>
    Silent,
    /// <summary>Runs, and fails its health checks.</summary>
    Unhealthy,
    /// <summary>Its image is being pulled, and so on.</summary>
    Staging,
    /// <summary>Ends as soon as it starts.</summary>
    Failing,
    /// <summary>Runs, and does not go when it is told to.</summary>
    Clinging,
}

/// <summary>A node that runs nothing and says what a test wants it to say, over the agents' real door.</summary>
public sealed class ScriptedAgent(SimulatedAgent link, string node, Func<AppId, Play> play, TimeProvider time) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _speaking = new(1, 1);
    private readonly Dictionary<string, DesiredInstance> _ordered = new(StringComparer.Ordinal);
    private Task _listening = Task.CompletedTask;

    public NodeId Node { get; } = new(node);

    /// <summary>What it has been told to run or remove, as it stands.</summary>
    public IReadOnlyList<DesiredInstance> Ordered
    {
        get { lock (_gate) return [.. _ordered.Values]; }
    }

    public async Task Join(Hello hello)
    {
        var first = await link.Join(hello);
        await Take(first.Instances, [], first.Volumes);
        _listening = Listen();
    }

    public Task Say(FromAgent message) => Speak(message);

    /// <summary>Says once more what the play of this app is, for each of its copies here.</summary>
    public async Task Again(AppId app)
    {
        foreach (var instance in Ordered.Where(i => i.AppId == app.Value)) await Answer(instance);
    }

    private async Task Listen()
    {
        try
        {
            while (await link.Next() is { } heard)
            {
                if (heard.Desired is { } whole) await Take(whole.Instances, [], whole.Volumes);
                if (heard.Change is { } change) await Take(change.Instances, change.RemovedInstances, change.Volumes);
            }
        }
        catch (Exception end) when (end is RpcException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // The stream was ended by the test or by the control plane's own end.
        }
    }

    private async Task Take(IEnumerable<DesiredInstance> instances, IEnumerable<string> removed, IEnumerable<DesiredVolume> volumes)
    {
        foreach (var volume in volumes.Where(v => v.Role == VolumeRole.Primary))
            await Speak(new FromAgent { Volume = new VolumeObserved { Name = volume.Name, Role = VolumeRole.Primary, Epoch = volume.Epoch, Ready = true, UsedBytes = 1 } });
        lock (_gate)
        {
            foreach (var id in removed) _ordered.Remove(id);
        }
        foreach (var instance in instances)
        {
            lock (_gate) _ordered[instance.InstanceId] = instance;
            await Answer(instance);
        }
    }

    private Task Answer(DesiredInstance instance)
    {
        var part = play(new AppId(instance.AppId));
        var seen = new InstanceObserved { InstanceId = instance.InstanceId, TaskId = instance.TaskId, AppId = instance.AppId, ContainerId = $"c-{instance.TaskId}" };
        seen.Condition = (instance.Wish, part) switch
        {
            (InstanceWish.Hold, _) => InstanceCondition.Created,
            (InstanceWish.Remove, Play.Clinging) => InstanceCondition.Stopping,
            (InstanceWish.Remove, _) => InstanceCondition.Gone,
            (_, Play.Staging) => InstanceCondition.Creating,
            (_, Play.Failing) => InstanceCondition.Failed,
            _ => InstanceCondition.Running,
        };
        if (seen.Condition == InstanceCondition.Failed) (seen.Message, seen.ExitCode) = ("its process ended with exit code 3", 3);
        if (seen.Condition == InstanceCondition.Running)
        {
            var now = time.GetUtcNow().ToUnixTimeMilliseconds();
            seen.StartedAtUnixMs = now;
            seen.Health.AddRange(instance.HealthChecks.Select(_ => part switch
            {
                Play.Unhealthy => new HealthObserved { Known = true, ConsecutiveFailures = 2, LastFailureUnixMs = now, LastFailureCause = "connection refused" },
                Play.Silent => new HealthObserved(),
                _ => new HealthObserved { Known = true, Alive = true, FirstSuccessUnixMs = now, LastSuccessUnixMs = now },
            }));
            if (part == Play.Ready) seen.Readiness.AddRange(instance.ReadinessChecks.Select(check => new ReadinessObserved { Name = check.Name, Ready = true, Status = 200 }));
        }
        return Speak(new FromAgent { Instance = seen });
    }

    // A stream takes one message at a time.
    private async Task Speak(FromAgent message)
    {
        await _speaking.WaitAsync();
        try { await link.Say(message); }
        finally { _speaking.Release(); }
    }

    public async ValueTask DisposeAsync()
    {
        await link.DisposeAsync();
        await _listening;
        _speaking.Dispose();
    }
}
