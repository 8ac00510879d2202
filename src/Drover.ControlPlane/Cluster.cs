using Drover.Core.State;

namespace Drover.ControlPlane;

/// <summary>The one place where state changes: decisions are taken one after the other on the current state, stored, then published.</summary>
public interface ICluster
{
    /// <summary>The state as of the last commit. Immutable; read it once per pass.</summary>
    ClusterState Current { get; }

    /// <summary>Runs <paramref name="decide"/> on the current state while nobody else decides, stores its durable changes in one commit, applies them, publishes state and events,
    /// and returns the outcome. The function must be pure and quick. An exception inside it, or a store that cannot write, changes nothing.</summary>
    Task<T> Decide<T>(Func<ClusterState, Decision<T>> decide, CancellationToken cancel);

    /// <summary>Commits from now on. Bounded: a reader that falls behind gets one <see cref="Committed.Missed"/> and reads <see cref="Current"/> again.</summary>
    IAsyncEnumerable<Committed> Watch(CancellationToken cancel);
}

/// <param name="Before">State before the commit.</param>
/// <param name="After">State after it.</param>
/// <param name="At">Wall-clock moment of the commit.</param>
/// <param name="Missed">True: commits were dropped before this one; compare with what you knew.</param>
public sealed record Committed(ClusterState Before, ClusterState After, System.Collections.Immutable.ImmutableArray<ClusterChange> Changes,
    System.Collections.Immutable.ImmutableArray<ClusterEvent> Events, DateTimeOffset At, bool Missed);
