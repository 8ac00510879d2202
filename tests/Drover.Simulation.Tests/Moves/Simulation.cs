using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Simulation.Tests.Moves;

/// <summary>Two machines, a control plane and a client that writes; the decisions are the real ones, everything around them is a model in which any part can fail at any step.</summary>
internal sealed class Simulation
{
    public static readonly AppId App = new("/db");
    public static readonly VolumeName Data = new("data");
    public static readonly NodeId A = new("a");
    public static readonly NodeId B = new("b");

    private static readonly AppSpec Spec = new()
    {
        Id = App,
        Container = new ContainerSpec { Image = "db", Volumes = [new VolumeMount(Data, "/data", false, VolumeNaming.HostPath)] },
    };

    private readonly Dictionary<NodeId, SimNode> _nodes;
    private readonly Faults _faults;
    private readonly SimControl _control;
    private long _acknowledged;
    private int _moves;

    public Simulation(int seed, double likelihood, int moves)
    {
        World = new World(seed);
        _faults = new Faults(World, likelihood, TimeSpan.FromSeconds(60));
        _moves = moves;
        _nodes = new[] { A, B }.ToDictionary(id => id, id => new SimNode(World, id, _faults));
        _control = new SimControl(World, this, _faults, _nodes, Beginning());
        _nodes[A].Live = new Live(new Epoch(1), 0);
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
    public bool LinkUp { get; private set; } = true;
    public int NextIdentity { get; set; }
    public int Done { get; private set; }
    public int Undone { get; private set; }
    public int Incremental { get; private set; }

    public SimNode Node(NodeId id) => _nodes[id];

    public string? Run()
    {
        foreach (var node in _nodes.Values) _control.Connect(node);
        World.After(TimeSpan.FromMilliseconds(70), Write);
        World.After(TimeSpan.FromSeconds(2), NextMove);
        var end = TimeSpan.FromMinutes(20);
        while (World.Step(end))
        {
            if (Breach() is { } breach) return breach;
            if (_moves == 0 && _faults.Over && !_control.State.OpenMoves.Any() && Settled()) return null;
        }
        return $"never came to its end: {string.Join(", ", _control.State.OpenMoves.Select(m => $"{m.Id} in {m.State}, waits for {m.WaitsFor ?? "nothing"}"))}; "
            + $"instances {string.Join(", ", _control.State.Instances.Values.Select(i => $"{i.Task} {i.State} on {i.Node}: {i.WaitsFor}"))}";
    }

    private bool Settled() => _control.State.Instances.Values.All(i => i.Node is null || (i.Serves && _nodes[i.Node.Value].Writes));

    private static ClusterState Beginning() => ClusterState.Empty.Apply(
    [
        new ClusterChange.PutNode(NodeOf(A)), new ClusterChange.PutNode(NodeOf(B)),
        new ClusterChange.PutApp(new App(Spec, World.Start, World.Start, World.Start)),
        new ClusterChange.PutVolume(new Volume(Data, A, new Epoch(1), true, null, App, World.Start)),
        new ClusterChange.PutInstance(new Instance(new InstanceId("db.1"), App, Spec, World.Start, 1, A, [], InstanceGoal.Running, InstanceState.Staging, World.Start)),
    ]);

    private static Node NodeOf(NodeId id) => new(id, id.Value, "127.0.0.1", 1, [], Resources.None, "model", "1", false, World.Start, World.Start);

    /// <summary>The client: one write after the other to whatever runs; acknowledged means it must never be missed again.</summary>
    private void Write()
    {
        foreach (var node in _nodes.Values)
        {
            if (!node.Writes || node.Live!.Sealed) continue;
            node.Live.Writes++;
            _acknowledged++;
        }
        World.After(TimeSpan.FromMilliseconds(100), Write);
    }

    private void NextMove()
    {
        if (_moves == 0) return;
        World.After(World.Span(1, 6), NextMove);
        var state = _control.State;
        if (!_control.Runs || state.OpenMoves.Any()) return;
        var instance = state.Instances.Values.Single();
        var source = state.Volumes[Data].Primary!.Value;
        var target = source == A ? B : A;
        if (instance.Node is null || World.Happens(0.3)) { Redeploy(state, instance, source, target); return; }
        if (!instance.Serves || MovePlanner.Refusal(state, App, target) is not null) return;
        Begin(state, instance, source, target, MoveTrigger.Move);
    }

    /// <summary>The app is deleted and made again elsewhere: its old container is gone before the data goes.</summary>
    private void Redeploy(ClusterState state, Instance instance, NodeId source, NodeId target)
    {
        if (instance.Node is not null)
        {
            var next = new Instance(new InstanceId($"db.{World.Clock.TotalMilliseconds:0}"), App, Spec, World.Now, 1, null, [], InstanceGoal.Running, InstanceState.Scheduled, World.Now);
            _control.Decide(_ => Decision.Of(true, [new ClusterChange.RemoveInstance(instance.Id), new ClusterChange.PutInstance(next)]));
            return;
        }
        if (_nodes.Values.Any(n => n.Containers.Count > 0) || !state.IsConnected(source) || !state.IsConnected(target)) return;
        Begin(state, instance, source, target, MoveTrigger.Redeploy);
    }

    private void Begin(ClusterState state, Instance instance, NodeId source, NodeId target, MoveTrigger trigger)
    {
        _moves--;
        var move = MovePlanner.Plan(state, Spec, instance, source, target, [], trigger, MovePolicy.Default, new MoveId($"move{NextIdentity++}"), World.Now);
        World.Tell($"{trigger} of {App} from {source} to {target}");
        _control.Decide(_ => Decision.Of(true, [new ClusterChange.PutMove(move)]));
    }

    public void Ended(Move move)
    {
        if (move.State == MoveState.Done) Done++;
        else Undone++;
        if (move.State == MoveState.Done && move.Volumes[0].Base is not null) Incremental++;
    }

    private string? Breach()
    {
        var writers = _nodes.Values.Count(n => n.Writes && !n.Live!.Sealed);
        if (writers > 1) return "two nodes write the volume";
        foreach (var node in _nodes.Values)
            if (node.Writes && node.Live!.Writes != _acknowledged) return $"{node.Id} runs on {node.Live.Writes} writes, {_acknowledged} were acknowledged";
        var volume = _control.State.Volumes[Data];
        var owner = _nodes[volume.Primary!.Value];
        var held = owner.Live is { } live && live.Epoch == volume.Epoch ? live.Writes
            : volume.Base is { } from && owner.Snapshots.TryGetValue(from, out var contents) ? contents.Writes : -1;
        return held == _acknowledged ? null : $"the primary {owner.Id} holds {held} writes of {_acknowledged} at epoch {volume.Epoch}: no complete copy";
    }
}
