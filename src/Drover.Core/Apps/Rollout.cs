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
        if (counted.Count > wanted) return Kill(state, KillOrder.Pick(state, app.Spec, counted, counted.Count - wanted));
        return Settled(copies.Where(i => i.Goal == InstanceGoal.Removed), counted);
    }

    /// <summary>Replaces copies of older configurations. An app with a volume or an address is never started anew before the old copy has stopped.</summary>
    public static RolloutStep Upgrade(ClusterState state, App app, DateTimeOffset now, DateTimeOffset knownSince, IChance chance)
    {
        var copies = state.InstancesOf(app.Id).ToList();
        var old = copies.Where(i => i.Goal == InstanceGoal.Running && !IsCurrent(app, i)).ToList();
        // The last old ones are being stopped: until they are gone they take room.
        var leaving = !Exclusive(app.Spec) && copies.Exists(i => i.Goal == InstanceGoal.Removed) && copies.Count(i => i.Goal == InstanceGoal.Running) < app.Spec.Instances;
        if (old.Count == 0 && !leaving) return Scale(state, app, now, knownSince, chance);
        if (app.Spec.Instances == 0) return Kill(state, old);
        if (Exclusive(app.Spec) || old.Exists(i => Exclusive(i.Spec))) return Replace(state, app, old, now, chance);
        return Roll(state, app, old, now, knownSince, chance);
    }

    /// <summary>Its copies may not run side by side, not even for the length of an upgrade.</summary>
    public static bool Exclusive(AppSpec spec) => spec.Volumes.Length > 0 || spec.Container?.Overlay is not null;

    /// <summary>Marathon's rolling restart, decided anew in every state between.</summary>
    private static RolloutStep Roll(ClusterState state, App app, List<Instance> old, DateTimeOffset now, DateTimeOffset knownSince, IChance chance)
    {
        var wanted = app.Spec.Instances;
        var all = state.InstancesOf(app.Id).ToList();
        var fresh = all.Where(i => i.Goal == InstanceGoal.Running && IsCurrent(app, i) && !Absence.IsInactive(state, i, now, knownSince)).ToList();
        var bounds = UpgradeBounds.Of(wanted, app.Spec.Upgrade, all.Count);
        var renewed = fresh.Count(i => i.TakesOver);
        var serving = old.Count(i => i.Serves) + renewed;
        // What waits for a place or is given up serves nobody: it goes at once.
        var useless = old.Where(i => i.Node is null || Absence.IsInactive(state, i, now, knownSince)).ToList();
        // Each new copy that takes over lets one old go, also where the old ones do not serve well enough themselves.
        var spare = Math.Max(serving - bounds.MinHealthy, old.Count - (wanted - renewed));
        var rest = old.Except(useless).OrderBy(Worth).ThenBy(i => i.CreatedAt).ThenBy(i => i.Id).ToList();
        var killed = useless.Concat(rest.Take(Math.Max(0, spare))).ToList();
        var room = Math.Min(wanted - fresh.Count, bounds.MaxCapacity - all.Count);
        if (killed.Count == 0 && room <= 0) killed = Stuck(bounds, wanted, all, fresh, rest);
        if (killed.Count > 0) return Kill(state, killed);
        if (room > 0) return Grow(app, room, now, chance);

        var waiting = fresh.Find(i => !i.TakesOver);
        var leaving = all.Find(i => i.Goal == InstanceGoal.Removed);
        return RolloutStep.Wait(waiting is not null ? $"{waiting.Task}: {Lack(waiting)}"
            : leaving is not null ? $"{leaving.Task} to be gone from {leaving.Node}" : $"{bounds.MinHealthy} copies to serve before an old one may stop; {serving} do");
    }

    /// <summary>No room for a new copy, none under way and none leaving: old ones that are known to be unwell make room, as many at once as the strategy lets be missing. Marathon would
    /// stand still here for ever, and an app that is unwell could not be rolled back.</summary>
    private static List<Instance> Stuck(UpgradeBounds bounds, int wanted, List<Instance> all, List<Instance> fresh, List<Instance> old)
    {
        if (fresh.Exists(i => !i.TakesOver) || all.Exists(i => i.Goal == InstanceGoal.Removed)) return [];
        return [.. old.Where(i => Worth(i) == 0).Take(Math.Min(wanted - fresh.Count, Math.Max(1, bounds.MaxCapacity - bounds.MinHealthy)))];
    }

    // One whose agent has just started is not yet known to be well: that is not the same as unwell.
    private static int Worth(Instance copy) => copy.Serves ? 2 : copy.Runs && copy.Healthy is null ? 1 : 0;

    private static string Lack(Instance copy) => copy.Serves && !copy.Ready ? Readiness.Lack(copy) : copy.WaitsFor ?? "to serve";

    private static RolloutStep Replace(ClusterState state, App app, List<Instance> old, DateTimeOffset now, IChance chance)
    {
        if (state.OpenMoveOf(app.Id) is { } open) return Arrived(state, app, old, open, now) ?? RolloutStep.Wait($"move {open.Id} to {open.Target}, which is {open.State}{WayOut(open)}");
        if (old.Count > 1) return Kill(state, KillOrder.Pick(state, app.Spec, old, old.Count - 1));
        var copy = old[0];
        // A copy of the new configuration is there already (one was killed while this began): the old one is surplus.
        if (state.InstancesOf(app.Id).Any(i => i.Goal == InstanceGoal.Running && i.Id != copy.Id)) return Kill(state, old);
        var renewed = copy with { Spec = app.Spec, AppVersion = app.Version };
        if (copy.Node is not { } node) return new([new ClusterChange.PutInstance(renewed)], [], false, null);
        if (!state.IsConnected(node)) return RolloutStep.Wait($"{node} to come back: {copy.Task} is there");
        var here = Placement.Judge(state, app.Spec, node, copy);
        var elsewhere = app.Spec.Volumes.Any(m => state.Volumes.TryGetValue(m.Name, out var v) && v.Primary is { } primary && primary != node);
        if (here.Fits && !elsewhere) return InPlace(state, app, renewed, node, here.Ports, now);
        if (elsewhere || copy.Spec.Volumes.Length == 0 || app.Spec.Volumes.Length == 0) return Kill(state, old);
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

    internal static RolloutStep Kill(ClusterState state, IReadOnlyCollection<Instance> copies)
    {
        var (changes, events) = KillLine.Stop(state, copies);
        return new(changes, events, false, null);
    }

    private static RolloutStep Settled(IEnumerable<Instance> leaving, List<Instance> counted)
    {
        if (leaving.ToList() is { Count: > 0 } left) return RolloutStep.Wait(KillLine.Wait(left));
        var waiting = counted.Find(i => !i.TakesOver);
        if (waiting is null) return new([], [], true, null);
        var lack = waiting.Serves ? Readiness.Lack(waiting) : WaitReasons.Brief(waiting.WaitsFor ?? "its agent");
        return RolloutStep.Wait($"{counted.Count(i => i.TakesOver)} of {counted.Count} copies serve; {waiting.Task} waits for {lack}");
    }
}
