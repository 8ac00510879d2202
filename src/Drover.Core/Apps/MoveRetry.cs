using System.Globalization;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>How long a deployment or the scheduler leaves an app alone after a move of it was undone.</summary>
public static class MoveRetry
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    public static MoveId NewId(IChance chance) => new($"m{chance.NewGuid():n}"[..9]);

    /// <summary>null: a move may be planned now.</summary>
    public static (DateTimeOffset At, string Why)? HeldUntil(ClusterState state, App app, DateTimeOffset now)
    {
        var undone = state.Moves.Values.Where(m => m.App == app.Id && m.State == MoveState.Undone && m.RequestedAt >= app.LastConfigChangeAt).ToList();
        if (undone.Count == 0) return null;
        var last = undone.MaxBy(m => m.History.Count == 0 ? m.RequestedAt : m.History[^1].At)!;
        var ended = last.History.Count == 0 ? last.RequestedAt : last.History[^1].At;
        var delay = TimeSpan.FromTicks((long)Math.Min(Longest.Ticks, First.Ticks * Math.Pow(2, undone.Count - 1)));
        var at = ended + delay;
        if (now >= at) return null;
        return (at, $"another try at {at.UtcDateTime.ToString("HH:mm:ss", CultureInfo.InvariantCulture)} UTC: move {last.Id} to {last.Target} was undone, {last.Failure ?? "no reason given"}");
    }
}
