using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Which copies go first when there are too many, in Marathon's order.</summary>
public static class KillOrder
{
    /// <summary>Picks <paramref name="count"/> of the copies. A GROUP_BY constraint keeps its groups even; then those that run least far, then by age.</summary>
    public static List<Instance> Pick(ClusterState state, AppSpec spec, IEnumerable<Instance> copies, int count)
    {
        var sorted = Sorted(spec, copies);
        if (spec.Constraints.Items.FirstOrDefault(c => c.Operator == ConstraintOperator.GroupBy)?.Field is not { } field) return [.. sorted.Take(count)];
        var groups = sorted.GroupBy(i => ValueOf(state, i, field)).Select(g => new Queue<Instance>(g)).ToList();
        var picked = new List<Instance>();
        // Always from the largest: what stays differs by one at most, or by as much less as it did before.
        while (picked.Count < count && groups.MaxBy(g => g.Count) is { Count: > 0 } largest) picked.Add(largest.Dequeue());
        return picked;
    }

    private static IEnumerable<Instance> Sorted(AppSpec spec, IEnumerable<Instance> copies)
    {
        var byState = copies.OrderBy(i => Rank(i.State));
        return spec.KillSelection == KillSelection.YoungestFirst
            ? byState.ThenByDescending(AgeOf).ThenByDescending(i => i.Id)
            : byState.ThenBy(AgeOf).ThenBy(i => i.Id);
    }

    private static DateTimeOffset AgeOf(Instance instance) => instance.StartedAt ?? instance.StagedAt ?? instance.CreatedAt;

    private static int Rank(InstanceState state) => state switch
    {
        InstanceState.Scheduled => 0,
        InstanceState.Unreachable => 1,
        InstanceState.Staging => 2,
        InstanceState.Starting => 3,
        _ => 4,
    };

    private static string ValueOf(ClusterState state, Instance instance, string field) =>
        instance.Node is { } node && state.Nodes.TryGetValue(node, out var known) ? Constraints.ValueOf(known, field) ?? "" : "";
}
