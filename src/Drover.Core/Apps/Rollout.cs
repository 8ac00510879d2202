using System.Collections.Immutable;
using Drover.Core.Moves;
using Drover.Core.Networks;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>The next thing to do so that an app's copies become what its spec says.</summary>
/// <param name="Done">As many copies as wanted serve with the newest configuration, and no other is left.</param>
/// <param name="WaitsFor">What it waits for while it is not done and there is nothing to do.</param>
public sealed record RolloutStep(ImmutableArray<ClusterChange> Changes, ImmutableArray<ClusterEvent> Events, bool Done, string? WaitsFor)
{
    internal static RolloutStep Wait(string what) => new([], [], false, what);
}

/// <summary>Keeps the number of copies and replaces old ones by Marathon's rules, from what is: no memory of earlier steps.</summary>
public static class Rollout
{
    public static bool IsCurrent(App app, Instance instance) => instance.AppVersion >= app.LastConfigChangeAt;

    /// <summary>Keeps the number of copies right, of whatever configuration.</summary>
    public static RolloutStep Scale(ClusterState state, App app, DateTimeOffset now, DateTimeOffset knownSince, IChance chance)
    {
        var copies = state.InstancesOf(app.Id).ToList();
        var counted = copies.Where(i => i.Goal == InstanceGoal.Running && !Absence.IsInactive(state, i, now, knownSince)).ToList();
        var wanted = app.Spec.Instances;
        if (counted.Count < wanted) return Grow(app, wanted - counted.Count, now, chance);
        if (counted.Count > wanted) return Kill(KillOrder.Pick(state, app.Spec, counted, counted.Count - wanted));
        return Settled(copies.Where(i => i.Goal == InstanceGoal.Removed), counted);
    }

    /// <summary>Replaces copies of older configurations. An app with a volume or an address is never started anew before the old copy has stopped.</summary>
    public static RolloutStep Upgrade(ClusterState state, App app, DateTimeOffset now, DateTimeOffset knownSince, IChance chance)
    {
        var old = state.InstancesOf(app.Id).Where(i => i.Goal == InstanceGoal.Running && !IsCurrent(app, i)).ToList();
        if (old.Count == 0) return Scale(state, app, now, knownSince, chance);
        if (app.Spec.Instances == 0) return Kill(old);
        if (Exclusive(app.Spec) || old.Exists(i => Exclusive(i.Spec))) return Replace(state, app, old, now, chance);
        return Roll(state, app, old, now, chance);
    }

    /// <summary>Its copies may not run side by side, not even for the length of an upgrade.</summary>
    public static bool Exclusive(AppSpec spec) => spec.Volumes.Length > 0 || spec.Container?.Overlay is not null;

    // Marathon's rolling restart: at least minHealthy serve, at most maxCapacity exist.
    private static RolloutStep Roll(ClusterState state, App app, List<Instance> old, DateTimeOffset now, IChance chance)
    {
        var wanted = app.Spec.Instances;
        var all = state.InstancesOf(app.Id).ToList();
        var fresh = all.Where(i => i.Goal == InstanceGoal.Running && IsCurrent(app, i)).ToList();
        var minHealthy = (int)Math.Ceiling(wanted * app.Spec.Upgrade.MinimumHealthCapacity);
        var maxCapacity = (int)Math.Floor(wanted * (1 + app.Spec.Upgrade.MaximumOverCapacity));
        // With no room either way nothing could ever move: one more than allowed exists for a while.
        if (minHealthy == maxCapacity && all.Count >= maxCapacity) maxCapacity++;

        // What waits for a place serves nobody: it goes at once.
        var unplaced = old.Where(i => i.Node is null).ToList();
        var renewed = fresh.Count(i => i.Serves);
        var serving = old.Count(i => i.Serves) + renewed;
        // Each new copy that serves lets one old go, also where the old ones do not serve well enough themselves.
        var spare = Math.Max(serving - minHealthy, old.Count - (wanted - renewed));
        var victims = old.Except(unplaced).OrderBy(i => i.Serves).ThenBy(i => i.CreatedAt).ThenBy(i => i.Id).Take(Math.Max(0, spare));
        var killed = unplaced.Concat(victims).ToList();
        if (killed.Count > 0) return Kill(killed);

        var room = Math.Min(wanted - fresh.Count, maxCapacity - all.Count);
        if (room > 0) return Grow(app, room, now, chance);
        var waiting = fresh.Find(i => !i.Serves);
        var leaving = all.Find(i => i.Goal == InstanceGoal.Removed);
        return RolloutStep.Wait(waiting is not null ? $"{waiting.Task}: {waiting.WaitsFor ?? "to serve"}"
            : leaving is not null ? $"{leaving.Task} to be gone from {leaving.Node}" : $"{minHealthy} copies to serve before an old one may stop; {serving} do");
    }

    private static RolloutStep Replace(ClusterState state, App app, List<Instance> old, DateTimeOffset now, IChance chance)
    {
        if (state.OpenMoveOf(app.Id) is { } open) return Arrived(state, app, old, open, now) ?? RolloutStep.Wait($"move {open.Id} to {open.Target}, which is {open.State}{WayOut(open)}");
        if (old.Count > 1) return Kill(KillOrder.Pick(state, app.Spec, old, old.Count - 1));
        var copy = old[0];
        // A copy of the new configuration is there already (one was killed while this began): the old one is surplus.
        if (state.InstancesOf(app.Id).Any(i => i.Goal == InstanceGoal.Running && i.Id != copy.Id)) return Kill(old);
        var renewed = copy with { Spec = app.Spec, AppVersion = app.Version };
        if (copy.Node is not { } node) return new([new ClusterChange.PutInstance(renewed)], [], false, null);
        if (!state.IsConnected(node)) return RolloutStep.Wait($"{node} to come back: {copy.Task} is there");
        var here = Placement.Judge(state, app.Spec, node, copy);
        var elsewhere = app.Spec.Volumes.Any(m => state.Volumes.TryGetValue(m.Name, out var v) && v.Primary is { } primary && primary != node);
        if (here.Fits && !elsewhere) return InPlace(state, app, renewed, node, here.Ports, now);
        if (elsewhere || copy.Spec.Volumes.Length == 0 || app.Spec.Volumes.Length == 0) return Kill(old);
        return Relocate(state, app, copy, node, here, now, chance);
    }

    /// <summary>Past its commit point a move waits for the app to serve, and the change may be what makes it serve: so it is taken where the move led. Null: it cannot be.</summary>
    private static RolloutStep? Arrived(ClusterState state, App app, List<Instance> old, Move open, DateTimeOffset now)
    {
        if (!open.Committed || old is not [var copy] || copy.Id != open.Instance || copy.Node != open.Target || !state.IsConnected(open.Target)) return null;
        if (app.Spec.Volumes.Any(m => state.Volumes.TryGetValue(m.Name, out var v) && v.Primary is { } primary && primary != open.Target)) return null;
        var there = Placement.Judge(state, app.Spec, open.Target, copy);
        return there.Fits ? InPlace(state, app, copy with { Spec = app.Spec, AppVersion = app.Version }, open.Target, there.Ports, now) : null;
    }

    private static string WayOut(Move open) => open.State is MoveState.CutOver or MoveState.Starting ? "; scaling the app to 0, by force, ends it" : "";

    // One order to one agent: another task id means a new container in place of the old, which is stopped and removed first.
    private static RolloutStep InPlace(ClusterState state, App app, Instance renewed, NodeId node, EquatableList<int> ports, DateTimeOffset now)
    {
        var next = Launching.Anew(renewed, node, ports, now, $"{node} to replace its container");
        return new(
            [new ClusterChange.PutInstance(next), .. Launching.FirstVolumes(state, app.Spec, node)],
            [InstanceLifecycle.Event("instance.staging", next, node, "TASK_STAGING", $"{next.Task} takes its predecessor's place on {node}")], false, null);
    }

    private static RolloutStep Relocate(ClusterState state, App app, Instance copy, NodeId node, NodeVerdict here, DateTimeOffset now, IChance chance)
    {
        if (MoveRetry.HeldUntil(state, app, now) is { } held) return RolloutStep.Wait(held.Why);
        var verdicts = Placement.Rank(state, app.Spec, copy);
        var target = verdicts.FirstOrDefault(v => v.Fits && v.Node != node);
        if (target is null) return RolloutStep.Wait(WaitReasons.Text(verdicts));
        if (MovePlanner.Refusal(state, app.Id, target.Node) is { } refusal) return RolloutStep.Wait($"{refusal.Message}; {refusal.Remedy}");
        var move = MovePlanner.Plan(state, app.Spec, copy, node, target.Node, target.Ports, MoveTrigger.Constraint, MoveSettings.Of(app.Spec), MoveRetry.NewId(chance), app.Version);
        var why = $"{copy.Task} leaves {node}: {string.Join("; ", here.Reasons)}";
        return new([new ClusterChange.PutMove(move)], [MoveEvents.Planned(move) with { Text = why }], false, null);
    }

    private static RolloutStep Grow(App app, int count, DateTimeOffset now, IChance chance)
    {
        var made = Enumerable.Range(0, count).Select(_ => Launching.NewInstance(app, now, chance)).ToImmutableArray();
        return new([.. made.Select(i => new ClusterChange.PutInstance(i))],
            [.. made.Select(i => new ClusterEvent("instance.scheduled", i.Id.Value, $"{i.Id} waits for a place") { App = app.Id, Instance = i.Id, State = "TASK_STAGING" })], false, null);
    }

    internal static RolloutStep Kill(IReadOnlyCollection<Instance> copies) =>
        new([.. copies.Select(Stopped)], [.. copies.Select(StoppedEvent)], false, null);

    /// <summary>A copy on a node is stopped by its agent and forgotten when that says so; one that has no node is forgotten at once.</summary>
    internal static ClusterChange Stopped(Instance copy) => copy.Node is null
        ? new ClusterChange.RemoveInstance(copy.Id)
        : new ClusterChange.PutInstance(copy with { Goal = InstanceGoal.Removed, State = InstanceState.Killing, WaitsFor = $"{copy.Node} to stop and remove its container" });

    internal static ClusterEvent StoppedEvent(Instance copy) => copy.Node is null
        ? InstanceLifecycle.Event("instance.gone", copy, null, "TASK_KILLED", $"{copy.Id} is not wanted any more")
        : InstanceLifecycle.Event("instance.killing", copy, copy.Node, "TASK_KILLING", $"{copy.Task} is being stopped on {copy.Node}");

    private static RolloutStep Settled(IEnumerable<Instance> leaving, List<Instance> counted)
    {
        if (leaving.FirstOrDefault() is { } last) return RolloutStep.Wait($"{last.Task}: {last.WaitsFor ?? $"{last.Node} to stop it"}");
        var waiting = counted.Find(i => !i.Serves);
        return waiting is null ? new([], [], true, null)
            : RolloutStep.Wait($"{counted.Count(i => i.Serves)} of {counted.Count} copies serve; {waiting.Task} waits for {WaitReasons.Brief(waiting.WaitsFor ?? "its agent")}");
    }
}
