using System.Collections.Immutable;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Why an app's copies are not placed, node by node.</summary>
public static class WaitReasons
{
    /// <summary>What <see cref="Text"/> begins with where there are nodes.</summary>
    public const string Place = "a node that takes it";

    private const int Named = 5;

    /// <summary>The same without the nodes, for where they are named already.</summary>
    public static string Brief(string text) => text.StartsWith(Place, StringComparison.Ordinal) ? Place : text;

    /// <summary>Every node and why it does not take the app's next copy.</summary>
    public static ImmutableArray<NodeVerdict> Of(ClusterState state, AppId app)
    {
        if (!state.Apps.TryGetValue(app, out var known)) return [];
        var waiting = state.InstancesOf(app).FirstOrDefault(i => i is { Goal: InstanceGoal.Running, Node: null });
        return Placement.Rank(state, waiting?.Spec ?? known.Spec, waiting);
    }

    /// <summary>One line; of many nodes the first few are named.</summary>
    public static string Text(IReadOnlyCollection<NodeVerdict> verdicts)
    {
        if (verdicts.Count == 0) return "a node: none has joined";
        var refusing = verdicts.Where(v => !v.Fits).OrderBy(v => v.Node).ToList();
        var more = refusing.Count > Named ? $"; and {refusing.Count - Named} more nodes" : "";
        return $"{Place}. {string.Join("; ", refusing.Take(Named).Select(v => $"{v.Node}: {string.Join(", ", v.Reasons)}"))}{more}";
    }
}
