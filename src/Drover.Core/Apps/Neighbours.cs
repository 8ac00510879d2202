using System.Globalization;
using Drover.Core.Nodes;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Who may be, and who would rather not be, on a node together; and how well a node meets an app's wishes.</summary>
public static class Neighbours
{
    /// <summary>Why this node is no place for the app beside those that are there; none: it is.</summary>
    public static IEnumerable<string> Refusals(ClusterState state, AppSpec spec, NodeId node, Instance? self)
    {
        if (spec.Apart.Count == 0 && !Shy(state, node)) yield break;
        foreach (var other in On(state, node, self).Where(other => other.Id != spec.Id).DistinctBy(other => other.Id))
        {
            if (Holds(spec, other) is not null) yield return $"{other.Id} is there, which it is kept apart from";
            else if (Holds(other, spec) is not null) yield return $"{other.Id} is there, which keeps apart from it";
        }

        static Apart? Holds(AppSpec one, AppSpec other) => one.Apart.Items.FirstOrDefault(apart => apart.Weight is null && apart.Means(other));
    }

    /// <summary>The weights of the wishes that the node meets, less those of unwanted company, its own wishes and its neighbours'.</summary>
    public static int Score(ClusterState state, AppSpec spec, Node node, Instance? self)
    {
        if (spec.Preferences.Count == 0 && spec.Apart.Count == 0 && !Shy(state, node.Id)) return 0;
        var score = 0;
        if (spec.Preferences.Count > 0)
        {
            var placed = Constraints.Placed(state, spec, self);
            foreach (var wish in spec.Preferences) if (Constraints.Refusal(wish.Constraint, node, placed) is null) score += wish.Weight;
        }
        var company = On(state, node.Id, self).Where(other => other.Id != spec.Id).DistinctBy(other => other.Id).ToList();
        foreach (var apart in spec.Apart) if (apart.Weight is { } weight && company.Exists(apart.Means)) score -= weight;
        foreach (var other in company)
            foreach (var apart in other.Apart) if (apart.Weight is { } weight && apart.Means(spec)) score -= weight;
        return score;
    }

    /// <summary>No node can have more than this.</summary>
    internal static int Most(AppSpec spec)
    {
        var most = 0;
        foreach (var wish in spec.Preferences) most += wish.Weight;
        return most;
    }

    /// <summary>Somebody there, or on the way there, keeps apart from others.</summary>
    private static bool Shy(ClusterState state, NodeId node)
    {
        if (state.Copies.ByNode.TryGetValue(node, out var load) && load.Shy > 0) return true;
        foreach (var move in state.OpenMoves) if (move.Target == node && move.TargetSpec.Apart.Count > 0) return true;
        return false;
    }

    /// <summary>Specs of the copies on the node and of those that moves bring there.</summary>
    private static IEnumerable<AppSpec> On(ClusterState state, NodeId node, Instance? self) =>
        state.InstancesOn(node).Where(i => i.Id != self?.Id).Select(i => i.Spec).Concat(state.OpenMoves.Where(m => m.Target == node && m.Instance != self?.Id).Select(m => m.TargetSpec));

    /// <summary>What is wrong with a wish or a distance; null: well formed.</summary>
    public static string? Problem(Preference wish) => Weight(wish.Weight) ?? Constraints.Problem(wish.Constraint);

    /// <inheritdoc cref="Problem(Preference)"/>
    public static string? Problem(AppSpec spec, Apart apart) => apart switch
    {
        { App: null, Labels.Count: 0 } => "it names neither an app nor labels: say what the app is kept apart from",
        { App: not null, Labels.Count: > 0 } => "it names an app and labels: give one of the two",
        { App: { } app } when app == spec.Id => "an app cannot be kept apart from itself: use the constraint [hostname, UNIQUE]",
        _ => apart.Weight is { } weight ? Weight(weight) : null,
    };

    private static string? Weight(int weight) => weight is >= 1 and <= Preference.Most ? null
        : string.Create(CultureInfo.InvariantCulture, $"the weight must be from 1 to {Preference.Most}, not {weight}");
}
