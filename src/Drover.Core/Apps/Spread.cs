using Drover.Core.Nodes;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>How an app's copies lie over the values of one field. Grows with each that is placed.</summary>
internal sealed class Spread(string field)
{
    private readonly Dictionary<string, int> _counts = new(StringComparer.Ordinal);
    private CopyKey? _first;
    private int? _smallest;

    public bool IsEmpty => _first is null;
    /// <summary>The value where the oldest copy is; null where that node has none.</summary>
    public string? First { get; private set; }
    /// <summary>Values in use.</summary>
    public int Groups => _counts.Count;
    /// <summary>Copies at the value in use that has the fewest.</summary>
    public int Smallest => _smallest ??= _counts.Count == 0 ? 0 : _counts.Values.Min();

    /// <param name="placed">Oldest copy first.</param>
    public static Spread Of(string field, IReadOnlyList<Node> placed)
    {
        var spread = new Spread(field);
        for (var i = 0; i < placed.Count; i++) spread.Add(new CopyKey(i, default), placed[i]);
        return spread;
    }

    public static Spread Of(string field, ClusterState state, AppId app, Instance? self)
    {
        var spread = new Spread(field);
        foreach (var copy in state.InstancesOf(app))
            if (copy.Id != self?.Id && copy.Node is { } at && copy.State != InstanceState.Gone && state.Nodes.TryGetValue(at, out var node)) spread.Add(CopyKey.Of(copy), node);
        return spread;
    }

    public int Count(string? value) => value is not null && _counts.TryGetValue(value, out var count) ? count : 0;

    public void Add(CopyKey copy, Node node)
    {
        var value = Constraints.ValueOf(node, field);
        if (_first is not { } first || copy.CompareTo(first) < 0) (_first, First) = (copy, value);
        if (value is null) return;
        _counts[value] = Count(value) + 1;
        _smallest = null;
    }
}
