using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Groups;

/// <summary>Who depends on whom: an app on the paths it names and on those its groups name; a path stands for the app there and all apps under it.</summary>
/// <remarks>Looks only at what the asked apps depend on, not at the whole cluster. A path nothing is at holds nobody up.</remarks>
public sealed class Dependencies(ClusterState state)
{
    // Two kinds of node: an app, and a path that stands for all that is there. So a group of many that depends on a group of many costs the sum, not the product.
    private readonly record struct Point(string Path, bool IsApp);

    private readonly Dictionary<Point, int> _layers = [];
    private List<AppId>? _circle;

    /// <summary>Longest way down to an app that depends on nothing. Zero where a circle is.</summary>
    public int Layer(AppId app)
    {
        Visit(new(app.Value, true));
        return _layers.GetValueOrDefault(new(app.Value, true));
    }

    /// <summary>A circle that one of these apps is in or leads to, from an app back to itself; null: none.</summary>
    public EquatableList<AppId>? Circle(IEnumerable<AppId> apps)
    {
        foreach (var app in apps)
        {
            Visit(new(app.Value, true));
            if (_circle is not null) return _circle.ToEquatableList();
        }
        return null;
    }

    /// <summary>Apps this one depends on directly, through its groups too.</summary>
    public IEnumerable<AppId> Of(AppId app) => Below(new(app.Value, true)).SelectMany(p => Below(p)).Select(p => new AppId(p.Path)).Distinct();

    private IEnumerable<Point> Below(Point point)
    {
        if (!point.IsApp)
        {
            if (state.Apps.ContainsKey(new AppId(point.Path))) yield return point with { IsApp = true };
            foreach (var path in PathIndex.Under(state.Paths.Apps, new GroupId(point.Path))) yield return new(path, true);
            yield break;
        }
        if (state.Apps.TryGetValue(new AppId(point.Path), out var app)) foreach (var named in app.Spec.Dependencies) yield return new(named.Value, false);
        for (var group = GroupId.ParentOf(point.Path); ; group = group.Parent)
        {
            // What all of a group depend on may be one of its own: that one does not wait for itself.
            if (state.Groups.TryGetValue(group, out var known))
                foreach (var named in known.Dependencies) if (named.Value != point.Path && !new GroupId(named.Value).Holds(point.Path)) yield return new(named.Value, false);
            if (group.IsRoot) break;
        }
    }

    /// <summary>Depth first, by hand: a chain may be longer than the stack.</summary>
    private void Visit(Point start)
    {
        if (_layers.ContainsKey(start)) return;
        var way = new Stack<(Point Point, IEnumerator<Point> Left, int Layer)>();
        var open = new HashSet<Point> { start };
        way.Push((start, Below(start).GetEnumerator(), 0));
        while (way.TryPop(out var at))
        {
            if (!at.Left.MoveNext())
            {
                _layers[at.Point] = at.Layer;
                open.Remove(at.Point);
                // A path is as deep as the deepest app there; an app is one above its paths.
                if (way.TryPop(out var above)) way.Push(above with { Layer = Math.Max(above.Layer, at.Layer + (above.Point.IsApp ? 1 : 0)) });
                continue;
            }
            var next = at.Left.Current;
            if (_layers.TryGetValue(next, out var known)) way.Push(at with { Layer = Math.Max(at.Layer, known + (at.Point.IsApp ? 1 : 0)) });
            else if (open.Add(next))
            {
                way.Push(at);
                way.Push((next, Below(next).GetEnumerator(), 0));
            }
            else
            {
                way.Push(at);
                _circle ??= [.. way.Reverse().SkipWhile(p => p.Point != next).Where(p => p.Point.IsApp).Select(p => new AppId(p.Point.Path))];
            }
        }
    }
}
