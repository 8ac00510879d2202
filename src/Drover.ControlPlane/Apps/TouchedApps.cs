using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Apps;

/// <summary>Apps that commits touched since they were last taken: those whose copies, definition, deployment, data, address or nodes changed. Filled by one, taken by another.</summary>
public sealed class TouchedApps
{
    private readonly Lock _gate = new();
    private HashSet<AppId> _apps = [];
    // At first nothing was looked at yet.
    private bool _all = true;
    private bool _nodes = true;

    /// <summary>What to look at; all: everything there is; nodes: some came or went.</summary>
    public (bool All, bool Nodes, IReadOnlyCollection<AppId> Apps) Take()
    {
        lock (_gate)
        {
            var taken = (_all, _nodes, _apps);
            (_all, _nodes, _apps) = (false, false, []);
            return taken;
        }
    }

    /// <summary>False: the commit touched no app and no node's being there.</summary>
    public bool Add(Committed commit)
    {
        lock (_gate)
        {
            _all |= commit.Missed;
            var (before, nodes) = (_apps.Count, _nodes);
            foreach (var change in commit.Changes) Add(commit, change);
            return _all || _nodes != nodes || _apps.Count != before || commit.Changes.Any(IsOfApps);
        }
    }

    /// <summary>As at the start.</summary>
    public void Everything()
    {
        lock (_gate) _all = true;
    }

    private static bool IsOfApps(ClusterChange change) => change is not (ClusterChange.PutPresence or ClusterChange.PutNode or ClusterChange.RemoveNode);

    private void Add(Committed commit, ClusterChange change)
    {
        foreach (var state in (ClusterState[])[commit.Before, commit.After])
        {
            switch (change)
            {
                case ClusterChange.PutInstance(var copy): _apps.Add(copy.App); break;
                case ClusterChange.RemoveInstance(var id): Copy(state, id); break;
                case ClusterChange.PutApp(var app): _apps.Add(app.Id); break;
                case ClusterChange.RemoveApp(var id): _apps.Add(id); break;
                case ClusterChange.PutDeployment(var deployment): _apps.UnionWith(deployment.AffectedApps); break;
                case ClusterChange.RemoveDeployment(var id): _apps.UnionWith(state.Deployments.GetValueOrDefault(id)?.AffectedApps ?? []); break;
                case ClusterChange.PutVolume(var volume): Volume(state, volume.Name); break;
                case ClusterChange.RemoveVolume(var name): Volume(state, name); break;
                case ClusterChange.PutMove(var move): Move(state, move.Id); break;
                case ClusterChange.RemoveMove(var id): Move(state, id); break;
                case ClusterChange.PutOperation(var operation): Operation(state, operation.Id); break;
                case ClusterChange.RemoveOperation(var id): Operation(state, id); break;
                case ClusterChange.PutNetwork(var network): Network(state, network.Name); break;
                case ClusterChange.RemoveNetwork(var name): Network(state, name); break;
                case ClusterChange.PutNode(var node): Node(commit, node.Id, PlacesDiffer(commit, node.Id)); break;
                case ClusterChange.RemoveNode(var id): Node(commit, id, differs: true); break;
                // A heartbeat that tells of memory says nothing to an app.
                case ClusterChange.PutPresence(var presence): Node(commit, presence.Node, commit.Before.IsConnected(presence.Node) != commit.After.IsConnected(presence.Node)); break;
            }
        }
    }

    private void Copy(ClusterState state, InstanceId id)
    {
        if (state.Instances.TryGetValue(id, out var copy)) _apps.Add(copy.App);
    }

    private void Volume(ClusterState state, VolumeName name)
    {
        if (state.Volumes.GetValueOrDefault(name)?.Holder is { } holder) _apps.Add(holder);
        foreach (var copy in state.InstancesWith(name)) _apps.Add(copy.App);
    }

    private void Move(ClusterState state, MoveId id)
    {
        if (!state.Moves.TryGetValue(id, out var move)) return;
        _apps.Add(move.App);
        foreach (var moved in move.Volumes) Volume(state, moved.Name);
    }

    private void Operation(ClusterState state, OperationId id)
    {
        if (!state.Operations.TryGetValue(id, out var operation)) return;
        Volume(state, operation.Volume);
        if (operation.Target is { } target) Volume(state, target);
    }

    private void Network(ClusterState state, NetworkName name)
    {
        foreach (var address in state.Networks.GetValueOrDefault(name)?.Addresses ?? []) _apps.Add(address.App);
    }

    private void Node(Committed commit, NodeId id, bool differs)
    {
        if (!differs) return;
        _nodes = true;
        foreach (var copy in commit.Before.InstancesOn(id)) _apps.Add(copy.App);
        foreach (var copy in commit.After.InstancesOn(id)) _apps.Add(copy.App);
    }

    private static bool PlacesDiffer(Committed commit, NodeId id) => commit.Before.Nodes.GetValueOrDefault(id) is not { } was || commit.After.Nodes.GetValueOrDefault(id) is not { } now
        || was.Cordoned != now.Cordoned || was.Resources != now.Resources || was.Attributes != now.Attributes || was.Hostname != now.Hostname;
}
