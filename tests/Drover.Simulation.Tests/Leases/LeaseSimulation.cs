using Drover.Core;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Simulation.Tests.Moves;

namespace Drover.Simulation.Tests.Leases;

/// <summary>What of the real thing is taken away, to see that the check would notice.</summary>
internal enum Broken { Nothing, Slack, Guard, Seal, RestartForgets }

/// <summary>Three machines that may each hold the writable copy, a control plane, and an operator who promotes whatever he is let to. Leases and promotions are the
/// real decisions; links, processes, clocks and the order of events are the seed's.</summary>
internal sealed class LeaseSimulation
{
    public static readonly VolumeName Data = new("data");
    public static readonly LeaseTerms Terms = new(TimeSpan.FromSeconds(10));
    private static readonly TimeSpan Lasts = TimeSpan.FromMinutes(4);
    private static readonly SnapshotName Base = new("m1-f");

    private readonly Broken _broken;
    private readonly List<LeaseNode> _nodes;
    private readonly Dictionary<NodeId, long> _notBefore = [];
    private readonly double _rate;
    private LeaseGrants _grants;
    private bool _runs = true;

    public LeaseSimulation(int seed, Broken broken)
    {
        _broken = broken;
        World = new World(seed);
        _rate = 0.99 + World.Chance() * 0.02;
        _nodes = [.. new[] { "a", "b", "c" }.Select(n => new LeaseNode(World, new NodeId(n), broken))];
        _grants = new LeaseGrants(Believed, Now);
        _nodes[0].Live = (new Epoch(1), true);
        State = ClusterState.Empty.Apply(
        [
            .. _nodes.Select(n => new ClusterChange.PutNode(new Node(n.Id, n.Id.Value, "127.0.0.1", 1, [], Resources.None, "model", "1", false, World.Start, World.Start))),
            new ClusterChange.PutVolume(new Volume(Data, _nodes[0].Id, new Epoch(1), true, Base, new AppId("/db"), World.Start)
            {
                Standbys = [new Standby(_nodes[1].Id, Base, new Epoch(1), World.Start), new Standby(_nodes[2].Id, Base, new Epoch(1), World.Start)],
            }),
        ]);
    }

    public World World { get; }
    public ClusterState State { get; private set; }
    public int Promotions { get; private set; }
    public int Forks { get; private set; }
    public int Waits { get; private set; }
    public bool Wrote { get; private set; }

    private LeaseTerms Believed => _broken == Broken.Slack ? new LeaseTerms(Terms.Length / 3) : Terms;
    private TimeSpan Now => World.Clock * _rate;

    public string? Run()
    {
        foreach (var node in _nodes)
        {
            World.After(World.Span(0, 1), () => Ask(node));
            World.After(World.Span(0, 1), node.Tick);
            World.After(World.Span(0, 1), node.GuardLooks);
            World.After(World.Span(0, 1), () => Dial(node));
        }
        World.After(World.Span(1, 5), Operate);
        World.After(World.Span(1, 5), Fault);
        while (World.Step(Lasts))
        {
            var writers = _nodes.Where(n => n.Writes).Select(n => n.Id.Value).ToList();
            if (writers.Count > 1) return $"{string.Join(" and ", writers)} write the volume";
            Wrote |= writers.Count == 1;
        }
        return null;
    }

    // ---- The link: in order while it lasts, as late as it likes ----
    private void Over(LeaseNode node, Action act)
    {
        if (!node.Linked) return;
        var connection = node.Connection;
        var at = World.Clock + (World.Happens(0.1) ? World.Span(0, 8) : World.Span(0.001, 0.02));
        if (at < node.LastMessage) at = node.LastMessage;
        node.LastMessage = at;
        World.After(at - World.Clock, () => { if (node.Connection == connection) act(); });
    }

    private void Up(LeaseNode node, Action act) => Over(node, () => { if (_runs) act(); });

    private void Down(LeaseNode node, Action act) => Over(node, () => node.Later(act));

    // ---- The agent asks ----
    private void Ask(LeaseNode node)
    {
        World.After(node.Own(node.Held.MayStart(node.Now) ? Terms.RenewAfter : TimeSpan.FromSeconds(1)), () => Ask(node));
        if (!node.Acts || !node.Linked) return;
        var asked = node.Now;
        Up(node, () => { node.Asked = asked; Answer(node); });
    }

    private void Dial(LeaseNode node)
    {
        World.After(World.Span(0.5, 3), () => Dial(node));
        if (!node.Acts || node.Linked || node.CutOff || !_runs) return;
        node.Connect();
        Up(node, () => Greeted(node));
    }

    // ---- Control ----
    private void Greeted(LeaseNode node)
    {
        World.Tell($"control: {node.Id} is connected");
        Decide(Decision.Of(true, [new ClusterChange.PutPresence(new NodePresence(node.Id, true, World.Now, default, default, default))]));
        Order(node);
    }

    private void Order(LeaseNode node)
    {
        if (!State.IsConnected(node.Id)) return;
        var (volume, revision) = (State.Volumes[Data], State.Revision);
        Down(node, () => node.Take(volume, said => Up(node, () => Observed(node, said))));
        node.Revision = revision;
        Answer(node);
    }

    private void Answer(LeaseNode node)
    {
        if (node.Asked is not { } asked || !State.IsConnected(node.Id)) return;
        if (node.Revision < _notBefore.GetValueOrDefault(node.Id)) return;
        node.Asked = null;
        _grants = _grants.Granted(node.Id, Now);
        Down(node, () => node.Granted(asked, Terms));
    }

    private void Observed(LeaseNode node, ReplicaObservation said)
    {
        var before = State.Volumes[Data].Forks.Count(f => f.Kept);
        Decide(ReplicaLifecycle.Observed(State, node.Id, said, World.Now));
        Forks += State.Volumes[Data].Forks.Count(f => f.Kept) - before;
    }

    private void Decide<T>(Decision<T> decision)
    {
        if (decision.Changes.IsDefaultOrEmpty) return;
        State = State.Apply(decision.Changes);
        if (decision.Changes.Any(c => c.Durable)) foreach (var node in _nodes) Order(node);
    }

    private void Operate()
    {
        World.After(World.Span(0.2, 4), Operate);
        if (!_runs || State.Volumes[Data].Primary is not { } primary || State.IsConnected(primary)) return;
        var target = _nodes[(int)(World.Chance() * _nodes.Count)].Id;
        var decision = Promotion.Decide(State, new PromotionWish(Data, target, AcceptLoss: true), primary, _grants.Left(primary, Now), World.Now);
        if (decision.Outcome is PromotionAnswer.Waits) Waits++;
        if (decision.Outcome is not PromotionAnswer.Done done) return;
        World.Tell($"operator: {target} is promoted at epoch {done.Volume.Epoch}");
        Promotions++;
        _notBefore[primary] = State.Revision + 1;
        Decide(decision);
    }

    // ---- What goes wrong ----
    private void Fault()
    {
        World.After(World.Span(0.5, 12), Fault);
        var node = _nodes[(int)(World.Chance() * _nodes.Count)];
        // Mostly where it matters.
        if (World.Happens(0.5)) node = _nodes.First(n => n.Id == State.Volumes[Data].Primary);
        switch ((int)(World.Chance() * 6))
        {
            case 0 or 1:
                World.Tell($"{node.Id}: cut off");
                node.CutOff = true;
                World.After(World.Span(0.5, 40), () => node.CutOff = false);
                Break(node, World.Span(0.1, 9));
                break;
            case 2:
                World.Tell($"{node.Id}: agent stopped by a signal");
                node.Stop(World.Span(0.1, 40));
                Break(node, World.Span(5, 9));
                break;
            case 3:
                World.Tell($"{node.Id}: agent killed");
                node.KillAgent(World.Span(0.2, 40));
                Break(node, TimeSpan.Zero);
                break;
            case 4:
                World.Tell($"{node.Id}: started anew");
                node.Reboot(World.Span(5, 40));
                Break(node, World.Span(1, 9));
                break;
            default:
                if (!_runs) break;
                World.Tell("control: killed");
                _runs = false;
                foreach (var each in _nodes) Break(each, TimeSpan.Zero);
                World.After(World.Span(0.2, 20), () =>
                {
                    World.Tell("control: starts");
                    (_runs, State) = (true, State with { Presence = State.Presence.Clear() });
                    _grants = new LeaseGrants(Believed, _broken == Broken.RestartForgets ? Now - TimeSpan.FromHours(1) : Now);
                    // What was barred is forgotten too: nobody is promoted before every grant of before has ended, and orders go before grants.
                    _notBefore.Clear();
                });
                break;
        }
    }

    private void Break(LeaseNode node, TimeSpan noticed)
    {
        node.Disconnect();
        World.After(noticed, () =>
        {
            if (!_runs || node.Linked || !State.IsConnected(node.Id)) return;
            Decide(Decision.Of(true, [new ClusterChange.PutPresence(new NodePresence(node.Id, false, World.Now, default, default, default))]));
        });
    }
}

/// <summary>One machine: its disk, its container, its guard and its agent, each with a life of its own.</summary>
internal sealed class LeaseNode(World world, NodeId id, Broken broken)
{
    private readonly double _rate = 0.99 + world.Chance() * 0.02;
    private readonly List<Action> _late = [];
    private bool _agent = true, _stopped, _on = true, _fork, _busy;
    private int _boot, _life;
    private (NodeId? Primary, Epoch Epoch)? _orders;

    public NodeId Id { get; } = id;
    public TimeSpan Now => world.Clock * _rate;
    public HeldLease Held { get; private set; } = HeldLease.None;
    public (Epoch Epoch, bool Sealed)? Live { get; set; }
    public bool Runs { get; private set; }
    public bool Writes => Runs && Live is { Sealed: false };
    public bool Acts => _agent && _on && !_stopped;

    public bool CutOff { get; set; }
    public bool Linked { get; private set; }
    public int Connection { get; private set; }
    public TimeSpan LastMessage { get; set; }
    public TimeSpan? Asked { get; set; }
    public long Revision { get; set; }

    public TimeSpan Own(TimeSpan delay) => delay / _rate;

    public void Connect() => (Linked, Connection, Revision, Asked, LastMessage) = (true, Connection + 1, 0, null, world.Clock);

    public void Disconnect() => (Linked, Connection) = (false, Connection + 1);

    /// <summary>A stopped process does it when it goes on; a dead one never.</summary>
    public void Later(Action act)
    {
        if (!_agent || !_on) return;
        if (!_stopped) { act(); return; }
        _late.Add(act);
    }

    public void Stop(TimeSpan time)
    {
        if (!Acts) return;
        _stopped = true;
        var life = _life;
        world.After(time, () =>
        {
            if (life != _life) return;
            _stopped = false;
            foreach (var act in _late.ToList()) act();
            _late.Clear();
        });
    }

    public void KillAgent(TimeSpan back)
    {
        (_agent, _stopped, _busy, _orders) = (false, false, false, null);
        _late.Clear();
        var life = ++_life;
        world.After(back, () => { if (life == _life) _agent = true; });
    }

    public void Reboot(TimeSpan back)
    {
        (_on, Runs) = (false, false);
        // A lease of an earlier start of the machine counts for nothing.
        Held = HeldLease.None;
        _boot++;
        KillAgent(back);
        world.After(back, () => _on = true);
    }

    public void Granted(TimeSpan asked, LeaseTerms terms) => Held = Held.Granted(asked, terms);

    public void Take(Volume volume, Action<ReplicaObservation> tell)
    {
        _orders = (volume.Primary, volume.Epoch);
        if (volume.Primary == Id)
        {
            // Promoted here, of a snapshot: what an older epoch left lies beside.
            if (Live is not { } live || live.Epoch < volume.Epoch) Live = (volume.Epoch, true);
            return;
        }
        Runs = false;
        if (Live is { } old && volume.Forks.Items.Any(f => f.Node == Id && f.Epoch == old.Epoch)) (Live, _fork) = (null, true);
        if (_fork) tell(new ReplicaObservation(LeaseSimulation.Data, false, Epoch.None, false, default,
            [new SnapshotView(new("m1-f"), "x", default), .. volume.Forks.Where(f => f.Node == Id).Select(f => new SnapshotView(f.Snapshot, "y", default))]));
    }

    /// <summary>The agent: stops in time by itself, starts what it may. Between its last look and what it then does it may be stopped for any time.</summary>
    public void Tick()
    {
        world.After(world.Span(0.2, 0.6), Tick);
        if (!Acts) return;
        if (!Held.MayStart(Now))
        {
            Runs = false;
            if (Live is { } live) Live = live with { Sealed = true };
            return;
        }
        if (_orders is not { } orders || orders.Primary != Id || Live is not { } data || data.Epoch != orders.Epoch) return;
        if (_busy || (Runs && !data.Sealed)) return;
        var (boot, life) = (_boot, _life);
        _busy = true;
        // Between the look at the clock and what follows there is time enough to be stopped by a signal.
        world.After(world.Span(0, 0.2), () =>
        {
            if (life == _life) Later(() => { _busy = false; if (data.Sealed) Unseal(data.Epoch); else EngineStarts(boot, data.Epoch); });
        });
    }

    private void Unseal(Epoch epoch)
    {
        if (Live is { } now && now.Epoch == epoch) Live = now with { Sealed = false };
    }

    /// <summary>Also where the agent is dead by then.</summary>
    private void EngineStarts(int boot, Epoch epoch) =>
        world.After(world.Span(0, 1.5), () => { if (boot == _boot && Live is { } now && now.Epoch == epoch) Runs = true; });

    /// <summary>The guard: nothing but the clock and the agent's file.</summary>
    public void GuardLooks()
    {
        var until = Held.EndsAt is { } end && end > Now && end - Now < TimeSpan.FromSeconds(1) ? end - Now : TimeSpan.FromSeconds(1);
        world.After(Own(until), GuardLooks);
        if (broken == Broken.Guard || Held.EndsAt is null || !Held.HasEnded(Now)) return;
        var boot = _boot;
        world.After(world.Span(0, 0.9), () =>
        {
            if (boot != _boot || !Held.HasEnded(Now)) return;
            Runs = false;
            if (broken != Broken.Seal && Live is { } live) Live = live with { Sealed = true };
        });
    }
}
