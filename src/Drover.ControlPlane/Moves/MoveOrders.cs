using System.Globalization;
using Drover.ControlPlane.Access;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Moves;

/// <summary>What a node should run, in the wire's form: computed in one place for orders that stand and for those of a move.</summary>
public delegate Desired DesiredOf(ClusterState state, NodeId node);

/// <summary>Translates a move's steps into agents' orders and their results into events.</summary>
public sealed class MoveOrders(DesiredOf desired, ITransferTickets tickets)
{
    /// <summary>A round that has not begun to send after this long needs a new ticket.</summary>
    public static readonly TimeSpan TicketLife = TimeSpan.FromHours(1);

    /// <summary>The node that does the step, and the order. The order's id depends on the move's stored place alone: repeated after a crash, the agent finds what it did.</summary>
    public (NodeId Node, Step Order) Of(ClusterState state, Move move, MoveStep step, DateTimeOffset now)
    {
        var order = new Step { MoveId = move.Id.Value, StepId = StepId(move, step) };
        switch (step)
        {
            case MoveStep.PrepareTarget prepare:
                order.Prepare = new PrepareTarget { BytesNeeded = prepare.Needed.Bytes, LimitsSizes = move.Volumes.Items.Any(v => state.Volumes.GetValueOrDefault(v.Name)?.Size is not null) };
                order.Prepare.Volumes.AddRange(move.Volumes.Select(v => v.Name.Value));
                if (move.Instance is { } prepared && desired(state, move.Target).Instances.FirstOrDefault(i => i.InstanceId == prepared.Value) is { } instance)
                    order.Prepare.Instance = instance;
                return (prepare.Node, order);
            case MoveStep.InspectSource inspect:
                order.Inspect = new InspectSource();
                order.Inspect.Volumes.AddRange(move.Volumes.Select(v => v.Name.Value));
                return (inspect.Node, order);
            case MoveStep.SendRound round:
                order.Round = Round(state, move, round, now);
                return (move.Source, order);
            case MoveStep.RunPreStop run:
                order.PreStop = new RunPreStop { InstanceId = run.Instance.Value, TaskId = Running(state, run.Instance), Command = run.What.Command, LimitMs = (int)run.What.Limit.TotalMilliseconds };
                return (run.Node, order);
            case MoveStep.ThrottleInstance throttle:
                order.Throttle = new ThrottleInstance { InstanceId = throttle.Instance.Value, TaskId = Running(state, throttle.Instance), Level = throttle.Level };
                return (throttle.Node, order);
            case MoveStep.StopInstance stop:
                order.Stop = Stop(state, move, stop);
                return (stop.Node, order);
            case MoveStep.Retire retire:
                order.Retire = new Retire { InstanceId = move.Instance?.Value ?? "" };
                order.Retire.Volumes.AddRange(retire.Volumes.Select(v => Kept(v, retire.DropLive)));
                return (retire.Node, order);
            case MoveStep.UnwindTarget unwind:
                order.Unwind = Unwinding(move, move.Instance is { } copy ? PreparedTask(state, copy) : "", source: false, unwind.Volumes);
                return (unwind.Node, order);
            case MoveStep.UnwindSource unwind:
                order.Unwind = Unwinding(move, move.Instance is { } own && state.Instances.TryGetValue(own, out var at) ? at.Task.Value : "", source: true, unwind.Volumes);
                return (unwind.Node, order);
            default:
                throw new System.Diagnostics.UnreachableException($"{step.GetType().Name} is no agent's step");
        }
    }

    public static ReplicaSeen Seen(VolumeObserved volume) => new(new VolumeName(volume.Name), new ByteCount(volume.UsedBytes),
        volume.Snapshots.Select(s => new SnapshotView(new SnapshotName(s.Name), s.Identity, new ByteCount(s.Bytes)) { Changed = s.HasChangedBytes ? new ByteCount(s.ChangedBytes) : null }).ToEquatableList());

    public static Round Measured(MoveStep.SendRound step, RoundOutcome outcome) => new(
        step.Number, step.Final, new ByteCount(outcome.Bytes), Micros(outcome.ElapsedUs), Micros(outcome.SnapshotUs), Micros(outcome.SendUs), Micros(outcome.SyncUs),
        DateTimeOffset.FromUnixTimeMilliseconds(outcome.SnapshotAtUnixMs), null)
    {
        WireBytes = new ByteCount(outcome.WireBytes), ResentBytes = new ByteCount(outcome.ResentBytes),
    };

    public static StepFailure Failure(StepErrorKind kind) => kind switch
    {
        StepErrorKind.Refused => StepFailure.Refused,
        StepErrorKind.Operator => StepFailure.Operator,
        _ => StepFailure.Retry,
    };

    public static TimeSpan Micros(long microseconds) => TimeSpan.FromMicroseconds(microseconds);

    private static string StepId(Move move, MoveStep step)
    {
        var what = step switch
        {
            MoveStep.PrepareTarget or MoveStep.UnwindTarget => "target",
            MoveStep.InspectSource or MoveStep.UnwindSource => "source",
            MoveStep.Retire retire => retire.Node.Value,
            MoveStep.RunPreStop => "prestop",
            MoveStep.ThrottleInstance throttle => $"throttle{throttle.Level}",
            _ => (move.Rounds.Count + 1).ToString(CultureInfo.InvariantCulture),
        };
        // A step that failed is ordered anew under another id: the answer to the old one is known.
        return move.Attempts == 0 ? $"{move.Id}/{move.State}/{what}" : string.Create(CultureInfo.InvariantCulture, $"{move.Id}/{move.State}/{what}.{move.Attempts}");
    }

    private SendRound Round(ClusterState state, Move move, MoveStep.SendRound step, DateTimeOffset now)
    {
        var target = state.Nodes[move.Target];
        var round = new SendRound
        {
            Number = step.Number,
            Final = step.Final,
            TargetAddress = target.Address,
            TargetPort = target.TransferPort,
            TargetNode = move.Target.Value,
            // The limit spares other users of the link while the app runs; once it stands still, every byte is in its way.
            BytesPerSecond = step.Final ? 0 : move.Policy.BytesPerSecond ?? 0,
        };
        round.Volumes.AddRange(step.Volumes.Select(v => new RoundVolume
        {
            Name = v.Name.Value,
            Epoch = v.Epoch.Value,
            Snapshot = v.Snapshot.Value,
            Base = v.Base?.Value ?? "",
            Ticket = tickets.Sign(new TransferGrant(move.Id, v.Name, v.Epoch, v.Snapshot, move.Source, move.Target, now + TicketLife)),
        }));
        return round;
    }

    private static StopInstance Stop(ClusterState state, Move move, MoveStep.StopInstance step)
    {
        var instance = state.Instances.GetValueOrDefault(step.Instance);
        var stop = new StopInstance
        {
            InstanceId = step.Instance.Value,
            TaskId = instance?.Task.Value ?? "",
            Freeze = step.Freeze,
            GraceMs = (int)Math.Min((instance?.Spec.KillGrace ?? DefaultGrace).TotalMilliseconds, int.MaxValue),
        };
        stop.Volumes.AddRange(move.Volumes.Select(v => v.Name.Value));
        return stop;
    }

    private static readonly TimeSpan DefaultGrace = TimeSpan.FromSeconds(10);

    private static string Running(ClusterState state, InstanceId id) => state.Instances.TryGetValue(id, out var instance) ? instance.Task.Value : "";

    private static string PreparedTask(ClusterState state, InstanceId id) => state.Instances.TryGetValue(id, out var instance) ? id.Task(instance.Incarnation + 1).Value : "";

    private static Unwind Unwinding(Move move, string task, bool source, EquatableList<KeptVolume> volumes)
    {
        var unwind = new Unwind { InstanceId = move.Instance?.Value ?? "", TaskId = task, Source = source };
        unwind.Volumes.AddRange(volumes.Select(v => Kept(v, dropLive: false)));
        return unwind;
    }

    private static RetireVolume Kept(KeptVolume volume, bool dropLive)
    {
        var kept = new RetireVolume { Name = volume.Name.Value, Keep = volume.Keep?.Value ?? "", Epoch = volume.Epoch.Value, DropLive = dropLive };
        kept.Drop.AddRange(volume.Drop.Select(s => s.Value));
        return kept;
    }
}
