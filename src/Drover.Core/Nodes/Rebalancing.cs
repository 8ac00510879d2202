using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.Core.Nodes;

/// <param name="Gain">By how much the measure of <see cref="Rebalancing"/> falls.</param>
public sealed record Relocation(Instance Copy, NodeId From, NodeVerdict To, ByteCount Bytes, double Gain);

/// <param name="Before">The measure as it is; 0 where every node is idle.</param>
/// <param name="PeakBefore">Largest share of memory or storage in use on any node.</param>
public sealed record RebalancePlan(EquatableList<Relocation> Moves, double Before, double After, double PeakBefore, double PeakAfter);

/// <summary>Spreads memory and data over the nodes, as cheaply as it goes: the move with most gain for each byte first.</summary>
/// <remarks>The measure is the sum, over nodes that take apps, of the squares of their shares of memory and of storage in use: it falls when something goes from a fuller
/// node to an emptier one, whatever their sizes. A node's storage in use is what it is the primary of; bases kept for the way back can be dropped.
/// Each step lowers the measure by <see cref="LeastGain"/> at least and raises no node above the fuller of the two, and each app moves once at most: so it ends, and is never worse.</remarks>
public static class Rebalancing
{
    public const int MostMoves = 16;
    public const double LeastGain = 0.01;

    /// <summary>A move without data costs a stop too: as much as this.</summary>
    private static readonly ByteCount Stop = ByteCount.MiB(64);

    public static RebalancePlan Plan(ClusterState state)
    {
        // As it will be, for the measure; and as it is while all moves are under way, which takes room on both nodes.
        var (after, during) = (state, state);
        var moves = new List<Relocation>();
        while (moves.Count < MostMoves && Best(after, during, moves) is { } best)
        {
            moves.Add(best);
            after = Arrived(after, best);
            during = during.Apply(new ClusterChange.PutMove(MoveOf(during, best, new MoveId($"plan-{best.Copy.Id}"), DateTimeOffset.UnixEpoch)));
        }
        return new(moves.ToEquatableList(), Measure(state), Measure(after), Peak(state), Peak(after));
    }

    /// <summary>The plan as moves that wait for their turn.</summary>
    public static Decision<RebalancePlan> Apply(ClusterState state, DateTimeOffset now, IChance chance)
    {
        var plan = Plan(state);
        var moves = plan.Moves.Select(one => MoveOf(state, one, MoveRetry.NewId(chance), now)).ToList();
        return Decision.Of(plan, moves.Select(m => new ClusterChange.PutMove(m)), [.. moves.Select(MoveEvents.Planned)]);
    }

    public static double Measure(ClusterState state) => Nodes(state).Sum(node => Shares(state, node) is var (memory, storage) ? memory * memory + storage * storage : 0);

    public static double Peak(ClusterState state) => Nodes(state).Select(node => Fuller(state, node)).DefaultIfEmpty(0).Max();

    /// <summary>The state when this move is done.</summary>
    public static ClusterState Arrived(ClusterState state, Relocation one)
    {
        var volumes = one.Copy.Spec.Volumes.Select(m => state.Volumes.GetValueOrDefault(m.Name)).Where(v => v?.Primary == one.From).Select(v => v!).DistinctBy(v => v.Name);
        return state.Apply(
        [
            new ClusterChange.PutInstance(one.Copy with { Node = one.To.Node, Ports = one.To.Ports }),
            .. volumes.Select(v => new ClusterChange.PutVolume(v with { Primary = one.To.Node, Epoch = v.Epoch.Next, Standbys = v.Standbys.Where(s => s.Node != one.To.Node).ToEquatableList() })),
        ]);
    }

    private static Relocation? Best(ClusterState after, ClusterState during, List<Relocation> made)
    {
        var moved = made.Select(m => m.Copy.App).ToHashSet();
        return after.Instances.Values.Where(i => i is { Goal: InstanceGoal.Running, Node: not null } && i.Serves && !moved.Contains(i.App) && after.DeploymentOf(i.App) is null)
            .OrderBy(i => i.Id)
            .SelectMany(copy => Nodes(after).Where(to => to.Id != copy.Node).Select(to => Try(after, during, copy, to))).OfType<Relocation>()
            .OrderByDescending(one => one.Gain / (one.Bytes + Stop).Bytes).ThenBy(one => one.Copy.Id).ThenBy(one => one.To.Node).FirstOrDefault();
    }

    private static Relocation? Try(ClusterState after, ClusterState during, Instance copy, Node to)
    {
        var from = copy.Node!.Value;
        // Cheap questions first: most pairs are no gain.
        if (!after.Apps.TryGetValue(copy.App, out var app) || !app.Spec.SameConfiguration(copy.Spec)) return null;
        var bytes = copy.Spec.Volumes.Select(m => after.Volumes.GetValueOrDefault(m.Name)).Where(v => v is not null && v.Standbys.Items.All(s => s.Node != to.Id))
            .Aggregate(ByteCount.Zero, (sum, v) => sum + v!.Used);
        var one = new Relocation(copy, from, new NodeVerdict(to.Id, true, [], copy.Ports, false, false), bytes, 0);
        var next = Arrived(after, one);
        var gain = Measure(after) - Measure(next);
        if (gain < LeastGain || Pair(next, from, to) > Pair(after, from, to)) return null;
        if (MovePlanner.Refusal(after, copy.App, to.Id) is not null || MovePlanner.Refusal(during, copy.App, to.Id) is not null) return null;
        if (!Placement.Judge(after, copy.Spec, to.Id, copy).Fits || Placement.Judge(during, copy.Spec, to.Id, copy) is not { Fits: true } verdict) return null;
        return one with { To = verdict, Gain = gain };
    }

    private static double Pair(ClusterState state, NodeId from, Node to) => Math.Max(state.Nodes.TryGetValue(from, out var node) ? Fuller(state, node) : 0, Fuller(state, to));

    private static Move MoveOf(ClusterState state, Relocation one, MoveId id, DateTimeOffset now)
    {
        var spec = state.Apps[one.Copy.App].Spec;
        return MovePlanner.Plan(state, spec, one.Copy, one.From, one.To.Node, one.To.Ports, MoveTrigger.Rebalance, MoveSettings.Of(spec), id, now);
    }

    private static IEnumerable<Node> Nodes(ClusterState state) => state.Nodes.Values.Where(n => !n.Cordoned && state.IsConnected(n.Id));

    private static double Fuller(ClusterState state, Node node) => Shares(state, node) is var (memory, storage) ? Math.Max(memory, storage) : 0;

    private static (double Memory, double Storage) Shares(ClusterState state, Node node)
    {
        var memory = state.InstancesOn(node.Id).Sum(i => i.Spec.MemoryMiB);
        var stored = state.Volumes.Values.Where(v => v.Primary == node.Id).Sum(v => (double)v.Used.Bytes);
        var pool = state.Presence.GetValueOrDefault(node.Id)?.PoolTotal.Bytes ?? 0;
        return (node.Resources.MemoryMiB > 0 ? memory / node.Resources.MemoryMiB : 0, pool > 0 ? stored / pool : 0);
    }
}
