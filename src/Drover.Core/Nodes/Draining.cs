using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.Core.Nodes;

/// <summary>How one copy leaves a node.</summary>
/// <param name="Bytes">Of its volumes there.</param>
/// <param name="Target">Where it goes; null: nowhere as things are, <paramref name="Why"/> says why.</param>
/// <param name="Why">What it waits for; null: it can go now.</param>
public sealed record Leaving(Instance Copy, ByteCount Bytes, NodeVerdict? Target, string? Why)
{
    /// <summary>One copy of several carries no data: it is made anew elsewhere instead of moved.</summary>
    public bool Replaced { get; init; }
    /// <summary>Under way already.</summary>
    public Move? Move { get; init; }
    /// <summary>Next moment at which to look again though nothing changed.</summary>
    public DateTimeOffset? Until { get; init; }
}

/// <param name="Leaving">In the order they go.</param>
/// <param name="Stays">What nothing here takes away, in words.</param>
public sealed record DrainPlan(EquatableList<Leaving> Leaving, EquatableList<string> Stays);

/// <summary>Empties nodes. Pure: from the state to the next moves.</summary>
/// <remarks>The largest goes first: with several side by side the whole takes longest where a large one is begun last and runs alone at the end.
/// Places are given one after the other with those before reserved, so that a plan never promises the same memory twice.</remarks>
public static class Draining
{
    public const int Parallel = 4;
    public const int MostParallel = MoveQueue.AtOnce;
    private const int Named = 5;

    public static DrainPlan Plan(ClusterState state, NodeId node, DateTimeOffset now)
    {
        var copies = state.InstancesOn(node).Where(i => i.Goal == InstanceGoal.Running && state.Apps.ContainsKey(i.App))
            .Select(i => (Copy: i, Bytes: Bytes(state, i, node))).OrderByDescending(c => c.Bytes).ThenBy(c => c.Copy.App).ThenBy(c => c.Copy.Id).ToList();
        var reserved = state;
        var leaving = new List<Leaving>();
        foreach (var (copy, bytes) in copies)
        {
            var one = Judge(reserved, copy, bytes, node, now);
            leaving.Add(one);
            if (one is { Target: { } target, Move: null, Replaced: false }) reserved = reserved.Apply(new ClusterChange.PutMove(MoveOf(reserved, one, target, node, new MoveId($"plan-{copy.Id}"), Parallel, now)));
        }
        return new(leaving.ToEquatableList(), Stays(state, node).ToEquatableList());
    }

    /// <summary>Cordons the node and begins to empty it; refused as a whole where an app has nowhere to go.</summary>
    public static Decision<DrainOutcome> Start(ClusterState state, NodeId id, int limit, DateTimeOffset now)
    {
        if (!state.Nodes.TryGetValue(id, out var node)) return new DrainOutcome.Unknown(id);
        if (node.Drain is { State: DrainState.Draining } open && open.Limit == limit) return new DrainOutcome.Taken(node);
        // A cordon alone makes nothing fit elsewhere or not: the plan may be made before it.
        var cordoned = node with { Cordoned = true };
        var plan = Plan(state.Apply(new ClusterChange.PutNode(cordoned)), id, now);
        if (Homeless(id, plan) is { } refused) return refused;
        var next = cordoned with { Drain = new NodeDrain(DrainState.Draining, limit, plan.Leaving.Count, now) };
        return Decision.Of<DrainOutcome>(new DrainOutcome.Taken(next), [new ClusterChange.PutNode(next)], Event("node.drain", next, $"{id} is being drained: {plan.Leaving.Count} apps, {limit} at once"));
    }

    /// <summary>No further moves; those whose data is on its way go on, those in the queue are undone. The node stays cordoned.</summary>
    public static Decision<DrainOutcome> Stop(ClusterState state, NodeId id, DateTimeOffset now)
    {
        if (!state.Nodes.TryGetValue(id, out var node)) return new DrainOutcome.Unknown(id);
        if (node.Drain is not { State: DrainState.Draining } drain) return new DrainOutcome.Refused($"node '{id}' is not being drained", $"begin with: drover node drain {id}");
        var next = node with { Drain = drain with { State = DrainState.Stopped, EndedAt = now, WaitsFor = null } };
        var queued = state.OpenMoves.Where(m => m.Source == id && m is { Trigger: MoveTrigger.Drain, State: MoveState.Planned }).OrderBy(m => m.Id)
            .Select(m => (Before: m, After: MoveMachine.Next(m, new MoveEvent.Abandoned("the drain was stopped"), now).Next)).ToList();
        return Decision.Of<DrainOutcome>(new DrainOutcome.Taken(next), [new ClusterChange.PutNode(next), .. queued.Select(q => new ClusterChange.PutMove(q.After))],
            [.. queued.SelectMany(q => MoveEvents.Of(q.Before, q.After)), Event("node.drain", next, $"the drain of {id} was stopped; it stays cordoned")]);
    }

    public static Decision<DrainOutcome> Cordon(ClusterState state, NodeId id, bool cordoned, DateTimeOffset now)
    {
        if (!state.Nodes.TryGetValue(id, out var node)) return new DrainOutcome.Unknown(id);
        if (!cordoned && node.Drain is { State: DrainState.Draining })
            return new DrainOutcome.Refused($"node '{id}' is being drained: what came to it would be sent away again", $"stop that first: drover node drain {id} --stop");
        if (node.Cordoned == cordoned) return new DrainOutcome.Taken(node);
        var next = node with { Cordoned = cordoned };
        return Decision.Of<DrainOutcome>(new DrainOutcome.Taken(next), [new ClusterChange.PutNode(next)],
            Event(cordoned ? "node.cordoned" : "node.uncordoned", next, cordoned ? $"{id} keeps what it runs and takes nothing new" : $"{id} takes new apps again"));
    }

    /// <summary>What a drain under way does next.</summary>
    public static Decision<DrainProgress> Next(ClusterState state, NodeId id, DateTimeOffset now, IChance chance)
    {
        if (!state.Nodes.TryGetValue(id, out var node) || node.Drain is not { State: DrainState.Draining } drain) return new DrainProgress(null);
        var plan = Plan(state, id, now);
        // Past its commit a move is no load on this node any more, and yet it keeps its old data there until it ends.
        var open = state.OpenMoves.Count(m => m.Source == id && m.State < MoveState.CutOver);
        if (plan.Leaving.Count == 0 && state.OpenMoves.All(m => m.Source != id) && !state.InstancesOn(id).Any()) return Done(node, drain, plan, now);
        var changes = ImmutableArray.CreateBuilder<ClusterChange>();
        var events = ImmutableArray.CreateBuilder<ClusterEvent>();
        var begun = state;
        var ready = plan.Leaving.Items.Where(l => l is { Move: null, Why: null, Target: not null }).ToList();
        var (stopped, told) = KillLine.Stop(state, [.. ready.Where(l => l.Replaced).Select(l => l.Copy)]);
        changes.AddRange(stopped);
        events.AddRange(told);
        foreach (var one in ready.Where(l => !l.Replaced))
        {
            if (open >= drain.Limit) continue;
            open++;
            var move = MoveOf(begun, one, one.Target!, id, MoveRetry.NewId(chance), drain.Limit, now);
            begun = begun.Apply(new ClusterChange.PutMove(move));
            changes.Add(new ClusterChange.PutMove(move));
            events.Add(MoveEvents.Planned(move));
        }
        var waits = plan.Leaving.Items.Where(l => l is { Move: null, Why: not null }).Select(l => $"{l.Copy.App}: {l.Why}").ToList();
        var said = waits.Count == 0 ? null : string.Join("; ", waits.Take(Named)) + (waits.Count > Named ? $"; and {waits.Count - Named} more" : "");
        if (said != drain.WaitsFor) changes.Add(new ClusterChange.PutNode(node with { Drain = drain with { WaitsFor = said } }));
        return Decision.Of(new DrainProgress(plan.Leaving.Items.Select(l => l.Until).Min()), changes, events.ToImmutable());
    }

    private static Decision<DrainProgress> Done(Node node, NodeDrain drain, DrainPlan plan, DateTimeOffset now)
    {
        var next = node with { Drain = drain with { State = DrainState.Done, EndedAt = now, WaitsFor = null } };
        var left = plan.Stays.Count == 0 ? "" : $"; what stays: {string.Join("; ", plan.Stays.Items.Take(Named))}";
        return Decision.Of(new DrainProgress(null), [new ClusterChange.PutNode(next)], Event("node.drained", next, $"{node.Id} is empty and cordoned{left}"));
    }

    private static Leaving Judge(ClusterState state, Instance copy, ByteCount bytes, NodeId node, DateTimeOffset now)
    {
        var app = state.Apps[copy.App];
        var one = new Leaving(copy, bytes, null, null);
        if (state.OpenMoveOf(copy.App) is { } open)
            return open.Source == node ? one with { Move = open } : one with { Why = $"move {open.Id}, which brings it here, to end" };
        var copies = state.InstancesOf(copy.App).Where(i => i.Goal == InstanceGoal.Running).ToList();
        var verdicts = Placement.Rank(state, app.Spec, copy);
        var target = verdicts.FirstOrDefault(v => v.Fits && v.Node != node);
        one = one with { Target = target, Replaced = copies.Count > 1 };
        if (target is null) return one with { Why = WaitReasons.Text([.. verdicts.Where(v => v.Node != node)]) };
        if (state.DeploymentOf(copy.App) is { } deployment) return one with { Why = $"deployment {deployment.Id} to end" };
        if (one.Replaced) return one with { Why = Together(state, copy, copies) };
        if (MovePlanner.Refusal(state, copy.App, target.Node) is { } refusal) return one with { Why = $"{refusal.Message}; {refusal.Remedy}" };
        return MoveRetry.HeldUntil(state, app, now) is { } held ? one with { Why = held.Why, Until = held.At } : one;
    }

    /// <summary>Copies of one app leave one after the other, each when all others serve.</summary>
    private static string? Together(ClusterState state, Instance copy, List<Instance> copies)
    {
        if (state.InstancesOf(copy.App).FirstOrDefault(i => i.Goal == InstanceGoal.Removed) is { } leaves) return $"{leaves.Task} to be gone";
        if (copies.Find(i => i.Id != copy.Id && !i.TakesOver) is { } waiting) return $"{waiting.Task} to serve";
        return copies.Where(i => i.Node == copy.Node).MinBy(i => i.Id)!.Id == copy.Id ? null : "other copies of it on this node to leave first";
    }

    private static Move MoveOf(ClusterState state, Leaving one, NodeVerdict target, NodeId node, MoveId id, int width, DateTimeOffset now)
    {
        var spec = state.Apps[one.Copy.App].Spec;
        return MovePlanner.Plan(state, spec, one.Copy, node, target.Node, target.Ports, MoveTrigger.Drain, MoveSettings.Of(spec), id, now) with { Width = width };
    }

    private static DrainOutcome.Refused? Homeless(NodeId id, DrainPlan plan)
    {
        var homeless = plan.Leaving.Items.Where(l => l is { Move: null, Target: null }).ToList();
        if (homeless.Count == 0) return null;
        var named = string.Join("; ", homeless.Take(Named).Select(l => $"app '{l.Copy.App}' has nowhere to go: {l.Why}"));
        return new($"node '{id}' cannot be emptied: {named}{(homeless.Count > Named ? $"; and {homeless.Count - Named} more apps" : "")}", "add a node, free what is missing on one, or change these apps' constraints; nothing was changed");
    }

    private static ByteCount Bytes(ClusterState state, Instance copy, NodeId node) => copy.Spec.Volumes.Select(m => state.Volumes.GetValueOrDefault(m.Name))
        .Where(v => v?.Primary == node).Aggregate(ByteCount.Zero, (sum, v) => sum + v!.Used);

    private static IEnumerable<string> Stays(ClusterState state, NodeId node)
    {
        foreach (var volume in state.Volumes.Values.Where(v => v.Primary == node))
        {
            if (state.InstancesOn(node).Any(i => i.Spec.Volumes.Any(m => m.Name == volume.Name))) continue;
            yield return volume.Holder is { } app ? $"volume '{volume.Name}' of app '{app}', which does not run here: it goes where the app is started next" : $"volume '{volume.Name}', which no app uses";
        }
    }

    private static ClusterEvent Event(string kind, Node node, string text) => new(kind, node.Id.Value, text) { Node = node.Id, State = node.Drain?.State.ToString() };
}

/// <param name="Until">Next moment at which to look again though nothing changed; null: only a change helps.</param>
public sealed record DrainProgress(DateTimeOffset? Until);

public abstract record DrainOutcome
{
    private DrainOutcome() { }

    public sealed record Taken(Node Node) : DrainOutcome;
    public sealed record Unknown(NodeId Id) : DrainOutcome;
    public sealed record Refused(string Message, string Remedy) : DrainOutcome;
}
