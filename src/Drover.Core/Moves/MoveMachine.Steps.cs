using Drover.Core.State;

namespace Drover.Core.Moves;

public static partial class MoveMachine
{
    /// <summary>What a move in this state has to do, side by side. Computed from what is stored alone: after a crash it is the same again.</summary>
    public static EquatableList<MoveStep> Steps(Move move) => move.State switch
    {
        MoveState.Preparing => move.Volumes.Count == 0
            ? [new MoveStep.PrepareTarget(move.Target, ByteCount.Zero)]
            : [new MoveStep.PrepareTarget(move.Target, Needed(move)), new MoveStep.InspectSource(move.Source)],
        MoveState.Seeding when move.NextRoundAt is not null => [],
        MoveState.Seeding when move is { PreStop: PreStopState.Due, Instance: { } instance, Policy.PreStop: { } command } => [new MoveStep.RunPreStop(move.Source, instance, command)],
        MoveState.Seeding when move.Throttle != move.Throttled && move.Instance is { } instance => [new MoveStep.ThrottleInstance(move.Source, instance, move.Throttle)],
        MoveState.Seeding => [new MoveStep.SendRound(move.Rounds.Count + 1, false, Passes(move, MoveSnapshots.Round(move.Id, move.Rounds.Count + 1)))],
        MoveState.Quiescing when move.Instance is { } instance => [new MoveStep.StopInstance(move.Source, instance, Freezes(move))],
        MoveState.FinalDelta => [new MoveStep.SendRound(move.Rounds.Count + 1, true, Passes(move, MoveSnapshots.Final(move.Id)))],
        MoveState.Verified => [new MoveStep.Commit()],
        MoveState.Retiring when move.Volumes.Count > 0 =>
        [
            // The target serves what it promoted from the final snapshot, and the source keeps that snapshot: its live data holds nothing more than it.
            new MoveStep.Retire(move.Source, true, Kept(move, RetireDrops)),
            // The promoted base stays as the base of the way back; the passes before it are contained in it.
            new MoveStep.Retire(move.Target, false, Kept(move, RetireDrops)),
        ],
        MoveState.Unwinding =>
        [
            new MoveStep.UnwindSource(move.Source, Kept(move, UnwindDrops)),
            // The source is primary and whole: what this move brought to the target is a copy of it.
            new MoveStep.UnwindTarget(move.Target, Kept(move, UnwindDrops)),
        ],
        _ => [],
    };

    /// <summary>The same, sparing the snapshots that standbys on other nodes still need as their base.</summary>
    public static EquatableList<MoveStep> Steps(ClusterState state, Move move) =>
        Steps(move).Select(step => step is MoveStep.Retire retire
            ? retire with { Volumes = retire.Volumes.Select(v => Spared(state, move, v)).ToEquatableList() }
            : step).ToEquatableList();

    private static KeptVolume Spared(ClusterState state, Move move, KeptVolume kept)
    {
        if (!state.Volumes.TryGetValue(kept.Name, out var volume)) return kept with { Drop = [] };
        var needed = volume.Standbys.Items.Where(s => s.Node != move.Source && s.Node != move.Target).Select(s => s.Snapshot).ToHashSet();
        return kept with { Drop = kept.Drop.Where(name => !needed.Contains(name)).ToEquatableList() };
    }

    /// <summary>Without data there is nothing a freeze would be short for.</summary>
    public static bool Freezes(Move move) => move.Policy.Quiesce == Moves.Quiesce.Freeze && move.Volumes.Count > 0 && !move.SourceIdle;

    private static ByteCount Needed(Move move) => move.Volumes.Items.Where(v => v.Base is null).Aggregate(ByteCount.Zero, (sum, v) => sum + v.Used);

    private static EquatableList<VolumePass> Passes(Move move, SnapshotName snapshot) =>
        move.Volumes.Select(v => new VolumePass(v.Name, v.Epoch, snapshot, v.Last ?? v.Base)).ToEquatableList();

    private static EquatableList<KeptVolume> Kept(Move move, Func<Move, MovedVolume, IEnumerable<SnapshotName>> drops) =>
        move.Volumes.Select(v =>
        {
            var keep = move.Committed ? v.Last : v.Base;
            return new KeptVolume(v.Name, keep, move.Committed ? v.Epoch.Next : v.Epoch, drops(move, v).Where(name => name != keep).Distinct().ToEquatableList());
        }).ToEquatableList();

    private static IEnumerable<SnapshotName> RetireDrops(Move move, MovedVolume volume) =>
        MoveSnapshots.All(move).Concat(volume.Base is { } old ? [old] : []).Concat(volume.Leftovers)
            .Where(name => !Volumes.VolumeSnapshots.IsKept(name)); // what people keep goes by their word alone

    private static IEnumerable<SnapshotName> UnwindDrops(Move move, MovedVolume volume) => MoveSnapshots.All(move);
}
