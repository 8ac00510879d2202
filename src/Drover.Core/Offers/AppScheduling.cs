using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Offers;

/// <summary>What the app scheduler does for one waiting copy.</summary>
public abstract record SchedulingChoice
{
    private SchedulingChoice() { }

    /// <param name="Verdict">Of a launch: what the node gives it.</param>
    public sealed record Take(NodeId Node, OfferOperation Operation, NodeVerdict? Verdict = null) : SchedulingChoice;
    /// <param name="Until">Moment at which to look again though nothing changed; null: only a change can help.</param>
    /// <param name="ForOffer">A node fits that is not among the offers at hand.</param>
    public sealed record Wait(string For, DateTimeOffset? Until, bool ForOffer = false) : SchedulingChoice;
}

/// <summary>The app scheduler's mind: which offer it takes for which copy.</summary>
public static class AppScheduling
{
    /// <summary>False: no copy wants a place.</summary>
    public static bool AnyWaits(ClusterState state) => !state.Copies.Waiting.IsEmpty;

    /// <summary>For a copy without volumes.</summary>
    internal static SchedulingChoice Choose(ClusterState state, Instance copy, NodeSearch search, IReadOnlySet<NodeId> held, DateTimeOffset now)
    {
        if (Blocked(state, copy, now) is { } blocked) return blocked;
        var (take, waits) = search.Find(state, copy, held);
        if (take is not null) return new SchedulingChoice.Take(take.Node, new OfferOperation.Launch(copy.Id), take);
        return waits is { } node ? ForOffer(node) : new SchedulingChoice.Wait(WaitReasons.Text(state, copy), null);
    }

    /// <param name="held">Nodes promised to other frameworks.</param>
    public static SchedulingChoice Choose(ClusterState state, Instance copy, IReadOnlySet<NodeId> held, DateTimeOffset now)
    {
        if (Blocked(state, copy, now) is { } blocked) return blocked;
        var ranked = Placement.Rank(state, copy.Spec, copy);
        if (ranked.FirstOrDefault(v => v.Fits) is null) return new SchedulingChoice.Wait(WaitReasons.Text(ranked), null);
        var sources = OfferOperations.Sources(state, copy.Spec).ToImmutableArray();
        var best = ranked[0];
        if (sources.IsEmpty || best.HoldsVolume)
        {
            // Data on a node that takes the copy is never left behind because that node's offer is late.
            var pick = sources.IsEmpty ? ranked.FirstOrDefault(v => v.Fits && !held.Contains(v.Node)) : held.Contains(best.Node) ? null : best;
            return pick is null ? ForOffer(best.Node) : new SchedulingChoice.Take(pick.Node, new OfferOperation.Launch(copy.Id), pick);
        }
        if (state.Apps.TryGetValue(copy.App, out var app) && MoveRetry.HeldUntil(state, app, now) is { } retry) return new SchedulingChoice.Wait(retry.Why, retry.At);
        var target = ranked.FirstOrDefault(v => v.Fits && !held.Contains(v.Node));
        return target is null ? ForOffer(best.Node) : new SchedulingChoice.Take(target.Node, new OfferOperation.Relocate(copy.Id));
    }

    private static SchedulingChoice.Wait ForOffer(NodeId node) => new($"an offer of {node}, which fits", null, ForOffer: true);

    private static SchedulingChoice.Wait? Blocked(ClusterState state, Instance copy, DateTimeOffset now) => Launching.Block(state, copy, now) is { } block
        ? new(block, state.Apps.TryGetValue(copy.App, out var app) ? LaunchBackoff.Holding(app, now)?.Until : null) : null;
}
