using Drover.Core.Nodes;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Finds the node for copies of one spec, one after the other: the first of <see cref="Placement.Rank"/>, without judging every node for each copy.</summary>
/// <remarks>For copies without volumes. Nodes come in the order in which they would be taken and the first that fits is it; what constraints need to know of the app's other copies is kept
/// as they are placed. Where many nodes in a row are refused for what they are (another kind of disk), those that are not are put into an order of their own.</remarks>
internal sealed class NodeSearch
{
    /// <summary>Nodes refused for what they are before the others are sorted out.</summary>
    private const int ManySkipped = 128;

    private readonly AppSpec _spec;
    private readonly Dictionary<string, Spread> _spreads = new(StringComparer.Ordinal);
    private readonly Dictionary<(Constraint, string?), bool> _ofNode = [];
    private SortedSet<FreeNode>? _own;

    public NodeSearch(ClusterState state, AppSpec spec)
    {
        _spec = spec;
        foreach (var constraint in spec.Constraints) if (!_spreads.ContainsKey(constraint.Field)) _spreads[constraint.Field] = Spread.Of(constraint.Field, state, spec.Id, null);
    }

    /// <summary>Nodes that were looked at.</summary>
    public long Looked { get; private set; }

    public bool Is(AppSpec spec) => ReferenceEquals(spec, _spec);

    /// <param name="held">Nodes that are promised to others just now.</param>
    /// <returns>The verdict on the node to take, and the best one that is held; null where there is none.</returns>
    public (NodeVerdict? Take, NodeId? Held) Find(ClusterState state, Instance copy, IReadOnlySet<NodeId> held)
    {
        var (best, bestScore, heldBest, heldScore, most, skipped) = ((NodeVerdict?)null, int.MinValue, (NodeId?)null, int.MinValue, Neighbours.Most(_spec), 0);
        foreach (var free in Placement.Freest(state, _own is null ? state.Copies.Open : _own))
        {
            Looked++;
            if (!Suits(free.Node))
            {
                skipped++;
                continue;
            }
            if (!free.MayTake(_spec) || !Spreads(free.Node)) continue;
            var score = Neighbours.Score(state, _spec, free.Node, copy);
            if (score <= bestScore) continue;
            var verdict = Placement.Judge(state, _spec, free.Node.Id, copy);
            if (!verdict.Fits) continue;
            if (!held.Contains(free.Node.Id)) (best, bestScore) = (verdict, score);
            else if (score > heldScore) (heldBest, heldScore) = (free.Node.Id, score);
            if (bestScore == most) break;
        }
        if (skipped > ManySkipped) _own = [.. state.Copies.Open.Where(free => Suits(free.Node))];
        return (best, heldBest);
    }

    /// <summary>A copy of this spec was placed.</summary>
    public void Placed(Instance copy, Node node)
    {
        foreach (var spread in _spreads.Values) spread.Add(CopyKey.Of(copy), node);
    }

    /// <summary>A node has more on it than before, whoever put it there.</summary>
    public void Loaded(FreeNode before, FreeNode after)
    {
        if (_own is not null && _own.Remove(before)) _own.Add(after);
    }

    /// <summary>It is what the constraints ask a node to be.</summary>
    private bool Suits(Node node)
    {
        foreach (var constraint in _spec.Constraints)
        {
            if (!Constraints.IsOfNode(constraint)) continue;
            var value = Constraints.ValueOf(node, constraint.Field);
            if (!_ofNode.TryGetValue((constraint, value), out var meets)) _ofNode[(constraint, value)] = meets = Constraints.Meets(constraint, value, _spreads[constraint.Field]);
            if (!meets) return false;
        }
        return true;
    }

    private bool Spreads(Node node)
    {
        foreach (var constraint in _spec.Constraints)
            if (!Constraints.IsOfNode(constraint) && !Constraints.Meets(constraint, Constraints.ValueOf(node, constraint.Field), _spreads[constraint.Field])) return false;
        return true;
    }
}
