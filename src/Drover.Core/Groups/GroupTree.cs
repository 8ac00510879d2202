using System.Globalization;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Groups;

/// <summary>A group at one moment: the apps that stood then.</summary>
/// <param name="Apps">All under it, at any depth, in order of their ids.</param>
/// <param name="Problem">Not null: what is kept does not reach back that far, and why.</param>
public sealed record GroupAt(GroupId Id, DateTimeOffset Version, EquatableList<App> Apps, string? Problem);

/// <summary>The tree of groups: the paths of apps, and groups that were made explicitly.</summary>
public static class GroupTree
{
    public static bool Exists(ClusterState state, GroupId group) =>
        group.IsRoot || state.Groups.ContainsKey(group) || PathIndex.Under(state.Paths.Apps, group).Any() || PathIndex.Under(state.Paths.Groups, group).Any();

    /// <summary>Apps under the group at any depth.</summary>
    public static IEnumerable<App> AppsUnder(ClusterState state, GroupId group) => PathIndex.Under(state.Paths.Apps, group).Select(id => state.Apps[new AppId(id)]);

    /// <summary>Apps right in the group.</summary>
    public static IEnumerable<App> AppsIn(ClusterState state, GroupId group) => AppsUnder(state, group).Where(a => GroupId.ParentOf(a.Id.Value) == group);

    /// <summary>Explicit groups under the group at any depth, without itself.</summary>
    public static IEnumerable<AppGroup> GroupsUnder(ClusterState state, GroupId group) => PathIndex.Under(state.Paths.Groups, group).Select(id => state.Groups[new GroupId(id)]);

    /// <summary>Groups right in the group, explicit or not, in order.</summary>
    public static IEnumerable<GroupId> GroupsIn(ClusterState state, GroupId group) =>
        Children(group, PathIndex.Under(state.Paths.Apps, group), deep: true).Concat(Children(group, PathIndex.Under(state.Paths.Groups, group), deep: false)).Distinct().Order();

    /// <param name="deep">The paths are of apps: one right in the group is no group.</param>
    public static IEnumerable<GroupId> Children(GroupId group, IEnumerable<string> paths, bool deep)
    {
        foreach (var path in paths)
        {
            var end = path.IndexOf('/', group.Prefix.Length);
            if (end > 0) yield return new GroupId(path[..end]);
            else if (!deep) yield return new GroupId(path);
        }
    }

    /// <summary>The newest change of the group, or of anything in it; null for a group never changed.</summary>
    public static DateTimeOffset? Version(ClusterState state, GroupId group)
    {
        var own = state.Groups.GetValueOrDefault(group)?.Version;
        var newest = AppsUnder(state, group).Select(a => (DateTimeOffset?)a.Version).Concat(GroupsUnder(state, group).Select(g => (DateTimeOffset?)g.Version)).Max();
        return own is null || newest > own ? newest : own;
    }

    /// <summary>Moments at which something in the group changed, newest first, as far as is kept.</summary>
    public static IEnumerable<DateTimeOffset> Versions(ClusterState state, GroupId group)
    {
        var moments = new SortedSet<DateTimeOffset>();
        foreach (var explicitly in GroupsUnder(state, group)) moments.Add(explicitly.Version);
        if (state.Groups.TryGetValue(group, out var own)) moments.Add(own.Version);
        foreach (var app in AppsUnder(state, group)) moments.Add(app.Version);
        foreach (var id in PathIndex.Under(state.Paths.Histories, group))
        {
            foreach (var former in state.Versions[new AppId(id)].Values)
            {
                moments.Add(former.App.Version);
                moments.Add(former.Until);
            }
        }
        return moments.Reverse();
    }

    /// <summary>The group as it stood at a moment; null: nothing was in it then.</summary>
    public static GroupAt? At(ClusterState state, GroupId group, DateTimeOffset moment)
    {
        var apps = new List<App>();
        string? problem = null;
        foreach (var id in PathIndex.Under(state.Paths.Apps, group).Union(PathIndex.Under(state.Paths.Histories, group), StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            var app = new AppId(id);
            if (VersionsOf(state, app, moment) is { } stood) apps.Add(stood);
            // Its history is as long as it may be: what was before may have been forgotten, and to take that for "there was none" would delete the app.
            else if (state.Versions.TryGetValue(app, out var history) && history.Count >= VersionHistory.Kept && moment < history.Keys.First())
                problem = string.Create(CultureInfo.InvariantCulture, $"versions of app '{app}' before {history.Keys.First().UtcDateTime:yyyy-MM-dd'T'HH:mm:ss.fff'Z'} are not kept: choose a later version");
        }
        if (apps.Count == 0 && problem is null && !(state.Groups.TryGetValue(group, out var own) && own.Version <= moment) && !Versions(state, group).Contains(moment)) return null;
        return new(group, moment, apps.ToEquatableList(), problem);
    }

    private static App? VersionsOf(ClusterState state, AppId app, DateTimeOffset moment)
    {
        if (state.Apps.TryGetValue(app, out var now) && now.Version <= moment) return now;
        return state.Versions.TryGetValue(app, out var history) ? history.Values.FirstOrDefault(f => f.App.Version <= moment && moment < f.Until)?.App : null;
    }
}
