using System.Collections.Immutable;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Apps;

/// <summary>Apps whose waiting copies no node took, until something happens that might help them: a cluster that is full is not searched anew with each commit.</summary>
/// <remarks>What fills a node up helps nobody; but where the node is one that the reason names, the reason is said anew. Filled by the scheduler's passes, emptied by the commits it hears of beside them.</remarks>
public sealed class ParkedApps
{
    private readonly Lock _gate = new();
    private ImmutableHashSet<AppId> _parked = [];
    // Since the pass at work began: what its snapshot may not know.
    private ImmutableHashSet<AppId> _touched = [];
    private bool _freed = true;

    /// <summary>False: it concerns no copy that waits.</summary>
    public bool Look(Committed commit)
    {
        var (freed, touched) = (commit.Missed, ImmutableHashSet.CreateBuilder<AppId>());
        foreach (var change in commit.Changes) freed |= Frees(commit, change, touched);
        lock (_gate)
        {
            (_freed, _touched) = (_freed || freed, _touched.Union(touched));
            _parked = freed ? [] : _parked.Except(touched);
            return (freed || touched.Count > 0) && Core.Offers.AppScheduling.AnyWaits(commit.After);
        }
    }

    /// <summary>A pass begins, before it reads the state: what is heard from now on may not be in its snapshot.</summary>
    public void Begin()
    {
        lock (_gate) (_touched, _freed) = ([], false);
    }

    public bool IsParked(AppId app)
    {
        lock (_gate) return _parked.Contains(app);
    }

    /// <summary>The pass ends: no node took a copy of these.</summary>
    public void Park(ImmutableHashSet<AppId> refused)
    {
        lock (_gate) if (!_freed) _parked = _parked.Union(refused.Except(_touched));
    }

    /// <summary>True: copies of any app may find a place now that did not before, or another reason.</summary>
    private static bool Frees(Committed commit, ClusterChange change, ImmutableHashSet<AppId>.Builder touched)
    {
        switch (change)
        {
            case ClusterChange.PutInstance(var put): return Frees(commit, put.Id, touched);
            case ClusterChange.RemoveInstance(var id): return Frees(commit, id, touched);
            case ClusterChange.PutApp(var app): touched.Add(app.Id); return false;
            case ClusterChange.PutPresence(var presence): return commit.Before.IsConnected(presence.Node) != commit.After.IsConnected(presence.Node);
            case ClusterChange.PutNode(var node): return !commit.Before.Nodes.TryGetValue(node.Id, out var was) || was.Cordoned != node.Cordoned || was.Resources != node.Resources || was.Attributes != node.Attributes || was.Hostname != node.Hostname;
            case ClusterChange.RemoveNode or ClusterChange.PutVolume or ClusterChange.RemoveVolume or ClusterChange.PutMove or ClusterChange.RemoveMove or ClusterChange.PutOperation or ClusterChange.RemoveOperation: return true;
            default: return false;
        }
    }

    private static bool Frees(Committed commit, InstanceId id, ImmutableHashSet<AppId>.Builder touched)
    {
        var (was, now) = (commit.Before.Instances.GetValueOrDefault(id), commit.After.Instances.GetValueOrDefault(id));
        if (now is not null && (was is null || was.Node != now.Node || was.Goal != now.Goal || !ReferenceEquals(was.Spec, now.Spec))) touched.Add(now.App);
        if (was?.Node is { } left && (now is null || now.Node != left || now.State == InstanceState.Gone || !ReferenceEquals(was.Spec, now.Spec))) return true;
        // It fills a node up that reasons name.
        return now?.Node is { } taken && was?.Node != taken && WaitReasons.Names(commit.After, taken);
    }
}
