using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.Nodes;

namespace Drover.Core.State;

/// <summary>Copies by app and by node, what they take there, and the nodes that have room: kept with each change, so that nobody needs to look at all of them.</summary>
internal sealed record CopyIndex
{
    public static readonly CopyIndex Empty = new();

    public ImmutableDictionary<AppId, AppCopies> ByApp { get; private init; } = ImmutableDictionary<AppId, AppCopies>.Empty;
    public ImmutableDictionary<NodeId, NodeLoad> ByNode { get; private init; } = ImmutableDictionary<NodeId, NodeLoad>.Empty;
    /// <summary>Nodes that take something new (connected, not cordoned), the freest first.</summary>
    public ImmutableSortedSet<FreeNode> Open { get; private init; } = [];
    /// <summary>Known nodes whose agent is not connected.</summary>
    public ImmutableHashSet<NodeId> Away { get; private init; } = [];
    /// <summary>Nodes that an operator wants emptied.</summary>
    public ImmutableHashSet<NodeId> Draining { get; private init; } = [];
    /// <summary>Copies that keep a place where nothing runs.</summary>
    public ImmutableHashSet<InstanceId> Halted { get; private init; } = [];
    /// <summary>Copies that are being stopped.</summary>
    public ImmutableHashSet<InstanceId> Leaving { get; private init; } = [];
    /// <summary>Copies that are to be stopped when it is their turn, the oldest first.</summary>
    public ImmutableSortedSet<CopyKey> InLine { get; private init; } = [];
    /// <summary>Copies on their way, by when they are given up.</summary>
    public ImmutableSortedSet<CopyKey> Due { get; private init; } = [];
    /// <summary>Apps of which a copy wants a place.</summary>
    public ImmutableHashSet<AppId> Waiting { get; private init; } = [];

    /// <summary>Copies by the volumes they mount.</summary>
    public ImmutableDictionary<VolumeName, ImmutableHashSet<InstanceId>> ByVolume { get; private init; } = ImmutableDictionary<VolumeName, ImmutableHashSet<InstanceId>>.Empty;

    /// <summary>From nothing, all at once.</summary>
    public static CopyIndex Of(ClusterState state)
    {
        var loads = state.Instances.Values.Where(i => i.Node is not null).GroupBy(i => i.Node!.Value).ToImmutableDictionary(g => g.Key, g => NodeLoad.Of(g));
        var index = new CopyIndex
        {
            ByApp = state.Instances.Values.GroupBy(i => i.App).ToImmutableDictionary(g => g.Key, AppCopies.Of),
            ByNode = loads,
            Away = [.. state.Nodes.Keys.Where(n => !state.IsConnected(n))],
            Draining = [.. state.Nodes.Values.Where(IsDraining).Select(n => n.Id)],
            Halted = [.. state.Instances.Values.Where(InstanceLifecycle.IsHalted).Select(i => i.Id)],
            Leaving = [.. state.Instances.Values.Where(Leaves).Select(i => i.Id)],
            InLine = [.. state.Instances.Values.Where(StandsInLine).Select(CopyKey.Of)],
            Due = [.. state.Instances.Values.Select(DueKey).OfType<CopyKey>()],
            Open = [.. state.Nodes.Values.Where(n => !n.Cordoned && state.IsConnected(n.Id)).Select(n => FreeNode.Of(n, loads.GetValueOrDefault(n.Id) ?? NodeLoad.None))],
        };
        foreach (var copy in state.Instances.Values) if (copy.Spec.Volumes.Length > 0) index = index with { ByVolume = index.Mounting(null, copy) };
        return index with { Waiting = [.. index.ByApp.Where(a => !a.Value.Waiting.IsEmpty).Select(a => a.Key)] };
    }

    /// <summary>One copy changed: it was <paramref name="was"/> (null: not there), it is <paramref name="now"/> (null: gone).</summary>
    public CopyIndex With(ClusterState state, Instance? was, Instance? now)
    {
        var (app, id) = ((was ?? now)!.App, (was ?? now)!.Id);
        var before = ByApp.GetValueOrDefault(app) ?? AppCopies.None;
        var after = before.With(was, now);
        var next = ReferenceEquals(before, after) ? this : this with { ByApp = after.All.IsEmpty ? ByApp.Remove(app) : ByApp.SetItem(app, after) };
        if (before.Waiting.IsEmpty != after.Waiting.IsEmpty) next = next with { Waiting = after.Waiting.IsEmpty ? Waiting.Remove(app) : Waiting.Add(app) };
        var (wasHalted, isHalted) = (was is not null && InstanceLifecycle.IsHalted(was), now is not null && InstanceLifecycle.IsHalted(now));
        if (wasHalted != isHalted) next = next with { Halted = isHalted ? Halted.Add(id) : Halted.Remove(id) };
        next = next.Timed(id, was, now);
        if (!ReferenceEquals(was?.Spec, now?.Spec) && (was?.Spec.Volumes.Length > 0 || now?.Spec.Volumes.Length > 0)) next = next with { ByVolume = Mounting(was, now) };
        if (was?.Node == now?.Node && (was?.Node is null || ReferenceEquals(was!.Spec, now!.Spec))) return next;
        if (was?.Node is { } left) next = next.Loaded(state, left, load => load.Without(was));
        if (now?.Node is { } taken) next = next.Loaded(state, taken, load => load.And(now));
        return next;
    }

    private CopyIndex Timed(InstanceId id, Instance? was, Instance? now)
    {
        var next = this;
        var (left, leaves) = (was is not null && Leaves(was), now is not null && Leaves(now));
        if (left != leaves) next = next with { Leaving = leaves ? Leaving.Add(id) : Leaving.Remove(id) };
        var (stood, stands) = (was is not null && StandsInLine(was), now is not null && StandsInLine(now));
        if (stood != stands) next = next with { InLine = stands ? InLine.Add(CopyKey.Of(now!)) : InLine.Remove(CopyKey.Of(was!)) };
        var (wasDue, isDue) = (was is null ? null : DueKey(was), now is null ? null : DueKey(now));
        if (wasDue == isDue) return next;
        var due = wasDue is { } gone ? Due.Remove(gone) : Due;
        return next with { Due = isDue is { } come ? due.Add(come) : due };
    }

    private static bool Leaves(Instance copy) => copy is { Goal: InstanceGoal.Removed, InLine: false };

    private static bool StandsInLine(Instance copy) => copy is { Goal: InstanceGoal.Removed, InLine: true };

    private static CopyKey? DueKey(Instance copy) => LaunchTimeout.DueAt(copy) is { } at ? new CopyKey(at.UtcTicks, copy.Id) : null;

    /// <summary>A node, or whether its agent is there, has changed.</summary>
    public CopyIndex WithNode(ClusterState before, ClusterState after, NodeId id)
    {
        var load = ByNode.GetValueOrDefault(id) ?? NodeLoad.None;
        var (was, now) = (Opening(before, id, load), Opening(after, id, load));
        var away = after.Nodes.ContainsKey(id) && !after.IsConnected(id);
        var next = away == Away.Contains(id) ? this : this with { Away = away ? Away.Add(id) : Away.Remove(id) };
        var draining = after.Nodes.TryGetValue(id, out var node) && IsDraining(node);
        if (draining != next.Draining.Contains(id)) next = next with { Draining = draining ? next.Draining.Add(id) : next.Draining.Remove(id) };
        // One that is open goes in anew also where its place stays: what lies there is the node as it is.
        if (was is null && now is null || ReferenceEquals(was?.Node, now?.Node)) return next;
        var open = Open;
        if (was is { } gone) open = open.Remove(gone);
        if (now is { } come) open = open.Add(come);
        return next with { Open = open };
    }

    private ImmutableDictionary<VolumeName, ImmutableHashSet<InstanceId>> Mounting(Instance? was, Instance? now)
    {
        var next = ByVolume;
        foreach (var mount in was?.Spec.Volumes ?? [])
        {
            if (!next.TryGetValue(mount.Name, out var copies)) continue;
            copies = copies.Remove(was!.Id);
            next = copies.IsEmpty ? next.Remove(mount.Name) : next.SetItem(mount.Name, copies);
        }
        foreach (var mount in now?.Spec.Volumes ?? []) next = next.SetItem(mount.Name, (next.GetValueOrDefault(mount.Name) ?? []).Add(now!.Id));
        return next;
    }

    private CopyIndex Loaded(ClusterState state, NodeId id, Func<NodeLoad, NodeLoad> change)
    {
        var before = ByNode.GetValueOrDefault(id) ?? NodeLoad.None;
        var after = change(before);
        var next = this with { ByNode = after.Copies.IsEmpty ? ByNode.Remove(id) : ByNode.SetItem(id, after) };
        return Opening(state, id, before) is { } was ? next with { Open = Open.Remove(was).Add(Opening(state, id, after)!) } : next;
    }

    private static bool IsDraining(Node node) => node.Drain is { State: DrainState.Draining };

    private static FreeNode? Opening(ClusterState state, NodeId id, NodeLoad load) =>
        state.Nodes.TryGetValue(id, out var node) && !node.Cordoned && state.IsConnected(id) ? FreeNode.Of(node, load) : null;
}

/// <summary>A copy by a moment of its own, such as when it was made: the earliest first.</summary>
internal readonly record struct CopyKey(long At, InstanceId Id) : IComparable<CopyKey>
{
    public static CopyKey Of(Instance copy) => new(copy.CreatedAt.UtcTicks, copy.Id);
    public int CompareTo(CopyKey other) => At != other.At ? At.CompareTo(other.At) : Id.CompareTo(other.Id);
}

/// <summary>How many copies of an app are in which condition, of those that have a place.</summary>
public readonly record struct CopyCounts(int Staged, int Running, int Healthy, int Unhealthy)
{
    internal CopyCounts And(Instance? copy, int sign) => copy?.Node is null ? this : new(
        Staged + (copy.State is InstanceState.Staging or InstanceState.Starting ? sign : 0),
        Running + (copy.Runs ? sign : 0),
        Healthy + (copy.Runs && copy.Healthy == true ? sign : 0),
        Unhealthy + (copy.Runs && copy.Healthy == false ? sign : 0));
}

/// <summary>Copies of one app.</summary>
internal sealed record AppCopies(ImmutableSortedSet<CopyKey> All, ImmutableSortedSet<CopyKey> Waiting, CopyCounts Counts)
{
    public static readonly AppCopies None = new([], [], default);

    public static AppCopies Of(IEnumerable<Instance> copies)
    {
        var all = copies.ToList();
        return new([.. all.Select(CopyKey.Of)], [.. all.Where(Waits).Select(CopyKey.Of)], all.Aggregate(default(CopyCounts), (counts, copy) => counts.And(copy, 1)));
    }

    public AppCopies With(Instance? was, Instance? now)
    {
        var key = CopyKey.Of((was ?? now)!);
        var all = was is null ? All.Add(key) : now is null ? All.Remove(key) : All;
        var (waited, waits) = (was is not null && Waits(was), now is not null && Waits(now));
        var waiting = waited == waits ? Waiting : waits ? Waiting.Add(key) : Waiting.Remove(key);
        var counts = Counts.And(was, -1).And(now, 1);
        return ReferenceEquals(all, All) && ReferenceEquals(waiting, Waiting) && counts == Counts ? this : new(all, waiting, counts);
    }

    private static bool Waits(Instance copy) => copy is { Node: null, Goal: InstanceGoal.Running };
}

/// <summary>What the copies on one node take. In millionths, whole numbers: a sum that grows and shrinks with copies must come back to where it was.</summary>
internal sealed record NodeLoad(ImmutableArray<InstanceId> Copies, long Cpus, long MemoryMiB, long DiskMiB, long Gpus, int Shy)
{
    private const double Unit = 1e6;
    public static readonly NodeLoad None = new([], 0, 0, 0, 0, 0);

    public static NodeLoad Of(IEnumerable<Instance> copies) => copies.Aggregate(None, (load, copy) => load.And(copy));

    public NodeLoad And(Instance copy) => Sum(Copies.Add(copy.Id), copy.Spec, 1);
    public NodeLoad Without(Instance copy) => Sum(Copies.Remove(copy.Id), copy.Spec, -1);

    /// <summary>The sum alone, without a place among the copies.</summary>
    public NodeLoad Sum(AppSpec spec, int sign) => Sum(Copies, spec, sign);

    public static double Whole(long millionths) => millionths / Unit;

    private NodeLoad Sum(ImmutableArray<InstanceId> copies, AppSpec spec, int sign) => new(copies,
        Cpus + sign * Millionths(spec.Cpus), MemoryMiB + sign * Millionths(spec.MemoryMiB), DiskMiB + sign * Millionths(spec.DiskMiB), Gpus + sign * Millionths(spec.Gpus),
        Shy + (spec.Apart.Count > 0 ? sign : 0));

    private static long Millionths(double value) => (long)Math.Round(value * Unit);
}

/// <summary>A node among those that take something: the larger share of it is free, the earlier; ties by name.</summary>
internal sealed class FreeNode(double share, Node node, NodeLoad load) : IComparable<FreeNode>
{
    public double Share => share;
    public Node Node => node;
    public NodeLoad Load => load;

    public static FreeNode Of(Node node, NodeLoad load) => new(Math.Min(Of(node.Resources.Cpus, load.Cpus), Of(node.Resources.MemoryMiB, load.MemoryMiB)), node, load);

    /// <summary>False: it is certain that it does not fit. What moves bring there is not counted here.</summary>
    public bool MayTake(AppSpec spec) => Has(node.Resources.Cpus, load.Cpus, spec.Cpus) && Has(node.Resources.MemoryMiB, load.MemoryMiB, spec.MemoryMiB)
        && Has(node.Resources.DiskMiB, load.DiskMiB, spec.DiskMiB) && Has(node.Resources.Gpus, load.Gpus, spec.Gpus);

    public int CompareTo(FreeNode? other) => other is null ? -1 : share != other.Share ? other.Share.CompareTo(share) : node.Id.CompareTo(other.Node.Id);

    private static double Of(double total, long used) => total <= 0 ? 0 : (total - NodeLoad.Whole(used)) / total;

    private static bool Has(double total, long used, double needed) => needed <= total - NodeLoad.Whole(used) + Placement.Slack;
}
