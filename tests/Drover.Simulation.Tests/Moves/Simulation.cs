using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Simulation.Tests.Moves;

/// <summary>Two machines, a control plane, two databases and a client that writes to both; the decisions are the real ones, everything around them is a model in which any part can fail at any step.</summary>
/// <param name="Plain">Every move by the default policy, no operator's acts: what comes is known beforehand.</param>
/// <param name="Blind">Agents that freeze nothing, seal nothing and look at nobody before the last snapshot: what comes of it must be noticed.</param>
internal sealed record Setting(double Likelihood, int Moves, bool Plain = false, bool Blind = false);

internal sealed class Simulation
{
    public static readonly NodeId A = new("a");
    public static readonly NodeId B = new("b");

    private static readonly AppSpec[] Specs = [.. new[] { "db", "mail" }.Select(name => new AppSpec
    {
        Id = new($"/{name}"), Container = new ContainerSpec { Image = "db", Volumes = [new VolumeMount(new(name), "/data", false, VolumeNaming.HostPath)] },
    })];

    private static readonly TimeSpan ClientsPause = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<NodeId, SimNode> _nodes;
    private readonly Faults _faults;
    private readonly SimControl _control;
    private readonly Dictionary<VolumeName, long> _acknowledged = [];
    private readonly HashSet<VolumeName> _lazy = [];
    private readonly bool _plain;
    private int _moves;

    public Simulation(int seed, Setting setting)
    {
        World = new World(seed);
        _faults = new Faults(World, setting.Likelihood, TimeSpan.FromSeconds(60));
        (_moves, _plain, Blind) = (setting.Moves, setting.Plain, setting.Blind);
        // A writer faster than the way to the target never converges by itself.
        BytesOfAWrite = !_plain && World.Happens(0.3) ? 150_000 : 1000;
        _nodes = new[] { A, B }.ToDictionary(id => id, id => new SimNode(World, id, _faults));
        _control = new SimControl(World, this, _faults, _nodes, Beginning());
        foreach (var spec in Specs)
        {
            _nodes[A].Of(VolumeOf(spec)).Live = new Live(new Epoch(1), 0);
            _acknowledged[VolumeOf(spec)] = 0;
        }
        _faults.KillAgent = node =>
        {
            node.CrashAgent();
            _control.Lost(node);
            World.After(World.Span(0.1, 25), () => { node.StartAgent(); _control.Connect(node); });
        };
        _faults.CutControl = node => _control.Cut(node, World.Span(0.1, 25));
        _faults.KillControl = _control.Crash;
        _faults.CutLink = () =>
        {
            if (!LinkUp) return;
            World.Tell("the link between the nodes is cut");
            LinkUp = false;
            World.After(World.Span(0.1, 10), () => LinkUp = true);
        };
    }

    public World World { get; }
    public long BytesOfAWrite { get; }
    public bool Blind { get; }
    public bool LinkUp { get; private set; } = true;
    public int NextIdentity { get; set; }
    public int Done { get; private set; }
    public int Undone { get; private set; }
    public int Incremental { get; private set; }
    /// <summary>What runs came across, so that a test can tell that it tested something.</summary>
    public HashSet<string> Seen { get; } = [];

    public SimNode Node(NodeId id) => _nodes[id];

    public static AppId AppOf(VolumeName volume) => new($"/{volume}");

    private static VolumeName VolumeOf(AppSpec spec) => spec.Volumes[0].Name;

    public string? Run()
    {
        foreach (var node in _nodes.Values) _control.Connect(node);
        World.After(TimeSpan.FromMilliseconds(70), Write);
        World.After(TimeSpan.FromSeconds(2), NextMove);
        if (!_plain) World.After(TimeSpan.FromSeconds(3), Operate);
        var end = TimeSpan.FromMinutes(20);
        while (World.Step(end))
        {
            if (Breach() is { } breach) return breach;
            if (_moves == 0 && _faults.Over && !_control.State.OpenMoves.Any() && Settled()) return Restrained();
        }
        return $"never came to its end: {string.Join(", ", _control.State.OpenMoves.Select(m => $"{m.Id} in {m.State}, waits for {m.WaitsFor ?? "nothing"}"))}; "
            + $"instances {string.Join(", ", _control.State.Instances.Values.Select(i => $"{i.Task} {i.State} on {i.Node}: {i.WaitsFor}"))}";
    }

    private bool Settled() => _control.State.Instances.Values.All(i => i.Node is not { } node || i.Serves && _nodes[node].Writes(VolumeOf(i.Spec)));

    /// <summary>Whatever was put on a container for a move has been taken off.</summary>
    private string? Restrained() => _nodes.Values.SelectMany(n => n.Containers.Values.Where(c => c.Throttled || c.Frozen).Select(c => $"{c.Task} on {n.Id} is still {(c.Frozen ? "frozen" : "slowed down")}")).FirstOrDefault();

    private static ClusterState Beginning() => ClusterState.Empty.Apply(
    [
        new ClusterChange.PutNode(NodeOf(A)), new ClusterChange.PutNode(NodeOf(B)),
        .. Specs.SelectMany(spec => (ClusterChange[])
        [
            new ClusterChange.PutApp(new App(spec, World.Start, World.Start, World.Start)),
            new ClusterChange.PutVolume(new Volume(VolumeOf(spec), A, new Epoch(1), true, null, spec.Id, World.Start)),
            new ClusterChange.PutInstance(new Instance(new InstanceId($"{VolumeOf(spec)}.1"), spec.Id, spec, World.Start, 1, A, [], InstanceGoal.Running, InstanceState.Staging, World.Start)),
        ]),
    ]);

    private static Node NodeOf(NodeId id) => new(id, id.Value, "127.0.0.1", 1, [], Resources.None, "model", "1", false, World.Start, World.Start);

    /// <summary>The client: one write after the other to whatever runs; acknowledged means it must never be missed again. One that is slowed down takes every second.</summary>
    private void Write()
    {
        foreach (var node in _nodes.Values)
            foreach (var container in node.Containers.Values.Where(c => c.Writes))
            {
                if (node.Of(container.Volume).Live is not { Sealed: false } live || container.Throttled && !_lazy.Remove(container.Volume) && _lazy.Add(container.Volume)) continue;
                live.Writes++;
                _acknowledged[container.Volume]++;
            }
        World.After(ClientsPause, Write);
    }

    private void NextMove()
    {
        if (_moves == 0) return;
        World.After(World.Span(1, 6), NextMove);
        if (!_control.Runs) return;
        var state = _control.State;
        // With chance the other app's move comes on top of one that is under way.
        var spec = Specs[_plain ? 0 : (int)(World.Chance() * Specs.Length)];
        if (state.OpenMoveOf(spec.Id) is not null || state.OpenMoves.Any() && World.Happens(0.3)) return;
        var instance = state.InstancesOf(spec.Id).Single();
        var source = state.Volumes[VolumeOf(spec)].Primary!.Value;
        var target = source == A ? B : A;
        if (instance.Node is null || World.Happens(0.3)) { Redeploy(state, spec, instance, source, target); return; }
        if (!instance.Serves || MovePlanner.Refusal(state, spec.Id, target) is not null) return;
        Begin(state, spec, instance, source, target, MoveTrigger.Move);
    }

    /// <summary>The app is deleted and made again elsewhere: its old container is gone before the data goes.</summary>
    private void Redeploy(ClusterState state, AppSpec spec, Instance instance, NodeId source, NodeId target)
    {
        if (instance.Node is not null)
        {
            var next = new Instance(new InstanceId($"{VolumeOf(spec)}.{World.Clock.TotalMilliseconds:0}"), spec.Id, spec, World.Now, 1, null, [], InstanceGoal.Running, InstanceState.Scheduled, World.Now);
            _control.Decide(_ => Decision.Of(true, [new ClusterChange.RemoveInstance(instance.Id), new ClusterChange.PutInstance(next)]));
            return;
        }
        if (_nodes.Values.Any(n => n.Containers.Values.Any(c => c.Volume == VolumeOf(spec))) || !state.IsConnected(source) || !state.IsConnected(target)) return;
        Begin(state, spec, instance, source, target, MoveTrigger.Redeploy);
    }

    private void Begin(ClusterState state, AppSpec spec, Instance instance, NodeId source, NodeId target, MoveTrigger trigger)
    {
        _moves--;
        var move = MovePlanner.Plan(state, spec, instance, source, target, [], trigger, Policy(), new MoveId($"move{NextIdentity++}"), World.Now) with { Width = World.Happens(0.5) ? 1 : 0 };
        World.Tell($"{trigger} of {spec.Id} from {source} to {target}, {move.Policy.NonConvergence}, {move.Policy.Quiesce}{(move.Policy.PreStop is null ? "" : ", preStop")}");
        _control.Decide(_ => Decision.Of(true, [new ClusterChange.PutMove(move)]));
    }

    private MovePolicy Policy() => _plain ? MovePolicy.Default : MovePolicy.Default with
    {
        NonConvergence = (NonConvergence)(int)(World.Chance() * 4),
        Quiesce = World.Happens(0.4) ? Quiesce.Freeze : Quiesce.Stop,
        PreStop = World.Happens(0.4) ? new("checkpoint", TimeSpan.FromSeconds(5), World.Happens(0.3)) : null,
    };

    /// <summary>The operator takes moves back and cuts them short, at any moment, and what was refused changed nothing.</summary>
    private void Operate()
    {
        World.After(World.Span(1, 20), Operate);
        if (!_control.Runs || _control.State.OpenMoves.OrderBy(m => m.Id).FirstOrDefault() is not { } move) return;
        // One that only an operator ends is cut in the end.
        var undo = move.NextRoundAt is null && World.Happens(0.15);
        if (!undo && move.NextRoundAt is null && World.Happens(0.6)) return;
        World.Tell($"operator: {(undo ? "undo" : "cut")} {move.Id} in {move.State}");
        _control.Decide(s =>
        {
            var decision = undo ? MoveActs.Undo(s, move.Id, World.Now) : MoveActs.Cut(s, move.Id, World.Now);
            if (s.Moves[move.Id].Committed && !decision.Changes.IsDefaultOrEmpty) throw new InvalidOperationException($"{move.Id} was {(undo ? "undone" : "cut")} after its commit");
            return decision.Changes.IsDefault ? Decision.Of(decision.Outcome, []) : decision;
        });
    }

    public void Changed(Move move)
    {
        if (move.Throttled > 0) Seen.Add("throttled");
        if (move.NextRoundAt is not null) Seen.Add("paused");
        if (move.CutNow) Seen.Add("cut asked");
        if (move.PreStop is PreStopState.Done or PreStopState.Failed) Seen.Add($"preStop {move.PreStop}");
        if (move.State == MoveState.FinalDelta && MoveMachine.Freezes(move)) Seen.Add("frozen");
        if (move.State == MoveState.Unwinding && MoveMachine.Freezes(move) && move.History.Items.Any(h => h.State == MoveState.FinalDelta)) Seen.Add("thawed");
        if (move.Failure?.Contains("operator", StringComparison.Ordinal) == true) Seen.Add("taken back");
        if (move.WaitsFor?.Contains("its turn", StringComparison.Ordinal) == true) Seen.Add("queued");
        if (_control.State.OpenMoves.Count(m => m.State is > MoveState.Planned and < MoveState.CutOver) > 1) Seen.Add("two at once");
    }

    public void Ended(Move move)
    {
        if (move.State == MoveState.Done) Done++;
        else Undone++;
        if (move.State == MoveState.Done && move.Volumes[0].Base is not null) Incremental++;
    }

    private string? Breach()
    {
        foreach (var (volume, acknowledged) in _acknowledged)
        {
            if (_nodes.Values.Count(n => n.Writes(volume) && !n.Of(volume).Live!.Sealed) > 1) return $"two nodes write {volume}";
            foreach (var node in _nodes.Values)
                if (node.Writes(volume) && node.Of(volume).Live!.Writes != acknowledged) return $"{node.Id} runs on {node.Of(volume).Live!.Writes} writes of {volume}, {acknowledged} were acknowledged";
            var stored = _control.State.Volumes[volume];
            var owner = _nodes[stored.Primary!.Value];
            var held = owner.Of(volume).Live is { } live && live.Epoch == stored.Epoch ? live.Writes
                : stored.Base is { } from && owner.Of(volume).Snapshots.TryGetValue(from, out var contents) ? contents.Writes : -1;
            if (held != acknowledged) return $"the primary {owner.Id} holds {held} writes of {volume}, of {acknowledged}, at epoch {stored.Epoch}: no complete copy";
        }
        return null;
    }
}
