using System.Collections.Immutable;

namespace Drover.Core.State;

/// <summary>What history is kept. What has ended and lies past the limit is removed in the commit that ends one more.</summary>
public static class Retention
{
    /// <summary>Moves that have ended and are still shown.</summary>
    public const int EndedMoves = 200;

    /// <summary>Removals that go into the same commit as <paramref name="changes"/>.</summary>
    public static ImmutableArray<ClusterChange> Due(ClusterState before, ImmutableArray<ClusterChange> changes)
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
