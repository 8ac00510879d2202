using Drover.Core;
using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Simulation.Tests.Moves;

internal enum Wish { Run, Hold, Remove }

/// <summary>What an agent was told: computed from the cluster's state as the orders that stand are.</summary>
internal sealed record Orders(Dictionary<InstanceId, (TaskId Task, VolumeName Volume, Wish Wish)> Instances, Dictionary<VolumeName, (Epoch Epoch, SnapshotName? Base, bool Sealed)> Primaries)
{
    public static Orders Of(ClusterState state, NodeId node)
    {
        var instances = new Dictionary<InstanceId, (TaskId, VolumeName, Wish)>();
        foreach (var instance in state.InstancesOn(node))
        {
            var owner = state.OpenMoves.FirstOrDefault(m => m.Instance == instance.Id && m.Source == node);
            var held = owner?.State is MoveState.Quiescing or MoveState.FinalDelta or MoveState.Verified;
            instances[instance.Id] = (instance.Task, instance.Spec.Volumes[0].Name, instance.Goal == InstanceGoal.Removed ? Wish.Remove : held ? Wish.Hold : Wish.Run);
        }
        foreach (var move in state.OpenMoves.Where(m => m.Target == node && m.Instance is not null && m.State is >= MoveState.Preparing and <= MoveState.Verified))
            instances[move.Instance!.Value] = (move.Instance.Value.Task(state.Instances[move.Instance.Value].Incarnation + 1), move.TargetSpec.Volumes[0].Name, Wish.Hold);
        var primaries = state.Volumes.Values.Where(v => v.Primary == node).ToDictionary(v => v.Name,
            v => (v.Epoch, v.Base, state.OpenMoves.Any(m => m.State is MoveState.FinalDelta or MoveState.Verified && m.Volumes.Items.Any(moved => moved.Name == v.Name))));
        return new(instances, primaries);
    }
}

/// <summary>One machine: its disk and containers outlive its agent; the agent's steps and orders do not.</summary>
internal sealed class SimNode(World world, NodeId id, Faults faults)
{
    private readonly Dictionary<string, (string? Error, StepFailure Kind, object? Value)> _answered = [];
    private readonly HashSet<string> _running = [];
    private int _life;
    private Orders? _orders;

    public NodeId Id { get; } = id;
    public Dictionary<VolumeName, Replica> Replicas { get; } = [];
    public Dictionary<InstanceId, Container> Containers { get; } = [];
    public bool AgentRuns { get; private set; } = true;
    public bool Connected { get; set; }
    public Action<InstanceObservation>? Observe { get; set; }

    public Replica Of(VolumeName volume) => Replicas.TryGetValue(volume, out var held) ? held : Replicas[volume] = new();

    /// <summary>A container runs on it and does not stand still.</summary>
    public bool Writes(VolumeName volume) => Of(volume).Live is not null && Containers.Values.Any(c => c.Volume == volume && c.Writes);

    /// <summary>The agent's order for the instance, as it last heard.</summary>
    public Wish? Wished(InstanceId instance) => _orders is { } orders && orders.Instances.TryGetValue(instance, out var told) ? told.Wish : null;

    public void CrashAgent()
    {
        world.Tell($"{Id}: agent killed");
        (AgentRuns, Connected, _orders) = (false, false, null);
        _life++;
        _running.Clear();
        _answered.Clear();
    }

    public void StartAgent()
    {
        world.Tell($"{Id}: agent starts");
        AgentRuns = true;
    }

    public void Take(Orders orders)
    {
        _orders = orders;
        Reconcile();
    }

    /// <summary>Does what an order asks, or finds that it did; <paramref name="answer"/> comes later, or never where this agent dies first.</summary>
    public void Do(string step, Func<SimNode, IEnumerator<(TimeSpan Takes, string? Error, StepFailure Kind, object? Value)>> work, Action<string?, StepFailure, object?> answer)
    {
        var life = _life;
        if (_answered.TryGetValue(step, out var known)) { answer(known.Error, known.Kind, known.Value); return; }
        var first = _running.Add(step);
        if (!first) { world.After(TimeSpan.FromMilliseconds(200), () => { if (life == _life) Do(step, work, answer); }); return; }
        var doing = work(this);
        void Go()
        {
            if (life != _life || !_running.Contains(step)) return;
            if (faults.FailsAStep() is { } failure) { End(failure.Message, failure.Kind, null); return; }
            if (!doing.MoveNext()) throw new InvalidOperationException($"step {step} ended without an answer");
            var (takes, error, kind, value) = doing.Current;
            if (takes == TimeSpan.MaxValue) { End(error, kind, value); return; }
            world.After(takes, Go);
        }
        void End(string? error, StepFailure kind, object? value)
        {
            _running.Remove(step);
            if (error is null) _answered[step] = (null, kind, value);
            world.Tell($"{Id}: {step} {error ?? "done"}");
            answer(error, kind, value);
            // What a late step left behind goes with the next look at the orders.
            Reconcile();
            faults.AfterAStep(this);
        }
        Go();
    }

    public void Cancel(string step) => _running.Remove(step);

    public void Report()
    {
        foreach (var (instance, container) in Containers) Say(instance, container, container.Runs ? InstanceCondition.Running : InstanceCondition.Created);
    }

    /// <summary>As the agent's reconciler: promote before mount, the epoch checked before every start, strangers removed.</summary>
    private void Reconcile()
    {
        if (_orders is not { } orders) return;
        foreach (var instance in Containers.Keys.Except(orders.Instances.Keys).ToList()) Containers.Remove(instance);
        foreach (var (name, primary) in orders.Primaries)
        {
            var here = Of(name);
            if (here.Live is null || here.Live.Epoch < primary.Epoch)
            {
                if (primary.Base is { } from && here.Snapshots.TryGetValue(from, out var contents))
                {
                    here.Live = new Live(primary.Epoch, contents.Writes);
                    world.Tell($"{Id}: promotes {from} at epoch {primary.Epoch} with {contents.Writes} writes");
                }
            }
            // Nothing frozen wakes up by this: its thaw is a step of its own.
            else if (!primary.Sealed) here.Live.Sealed = false;
        }
        foreach (var (instance, (task, volume, wish)) in orders.Instances)
        {
            if (wish == Wish.Remove) { Containers.Remove(instance); continue; }
            if (!Containers.TryGetValue(instance, out var container) || container.Task != task)
            {
                if (wish == Wish.Hold && !Containers.ContainsKey(instance)) continue;
                container = Containers[instance] = new Container(task, volume);
            }
            if (wish != Wish.Run || container.Writes || !MayWrite(volume)) continue;
            var life = _life;
            world.After(world.Span(0.05, 0.3), () => Started(life, instance, task, volume));
        }
    }

    /// <summary>The epoch check before every start and every thaw, against the orders as they stand now.</summary>
    private bool MayWrite(VolumeName volume) =>
        _orders is { } orders && orders.Primaries.TryGetValue(volume, out var at) && !at.Sealed && Of(volume).Live is { Sealed: false } live && live.Epoch == at.Epoch;

    private void Started(int life, InstanceId instance, TaskId task, VolumeName volume)
    {
        if (life != _life || _orders is not { } orders || !orders.Instances.TryGetValue(instance, out var told) || told != (task, volume, Wish.Run)) return;
        if (!Containers.TryGetValue(instance, out var container) || container.Task != task || container.Writes || !MayWrite(volume)) return;
        world.Tell($"{Id}: {task} {(container.Frozen ? "is thawed" : "runs")}");
        (container.Runs, container.Frozen) = (true, false);
        Say(instance, container, InstanceCondition.Running);
    }

    public void Say(InstanceId instance, Container container, InstanceCondition condition)
    {
        if (Connected) Observe?.Invoke(new(instance, container.Task, Simulation.AppOf(container.Volume), condition, "c", null, null, [], false, world.Now, null,
            new StartTimings(TimeSpan.FromMilliseconds(10), TimeSpan.Zero, TimeSpan.FromMilliseconds(100), TimeSpan.Zero)));
    }

    public ReplicaSeen Seen(VolumeName volume) => new(volume, new ByteCount((Of(volume).Live?.Writes ?? 0) * 1000),
        Of(volume).Snapshots.Select(s => new SnapshotView(s.Key, s.Value.Identity, new ByteCount(s.Value.Writes * 1000))).ToEquatableList());
}
