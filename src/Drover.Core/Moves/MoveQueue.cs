using Drover.Core.State;

namespace Drover.Core.Moves;

/// <summary>Which planned moves may begin: each node sends and takes a few at once, the others wait in a line that everybody can see.</summary>
/// <remarks>Apps that are down until their data has come go first, then who asked first. One whose nodes are free does not wait for one whose nodes are not.
/// Only moves before their commit count: after it the way between the nodes is free again, however long the app takes to come up.</remarks>
public static class MoveQueue
{
    /// <summary>Moves a node sends, and moves it takes, at once.</summary>
    public const int PerNode = 2;

    /// <summary>Moves under way in the whole cluster.</summary>
    public const int AtOnce = 16;

    /// <summary>What a planned move waits for, with its place; null: it may begin.</summary>
    public static string? Wait(ClusterState state, Move move)
    {
        foreach (var volume in move.Volumes)
            if (state.OpenOperationOf(volume.Name) is { } work) return $"{work.Named} of volume '{volume.Name}' to end";
        var active = state.OpenMoves.Where(m => m.State is > MoveState.Planned and < MoveState.CutOver).ToList();
        var line = state.OpenMoves.Where(m => m.State == MoveState.Planned).OrderByDescending(m => m.SourceIdle).ThenBy(m => m.RequestedAt).ThenBy(m => m.Id).ToList();
        for (var place = 0; place < line.Count; place++)
        {
            var why = Full(active, line[place]);
            if (line[place].Id == move.Id) return why is null ? null : $"its turn, place {place + 1} of {line.Count}: {why}";
            if (why is null) active.Add(line[place]);
        }
        return null;
    }

    private static string? Full(List<Move> active, Move move)
    {
        var width = move.Width > 0 ? move.Width : PerNode;
        var sends = active.Where(m => m.Source == move.Source).ToList();
        if (sends.Count >= width) return $"node '{move.Source}' sends {Named(sends)}, as many as it may";
        var takes = active.Where(m => m.Target == move.Target).ToList();
        if (takes.Count >= width) return $"node '{move.Target}' takes {Named(takes)}, as many as it may";
        return active.Count >= AtOnce ? $"one of the {AtOnce} moves under way to end" : null;
    }

    private static string Named(List<Move> moves) => string.Join(", ", moves.OrderBy(m => m.App).Select(m => m.App.Value));
}
