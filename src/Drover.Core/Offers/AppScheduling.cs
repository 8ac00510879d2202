using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Offers;

/// <summary>What the app scheduler does for one waiting copy.</summary>
public abstract record SchedulingChoice
{
    private SchedulingChoice() { }

    public sealed record Take(NodeId Node, OfferOperation Operation) : SchedulingChoice;
    /// <param name="Until">Moment at which to look again though nothing changed; null: only a change can help.</param>
    /// <param name="ForOffer">A node fits that is not among the offers at hand.</param>
    public sealed record Wait(string For, DateTimeOffset? Until, bool ForOffer = false) : SchedulingChoice;
}

/// <summary>The app scheduler's mind: which offer it takes for which copy.</summary>
public static class AppScheduling
{
    /// <summary>Copies that want a place, longest waiting first.</summary>
    public static ImmutableArray<Instance> Waiting(ClusterState state) =>
        [.. state.Instances.Values.Where(i => i is { Node: null, Goal: InstanceGoal.Running } && InstanceLifecycle.OwningMove(state, i) is null).OrderBy(i => i.CreatedAt).ThenBy(i => i.Id)];

    /// <param name="offered">Nodes of the offers at hand.</param>
    public static SchedulingChoice Choose(ClusterState state, Instance copy, IReadOnlySet<NodeId> offered, DateTimeOffset now)
    {
        var app = state.Apps.GetValueOrDefault(copy.App);
        if (Launching.Block(state, copy, now) is { } block) return new SchedulingChoice.Wait(block, app is null ? null : LaunchBackoff.Holding(app, now)?.Until);
        var ranked = Placement.Rank(state, copy.Spec, copy);
        if (ranked.FirstOrDefault(v => v.Fits) is null) return new SchedulingChoice.Wait(WaitReasons.Text(ranked), null);
        var sources = OfferOperations.Sources(state, copy.Spec).ToImmutableArray();
        var best = ranked[0];
        if (sources.IsEmpty || best.HoldsVolume)
        {
            // Data on a node that takes the copy is never left behind because that node's offer is late.
            var pick = sources.IsEmpty ? ranked.FirstOrDefault(v => v.Fits && offered.Contains(v.Node)) : offered.Contains(best.Node) ? best : null;
            return pick is null ? new SchedulingChoice.Wait($"an offer of {best.Node}, which fits", null, ForOffer: true) : new SchedulingChoice.Take(pick.Node, new OfferOperation.Launch(copy.Id));
        }
        if (app is not null && MoveRetry.HeldUntil(state, app, now) is { } held) return new SchedulingChoice.Wait(held.Why, held.At);
        var target = ranked.FirstOrDefault(v => v.Fits && offered.Contains(v.Node));
        return target is null
            ? new SchedulingChoice.Wait($"an offer of {best.Node}, which fits", null, ForOffer: true)
            : new SchedulingChoice.Take(target.Node, new OfferOperation.Relocate(copy.Id));
    }
}
