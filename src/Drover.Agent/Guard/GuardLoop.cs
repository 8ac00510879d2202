namespace Drover.Agent.Guard;

/// <summary>What the guard does to the machine. Each verb may be repeated.</summary>
public interface IGuardHands
{
    /// <summary>Kills every process of these containers, without asking their engine. How many there were.</summary>
    int Kill(IReadOnlyCollection<string> containers);

    /// <summary>Makes live data read-only for everybody. False: it was already, or is not there any more.</summary>
    bool Seal(string path);
}

/// <summary>Looks at the agent's file and stops writers when their lease has ended. Knows nothing but that file: whether the agent lives does not matter.</summary>
public sealed class GuardLoop(GuardFile file, string start, IGuardHands hands, Action<string> say)
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1), Soon = TimeSpan.FromMilliseconds(50);
    private const int TurnsAwaited = 10;
    private int _awaited;

    /// <summary>One look. When to look again.</summary>
    public TimeSpan Look(TimeSpan now)
    {
        if (Next(file.Read(), start, now) is { } later) return later;
        using var turn = file.TryLock();
        // An agent that was stopped in the middle of a write must not keep its writers alive.
        if (turn is null && _awaited++ < TurnsAwaited) return now + Soon;
        _awaited = 0;
        // Read again: a lease may have come while it waited for its turn.
        var state = file.Read();
        if (Next(state, start, now) is { } renewed) return renewed;
        Stop(state!);
        // Once more and again: a start that was under way may arrive late.
        return now + LookAgain;
    }

    /// <summary>When to look again; null: the lease has ended.</summary>
    public static TimeSpan? Next(GuardState? state, string start, TimeSpan now)
    {
        // Of an earlier start of the machine: its containers ended with it, and each start passes the agent's check.
        if (state is null || state.Start != start || (state.Volumes.Count == 0 && state.Containers.Count == 0)) return now + LookAgain;
        if (now >= state.EndsAt) return null;
        return state.EndsAt < now + LookAgain ? state.EndsAt : now + LookAgain;
    }

    private void Stop(GuardState state)
    {
        var killed = state.Containers.Count == 0 ? 0 : hands.Kill(state.Containers.Items);
        if (killed > 0) say($"the lease of this node has ended: killed {killed} processes of {state.Containers.Count} containers");
        foreach (var volume in state.Volumes)
        {
            if (volume.SealPath.Length == 0) continue;
            try
            {
                if (hands.Seal(volume.SealPath)) say($"the lease of this node has ended: sealed volume {volume.Name}, epoch {volume.Epoch}");
            }
            // The others must be sealed all the same; this one is tried again at the next look.
            catch (Exception e) when (e is IOException or System.ComponentModel.Win32Exception) { say($"volume {volume.Name} could not be sealed: {e.Message}"); }
        }
    }
}
