using Drover.Core;

namespace Drover.ControlPlane.Apps;

/// <summary>The next moment at which each app is to be looked at again though nothing changed.</summary>
public sealed class Deadlines
{
    private readonly Dictionary<AppId, DateTimeOffset> _at = [];
    private readonly SortedSet<(DateTimeOffset At, AppId App)> _inOrder = [];

    public DateTimeOffset? Next => _inOrder.Count == 0 ? null : _inOrder.Min.At;

    /// <param name="at">null: none.</param>
    public void Set(AppId app, DateTimeOffset? at)
    {
        if (_at.Remove(app, out var known)) _inOrder.Remove((known, app));
        if (at is not { } moment) return;
        _at[app] = moment;
        _inOrder.Add((moment, app));
    }

    /// <summary>Those whose moment has come; they have none after it.</summary>
    public IReadOnlyList<AppId> Due(DateTimeOffset now)
    {
        var due = new List<AppId>();
        while (_inOrder.Count > 0 && _inOrder.Min is var first && first.At <= now)
        {
            due.Add(first.App);
            Set(first.App, null);
        }
        return due;
    }
}
