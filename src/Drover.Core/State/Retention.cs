using System.Collections.Immutable;

namespace Drover.Core.State;

/// <summary>What history is written and kept. What has ended and lies past the limit is removed in the commit that ends one more.</summary>
public static class Retention
{
    /// <summary>Moves that have ended and are still shown.</summary>
    public const int EndedMoves = 200;

    /// <summary>Former versions to keep, and removals, that go into the same commit as <paramref name="changes"/>.</summary>
    public static ImmutableArray<ClusterChange> Due(ClusterState before, ImmutableArray<ClusterChange> changes)
    {
        return [.. VersionHistory.Due(before, changes), .. Moves(before, changes), .. Operations(before, changes)];
    }

    /// <summary>Work on volumes that has ended and is still shown.</summary>
    public const int EndedOperations = 200;

    private static ImmutableArray<ClusterChange> Operations(ClusterState before, ImmutableArray<ClusterChange> changes)
    {
        if (!changes.Any(change => change is ClusterChange.PutOperation { Operation.Ended: true })) return [];
        // Only the record goes: what the work made is in the volume's own.
        return
        [
            .. before.Apply(changes).Operations.Values.Where(o => o.Ended).OrderByDescending(o => o.RequestedAt).ThenByDescending(o => o.Id)
                .Skip(EndedOperations).Select(o => new ClusterChange.RemoveOperation(o.Id)),
        ];
    }

    private static ImmutableArray<ClusterChange> Moves(ClusterState before, ImmutableArray<ClusterChange> changes)
    {
        var ends = false;
        foreach (var change in changes) ends |= change is ClusterChange.PutMove { Move.Ended: true };
        if (!ends) return [];
        // Only the record of the move goes: an ended move owns no data and no container.
        return
        [
            .. before.Apply(changes).Moves.Values.Where(move => move.Ended)
                .OrderByDescending(move => move.RequestedAt).ThenByDescending(move => move.Id)
                .Skip(EndedMoves).Select(move => new ClusterChange.RemoveMove(move.Id)),
        ];
    }
}
