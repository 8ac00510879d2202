using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Groups;

/// <summary>What a request says of a group and what is in it. What is null stays as it is; a list that is given is all there is to be.</summary>
public sealed record GroupWish(GroupId Id)
{
    public ImmutableArray<AppSpec>? Apps { get; init; }
    public ImmutableArray<GroupWish>? Groups { get; init; }
    public EquatableList<AppId>? Dependencies { get; init; }
    public bool? EnforceRole { get; init; }
}

/// <summary>Decides on requests to change groups.</summary>
public static class GroupChanges
{
    public const int MaxInstances = 50_000;

    public static Decision<ChangeOutcome> Create(ClusterState state, GroupWish wish, bool force, DateTimeOffset now, DeploymentId id)
    {
        if (GroupTree.Exists(state, wish.Id)) return new ChangeOutcome.GroupExists(wish.Id);
        if (state.Apps.ContainsKey(new AppId(wish.Id.Value))) return new ChangeOutcome.AppHasPath(new AppId(wish.Id.Value));
        return Put(state, wish, force, now, id);
    }

    /// <summary>Makes the group what the wish says, and makes it where it is not there.</summary>
    public static Decision<ChangeOutcome> Put(ClusterState state, GroupWish wish, bool force, DateTimeOffset now, DeploymentId id)
    {
        var put = new List<AppSpec>();
        var groups = new List<AppGroup>();
        var (gone, goneGroups) = (new HashSet<AppId>(), new HashSet<GroupId>());
        Collect(state, wish, put, groups, gone, goneGroups, now);
        // What one part of the wish leaves out another part may name.
        gone.ExceptWith(put.Select(s => s.Id));
        goneGroups.ExceptWith(groups.Select(g => g.Id));
        return AppChanges.Change(state, new ChangeSet { Put = [.. put], Remove = [.. gone.Order()], Groups = [.. groups], RemoveGroups = [.. goneGroups.Order()], About = wish.Id }, force, now, id);
    }

    public static Decision<ChangeOutcome> Delete(ClusterState state, GroupId group, bool force, DateTimeOffset now, DeploymentId id)
    {
        if (!GroupTree.Exists(state, group)) return new ChangeOutcome.NoSuchGroup(group);
        return AppChanges.Change(state, new ChangeSet
        {
            Remove = [.. GroupTree.AppsUnder(state, group).Select(a => a.Id)],
            RemoveGroups = [.. GroupTree.GroupsUnder(state, group).Select(g => g.Id), group],
            About = group,
        }, force, now, id);
    }

    /// <summary>Each app in the group has so many times its copies, rounded up.</summary>
    public static Decision<ChangeOutcome> Scale(ClusterState state, GroupId group, double factor, bool force, DateTimeOffset now, DeploymentId id)
    {
        if (!GroupTree.Exists(state, group)) return new ChangeOutcome.NoSuchGroup(group);
        var scaled = GroupTree.AppsUnder(state, group).Select(a => a.Spec with { Instances = a.Spec.Instances == 0 ? 0 : Times(a.Spec.Instances, factor) }).ToImmutableArray();
        if (scaled.FirstOrDefault(s => s.Instances > MaxInstances) is { } huge)
            return new ChangeOutcome.Invalid([new FieldError("/scaleBy", $"app '{huge.Id}' would have more than {MaxInstances} instances: scale by less")]);
        return AppChanges.Change(state, new ChangeSet { Put = scaled, About = group }, force, now, id);
    }

    /// <summary>Leads all apps of the group back to what they were at that moment: those made since go, those deleted since come back.</summary>
    public static Decision<ChangeOutcome> Rollback(ClusterState state, GroupId group, DateTimeOffset version, bool force, DateTimeOffset now, DeploymentId id)
    {
        if (GroupTree.At(state, group, version) is not { } stood) return new ChangeOutcome.NoSuchGroup(group, version);
        if (stood.Problem is { } problem) return new ChangeOutcome.Invalid([new FieldError("/version", problem)]);
        var then = stood.Apps.Items.Select(a => a.Id).ToHashSet();
        return AppChanges.Change(state, new ChangeSet
        {
            Put = [.. stood.Apps.Items.Select(a => a.Spec)],
            Remove = [.. GroupTree.AppsUnder(state, group).Select(a => a.Id).Where(a => !then.Contains(a))],
            About = group,
        }, force, now, id);
    }

    /// <summary>Sets whether apps of the group are to have its role.</summary>
    public static Decision<ChangeOutcome> Enforce(ClusterState state, GroupId group, bool enforce, DateTimeOffset now, DeploymentId id)
    {
        if (!GroupTree.Exists(state, group)) return new ChangeOutcome.NoSuchGroup(group);
        var known = state.Groups.GetValueOrDefault(group) ?? new AppGroup(group, now, [], false);
        return AppChanges.Change(state, new ChangeSet { Groups = [known with { EnforceRole = enforce }], About = group }, force: false, now, id);
    }

    // In decimals: ten times 1.1 is eleven.
    private static int Times(int instances, double factor) => factor > MaxInstances ? int.MaxValue : (int)Math.Min(int.MaxValue, Math.Ceiling(instances * (decimal)factor));

    private static void Collect(ClusterState state, GroupWish wish, List<AppSpec> put, List<AppGroup> groups, HashSet<AppId> gone, HashSet<GroupId> goneGroups, DateTimeOffset now)
    {
        var known = state.Groups.GetValueOrDefault(wish.Id);
        // The root is always there: it is kept only for what is said of it.
        if (!wish.Id.IsRoot || known is not null || wish.Dependencies is { Count: > 0 })
            groups.Add(new AppGroup(wish.Id, known?.Version ?? now, wish.Dependencies ?? known?.Dependencies ?? [], wish.EnforceRole ?? known?.EnforceRole ?? false));
        if (wish.Apps is { } apps)
        {
            put.AddRange(apps);
            gone.UnionWith(GroupTree.AppsIn(state, wish.Id).Select(a => a.Id));
        }
        if (wish.Groups is not { } inner) return;
        foreach (var group in GroupTree.GroupsIn(state, wish.Id).Where(g => inner.All(i => i.Id != g)))
        {
            gone.UnionWith(GroupTree.AppsUnder(state, group).Select(a => a.Id));
            goneGroups.UnionWith(GroupTree.GroupsUnder(state, group).Select(g => g.Id).Append(group));
        }
        foreach (var group in inner) Collect(state, group, put, groups, gone, goneGroups, now);
    }
}
