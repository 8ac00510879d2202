using System.Collections.Immutable;
using System.Globalization;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Apps;

/// <summary>Whether a node takes a copy of an app.</summary>
/// <param name="Reasons">Why not, each with its numbers; empty when it fits.</param>
/// <param name="Ports">Host ports it would get there, one for each of <see cref="PortDemand"/>; empty when it does not fit.</param>
/// <param name="HoldsVolume">Every existing volume of the app has its primary here (false without volumes).</param>
/// <param name="HoldsStandby">A volume of the app that is primary elsewhere has a read-only base here.</param>
public sealed record NodeVerdict(NodeId Node, bool Fits, EquatableList<string> Reasons, EquatableList<int> Ports, bool HoldsVolume, bool HoldsStandby);

/// <summary>Decides where copies may run: resources, ports, constraints, and where the data is.</summary>
public static class Placement
{
    // Cores and MiB come as decimal fractions; sums of them are compared with this slack.
    internal const double Slack = 1e-9;

    /// <param name="self">The copy to be placed, where it is one that exists: what it holds now does not count against it.</param>
    public static NodeVerdict Judge(ClusterState state, AppSpec spec, NodeId node, Instance? self)
    {
        if (!state.Nodes.TryGetValue(node, out var known)) return new NodeVerdict(node, false, [$"there is no node {node}"], [], false, false);
        var volumes = spec.Volumes.Select(m => state.Volumes.GetValueOrDefault(m.Name)).OfType<Volume>().Distinct().ToImmutableArray();
        var reasons = new List<string>();
        if (!state.IsConnected(node)) reasons.Add("its agent is not connected");
        if (known.Cordoned && self?.Node != node) reasons.Add("it is cordoned and takes nothing new");
        var use = Usage(state, node, self);
        AddResourceReasons(reasons, spec, known.Resources, use);
        var ports = PickPorts(reasons, spec, known.Resources.Ports, use, self?.Node == node ? self.Ports : [], port => Owner(state, node, self, port));
        reasons.AddRange(Constraints.Refusals(state, spec, known, self));
        reasons.AddRange(Neighbours.Refusals(state, spec, node, self));
        AddVolumeReasons(reasons, state, spec, node, volumes);
        return new NodeVerdict(node, reasons.Count == 0, reasons.ToEquatableList(), reasons.Count == 0 ? ports : [],
            volumes.Any(v => v.Primary is not null) && volumes.All(v => v.Primary is null || v.Primary == node),
            volumes.Any(v => v.Primary != node && v.Standbys.Items.Any(s => s.Node == node)));
    }

    /// <summary>All nodes, those that fit first: the one with the data, then that which meets most wishes, then one with a base of the data, then the freest; ties by name.</summary>
    public static ImmutableArray<NodeVerdict> Rank(ClusterState state, AppSpec spec, Instance? self) =>
    [
        .. state.Nodes.Keys.Select(node => Judge(state, spec, node, self))
            .OrderByDescending(v => v.Fits).ThenByDescending(v => v.HoldsVolume).ThenByDescending(v => Neighbours.Score(state, spec, state.Nodes[v.Node], self)).ThenByDescending(v => v.HoldsStandby)
            .ThenByDescending(v => FreeShare(state, v.Node, self)).ThenBy(v => v.Node),
    ];

    /// <summary>What is left of a node: its total minus the copies on it and what open moves have reserved there.</summary>
    public static Resources Free(ClusterState state, NodeId node)
    {
        if (!state.Nodes.TryGetValue(node, out var known)) return Resources.None;
        var use = Usage(state, node, null);
        return new Resources(known.Resources.Cpus - use.Cpus, known.Resources.MemoryMiB - use.MemoryMiB, known.Resources.DiskMiB - use.DiskMiB, known.Resources.Gpus - use.Gpus,
            Minus(known.Resources.Ports, use.Ports).ToEquatableList());
    }

    /// <summary>Copies on the node and open moves on their way to it.</summary>
    internal static NodeUse Usage(ClusterState state, NodeId node, Instance? self)
    {
        var load = state.Copies.ByNode.GetValueOrDefault(node) ?? NodeLoad.None;
        if (self is not null && load.Copies.Contains(self.Id)) load = load.Sum(state.Instances[self.Id].Spec, -1);
        var coming = Coming(state, node, self).ToImmutableArray();
        foreach (var move in coming) load = load.Sum(move.TargetSpec, 1);
        return new NodeUse(NodeLoad.Whole(load.Cpus), NodeLoad.Whole(load.MemoryMiB), NodeLoad.Whole(load.DiskMiB), NodeLoad.Whole(load.Gpus), () => TakenPorts(state, node, self, coming));
    }

    private static IEnumerable<Move> Coming(ClusterState state, NodeId node, Instance? self)
    {
        foreach (var move in state.OpenMoves)
        {
            if (move.Target != node || move.Instance is { } id && (id == self?.Id || (state.Instances.TryGetValue(id, out var moved) && moved.Node == node))) continue;
            if (move.State is not (MoveState.Retiring or MoveState.Healthy)) yield return move;
        }
    }

    private static HashSet<int> TakenPorts(ClusterState state, NodeId node, Instance? self, ImmutableArray<Move> coming)
    {
        var taken = new HashSet<int>();
        foreach (var instance in state.InstancesOn(node)) if (instance.Id != self?.Id) foreach (var port in instance.Ports) if (port != 0) taken.Add(port);
        foreach (var move in coming) foreach (var port in move.TargetPorts) if (port != 0) taken.Add(port);
        return taken;
    }

    private static void AddResourceReasons(List<string> reasons, AppSpec spec, Resources total, NodeUse use)
    {
        Lacks("cpus", spec.Cpus, total.Cpus - use.Cpus);
        Lacks("MiB of memory", spec.MemoryMiB, total.MemoryMiB - use.MemoryMiB);
        Lacks("MiB of disk", spec.DiskMiB, total.DiskMiB - use.DiskMiB);
        Lacks("gpus", spec.Gpus, total.Gpus - use.Gpus);

        void Lacks(string what, double needed, double left)
        {
            if (needed > left + Slack) reasons.Add($"needs {Number(needed)} {what}, {Number(Math.Max(0, left))} left");
        }
    }

    private static void AddVolumeReasons(List<string> reasons, ClusterState state, AppSpec spec, NodeId node, ImmutableArray<Volume> volumes)
    {
        foreach (var volume in volumes) if (volume.Holder is { } holder && holder != spec.Id) reasons.Add($"volume {volume.Name} is in use by {holder}");
        foreach (var deleted in volumes.Where(v => v.DeletedAt is not null)) reasons.Add($"volume {deleted.Name} was deleted: give it back with `drover volume undelete {deleted.Name}`");
        foreach (var lost in volumes.Where(v => v is { Primary: null, Initialized: true }))
        {
            reasons.Add(lost.Missing is { } why
                ? $"volume {lost.Name} has no data ({why}), and is not made empty instead: clone it again with `drover volume clone SOURCE {lost.Name}`, or make it empty with `drover volume create {lost.Name}`"
                : $"the data of volume {lost.Name} is on no node the cluster knows: it waits, for a known volume is never made anew empty");
        }
        var away = volumes.Where(v => v.Primary is { } primary && primary != node).ToImmutableArray();
        if (away.IsEmpty) return;
        var sources = away.Select(v => v.Primary!.Value).Distinct().ToImmutableArray();
        if (sources.Length > 1)
        {
            reasons.Add($"its volumes are on several nodes ({string.Join(", ", away.Select(v => $"{v.Name} on {v.Primary}"))}): bring them to one node first");
            return;
        }
        if (!state.IsConnected(sources[0]))
        {
            reasons.Add($"the data of volume {away[0].Name} is on {sources[0]}, whose agent is not connected: the app waits for that node");
            return;
        }
        // A first, full transfer must find room; the standby's own bytes are there already.
        var needed = away.Where(v => v.Standbys.Items.All(s => s.Node != node)).Sum(v => v.Used.Bytes);
        if (state.Presence.TryGetValue(node, out var presence) && presence.PoolTotal.Bytes > 0 && needed > presence.PoolFree.Bytes)
        {
            reasons.Add($"the data needs {new ByteCount(needed)}, the pool has {presence.PoolFree} left");
        }
    }

    private static AppId? Owner(ClusterState state, NodeId node, Instance? self, int port) =>
        state.InstancesOn(node).Where(i => i.Id != self?.Id && i.Ports.Items.Contains(port)).Select(i => (AppId?)i.App).FirstOrDefault()
        ?? state.OpenMoves.Where(m => m.Target == node && m.TargetPorts.Items.Contains(port)).Select(m => (AppId?)m.App).FirstOrDefault();

    private static EquatableList<int> PickPorts(List<string> reasons, AppSpec spec, EquatableList<PortRange> ranges, NodeUse use, EquatableList<int> kept, Func<int, AppId?> owner)
    {
        var demands = PortDemand.Of(spec);
        if (demands.IsEmpty) return [];
        var picked = new int[demands.Length];
        var taken = new HashSet<int>(use.Ports);
        for (var i = 0; i < demands.Length; i++)
        {
            if (demands[i].Fixed is not { } port) continue;
            picked[i] = port;
            if (!ranges.Items.Any(r => r.Contains(port))) reasons.Add($"needs host port {port}, the node offers {Ranges(ranges)}");
            else if (!taken.Add(port)) reasons.Add($"needs host port {port}, which is taken{(owner(port) is { } other ? $" by {other}" : "")}");
        }
        var lacking = 0;
        for (var i = 0; i < demands.Length; i++)
        {
            if (!demands[i].Dynamic) continue;
            var wish = kept.Count == demands.Length ? kept[i] : 0;
            var choice = wish != 0 && ranges.Items.Any(r => r.Contains(wish)) && !taken.Contains(wish) ? wish : FirstFree(ranges, taken, Hash(spec.Id.Value, i));
            if (choice == 0) lacking++;
            else taken.Add(picked[i] = choice);
        }
        if (lacking > 0) reasons.Add($"needs {lacking} more free host ports, {Ranges(ranges)} has none left");
        return picked.ToEquatableList();
    }

    /// <summary>The first free port from a place that depends on the app alone: the same app tends to get the same port on every node, and a port just freed is not the next one given.</summary>
    private static int FirstFree(EquatableList<PortRange> ranges, HashSet<int> taken, uint seed)
    {
        var size = ranges.Items.Sum(r => Math.Max(0, r.End - r.Begin + 1));
        for (var step = 0; step < size && step <= taken.Count; step++)
        {
            var port = PortAt(ranges, (int)(((ulong)seed + (ulong)step) % (ulong)size));
            if (!taken.Contains(port)) return port;
        }
        return 0;
    }

    private static int PortAt(EquatableList<PortRange> ranges, int index)
    {
        foreach (var range in ranges)
        {
            var length = Math.Max(0, range.End - range.Begin + 1);
            if (index < length) return range.Begin + index;
            index -= length;
        }
        throw new ArgumentOutOfRangeException(nameof(index), "a port's index lies within its ranges");
    }

    // FNV-1a: stable over processes and releases, which string.GetHashCode is not.
    private static uint Hash(string text, int index)
    {
        var hash = 2166136261u;
        foreach (var c in text) hash = (hash ^ c) * 16777619u;
        return (hash ^ (uint)index) * 16777619u;
    }

    private static IEnumerable<PortRange> Minus(EquatableList<PortRange> ranges, IReadOnlySet<int> used)
    {
        foreach (var range in ranges)
        {
            var begin = range.Begin;
            foreach (var port in used.Where(p => range.Contains(p)).Order())
            {
                if (port > begin) yield return new PortRange(begin, port - 1);
                begin = port + 1;
            }
            if (begin <= range.End) yield return new PortRange(begin, range.End);
        }
    }

    /// <summary>Nodes that take something new, the freest first, as <see cref="Rank"/> has them: what moves bring to a node counts as taken.</summary>
    internal static IEnumerable<FreeNode> Freest(ClusterState state, IEnumerable<FreeNode> open)
    {
        var targets = state.OpenMoves.Select(m => m.Target).ToHashSet();
        if (targets.Count == 0) return open;
        return Merged();

        IEnumerable<FreeNode> Merged()
        {
            var awaiting = new SortedSet<FreeNode>();
            foreach (var free in open)
            {
                if (targets.Contains(free.Node.Id))
                {
                    var load = Coming(state, free.Node.Id, null).Aggregate(free.Load, (sum, move) => sum.Sum(move.TargetSpec, 1));
                    awaiting.Add(FreeNode.Of(free.Node, load));
                    continue;
                }
                while (awaiting.Count > 0 && awaiting.Min!.CompareTo(free) < 0)
                {
                    yield return awaiting.Min;
                    awaiting.Remove(awaiting.Min);
                }
                yield return free;
            }
            foreach (var free in awaiting) yield return free;
        }
    }

    private static double FreeShare(ClusterState state, NodeId node, Instance? self)
    {
        if (!state.Nodes.TryGetValue(node, out var known)) return 0;
        var use = Usage(state, node, self);
        return Math.Min(Share(known.Resources.Cpus, use.Cpus), Share(known.Resources.MemoryMiB, use.MemoryMiB));

        static double Share(double total, double used) => total <= 0 ? 0 : (total - used) / total;
    }

    private static string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);

    private static string Ranges(EquatableList<PortRange> ranges) => ranges.Count == 0 ? "no ports" : string.Join(',', ranges.Items);
}

/// <summary>What is taken on one node.</summary>
/// <param name="ports">Asked for where an app wants ports: to know them means to look at every copy there.</param>
internal sealed class NodeUse(double cpus, double memoryMiB, double diskMiB, double gpus, Func<HashSet<int>> ports)
{
    private HashSet<int>? _ports;

    public double Cpus => cpus;
    public double MemoryMiB => memoryMiB;
    public double DiskMiB => diskMiB;
    public double Gpus => gpus;
    public HashSet<int> Ports => _ports ??= ports();
}

/// <summary>One host port an app asks for. Neither fixed nor dynamic: not published.</summary>
public readonly record struct PortDemand(int? Fixed, bool Dynamic)
{
    /// <summary>One for each port mapping (bridge) or port definition (host network), in order: the order of <see cref="Instance.Ports"/>.</summary>
    public static ImmutableArray<PortDemand> Of(AppSpec spec) => spec.Container switch
    {
        { Network: ContainerNetwork.Bridge } bridge => [.. bridge.PortMappings.Items.Select(m => m.HostPort switch
        {
            null => new PortDemand(null, false),
            0 => new PortDemand(null, true),
            { } port => new PortDemand(port, false),
        })],
        { Network: ContainerNetwork.None } none => [.. none.PortMappings.Items.Select(_ => default(PortDemand))],
        _ => [.. spec.Ports.Items.Select(p => spec.RequirePorts && p.Port != 0 ? new PortDemand(p.Port, false) : new PortDemand(null, true))],
    };
}
