using Drover.Core.Moves;
using Drover.Faults.Lab;

namespace Drover.Faults.Table;

/// <summary>What is done to the lab in the middle of a step.</summary>
public enum Fault
{
    /// <summary>Nothing: a move as users know it.</summary>
    None,
    KillControl, KillSource, KillTarget,
    StopControl, StopSource, StopTarget,
    KillGuards, StopGuards,
    KillSend, KillReceive,
    KillSourceDocker, KillTargetDocker, RebootSource, RebootTarget,
    CutAgents, CutSourceFromControl, CutTargetFromControl, CutControl, CutSource, CutTarget,
    TargetFull, SourceFull,
    StartFails, ImageGone,
    CorruptFrame, TruncatedStream,
    StoreFails,
}

/// <summary>Where a move is held so that the fault falls into exactly that step.</summary>
/// <param name="Who">`control`, `source` or `target`.</param>
public sealed record Hold(string Who, string Point);

/// <summary>One fault in one step of a move.</summary>
public sealed record Combo(MoveState Step, Fault Fault)
{
    private static readonly MoveState[] Steps =
        [MoveState.Preparing, MoveState.Seeding, MoveState.Quiescing, MoveState.FinalDelta, MoveState.Verified, MoveState.CutOver, MoveState.Starting, MoveState.Retiring];

    /// <summary>Held there instead of where the step says.</summary>
    public Hold? At { get; init; }

    /// <summary>A place within the step, where <see cref="At"/> is one; else null.</summary>
    public string? Place { get; init; }

    /// <summary>Put right only when the move has ended: whoever waits for the fault to pass waits in vain.</summary>
    public bool Stays { get; init; }

    public string Where => Place ?? Step.ToString();
    public string What => Stays ? $"{Fault}Stays" : Fault.ToString();
    public string Name => $"{Where}/{What}";

    public Hold Hold => At ?? Step switch
    {
        MoveState.Preparing => new("target", "Prepare.done"),
        MoveState.Seeding => new("source", "Seed.sending"),
        MoveState.Quiescing => new("source", "Stop.done"),
        MoveState.FinalDelta => new("source", "Final.sending"),
        // Everything is at the target, and nothing is decided yet.
        MoveState.Verified => new("control", "commit.begin"),
        MoveState.CutOver => new("control", "CutOver.stored"),
        MoveState.Starting => new("target", "start.begin"),
        MoveState.Retiring => new("source", "Retire.begin"),
        _ => throw new ArgumentOutOfRangeException(nameof(Step), Step, "a move is not held there"),
    };

    /// <summary>What is done on every driver's data, and what is for the move alone: the whole table.</summary>
    public static IReadOnlyList<Combo> Whole() => [.. All().Union(Data()).Union(Staying())];

    /// <summary>Each fault in each step where it makes sense: a send can be killed only where one runs.</summary>
    public static IReadOnlyList<Combo> All() => [.. from step in Steps from fault in Enum.GetValues<Fault>() where MakesSense(step, fault) select new Combo(step, fault)];

    /// <summary>What strikes the data itself: seeding, the final round, its verification, the promotion.</summary>
    public static IReadOnlyList<Combo> Data() =>
    [
        // Switched on in the step before: in the first round, and in the last.
        .. Of(MoveState.Preparing, Fault.CorruptFrame, Fault.TruncatedStream, Fault.TargetFull, Fault.SourceFull),
        .. Of(MoveState.Seeding, Fault.KillSend, Fault.KillReceive, Fault.KillSource, Fault.KillTarget, Fault.CutAgents, Fault.TargetFull, Fault.SourceFull, Fault.StoreFails),
        .. Of(MoveState.Quiescing, Fault.CorruptFrame, Fault.TruncatedStream, Fault.TargetFull, Fault.SourceFull),
        .. Of(MoveState.FinalDelta, Fault.KillSend, Fault.KillReceive, Fault.KillSource, Fault.KillTarget, Fault.CutAgents, Fault.TargetFull, Fault.StoreFails),
        .. Of(MoveState.FinalDelta, Fault.KillSource, Fault.KillTarget, Fault.CutAgents, Fault.TargetFull, Fault.StoreFails).Select(c => c with { Place = "Verifying", At = new("target", "Final.received") }),
        .. Of(MoveState.Verified, Fault.KillTarget, Fault.StoreFails),
        .. Of(MoveState.CutOver, Fault.KillSource, Fault.KillTarget, Fault.StopTarget, Fault.CutAgents, Fault.TargetFull, Fault.StoreFails).Select(c => c with { Place = "Promoting", At = new("target", "promote.begin") }),
        .. Of(MoveState.Starting, Fault.KillTarget, Fault.TargetFull),
        .. Of(MoveState.Retiring, Fault.KillSource, Fault.SourceFull),
    ];

    /// <summary>The same, as far as it can be done to such a pool.</summary>
    public static IReadOnlyList<Combo> DataOn(VolumeKind kind) => [.. Data().Where(c => kind.CanBeFilled || c.Fault is not (Fault.TargetFull or Fault.SourceFull))];

    /// <summary>Faults that do not pass by themselves, before the commit: the move is undone, or goes on without what has failed.</summary>
    public static IReadOnlyList<Combo> Staying() =>
    [
        .. Stay(MoveState.Preparing, Fault.StopTarget, Fault.CutAgents),
        .. Stay(MoveState.Seeding, Fault.KillTarget, Fault.StopTarget, Fault.CutTarget, Fault.TargetFull),
        .. Stay(MoveState.Quiescing, Fault.KillTarget, Fault.StopTarget, Fault.CutAgents, Fault.CutTargetFromControl, Fault.TargetFull),
        .. Stay(MoveState.FinalDelta, Fault.KillTarget, Fault.StopTarget, Fault.CutAgents, Fault.CutTargetFromControl, Fault.CutTarget),
        .. Stay(MoveState.FinalDelta, Fault.CutAgents, Fault.CutTarget).Select(c => c with { Place = "Verifying", At = new("target", "Final.received") }),
    ];

    private static IEnumerable<Combo> Of(MoveState step, params Fault[] faults) => faults.Select(f => new Combo(step, f));

    private static IEnumerable<Combo> Stay(MoveState step, params Fault[] faults) => Of(step, faults).Select(c => c with { Stays = true });

    /// <summary>Some of each step and each kind, for a quick look.</summary>
    public static IReadOnlyList<Combo> Short() =>
    [
        new(MoveState.Preparing, Fault.KillTarget), new(MoveState.Preparing, Fault.TargetFull), new(MoveState.Seeding, Fault.KillSource), new(MoveState.Seeding, Fault.KillSend),
        new(MoveState.Seeding, Fault.KillReceive), new(MoveState.Quiescing, Fault.KillSource), new(MoveState.Quiescing, Fault.TruncatedStream), new(MoveState.Quiescing, Fault.CorruptFrame),
        new(MoveState.FinalDelta, Fault.KillTarget), new(MoveState.FinalDelta, Fault.CutAgents), new(MoveState.Verified, Fault.KillControl), new(MoveState.Verified, Fault.StoreFails),
        new(MoveState.CutOver, Fault.KillControl), new(MoveState.CutOver, Fault.CutSourceFromControl), new(MoveState.Starting, Fault.KillTarget), new(MoveState.Retiring, Fault.KillSource),
    ];

    private static bool MakesSense(MoveState step, Fault fault) => fault switch
    {
        Fault.None => false,
        Fault.KillSend or Fault.KillReceive => step is MoveState.Seeding or MoveState.FinalDelta,
        // Switched on in one step, met in the next.
        Fault.CorruptFrame or Fault.TruncatedStream => step is MoveState.Preparing or MoveState.Quiescing,
        Fault.StartFails => step is MoveState.Verified or MoveState.CutOver or MoveState.Starting,
        Fault.ImageGone => step is MoveState.Preparing or MoveState.Seeding or MoveState.FinalDelta or MoveState.CutOver,
        Fault.TargetFull => step is MoveState.Preparing or MoveState.Seeding or MoveState.Quiescing or MoveState.FinalDelta or MoveState.Starting,
        Fault.SourceFull => step is MoveState.Preparing or MoveState.Seeding or MoveState.Quiescing or MoveState.Retiring,
        Fault.RebootSource => step is MoveState.Seeding or MoveState.FinalDelta or MoveState.CutOver,
        Fault.RebootTarget => step is MoveState.Seeding or MoveState.FinalDelta or MoveState.Starting,
        Fault.CutControl or Fault.CutTarget => step is MoveState.Seeding or MoveState.FinalDelta or MoveState.CutOver or MoveState.Starting,
        _ => true,
    };
}
