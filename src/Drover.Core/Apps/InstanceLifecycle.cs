using System.Collections.Immutable;
using System.Globalization;
using Drover.Core.Agents;
using Drover.Core.Moves;
using Drover.Core.Networks;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Apps;

/// <summary>Folds what agents say of containers into the cluster's state.</summary>
public static class InstanceLifecycle
{
    /// <summary>True: it was about a copy this cluster knows, as it is now. False: of a stranger, an older incarnation or a copy a move prepares; nothing changes.</summary>
    public static Decision<bool> Observed(ClusterState state, NodeId node, InstanceObservation seen, DateTimeOffset now)
    {
        if (!state.Instances.TryGetValue(seen.Instance, out var instance)) return Stranger(node, seen);
        if (instance.Node != node || instance.Task != seen.Task) return false;
        var ended = seen.Condition is InstanceCondition.Stopped or InstanceCondition.Failed or InstanceCondition.Gone;
        if (instance.Goal == InstanceGoal.Removed) return WhileRemoved(state, instance, node, seen);
        if (!ended) return WhileAlive(instance, node, seen, now);
        if (OwningMove(state, instance) is { } move) return EndedInMove(state, instance, node, seen, move, now);
        // Stopped for a restore: it keeps its place, and is started again there when that ends.
        if (IsHalted(instance)) return true;
        return VolumeHold.Of(state, instance) is { } restore ? Decision.Of(true, [new ClusterChange.PutInstance(VolumeHold.Halted(instance, restore))]) : Ended(state, instance, node, seen, now);
    }

    /// <summary>A container of a copy that was given up while its node was away, and is gone now.</summary>
    private static Decision<bool> Stranger(NodeId node, InstanceObservation seen) => seen.Condition is not (InstanceCondition.Stopped or InstanceCondition.Failed or InstanceCondition.Gone) ? false
        : Decision.Of(false, [], new ClusterEvent("instance.unknown", seen.Instance.Value, $"{seen.Task}, which the cluster does not know, ended on {node}")
        {
            App = seen.App, Node = node, State = seen.Condition == InstanceCondition.Gone ? "TASK_GONE" : TaskStateOf(seen),
        });

    /// <summary>An agent came (back) and listed all it has: copies of this node that are not in the list are not there. Those to be removed are gone; the others are made again
    /// by the agent from its orders.</summary>
    public static Decision<int> Missing(ClusterState state, NodeId node, IReadOnlySet<InstanceId> present, DateTimeOffset now)
    {
        var missing = state.InstancesOn(node).Where(i => !present.Contains(i.Id)).OrderBy(i => i.Id).ToList();
        var changes = ImmutableArray.CreateBuilder<ClusterChange>();
        var events = ImmutableArray.CreateBuilder<ClusterEvent>();
        foreach (var instance in missing)
        {
            if (instance.Goal == InstanceGoal.Removed)
            {
                changes.Add(new ClusterChange.RemoveInstance(instance.Id));
                events.Add(Event("instance.gone", instance, node, "TASK_KILLED", $"{instance.Task} is not on {node} any more"));
            }
            else if (instance.State is InstanceState.Running or InstanceState.Starting or InstanceState.Unreachable && OwningMove(state, instance) is null)
            {
                changes.Add(new ClusterChange.PutInstance(instance with
                {
                    State = InstanceState.Staging, LaunchSince = now, Pulling = false, Healthy = null, Health = [], Readiness = [], ContainerId = null, Start = null,
                    WaitsFor = $"{node} to make its container again: it was not there when the agent connected",
                }));
            }
        }
        return Decision.Of(missing.Count, changes, events.ToImmutable());
    }

    /// <summary>The open move that owns this copy, if one does: then the move's steps start and stop it, nobody else.</summary>
    public static Move? OwningMove(ClusterState state, Instance instance)
    {
        foreach (var move in state.OpenMoves) if (move.Instance == instance.Id) return move;
        return null;
    }

    private static Decision<bool> WhileRemoved(ClusterState state, Instance instance, NodeId node, InstanceObservation seen)
    {
        if (seen.Condition == InstanceCondition.Gone)
        {
            return Decision.Of(true, WithAddress(state, new ClusterChange.RemoveInstance(instance.Id), instance.App),
                Event("instance.gone", instance, node, "TASK_KILLED", $"{instance.Task} was stopped and removed on {node}"));
        }
        // In line it runs on. One that ended by itself needs no turn.
        if (instance.InLine && seen.Condition is not (InstanceCondition.Stopped or InstanceCondition.Failed)) return true;
        var next = instance with { State = InstanceState.Killing, InLine = false, WaitsFor = seen.Message ?? $"{node} to stop and remove its container" };
        if (next == instance) return true;
        return instance.State == InstanceState.Killing
            ? Decision.Of(true, [new ClusterChange.PutInstance(next)])
            : Decision.Of(true, [new ClusterChange.PutInstance(next)], Event("instance.killing", instance, node, "TASK_KILLING", $"{instance.Task} is being stopped on {node}"));
    }

    private static Decision<bool> WhileAlive(Instance instance, NodeId node, InstanceObservation seen, DateTimeOffset now)
    {
        var next = instance with
        {
            State = StateOf(seen.Condition),
            ContainerId = seen.ContainerId ?? instance.ContainerId,
            Health = seen.Health.Items.OfType<HealthResult>().ToEquatableList(),
            Readiness = Readiness.After(instance, seen.Readiness),
            Healthy = HealthOf(instance.Spec, seen),
            StartedAt = seen.Condition == InstanceCondition.Running ? seen.StartedAt ?? instance.StartedAt ?? now : instance.StartedAt,
            Start = seen.Start ?? instance.Start,
            Pulling = seen.Condition == InstanceCondition.Pulling,
            LaunchSince = (instance.Pulling && seen.Condition != InstanceCondition.Pulling) || instance.State == InstanceState.Unreachable ? now : instance.LaunchSince,
        };
        next = next with { WaitsFor = WaitOf(next, node, seen) };
        if (next == instance) return true;
        return Decision.Of(true, [new ClusterChange.PutInstance(next)], [.. Told(instance, next, node)]);
    }

    private static IEnumerable<ClusterEvent> Told(Instance before, Instance after, NodeId node)
    {
        if (before.State != after.State)
        {
            var (kind, task) = after.State switch
            {
                InstanceState.Running => ("instance.running", "TASK_RUNNING"),
                InstanceState.Starting => ("instance.starting", "TASK_STARTING"),
                InstanceState.Killing => ("instance.killing", "TASK_KILLING"),
                _ => ("instance.staging", "TASK_STAGING"),
            };
            yield return Event(kind, after, node, task, $"{after.Task} is {after.State.ToString().ToLowerInvariant()} on {node}");
        }
        if (before.Healthy != after.Healthy && after.Healthy is { } healthy)
        {
            var cause = after.Health.Items.FirstOrDefault(h => !h.Alive)?.LastFailureCause;
            yield return Event("instance.health", after, node, healthy ? "healthy" : "unhealthy",
                healthy ? $"{after.Task} answers its health checks" : $"{after.Task} fails its health check: {cause ?? "no cause given"}");
        }
    }

    private static InstanceState StateOf(InstanceCondition condition) => condition switch
    {
        InstanceCondition.Running => InstanceState.Running,
        InstanceCondition.Starting => InstanceState.Starting,
        InstanceCondition.Stopping => InstanceState.Killing,
        _ => InstanceState.Staging,
    };

    private static bool? HealthOf(AppSpec spec, InstanceObservation seen)
    {
        if (spec.HealthChecks.Count == 0 || seen.Condition != InstanceCondition.Running) return null;
        if (seen.Health.Items.Any(h => h is { Alive: false })) return false;
        return seen.Health.Count == spec.HealthChecks.Count && seen.Health.Items.All(h => h is { Alive: true }) ? true : null;
    }

    private static string? WaitOf(Instance next, NodeId node, InstanceObservation seen) => next.State switch
    {
        InstanceState.Running when next.Serves => null,
        InstanceState.Running => seen.Message ?? (next.Healthy == false
            ? $"a healthy answer: {next.Health.Items.FirstOrDefault(h => !h.Alive)?.LastFailureCause ?? "the last check failed"}"
            : "a first healthy answer"),
        InstanceState.Killing => seen.Message ?? $"{node} to stop its container",
        InstanceState.Starting => seen.Message ?? $"{node} to start its container",
        _ => seen.Message ?? (seen.Condition == InstanceCondition.Pulling
            ? $"{node} to pull the image {next.Spec.Container?.Image}"
            : $"{node} to make its container"),
    };

    /// <summary>Its container ended while a move owns it: the copy keeps its node. In the cutover that is what the move asked for; otherwise <see cref="Resume"/> starts it again there.</summary>
    private static Decision<bool> EndedInMove(ClusterState state, Instance instance, NodeId node, InstanceObservation seen, Move move, DateTimeOffset now)
    {
        if (IsHalted(instance)) return true;
        var asked = IsCutting(move) || (move.State == MoveState.Unwinding && seen.Condition == InstanceCondition.Stopped);
        var next = instance with
        {
            State = InstanceState.Scheduled, Healthy = null, Health = [], Readiness = [], StartedAt = null, Start = null,
            WaitsFor = IsCutting(move) ? $"move {move.Id} to cut over from {node} to {move.Target}" : $"its start again on {node}: it ended there, {Cause(seen)}",
        };
        if (asked) return Decision.Of(true, [new ClusterChange.PutInstance(next)]);
        var blame = Blame(state, instance, node, TaskStateOf(seen), Cause(seen), now);
        return Decision.Of(true, blame is null ? [new ClusterChange.PutInstance(next)] : [new ClusterChange.PutInstance(next), new ClusterChange.PutApp(blame)],
            Failed(blame, instance, node, TaskStateOf(seen), Cause(seen), now));
    }

    /// <summary>Starts copies again whose container ended while a move owned them: as a new incarnation on the same node, unless the move is cutting over just now.
    /// So the source serves again when a move is undone.</summary>
    public static Decision<int> Resume(ClusterState state, DateTimeOffset now)
    {
        if (state.Copies.Halted.IsEmpty) return 0;
        var resumed = state.Copies.Halted.Select(id => state.Instances[id])
            .Where(i => !(OwningMove(state, i) is { } move && IsCutting(move)) && VolumeHold.Of(state, i) is null && !(state.Apps.TryGetValue(i.App, out var app) && LaunchBackoff.Holding(app, now) is not null))
            .OrderBy(i => i.Id).Select(i => Launching.Anew(i, i.Node!.Value, i.Ports, now, $"{i.Node} to make its container")).ToImmutableArray();
        return Decision.Of(resumed.Length, resumed.Select(i => new ClusterChange.PutInstance(i)),
            [.. resumed.Select(i => Event("instance.staging", i, i.Node, "TASK_STAGING", $"{i.Task} is started again on {i.Node}"))]);
    }

    // Scheduled with a node: nothing runs, its place is kept.
    internal static bool IsHalted(Instance instance) => instance is { Goal: InstanceGoal.Running, State: InstanceState.Scheduled, Node: not null };

    private static bool IsCutting(Move move) => move.State is MoveState.Quiescing or MoveState.FinalDelta or MoveState.Verified;

    /// <summary>Its container ended by itself: the copy goes back to those that wait for a place. One with a volume finds it on the node that holds the data.</summary>
    private static Decision<bool> Ended(ClusterState state, Instance instance, NodeId node, InstanceObservation seen, DateTimeOffset now)
    {
        var blame = Blame(state, instance, node, TaskStateOf(seen), Cause(seen), now);
        var again = blame?.Delay?.Until is { } at && at > now ? $" Tried again at {at.UtcDateTime.ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture)} UTC." : "";
        var next = instance.WithoutPlace() with { WaitsFor = $"its backoff: it ended on {node}, {Cause(seen)}.{again}" };
        return Decision.Of(true, blame is null ? WithAddress(state, new ClusterChange.PutInstance(next), instance.App) : [.. WithAddress(state, new ClusterChange.PutInstance(next), instance.App), new ClusterChange.PutApp(blame)],
            [.. KilledForHealth(instance, node, seen), .. Failed(blame, instance, node, TaskStateOf(seen), Cause(seen), now)]);
    }

    private static IEnumerable<ClusterEvent> KilledForHealth(Instance instance, NodeId node, InstanceObservation seen) =>
        seen.KilledForHealth ? [Event("instance.unhealthyKill", instance, node, "unhealthy", Cause(seen))] : [];

    /// <summary>A change of where a copy runs, and the address that follows it.</summary>
    private static IEnumerable<ClusterChange> WithAddress(ClusterState state, ClusterChange change, AppId app) => [change, .. Addressing.Follow(state.Apply(change), app)];

    /// <summary>The app with this failure counted; null: the app is gone.</summary>
    internal static App? Blame(ClusterState state, Instance instance, NodeId node, string taskState, string cause, DateTimeOffset now)
    {
        if (!state.Apps.TryGetValue(instance.App, out var app)) return null;
        var host = state.Nodes.TryGetValue(node, out var known) ? known.Hostname : node.Value;
        app = app with { LastTaskFailure = new TaskFailure(instance.Task, node, host, taskState, cause, now, instance.AppVersion) };
        // A copy of an older configuration says nothing of the new one's chances.
        return instance.AppVersion < app.LastConfigChangeAt ? app : app with { Delay = LaunchBackoff.AfterFailure(app.Spec.Backoff, app.Delay, cause, now) };
    }

    internal static ImmutableArray<ClusterEvent> Failed(App? blamed, Instance instance, NodeId node, string taskState, string cause, DateTimeOffset now)
    {
        var failed = Event("instance.failed", instance, node, taskState, $"{instance.Task} ended on {node}: {cause}");
        return blamed is not null && instance.AppVersion >= blamed.LastConfigChangeAt && LaunchBackoff.Failing(blamed, instance, node, now) is { } failing ? [failed, failing] : [failed];
    }

    private static string TaskStateOf(InstanceObservation seen) =>
        seen.Condition == InstanceCondition.Stopped && seen.ExitCode == 0 && !seen.KilledForHealth ? "TASK_FINISHED" : "TASK_FAILED";

    private static string Cause(InstanceObservation seen)
    {
        if (!string.IsNullOrEmpty(seen.Message)) return seen.Message;
        if (seen.KilledForHealth) return "its health check failed as often as it may";
        if (seen.Condition == InstanceCondition.Gone) return "its container was removed by somebody else";
        return seen.ExitCode is { } code ? $"its process ended with exit code {code}" : "its process ended";
    }

    internal static ClusterEvent Event(string kind, Instance instance, NodeId? node, string taskState, string text) =>
        new(kind, instance.Id.Value, text) { App = instance.App, Instance = instance.Id, Node = node, State = taskState };
}
