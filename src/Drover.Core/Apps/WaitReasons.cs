using System.Collections.Immutable;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Why an app's copies are not placed, node by node.</summary>
public static class WaitReasons
{
    /// <summary>What the line begins with where there are nodes.</summary>
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

    /// <summary>The reason of a copy that no node takes names this one.</summary>
    public static bool Names(ClusterState state, NodeId node)
    {
        foreach (var named in state.Nodes.Keys.Take(Named)) if (named == node) return true;
        return false;
    }

    /// <summary>The same line for a copy that no node takes: only those that are named are judged.</summary>
    public static string Text(ClusterState state, Instance copy)
    {
        var named = state.Nodes.Keys.Take(Named).Select(node => Placement.Judge(state, copy.Spec, node, copy)).ToList();
        return Text(named, state.Nodes.Count - named.Count);
    }

    /// <summary>One line; of many nodes the first few are named.</summary>
    public static string Text(IReadOnlyCollection<NodeVerdict> verdicts)
    {
        var refusing = verdicts.Where(v => !v.Fits).OrderBy(v => v.Node).ToList();
        return verdicts.Count == 0 ? Text([], 0) : Text(refusing.Take(Named), Math.Max(0, refusing.Count - Named));
    }

    private static string Text(IEnumerable<NodeVerdict> named, int more)
    {
        var nodes = named.ToList();
        if (nodes.Count == 0) return more == 0 ? "a node: none has joined" : Place;
        return $"{Place}. {string.Join("; ", nodes.Select(v => $"{v.Node}: {string.Join(", ", v.Reasons)}"))}{(more > 0 ? $"; and {more} more nodes" : "")}";
    }
}
