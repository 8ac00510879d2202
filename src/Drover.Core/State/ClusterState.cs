using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.Moves;
using Drover.Core.Networks;
using Drover.Core.Nodes;
using Drover.Core.Volumes;

namespace Drover.Core.State;

/// <summary>Everything the control plane knows, as one immutable value. Decisions read it and answer with changes.</summary>
public sealed record ClusterState
{
    public static readonly ClusterState Empty = new();

    /// <summary>Grows by one with each commit since the process started.</summary>
    public long Revision { get; init; }
    public ImmutableSortedDictionary<NodeId, Node> Nodes { get; init; } = ImmutableSortedDictionary<NodeId, Node>.Empty;
    public ImmutableDictionary<NodeId, NodePresence> Presence { get; init; } = ImmutableDictionary<NodeId, NodePresence>.Empty;
    public ImmutableSortedDictionary<AppId, App> Apps { get; init; } = ImmutableSortedDictionary<AppId, App>.Empty;
    public ImmutableDictionary<InstanceId, Instance> Instances { get; init; } = ImmutableDictionary<InstanceId, Instance>.Empty;
    public ImmutableDictionary<DeploymentId, Deployment> Deployments { get; init; } = ImmutableDictionary<DeploymentId, Deployment>.Empty;
    public ImmutableSortedDictionary<VolumeName, Volume> Volumes { get; init; } = ImmutableSortedDictionary<VolumeName, Volume>.Empty;
    public ImmutableDictionary<MoveId, Move> Moves { get; init; } = ImmutableDictionary<MoveId, Move>.Empty;
    public ImmutableSortedDictionary<NetworkName, Network> Networks { get; init; } = ImmutableSortedDictionary<NetworkName, Network>.Empty;

    public ImmutableDictionary<OperationId, VolumeOperation> Operations { get; init; } = ImmutableDictionary<OperationId, VolumeOperation>.Empty;

    /// <summary>Groups that were made explicitly. Any path of an app is a group too.</summary>
    public ImmutableSortedDictionary<GroupId, AppGroup> Groups { get; init; } = ImmutableSortedDictionary<GroupId, AppGroup>.Empty;

    /// <summary>What apps were before, by the version they had then. Also of apps that are gone.</summary>
    public ImmutableDictionary<AppId, ImmutableSortedDictionary<DateTimeOffset, FormerApp>> Versions { get; init; } = ImmutableDictionary<AppId, ImmutableSortedDictionary<DateTimeOffset, FormerApp>>.Empty;

    // Indexes, kept by Apply: cost grows with the change, not with the cluster.
    internal CopyIndex Copies { get; private init; } = CopyIndex.Empty;
    private ImmutableHashSet<MoveId> OpenMoveIds { get; init; } = [];

    private ImmutableHashSet<OperationId> OpenOperationIds { get; init; } = [];

    private ImmutableDictionary<AppId, ImmutableHashSet<DeploymentId>> DeploymentsByApp { get; init; } = ImmutableDictionary<AppId, ImmutableHashSet<DeploymentId>>.Empty;
    private ImmutableDictionary<AppId, ImmutableHashSet<VolumeName>> HeldVolumes { get; init; } = ImmutableDictionary<AppId, ImmutableHashSet<VolumeName>>.Empty;
    internal PortHolders PortHolders { get; private init; } = PortHolders.Empty;
    internal PathIndex Paths { get; private init; } = PathIndex.Empty;

    /// <summary>The oldest first.</summary>
    public IEnumerable<Instance> InstancesOf(AppId app) => Copies.ByApp.TryGetValue(app, out var copies) ? copies.All.Select(key => Instances[key.Id]) : [];

    public CopyCounts CountsOf(AppId app) => Copies.ByApp.TryGetValue(app, out var copies) ? copies.Counts : default;

    public IEnumerable<Instance> InstancesOn(NodeId node) => Copies.ByNode.TryGetValue(node, out var load) ? load.Copies.Select(id => Instances[id]) : [];

    /// <summary>Nodes that are being emptied, by name.</summary>
    public IEnumerable<Node> DrainingNodes => Copies.Draining.Order().Select(id => Nodes[id]);

    /// <summary>Copies that mount the volume.</summary>
    public IEnumerable<Instance> InstancesWith(VolumeName volume) => Copies.ByVolume.TryGetValue(volume, out var ids) ? ids.Select(id => Instances[id]) : [];

    /// <summary>Volumes the app has in use, by name.</summary>
    public IEnumerable<Volume> VolumesHeldBy(AppId app) => HeldVolumes.TryGetValue(app, out var names) ? names.Order().Select(name => Volumes[name]) : [];

    /// <summary>Moves that have not ended.</summary>
    public IEnumerable<Move> OpenMoves => OpenMoveIds.Select(id => Moves[id]);

    public Move? OpenMoveOf(AppId app) => OpenMoves.FirstOrDefault(m => m.App == app);

    public Move? OpenMoveOf(VolumeName volume) => OpenMoves.FirstOrDefault(m => m.Volumes.Items.Any(v => v.Name == volume));

    /// <summary>Work on volumes that has not ended.</summary>
    public IEnumerable<VolumeOperation> OpenOperations => OpenOperationIds.Select(id => Operations[id]);

    public VolumeOperation? OpenOperationOf(VolumeName volume) => OpenOperations.FirstOrDefault(o => o.Volume == volume || o.Target == volume);

    public bool IsConnected(NodeId node) => Presence.TryGetValue(node, out var presence) && presence.Connected;

    public Deployment? DeploymentOf(AppId app) => DeploymentsOf(app).FirstOrDefault();

    /// <summary>Deployments that work on the app, oldest first.</summary>
    public IEnumerable<Deployment> DeploymentsOf(AppId app) =>
        DeploymentsByApp.TryGetValue(app, out var ids) ? ids.Select(id => Deployments[id]).OrderBy(d => d.StartedAt).ThenBy(d => d.Id.Value, StringComparer.Ordinal) : [];

    public ClusterState Apply(ClusterChange change) => change switch
    {
        ClusterChange.PutNode(var node) => Indexed(this with { Nodes = Nodes.SetItem(node.Id, node) }, node.Id),
        ClusterChange.RemoveNode(var id) => Indexed(this with { Nodes = Nodes.Remove(id), Presence = Presence.Remove(id) }, id),
        ClusterChange.PutPresence(var presence) => Indexed(this with { Presence = Presence.SetItem(presence.Node, presence) }, presence.Node),
        ClusterChange.PutApp(var app) => this with { Apps = Apps.SetItem(app.Id, app), PortHolders = PortHolders.With(Apps.GetValueOrDefault(app.Id)?.Spec, app.Spec), Paths = Paths.WithApp(app.Id, Versions.GetValueOrDefault(app.Id)) },
        ClusterChange.RemoveApp(var id) => this with { Apps = Apps.Remove(id), PortHolders = PortHolders.With(Apps.GetValueOrDefault(id)?.Spec, null), Paths = Paths.WithoutApp(id, Versions.GetValueOrDefault(id)) },
        ClusterChange.PutFormerApp(var former) => Put(former),
        ClusterChange.RemoveFormerApp(var id, var version) => RemoveFormer(id, version),
        ClusterChange.PutGroup(var group) => this with { Groups = Groups.SetItem(group.Id, group), Paths = Paths.WithGroup(group.Id) },
        ClusterChange.RemoveGroup(var id) => this with { Groups = Groups.Remove(id), Paths = Paths.WithoutGroup(id) },
        ClusterChange.PutInstance(var instance) => Put(instance),
        ClusterChange.RemoveInstance(var id) => Remove(id),
        ClusterChange.PutDeployment(var deployment) => Put(deployment),
        ClusterChange.RemoveDeployment(var id) => RemoveDeployment(id),
        ClusterChange.PutVolume(var volume) => this with { Volumes = Volumes.SetItem(volume.Name, volume), HeldVolumes = Held(volume.Name, volume.Holder) },
        ClusterChange.RemoveVolume(var name) => this with { Volumes = Volumes.Remove(name), HeldVolumes = Held(name, null) },
        ClusterChange.PutMove(var move) => this with
        {
            Moves = Moves.SetItem(move.Id, move),
            OpenMoveIds = move.Ended ? OpenMoveIds.Remove(move.Id) : OpenMoveIds.Add(move.Id),
        },
        ClusterChange.RemoveMove(var id) => this with { Moves = Moves.Remove(id), OpenMoveIds = OpenMoveIds.Remove(id) },
        ClusterChange.PutNetwork(var network) => this with { Networks = Networks.SetItem(network.Name, network) },
        ClusterChange.RemoveNetwork(var name) => this with { Networks = Networks.Remove(name) },
        ClusterChange.PutOperation(var operation) => this with
        {
            Operations = Operations.SetItem(operation.Id, operation),
            OpenOperationIds = operation.Ended ? OpenOperationIds.Remove(operation.Id) : OpenOperationIds.Add(operation.Id),
        },
        ClusterChange.RemoveOperation(var id) => this with { Operations = Operations.Remove(id), OpenOperationIds = OpenOperationIds.Remove(id) },
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    public ClusterState Apply(IEnumerable<ClusterChange> changes)
    {
        var next = this;
        foreach (var change in changes) next = next.Apply(change);
        return next with { Revision = Revision + 1 };
    }

    private ClusterState Put(Deployment deployment)
    {
        // Most changes of a deployment are of its step alone: then the index stands.
        if (Deployments.TryGetValue(deployment.Id, out var old) && old.AffectedApps.Items == deployment.AffectedApps.Items) return this with { Deployments = Deployments.SetItem(deployment.Id, deployment) };
        var next = old is null ? this : RemoveDeployment(deployment.Id);
        var byApp = next.DeploymentsByApp.ToBuilder();
        foreach (var app in deployment.AffectedApps) byApp[app] = (byApp.TryGetValue(app, out var ids) ? ids : []).Add(deployment.Id);
        return next with { Deployments = next.Deployments.SetItem(deployment.Id, deployment), DeploymentsByApp = byApp.ToImmutable() };
    }

    private ClusterState RemoveDeployment(DeploymentId id)
    {
        if (!Deployments.TryGetValue(id, out var old)) return this;
        var byApp = DeploymentsByApp.ToBuilder();
        foreach (var app in old.AffectedApps)
        {
            if (!byApp.TryGetValue(app, out var ids)) continue;
            if (ids.Remove(id) is { IsEmpty: false } others) byApp[app] = others;
            else byApp.Remove(app);
        }
        return this with { Deployments = Deployments.Remove(id), DeploymentsByApp = byApp.ToImmutable() };
    }

    private ImmutableDictionary<AppId, ImmutableHashSet<VolumeName>> Held(VolumeName name, AppId? holder)
    {
        var before = Volumes.TryGetValue(name, out var known) ? known.Holder : null;
        if (before == holder) return HeldVolumes;
        var held = HeldVolumes;
        if (before is { } old && held.TryGetValue(old, out var names)) held = names.Remove(name) is { IsEmpty: false } others ? held.SetItem(old, others) : held.Remove(old);
        return holder is { } now ? held.SetItem(now, (held.TryGetValue(now, out var theirs) ? theirs : []).Add(name)) : held;
    }

    private ClusterState Put(FormerApp former)
    {
        var id = former.App.Id;
        var history = Versions.GetValueOrDefault(id) ?? ImmutableSortedDictionary<DateTimeOffset, FormerApp>.Empty;
        var next = history.SetItem(former.App.Version, former);
        return this with { Versions = Versions.SetItem(id, next), Paths = Paths.WithHistory(id, history, next, Apps.ContainsKey(id)) };
    }

    private ClusterState RemoveFormer(AppId id, DateTimeOffset version)
    {
        if (!Versions.TryGetValue(id, out var history)) return this;
        var next = history.Remove(version);
        return this with { Versions = next.IsEmpty ? Versions.Remove(id) : Versions.SetItem(id, next), Paths = Paths.WithHistory(id, history, next, Apps.ContainsKey(id)) };
    }

    /// <summary>What was stored, as a state: of many copies the indexes are made at once.</summary>
    public ClusterState Restore(IEnumerable<ClusterChange> stored)
    {
        var instances = Instances.ToBuilder();
        var next = this;
        foreach (var change in stored)
        {
            if (change is ClusterChange.PutInstance(var instance)) instances[instance.Id] = instance;
            else next = next.Apply(change);
        }
        next = next with { Instances = instances.ToImmutable() };
        return next with { Copies = CopyIndex.Of(next) };
    }

    /// <summary>The same at this revision, with who was known to be there.</summary>
    public ClusterState Seeing(IEnumerable<NodePresence> presence, long revision)
    {
        var next = this with { Presence = presence.ToImmutableDictionary(p => p.Node), Revision = revision };
        return next with { Copies = CopyIndex.Of(next) };
    }

    private ClusterState Put(Instance instance) => this with
    {
        Instances = Instances.SetItem(instance.Id, instance), Copies = Copies.With(this, Instances.GetValueOrDefault(instance.Id), instance),
    };

    private ClusterState Remove(InstanceId id) =>
        Instances.TryGetValue(id, out var old) ? this with { Instances = Instances.Remove(id), Copies = Copies.With(this, old, null) } : this;

    private ClusterState Indexed(ClusterState after, NodeId node) => after with { Copies = Copies.WithNode(this, after, node) };
}

/// <summary>One change of one thing. A decision answers with these; a commit applies all of them or none.</summary>
public abstract record ClusterChange
{
    private ClusterChange() { }

    /// <summary>False: true only now, kept in memory alone (whether an agent is connected).</summary>
    public virtual bool Durable => true;

    public sealed record PutNode(Node Node) : ClusterChange;
    public sealed record RemoveNode(NodeId Id) : ClusterChange;
    public sealed record PutPresence(NodePresence Presence) : ClusterChange { public override bool Durable => false; }
    public sealed record PutApp(App App) : ClusterChange;
    public sealed record RemoveApp(AppId Id) : ClusterChange;
    public sealed record PutFormerApp(FormerApp Former) : ClusterChange;
    public sealed record RemoveFormerApp(AppId Id, DateTimeOffset Version) : ClusterChange;
    public sealed record PutGroup(AppGroup Group) : ClusterChange;
    public sealed record RemoveGroup(GroupId Id) : ClusterChange;
    public sealed record PutInstance(Instance Instance) : ClusterChange;
    public sealed record RemoveInstance(InstanceId Id) : ClusterChange;
    public sealed record PutDeployment(Deployment Deployment) : ClusterChange
    {
        /// <summary>True: what it waits for differs from before, nothing else: that is found out again at any start, and not worth a write of all its steps.</summary>
        public bool WordsAlone { get; init; }
        public override bool Durable => !WordsAlone;
    }
    public sealed record RemoveDeployment(DeploymentId Id) : ClusterChange;
    public sealed record PutVolume(Volume Volume) : ClusterChange;
    public sealed record RemoveVolume(VolumeName Name) : ClusterChange;
    public sealed record PutMove(Move Move) : ClusterChange;
    public sealed record RemoveMove(MoveId Id) : ClusterChange;
    public sealed record PutNetwork(Network Network) : ClusterChange;
    public sealed record RemoveNetwork(NetworkName Name) : ClusterChange;
    public sealed record PutOperation(VolumeOperation Operation) : ClusterChange;
    public sealed record RemoveOperation(OperationId Id) : ClusterChange;
}

/// <summary>What a decision came to: an answer for the caller, changes to commit, words for those who listen.</summary>
public readonly record struct Decision<T>(T Outcome, ImmutableArray<ClusterChange> Changes, ImmutableArray<ClusterEvent> Events)
{
    public static implicit operator Decision<T>(T outcome) => new(outcome, [], []);
}

public static class Decision
{
    public static Decision<T> Of<T>(T outcome, IEnumerable<ClusterChange> changes, params ImmutableArray<ClusterEvent> events) => new(outcome, [.. changes], events);
}

/// <summary>Something that happened, for event streams. Façades translate it to their own names.</summary>
/// <param name="Kind">Dotted, stable: `app.created`, `instance.running`, `move.state`, `deployment.done`.</param>
/// <param name="Subject">Id of what it happened to.</param>
/// <param name="Text">One line for people.</param>
public sealed record ClusterEvent(string Kind, string Subject, string Text)
{
    public AppId? App { get; init; }
    public InstanceId? Instance { get; init; }
    public NodeId? Node { get; init; }
    public VolumeName? Volume { get; init; }
    public MoveId? Move { get; init; }
    public DeploymentId? Deployment { get; init; }
    /// <summary>State entered, where the kind has states (`TASK_RUNNING`, `Seeding`).</summary>
    public string? State { get; init; }
    /// <summary>Who asked for it, where somebody did.</summary>
    public EventOrigin? Origin { get; init; }
}

/// <param name="Uri">Path and query of the request.</param>
public sealed record EventOrigin(string ClientIp, string Uri);
