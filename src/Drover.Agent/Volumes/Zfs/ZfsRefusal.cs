using Drover.Agent.Host;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>Why `zfs receive` took a stream not, by its own words, and so what cures it.</summary>
internal static class ZfsRefusal
{
    /// <summary>What a stream of everything, in place of a difference, goes around.</summary>
    private static readonly string[] s_ofBase = ["does not match incremental source", "local origin", "has been modified", "most recent snapshot", "requires -L"];

    /// <summary>What no repetition cures.</summary>
    private static readonly string[] s_ofVersion = ["unsupported feature", "pool must be upgraded", "stream version", "must be upgraded"];

    /// <param name="what">Volume and snapshot.</param>
    /// <param name="isDifference">The stream needs a base.</param>
    public static Exception Of(CommandResult result, string what, string pool, bool isDifference)
    {
        var words = result.Error.Trim();
        bool Says(string part) => words.Contains(part, StringComparison.Ordinal);
        if (ZfsProgram.IsFull(result)) return new IOException($"the pool at {pool} is full: make room, then repeat ({words})");
        if (isDifference && s_ofBase.Any(Says)) return new BaseUnusable($"zfs finds no base for {what}: {words}");
        if (s_ofVersion.Any(Says))
            return new InvalidOperationException($"the ZFS of this node is too old for the stream of {what}: run `zpool upgrade` for the pool at {pool}, bring ZFS here to the version of the sending node, or move to another node ({words})");
        return new InvalidDataException($"zfs could not apply the stream of {what}: {words}");
    }
}
