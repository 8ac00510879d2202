using System.Collections.Immutable;
using Drover.Core.Apps;

namespace Drover.Core.State;

/// <summary>Paths in order, so that what lies under a group is found without looking at the rest.</summary>
internal sealed record PathIndex(
    ImmutableSortedSet<string> Apps, ImmutableSortedSet<string> Groups, ImmutableSortedSet<string> Histories, ImmutableSortedSet<(DateTimeOffset Since, AppId App)> Departed)
{
    public static readonly PathIndex Empty = new(
        ImmutableSortedSet.Create<string>(StringComparer.Ordinal), ImmutableSortedSet.Create<string>(StringComparer.Ordinal), ImmutableSortedSet.Create<string>(StringComparer.Ordinal), []);

    public PathIndex WithApp(AppId id, ImmutableSortedDictionary<DateTimeOffset, FormerApp>? history) => Apps.Contains(id.Value) ? this
        : this with { Apps = Apps.Add(id.Value), Departed = history is null ? Departed : Departed.Remove((Last(history), id)) };

    public PathIndex WithoutApp(AppId id, ImmutableSortedDictionary<DateTimeOffset, FormerApp>? history) =>
        this with { Apps = Apps.Remove(id.Value), Departed = history is null ? Departed : Departed.Add((Last(history), id)) };

    public PathIndex WithGroup(GroupId id) => this with { Groups = Groups.Add(id.Value) };
    public PathIndex WithoutGroup(GroupId id) => this with { Groups = Groups.Remove(id.Value) };

    public PathIndex WithHistory(AppId id, ImmutableSortedDictionary<DateTimeOffset, FormerApp> before, ImmutableSortedDictionary<DateTimeOffset, FormerApp> after, bool lives)
    {
        var departed = before.IsEmpty ? Departed : Departed.Remove((Last(before), id));
        return this with
        {
            Histories = after.IsEmpty ? Histories.Remove(id.Value) : Histories.Add(id.Value),
            Departed = lives || after.IsEmpty ? departed : departed.Add((Last(after), id)),
        };
    }

    /// <summary>Paths under the group, at any depth, in order.</summary>
    public static IEnumerable<string> Under(ImmutableSortedSet<string> paths, GroupId group)
    {
        var at = paths.IndexOf(group.Prefix);
        for (at = at < 0 ? ~at : at; at < paths.Count && paths[at].StartsWith(group.Prefix, StringComparison.Ordinal); at++)
        {
            if (group.Holds(paths[at])) yield return paths[at];
        }
    }

    private static DateTimeOffset Last(ImmutableSortedDictionary<DateTimeOffset, FormerApp> history) => history.Values.Max(f => f.Until);
}
