using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;

namespace Drover.Simulation.Tests.Moves;

/// <summary>The control plane: its state outlives it, everything else it knows dies with it.</summary>
internal sealed class SimControl
{
    private static readonly TimeSpan Latency = TimeSpan.FromMilliseconds(5);

    private readonly World _world;
    private readonly Simulation _all;
    private readonly Faults _faults;
    private readonly Dictionary<NodeId, SimNode> _nodes;
    private readonly Dictionary<NodeId, int> _connections = [];
    private DateTimeOffset _since = World.Start;
    private readonly Dictionary<MoveId, Work> _works = [];
    private bool _pumping;

    public SimControl(World world, Simulation all, Faults faults, Dictionary<NodeId, SimNode> nodes, ClusterState state)
    {
        (_world, _all, _faults, _nodes, State) = (world, all, faults, nodes, state);
        foreach (var node in nodes.Values)
        {
            _connections[node.Id] = 0;
            node.Observe = seen => Up(node, () => Decide(s => InstanceLifecycle.Observed(s, node.Id, seen, _world.Now)));
        }
    }

    public ClusterState State { get; private set; }
    public bool Runs { get; private set; } = true;

    private sealed class Work(Move move)
    {
        public Move Move { get; } = move;
        public Dictionary<string, MoveStep> Open { get; } = [];
        public Dictionary<string, object?> Values { get; } = [];
        public bool Issued { get; set; }
    }

    public void Decide<T>(Func<ClusterState, Decision<T>> decide)
    {
        if (!Runs || _faults.Happens(0.02) && KilledInstead()) return;
        var decision = decide(State);
        if (decision.Changes.IsEmpty) return;
        var before = State;
        State = State.Apply(decision.Changes);
        foreach (var breach in MoveInvariants.Breaches(State)) throw new InvalidOperationException($"{breach}\n{string.Join('\n', _world.Story)}");
        foreach (var move in State.Moves.Values.Where(m => before.Moves.TryGetValue(m.Id, out var old) && old.State != m.State))
        {
            _world.Tell($"control: {move.Id} {move.State}{(move.Failure is null ? "" : $" ({move.Failure})")}");
            if (move.Ended) _all.Ended(move);
        }
        foreach (var move in State.Moves.Values.Where(m => before.Moves.GetValueOrDefault(m.Id) != m)) _all.Changed(move);
        // Stored, and nobody has been told.
        if (_faults.Happens(0.1)) { Crash(); return; }
        foreach (var node in _nodes.Values) Push(node);
        Pump();
    }

    public void Crash()
    {
        if (!Runs) return;
        _world.Tell("control: killed");
        Runs = false;
        _works.Clear();
        State = State with { Presence = State.Presence.Clear() };
        foreach (var node in _nodes.Values) Break(node);
        _world.After(_world.Span(0.5, 8), () =>
        {
            _world.Tell("control: starts");
            (Runs, _since) = (true, _world.Now);
            foreach (var node in _nodes.Values) _world.After(_world.Span(0.1, 2), () => Connect(node));
            WakeLater();
            Pump();
        });
    }

    public void Cut(SimNode node, TimeSpan time)
    {
        if (!node.Connected) return;
        _world.Tell($"{node.Id}: cut off from the control plane");
        Lost(node);
        _world.After(time, () => Connect(node));
    }

    public void Lost(SimNode node)
    {
        Break(node);
        if (!Runs) return;
        Decide(s => Decision.Of(true, [new ClusterChange.PutPresence(Presence(node, false))]));
        WakeLater();
    }

    public void Connect(SimNode node)
    {
        if (!Runs || !node.AgentRuns || node.Connected) return;
        _world.Tell($"{node.Id}: connects");
        node.Connected = true;
        Decide(s => Decision.Of(true, [new ClusterChange.PutPresence(Presence(node, true))]));
        if (!node.Connected) return;
        Decide(s => InstanceLifecycle.Missing(s, node.Id, node.Containers.Keys.ToHashSet(), _world.Now));
        Push(node);
        node.Report();
        foreach (var work in _works.Values.Where(w => w.Issued).ToList())
            foreach (var (id, step) in work.Open.ToList()) if (Where(work.Move, step) == node.Id) Order(work, id, step);
        Pump();
    }

    private bool KilledInstead()
    {
        Crash();
        return true;
    }

    private void Break(SimNode node)
    {
        node.Connected = false;
        _connections[node.Id]++;
    }

    private NodePresence Presence(SimNode node, bool connected) => new(node.Id, connected, _world.Now, default, default, default);

    private void WakeLater()
    {
        foreach (var seconds in (ReadOnlySpan<double>)[5.001, 15.001]) _world.After(TimeSpan.FromSeconds(seconds), Pump);
    }

    private void Push(SimNode node)
    {
        var orders = Orders.Of(State, node.Id);
        Down(node, () => node.Take(orders));
    }

    // Messages of one connection arrive in order and only while it lasts.
    private void Down(SimNode node, Action act) => Over(node, act);

    private void Up(SimNode node, Action act) => Over(node, () => { if (Runs) act(); });

    private void Over(SimNode node, Action act)
    {
        if (!node.Connected) return;
        var connection = _connections[node.Id];
        _world.After(Latency, () => { if (node.Connected && _connections[node.Id] == connection) act(); });
    }

    private void Pump()
    {
        if (_pumping || !Runs) return;
        _pumping = true;
        try
        {
            // One change may let another move begin: until nothing more comes of looking.
            while (Runs && State.OpenMoves.OrderBy(m => m.Id).Any(Advances)) { }
        }
        finally
        {
            _pumping = false;
        }
    }

    /// <summary>True: something came of it.</summary>
    private bool Advances(Move move)
    {
        if (MoveWatch.Look(State, move, _world.Now, _since) is { } said)
        {
            var before = State;
            Decide(s => MoveDecisions.Take(s, move, said, _world.Now));
            return !ReferenceEquals(before, State);
        }
        if (move.NextRoundAt is { } at && at != MoveMachine.UntilAsked) _world.After(at - _world.Now + TimeSpan.FromMilliseconds(1), Pump);
        if (!_works.TryGetValue(move.Id, out var work) || !MoveDecisions.SamePlace(move, work.Move)) return Begin(move);
        if (!Unreachable(work)) return false;
        Happened(work, new MoveEvent.Unwound($"node '{move.Target}' did not answer"));
        return true;
    }

    private bool Begin(Move move)
    {
        CancelOpen(move.Id);
        var work = _works[move.Id] = new Work(move);
        _world.After(MoveMachine.Delay(move), () =>
        {
            if (_works.GetValueOrDefault(move.Id) != work) return;
            work.Issued = true;
            foreach (var step in MoveMachine.Steps(State, move))
                work.Open[$"{move.Id}/{move.State}/{Where(move, step)}{step.GetType().Name}/{move.Rounds.Count}.{move.Attempts}.{move.Throttle}"] = step;
            foreach (var (id, step) in work.Open.ToList()) Order(work, id, step);
        });
        return false;
    }

    private void CancelOpen(MoveId move)
    {
        if (_works.GetValueOrDefault(move) is not { Issued: true } old) return;
        foreach (var (id, step) in old.Open.ToList())
        {
            var node = _nodes[Where(old.Move, step)];
            Down(node, () => node.Cancel(id));
        }
        old.Open.Clear();
    }

    private void Order(Work work, string id, MoveStep step)
    {
        var node = _nodes[Where(work.Move, step)];
        TaskId? prepared = work.Move.Instance is { } i && State.Instances.TryGetValue(i, out var instance) ? i.Task(instance.Incarnation + 1) : null;
        Down(node, () => node.Do(id, n => StepWork.Of(_all, work.Move, step, n, prepared), (error, kind, value) => Up(node, () => Result(work, id, error, kind, value))));
    }

    private void Result(Work work, string id, string? error, StepFailure kind, object? value)
    {
        if (_works.GetValueOrDefault(work.Move.Id) != work || !work.Open.Remove(id, out var step)) return;
        work.Values[step.GetType().Name] = value;
        var move = work.Move;
        if (error is not null && !(step is MoveStep.UnwindTarget && kind != StepFailure.Retry))
        {
            Happened(work, new MoveEvent.StepFailed(move.State, move.Rounds.Count, move.Attempts, kind, error));
            return;
        }
        if (work.Open.Count > 0) return;
        Happened(work, value as MoveEvent ?? move.State switch
        {
            MoveState.Preparing => new MoveEvent.Prepared([(ReplicaSeen)work.Values[nameof(MoveStep.InspectSource)]!], [(ReplicaSeen)work.Values[nameof(MoveStep.PrepareTarget)]!], ByteCount.GiB(1)),
            MoveState.Seeding or MoveState.FinalDelta => new MoveEvent.RoundSent((Round)value!),
            MoveState.Quiescing => new MoveEvent.Stopped(TimeSpan.FromMilliseconds(100)),
            MoveState.Unwinding => new MoveEvent.Unwound(error),
            _ => new MoveEvent.Retired(),
        });
    }

    private void Happened(Work work, MoveEvent what)
    {
        CancelOpen(work.Move.Id);
        _works.Remove(work.Move.Id);
        Decide(s => MoveDecisions.Take(s, work.Move, what, _world.Now));
        // The same once more, as after a message that came twice.
        Decide(s => MoveDecisions.Take(s, work.Move, what, _world.Now));
        Pump();
    }

    private bool Unreachable(Work work) => work is { Issued: true, Move.State: MoveState.Unwinding, Open.Count: 1 } && work.Open.Values.Single() is MoveStep.UnwindTarget
        && MoveWatch.IsLost(State, work.Move, work.Move.Target, _world.Now, _since);

    private static NodeId Where(Move move, MoveStep step) => step switch
    {
        MoveStep.PrepareTarget or MoveStep.UnwindTarget => move.Target,
        MoveStep.Retire retire => retire.Node,
        _ => move.Source,
    };
}
