using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Agents;

/// <summary>Whose orders a commit may change. What is not named here is not computed: a change of one app costs what that app has, on however many nodes others run.</summary>
public sealed class OrderScope
{
    private readonly HashSet<NodeId> _nodes = [];
    private readonly Dictionary<NodeId, HashSet<InstanceId>> _copies = [];

    /// <summary>Every node: what all of them are told has changed, or what changed is not known.</summary>
    public bool Everyone { get; private set; }
    /// <summary>Nodes whose whole order is to be compared.</summary>
    public IReadOnlyCollection<NodeId> Nodes => _nodes;
    /// <summary>Copies that changed on nodes of which nothing else did.</summary>
    public IEnumerable<(NodeId Node, IReadOnlyCollection<InstanceId> Copies)> Copies => _copies.Where(c => !_nodes.Contains(c.Key)).Select(c => (c.Key, (IReadOnlyCollection<InstanceId>)c.Value));

    public static OrderScope Of(Committed commit)
    {
        var scope = new OrderScope { Everyone = commit.Missed };
        if (scope.Everyone) return scope;
        foreach (var change in commit.Changes)
        {
            switch (change)
            {
                case ClusterChange.PutInstance(var copy): scope.Copy(commit, copy.Id); break;
                case ClusterChange.RemoveInstance(var id): scope.Copy(commit, id); break;
                case ClusterChange.PutNode(var node): scope.Node(commit, node.Id); break;
                case ClusterChange.RemoveNode(var id): scope.Node(commit, id); break;
                case ClusterChange.PutApp(var app): scope.App(commit, app.Id); break;
                case ClusterChange.RemoveApp(var id): scope.App(commit, id); break;
                case ClusterChange.PutVolume(var volume): scope.Volume(commit, volume.Name); break;
                case ClusterChange.RemoveVolume(var name): scope.Volume(commit, name); break;
                case ClusterChange.PutMove(var move): scope.Move(commit, move.Id); break;
                case ClusterChange.RemoveMove(var id): scope.Move(commit, id); break;
                case ClusterChange.PutOperation(var operation): scope.Operation(commit, operation.Id); break;
                case ClusterChange.RemoveOperation(var id): scope.Operation(commit, id); break;
                case ClusterChange.PutNetwork or ClusterChange.RemoveNetwork: scope.Everyone = true; break;
            }
        }
        return scope;
    }

    private void Copy(Committed commit, InstanceId id)
    {
        var (was, now) = (commit.Before.Instances.GetValueOrDefault(id), commit.After.Instances.GetValueOrDefault(id));
        if (was is not null && now is not null && Ordered(was) == Ordered(now)) return;
        foreach (var copy in (Instance?[])[was, now])
        {
            if (copy is null) continue;
            // What a move makes ready at its target is made of the copy as it is now.
            foreach (var state in (ClusterState[])[commit.Before, commit.After])
                foreach (var move in state.OpenMoves) if (move.Instance == id) _nodes.Add(move.Target);
            if (copy.Node is not { } node) continue;
            if (copy.Spec.Volumes.Length > 0) _nodes.Add(node);
            else if (_copies.TryGetValue(node, out var copies)) copies.Add(id);
            else _copies[node] = [id];
        }
    }

    /// <summary>The copy without what agents say of it: that makes no order.</summary>
    private static Instance Ordered(Instance copy) => copy with
    {
        State = InstanceState.Scheduled, Healthy = null, Health = [], Readiness = [], ContainerId = null, LaunchSince = null, Pulling = false, StagedAt = null, StartedAt = null, Start = null, WaitsFor = null,
    };

    private void Node(Committed commit, NodeId id)
    {
        var (was, now) = (commit.Before.Nodes.GetValueOrDefault(id), commit.After.Nodes.GetValueOrDefault(id));
        if (was is not null && now is not null && was.Hostname == now.Hostname && was.Address == now.Address) return;
        _nodes.Add(id);
        // Each node of an overlay is told of all the others.
        Everyone |= !commit.Before.Networks.IsEmpty || !commit.After.Networks.IsEmpty;
    }

    private void App(Committed commit, AppId id)
    {
        foreach (var move in commit.After.OpenMoves) if (move.App == id) _nodes.Add(move.Target);
    }

    private void Volume(Committed commit, VolumeName name)
    {
        foreach (var state in (ClusterState[])[commit.Before, commit.After])
        {
            foreach (var move in state.OpenMoves) if (move.Volumes.Items.Any(v => v.Name == name)) _nodes.UnionWith([move.Source, move.Target]);
            foreach (var copy in state.InstancesWith(name)) if (copy.Node is { } at) _nodes.Add(at);
            if (!state.Volumes.TryGetValue(name, out var volume)) continue;
            if (volume.Primary is { } primary) _nodes.Add(primary);
            foreach (var standby in volume.Standbys) _nodes.Add(standby.Node);
            foreach (var fork in volume.Forks) _nodes.Add(fork.Node);
        }
    }

    private void Move(Committed commit, MoveId id)
    {
        foreach (var state in (ClusterState[])[commit.Before, commit.After])
        {
            if (!state.Moves.TryGetValue(id, out var move)) continue;
            _nodes.UnionWith([move.Source, move.Target]);
            if (move.Instance is { } copy && state.Instances.GetValueOrDefault(copy)?.Node is { } node) _nodes.Add(node);
            foreach (var moved in move.Volumes) Volume(commit, moved.Name);
        }
    }

    private void Operation(Committed commit, OperationId id)
    {
        foreach (var state in (ClusterState[])[commit.Before, commit.After])
        {
            if (!state.Operations.TryGetValue(id, out var operation)) continue;
            _nodes.Add(operation.Node);
            Volume(commit, operation.Volume);
            if (operation.Target is { } target) Volume(commit, target);
        }
    }
}
