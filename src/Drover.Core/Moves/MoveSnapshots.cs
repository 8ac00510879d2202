using Drover.Core.Volumes;

namespace Drover.Core.Moves;

/// <summary>Names of a move's snapshots, and which snapshots serve as a base.</summary>
public static class MoveSnapshots
{
    /// <summary>Unique for the move: `m8f3a1c2d-r1`. Repeating a round uses the name again, so that what is there already is found.</summary>
    public static SnapshotName Round(MoveId move, int number) => new($"{Prefix(move)}-r{number}");

    public static SnapshotName Final(MoveId move) => new($"{Prefix(move)}-f");

    /// <summary>What an import makes its volume of. Named like a move's, so that the first move of the volume takes it away.</summary>
    public static SnapshotName Brought(OperationId import) => new($"{Prefix(new MoveId(import.Value))}-r0");

    /// <summary>Every name the move may have given so far, the round under way included.</summary>
    public static IEnumerable<SnapshotName> All(Move move) =>
        Enumerable.Range(1, move.Rounds.Count + 1).Select(n => Round(move.Id, n)).Append(Final(move.Id));

    /// <summary>Newest snapshot both hold with the same contents; <paramref name="expected"/> if it is one.</summary>
    public static SnapshotName? CommonBase(SnapshotName? expected, ReplicaSeen? source, ReplicaSeen? target)
    {
        if (source is null || target is null) return null;
        var there = target.Snapshots.Items.ToLookup(s => s.Name, s => s.Identity);
        var common = source.Snapshots.Items.Where(s => there[s.Name].Contains(s.Identity)).Select(s => s.Name).ToList();
        if (expected is { } wanted && common.Contains(wanted)) return wanted;
        return common.Count == 0 ? null : common[^1];
    }

    /// <summary>Snapshots of ended moves on either node that are no base: those of moves that were undone while a node was away.</summary>
    public static EquatableList<SnapshotName> Leftovers(Move move, SnapshotName? keep, ReplicaSeen? source, ReplicaSeen? target)
    {
        var own = All(move).ToHashSet();
        return (source?.Snapshots.Items ?? []).Concat(target?.Snapshots.Items ?? []).Select(s => s.Name).Distinct()
            .Where(name => name != keep && !own.Contains(name) && Ours(name)).ToEquatableList();
    }

    private static bool Ours(SnapshotName name)
    {
        var dash = name.Value.IndexOf('-', StringComparison.Ordinal);
        return dash > 1 && name.Value[0] == 'm' && dash + 1 < name.Value.Length && name.Value[dash + 1] is 'r' or 'f';
    }

    private static string Prefix(MoveId move)
    {
        var letters = string.Concat(move.Value.Where(char.IsAsciiLetterOrDigit));
        // The end of an id varies most, also where ids begin with a time.
        return "m" + letters[^Math.Min(8, letters.Length)..];
    }
}
