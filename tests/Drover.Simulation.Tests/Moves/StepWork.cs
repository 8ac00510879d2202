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
        MoveStep.InspectSource => Inspect(all, node),
        MoveStep.SendRound round => Send(all, round, node, all.Node(move.Target)),
        MoveStep.StopInstance stop => Stop(all, stop, node),
        MoveStep.Retire retire => Retire(all, retire, node),
        MoveStep.UnwindTarget unwind => Unwind(all, unwind.Volumes, node, move.Instance, source: false),
        MoveStep.UnwindSource unwind => Unwind(all, unwind.Volumes, node, null, source: true),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Prepare(Simulation all, Move move, SimNode node, TaskId? task)
    {
        yield return Takes(all, 0.1, 2);
        if (move.Instance is { } instance && task is { } named && !(node.Containers.TryGetValue(instance, out var there) && there.Task == named))
            node.Containers[instance] = new Container(named);
        yield return (TimeSpan.MaxValue, null, StepFailure.Retry, node.Seen());
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Inspect(Simulation all, SimNode node)
    {
        yield return Takes(all, 0.01, 0.1);
        yield return (TimeSpan.MaxValue, null, StepFailure.Retry, node.Seen());
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Stop(Simulation all, MoveStep.StopInstance stop, SimNode node)
    {
        yield return Takes(all, 0.05, 0.5);
        if (node.Containers.TryGetValue(stop.Instance, out var container) && container.Runs)
        {
            container.Runs = false;
            node.Say(stop.Instance, container, Core.Agents.InstanceCondition.Stopped);
        }
        yield return Done;
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Send(Simulation all, MoveStep.SendRound round, SimNode source, SimNode target)
    {
        var pass = round.Volumes[0];
        if (source.Live is null || source.Live.Epoch != pass.Epoch) { yield return Fails("the live data is of another epoch", StepFailure.Refused); yield break; }
        if (round.Final)
        {
            if (source.Writes) { yield return Fails("a container still writes", StepFailure.Refused); yield break; }
            source.Live.Sealed = true;
            yield return Takes(all, 0.01, 0.05);
        }
        var at = all.World.Now;
        if (!source.Snapshots.TryGetValue(pass.Snapshot, out var taken))
            taken = source.Snapshots[pass.Snapshot] = new Contents(source.Live.Writes, $"{source.Id}-{all.NextIdentity++}");
        var before = pass.Base is { } known && source.Snapshots.TryGetValue(known, out var old) ? old : null;
        if (pass.Base is not null && before is null) { yield return Fails("the base is not at the source", StepFailure.Refused); yield break; }
        var bytes = (taken.Writes - (before?.Writes ?? 0)) * 1000;
        yield return (TimeSpan.FromSeconds(0.02 + bytes / 1e6), null, default, null);
        if (!all.LinkUp || !target.AgentRuns) { yield return Fails("the connection was cut", StepFailure.Retry); yield break; }
        if (pass.Base is { } wanted && (!target.Snapshots.TryGetValue(wanted, out var there) || there.Identity != before!.Identity)) { yield return Fails("the base is not at the target", StepFailure.Refused); yield break; }
        if (target.Snapshots.TryGetValue(pass.Snapshot, out var held) && held.Identity != taken.Identity) { yield return Fails("another snapshot of this name is at the target", StepFailure.Refused); yield break; }
        target.Snapshots[pass.Snapshot] = taken;
        yield return Takes(all, 0.005, 0.05);
        var spent = all.World.Now - at;
        yield return (TimeSpan.MaxValue, null, StepFailure.Retry, new Round(round.Number, round.Final, new ByteCount(bytes), spent, TimeSpan.FromMilliseconds(10), spent, TimeSpan.FromMilliseconds(10), at, null));
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Retire(Simulation all, MoveStep.Retire retire, SimNode node)
    {
        yield return Takes(all, 0.01, 0.1);
        var volume = retire.Volumes[0];
        if (retire.DropLive && node.Live is { } live && live.Epoch < volume.Epoch) node.Live = null;
        yield return Takes(all, 0.01, 0.1);
        foreach (var name in volume.Drop) node.Snapshots.Remove(name);
        yield return Done;
    }

    private static IEnumerator<(TimeSpan, string?, StepFailure, object?)> Unwind(Simulation all, EquatableList<KeptVolume> volumes, SimNode node, InstanceId? prepared, bool source)
    {
        yield return Takes(all, 0.01, 0.1);
        if (source && node.Live is { } live) live.Sealed = false;
        if (prepared is { } instance) node.Containers.Remove(instance);
        foreach (var name in volumes.Items.SelectMany(v => v.Drop)) node.Snapshots.Remove(name);
        yield return Done;
    }

    private static (TimeSpan, string?, StepFailure, object?) Takes(Simulation all, double least, double most) => (all.World.Span(least, most), null, default, null);

    private static (TimeSpan, string?, StepFailure, object?) Fails(string why, StepFailure kind) => (TimeSpan.MaxValue, why, kind, null);
}
