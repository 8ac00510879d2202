using Drover.Core;
using Drover.Core.Moves;

namespace Drover.Simulation.Tests.Moves;

/// <summary>What agents do for each step of a move, action by action, with time between them in which anything can happen.</summary>
internal static class StepWork
{
    private static readonly (TimeSpan, string?, StepFailure, object?) Done = (TimeSpan.MaxValue, null, StepFailure.Retry, null);

    public static IEnumerator<(TimeSpan Takes, string? Error, StepFailure Kind, object? Value)> Of(Simulation all, Move move, MoveStep step, SimNode node, TaskId? task) => step switch
    {
        MoveStep.PrepareTarget => Prepare(all, move, node, task),
        MoveStep.InspectSource => Inspect(all, move, node),
        MoveStep.SendRound round => Send(all, round, node, all.Node(move.Target)),
        MoveStep.RunPreStop => PreStop(all),
        MoveStep.ThrottleInstance throttle => Throttle(all, throttle, node),
        MoveStep.StopInstance stop => stop.Freeze ? Freeze(all, stop, node) : Stop(all, stop, node),
        MoveStep.Retire retire => Retire(all, retire, node),
        MoveStep.UnwindTarget unwind => Unwind(all, unwind.Volumes, node, move.Instance, source: false),
        MoveStep.UnwindSource unwind => Unwind(all, unwind.Volumes, node, move.Instance, source: true),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Prepare(Simulation all, Move move, SimNode node, TaskId? task)
    {
        yield return Takes(all, 0.1, 2);
        if (move.Instance is { } instance && task is { } named && !(node.Containers.TryGetValue(instance, out var there) && there.Task == named))
            node.Containers[instance] = new Container(named, move.Volumes[0].Name);
        yield return (TimeSpan.MaxValue, null, StepFailure.Retry, node.Seen(move.Volumes[0].Name));
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Inspect(Simulation all, Move move, SimNode node)
    {
        yield return Takes(all, 0.01, 0.1);
        yield return (TimeSpan.MaxValue, null, StepFailure.Retry, node.Seen(move.Volumes[0].Name));
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> PreStop(Simulation all)
    {
        yield return Takes(all, 0.05, 1);
        yield return (TimeSpan.MaxValue, null, StepFailure.Retry, new MoveEvent.PreStopped(!all.World.Happens(0.2), "exit code 1"));
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Throttle(Simulation all, MoveStep.ThrottleInstance throttle, SimNode node)
    {
        yield return Takes(all, 0.5, 2);
        if (node.Containers.TryGetValue(throttle.Instance, out var container) && container.Runs) container.Throttled = true;
        yield return (TimeSpan.MaxValue, null, StepFailure.Retry, new MoveEvent.Throttled(throttle.Level));
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Stop(Simulation all, MoveStep.StopInstance stop, SimNode node)
    {
        yield return Takes(all, 0.05, 0.5);
        if (node.Containers.TryGetValue(stop.Instance, out var container) && container.Runs)
        {
            (container.Runs, container.Throttled) = (false, false);
            node.Say(stop.Instance, container, Core.Agents.InstanceCondition.Stopped);
        }
        yield return Done;
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Freeze(Simulation all, MoveStep.StopInstance stop, SimNode node)
    {
        // Not before the order that holds it has come: the reconciler would thaw it again.
        while (node.Wished(stop.Instance) is null or Wish.Run) yield return Takes(all, 0.01, 0.05);
        yield return Takes(all, 0.01, 0.1);
        if (!node.Containers.TryGetValue(stop.Instance, out var container) || !container.Runs) { yield return Fails("it does not run", StepFailure.Retry); yield break; }
        container.Frozen = !all.Blind;
        yield return Done;
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Send(Simulation all, MoveStep.SendRound round, SimNode node, SimNode other)
    {
        var pass = round.Volumes[0];
        var (source, target) = (node.Of(pass.Name), other.Of(pass.Name));
        if (source.Live is null || source.Live.Epoch != pass.Epoch) { yield return Fails("the live data is of another epoch", StepFailure.Refused); yield break; }
        if (round.Final && !all.Blind)
        {
            if (node.Writes(pass.Name)) { yield return Fails("a container still writes", StepFailure.Refused); yield break; }
            source.Live.Sealed = true;
            yield return Takes(all, 0.01, 0.05);
        }
        var at = all.World.Now;
        if (!source.Snapshots.TryGetValue(pass.Snapshot, out var taken))
            taken = source.Snapshots[pass.Snapshot] = new Contents(source.Live.Writes, $"{node.Id}-{all.NextIdentity++}");
        var before = pass.Base is { } known && source.Snapshots.TryGetValue(known, out var old) ? old : null;
        if (pass.Base is not null && before is null) { yield return Fails("the base is not at the source", StepFailure.Refused); yield break; }
        var bytes = (taken.Writes - (before?.Writes ?? 0)) * all.BytesOfAWrite;
        yield return (TimeSpan.FromSeconds(0.02 + bytes / 1e6), null, default, null);
        if (!all.LinkUp || !other.AgentRuns) { yield return Fails("the connection was cut", StepFailure.Retry); yield break; }
        if (pass.Base is { } wanted && (!target.Snapshots.TryGetValue(wanted, out var there) || there.Identity != before!.Identity)) { yield return Fails("the base is not at the target", StepFailure.Refused); yield break; }
        if (target.Snapshots.TryGetValue(pass.Snapshot, out var held) && held.Identity != taken.Identity) { yield return Fails("another snapshot of this name is at the target", StepFailure.Refused); yield break; }
        target.Snapshots[pass.Snapshot] = taken;
        yield return Takes(all, 0.005, 0.05);
        if (round.Final && !all.Blind && node.Writes(pass.Name)) { yield return Fails("a container was thawed meanwhile", StepFailure.Refused); yield break; }
        var spent = all.World.Now - at;
        yield return (TimeSpan.MaxValue, null, StepFailure.Retry, new Round(round.Number, round.Final, new ByteCount(bytes), spent, TimeSpan.FromMilliseconds(10), spent, TimeSpan.FromMilliseconds(10), at, null));
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Retire(Simulation all, MoveStep.Retire retire, SimNode node)
    {
        yield return Takes(all, 0.01, 0.1);
        var volume = retire.Volumes[0];
        var held = node.Of(volume.Name);
        if (retire.DropLive && node.Containers.Values.Any(c => c.Volume == volume.Name && c.Runs)) { yield return Fails("its container is not gone yet", StepFailure.Retry); yield break; }
        if (retire.DropLive && held.Live is { } live && live.Epoch < volume.Epoch) held.Live = null;
        yield return Takes(all, 0.01, 0.1);
        foreach (var name in volume.Drop) held.Snapshots.Remove(name);
        yield return Done;
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Unwind(Simulation all, EquatableList<KeptVolume> volumes, SimNode node, InstanceId? instance, bool source)
    {
        yield return Takes(all, 0.01, 0.1);
        var own = instance is { } id && node.Containers.TryGetValue(id, out var found) ? found : null;
        if (source && own is not null) own.Throttled = false;
        foreach (var volume in volumes)
        {
            if (source && node.Of(volume.Name).Live is { } live) live.Sealed = false;
            foreach (var name in volume.Drop) node.Of(volume.Name).Snapshots.Remove(name);
        }
        if (source && own is not null) own.Frozen = false;
        if (!source && instance is { } prepared) node.Containers.Remove(prepared);
        yield return Done;
    }

    private static (TimeSpan, string?, StepFailure, object?) Takes(Simulation all, double least, double most) => (all.World.Span(least, most), null, default, null);

    private static (TimeSpan, string?, StepFailure, object?) Fails(string why, StepFailure kind) => (TimeSpan.MaxValue, why, kind, null);
}
