using System.Collections.Immutable;
using Drover.Core.Apps;

namespace Drover.Core.State;

/// <summary>Keeps what apps were before. Written in the commit that changes the app, whoever decides on the change.</summary>
public static class VersionHistory
{
    /// <summary>Versions of one app that are kept, beside the newest.</summary>
    public const int Kept = 49;

    /// <summary>Apps that are gone and whose versions are kept.</summary>
    public const int DepartedApps = 500;

    public static ImmutableArray<ClusterChange> Due(ClusterState before, ImmutableArray<ClusterChange> changes)
    {
        var due = ImmutableArray.CreateBuilder<ClusterChange>();
        var touched = new HashSet<AppId>();
        foreach (var change in changes)
        {
            if (change is ClusterChange.PutFormerApp(var former)) touched.Add(former.App.Id);
            if (change is not ClusterChange.PutApp(var app) || !before.Apps.TryGetValue(app.Id, out var old) || old.Version == app.Version) continue;
            if (touched.Add(app.Id)) due.Add(new ClusterChange.PutFormerApp(Former(old, app.Version)));
        }
        if (touched.Count == 0) return [];
        var after = before.Apply(changes).Apply(due);
        // Only descriptions of what once was wanted go; no data and no container hangs on them.
        foreach (var id in touched)
        {
            if (after.Versions.TryGetValue(id, out var history)) foreach (var version in history.Keys.Take(history.Count - Kept)) due.Add(new ClusterChange.RemoveFormerApp(id, version));
        }
        Forget(after, due);
        return due.ToImmutable();
    }

    /// <summary>The app as it goes into history: what happened to its copies is none of its definition.</summary>
    public static FormerApp Former(App app, DateTimeOffset until) => new(app with { Delay = null, LastTaskFailure = null }, until);

    /// <summary>Those gone longest first. A deployment may still lead back to an app it works on: that stays.</summary>
    private static void Forget(ClusterState after, ImmutableArray<ClusterChange>.Builder due)
    {
        var surplus = after.Paths.Departed.Count - DepartedApps;
        if (surplus <= 0) return;
        foreach (var (_, app) in after.Paths.Departed.Where(d => after.DeploymentOf(d.App) is null).Take(surplus))
        {
            foreach (var version in after.Versions[app].Keys) due.Add(new ClusterChange.RemoveFormerApp(app, version));
        }
    }
}
