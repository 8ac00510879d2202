using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.State;

namespace Drover.ControlPlane.Marathon;

/// <summary>Which parts of a group are shown. Asking for something of its apps asks for the apps.</summary>
/// <param name="Whole">Nothing was asked: groups, apps as they are defined, and pods.</param>
public sealed record GroupEmbeds(bool Groups, bool Apps, bool Pods, bool Whole)
{
    /// <summary>Values as `group.apps.counts`, with or without `group.` before them; unknown ones are ignored, as Marathon does.</summary>
    public static GroupEmbeds From(IReadOnlyCollection<string?> asked)
    {
        if (asked.Count == 0) return new(true, true, true, Whole: true);
        var names = asked.OfType<string>().Select(a => a.StartsWith("group.", StringComparison.Ordinal) ? a["group.".Length..] : a).ToList();
        return new(names.Contains("groups"), names.Exists(n => n == "apps" || n.StartsWith("apps.", StringComparison.Ordinal)), names.Contains("pods"), Whole: false);
    }
}

/// <summary>Groups in Marathon's GroupInfo shape.</summary>
internal static class GroupViews
{
    private static readonly DateTimeOffset Never = DateTimeOffset.UnixEpoch;

    public static void Group(Utf8JsonWriter json, ClusterState state, GroupId group, GroupEmbeds embeds, Action<Utf8JsonWriter, App> writeApp)
    {
        json.WriteStartObject();
        json.WriteString("id", group.Value);
        if (embeds.Apps)
        {
            json.WriteStartArray("apps");
            foreach (var app in GroupTree.AppsIn(state, group)) writeApp(json, app);
            json.WriteEndArray();
        }
        Rest(json, state.Groups.GetValueOrDefault(group), group, embeds.Pods, GroupTree.Version(state, group) ?? Never);
        if (embeds.Groups)
        {
            json.WriteStartArray("groups");
            foreach (var inner in GroupTree.GroupsIn(state, group)) Group(json, state, inner, embeds, writeApp);
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    /// <summary>A group as it stood. What groups depended on is not kept: it is shown where it has not changed since.</summary>
    public static void Former(Utf8JsonWriter json, ClusterState state, GroupAt stood) => Former(json, state, stood, stood.Id, [.. stood.Apps.Items]);

    private static void Former(Utf8JsonWriter json, ClusterState state, GroupAt stood, GroupId group, IReadOnlyCollection<App> under)
    {
        json.WriteStartObject();
        json.WriteString("id", group.Value);
        json.WriteStartArray("apps");
        foreach (var app in under.Where(a => GroupId.ParentOf(a.Id.Value) == group)) Definition(json, app);
        json.WriteEndArray();
        var known = state.Groups.GetValueOrDefault(group);
        Rest(json, known?.Version <= stood.Version ? known : null, group, pods: true, group == stood.Id ? stood.Version : under.Select(a => a.Version).DefaultIfEmpty(stood.Version).Max());
        json.WriteStartArray("groups");
        foreach (var inner in GroupTree.Children(group, under.Select(a => a.Id.Value), deep: true).Distinct())
            Former(json, state, stood, inner, [.. under.Where(a => inner.Holds(a.Id.Value))]);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void Definition(Utf8JsonWriter json, App app)
    {
        json.WriteStartObject();
        AppJsonOut.Fields(json, app.Spec, app);
        json.WriteEndObject();
    }

    private static void Rest(Utf8JsonWriter json, AppGroup? known, GroupId group, bool pods, DateTimeOffset version)
    {
        json.WriteStartArray("dependencies");
        foreach (var dependency in known?.Dependencies ?? []) json.WriteStringValue(dependency.Value);
        json.WriteEndArray();
        if (!group.IsRoot && group.Parent.IsRoot) json.WriteBoolean("enforceRole", known?.EnforceRole ?? false);
        if (pods)
        {
            json.WriteStartArray("pods");
            json.WriteEndArray();
        }
        json.WriteString("version", AppJsonOut.Timestamp(version));
    }
}
