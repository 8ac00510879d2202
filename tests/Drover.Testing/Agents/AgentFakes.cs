using System.Collections.Concurrent;
using Drover.Agent.Containers;
using Drover.Agent.Networks;
using Drover.Agent.Reconcile;
using Drover.Agent.Transfers;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Testing.Agents;

/// <summary>Everything the agent told, in order; a test waits for what it expects.</summary>
public sealed class ToldObservations : IObservations
{
    private readonly Lock _gate = new();
    private readonly List<FromAgent> _told = [];
    private readonly List<(Func<FromAgent, bool> Is, TaskCompletionSource<FromAgent> Source)> _waiting = [];

    public IReadOnlyList<FromAgent> All { get { lock (_gate) return [.. _told]; } }

    public void Tell(FromAgent message)
    {
        lock (_gate)
        {
            _told.Add(message.Clone());
            foreach (var waiting in _waiting.Where(w => w.Is(message)).ToList())
            {
                _waiting.Remove(waiting);
                waiting.Source.TrySetResult(message);
            }
        }
    }

    /// <summary>The first from now on, or the newest already told. What never comes fails with all that was told instead.</summary>
    public async Task<FromAgent> Until(Func<FromAgent, bool> expected)
    {
        try { return await Expect(expected).WaitAsync(TimeSpan.FromMinutes(1), TimeProvider.System); }
        catch (TimeoutException) { throw new InvalidOperationException("what was expected was never told; told was: " + string.Join("\n", All)); }
    }

    private Task<FromAgent> Expect(Func<FromAgent, bool> expected)
    {
        lock (_gate)
        {
            if (_told.LastOrDefault(expected) is { } there) return Task.FromResult(there);
            var source = new TaskCompletionSource<FromAgent>(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((expected, source));
            return source.Task;
        }
    }

    public async Task<InstanceObserved> Instance(string task, InstanceCondition condition) =>
        (await Until(m => m.Instance is { } i && i.TaskId == task && i.Condition == condition)).Instance;

    public async Task<StepResult> Result(string step) => (await Until(m => m.Result?.StepId == step)).Result;

    public void Forget()
    {
        lock (_gate) _told.Clear();
    }
}

public sealed class FakeOverlay : IOverlay
{
    public ConcurrentQueue<string> Announced { get; } = [];
    public Task Apply(DesiredNetwork network, CancellationToken cancel) => Task.CompletedTask;
    public Task Remove(NetworkName network, CancellationToken cancel) => Task.CompletedTask;
    public Task<string> Attach(NetworkName network, string endpointId, string address, string mac, CancellationToken cancel) => Task.FromResult("eth1");
    public Task Detach(NetworkName network, string endpointId, CancellationToken cancel) => Task.CompletedTask;
    public Task<IReadOnlyList<NetworkName>> List(CancellationToken cancel) => Task.FromResult<IReadOnlyList<NetworkName>>([]);

    public Task Announce(NetworkName network, string address, string mac, CancellationToken cancel)
    {
        Announced.Enqueue(address);
        return Task.CompletedTask;
    }
}

public sealed class FakeOwners : IVolumeOwner
{
    public ConcurrentDictionary<string, MountOwner> Given { get; } = new();
    public bool IsEmpty(string mountPath) => !Given.ContainsKey(mountPath);
    public void GiveIfEmpty(string mountPath, MountOwner owner) => Given[mountPath] = owner;
}

public sealed class FakeProbe : IHealthProbe
{
    /// <summary>Null: well.</summary>
    public Func<DesiredInstance, string?> Answer { get; set; } = _ => null;
    public Func<DesiredInstance, ReadinessCheck, ReadinessObserved> Readiness { get; set; } = (_, check) => new() { Name = check.Name, Ready = true };
    /// <summary>Runs before each answer to a health check: a test can count or hold here.</summary>
    public Func<HealthCheck, Task> Before { get; set; } = _ => Task.CompletedTask;

    public async Task<ProbeAnswer> Ask(DesiredInstance instance, HealthCheck check, ContainerView container, CancellationToken cancel)
    {
        await Before(check);
        return Answer(instance) is { } cause ? ProbeAnswer.Unwell(cause) : ProbeAnswer.Well;
    }

    public Task<ReadinessObserved> AskReady(DesiredInstance instance, ReadinessCheck check, ContainerView container, CancellationToken cancel) => Task.FromResult(Readiness(instance, check));
}

public sealed class FakeRounds : IRoundSender
{
    public ConcurrentQueue<SendRound> Sent { get; } = [];
    public Func<SendRound, CancellationToken, Task<RoundOutcome>> Outcome { get; set; } = (_, _) => Task.FromResult(new RoundOutcome { Bytes = 7 });

    public Task<RoundOutcome> Send(SendRound round, string moveId, Action<StepProgress> progress, CancellationToken cancel)
    {
        Sent.Enqueue(round);
        progress(new StepProgress { Volume = round.Volumes[0].Name, Bytes = 3 });
        return Outcome(round, cancel);
    }
}

/// <summary>A lease that is as the test says; remembers what was claimed.</summary>
public sealed class FakeWriteRight : Drover.Agent.Leases.IWriteRight
{
    private string? _refusal;

    public event Action? Gained;

    public System.Collections.Concurrent.ConcurrentQueue<(string Volumes, string Container)> Claims { get; } = new();

    public void Refuse(string why) => _refusal = why;

    public void Allow()
    {
        _refusal = null;
        Gained?.Invoke();
    }

    public Task<string?> Claim(IReadOnlyCollection<(VolumeName Name, Epoch Epoch)> volumes, string container, CancellationToken cancel)
    {
        if (volumes.Count == 0) return Task.FromResult<string?>(null);
        Claims.Enqueue((string.Join(',', volumes.Select(v => $"{v.Name}={v.Epoch}")), container));
        return Task.FromResult(_refusal);
    }
}
