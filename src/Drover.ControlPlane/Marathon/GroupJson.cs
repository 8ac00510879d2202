using System.Collections.Immutable;
using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Groups;

namespace Drover.ControlPlane.Marathon;

/// <summary>What a body about a group came to: a wish, a scaling or a way back; or faults.</summary>
/// <param name="Places">Where in the body each app's definition stands.</param>
public sealed record GroupReading(GroupId Id, GroupWish? Wish, double? ScaleBy, string? Version, IReadOnlyDictionary<AppId, string> Places, Violations Faults);

/// <summary>Reads Marathon's group definition, nested groups and apps in it. Ids may be relative to the group around.</summary>
public static class GroupJson
{
    /// <param name="body">A JSON object.</param>
    /// <param name="url">Group the URL names: an id in the body is relative to it.</param>
    public static GroupReading Read(JsonElement body, GroupId url)
    {
        var faults = new Violations();
        var fields = new JsonFields(body, "", faults);
        var places = new Dictionary<AppId, string>();
        var id = Id(fields, url) ?? url;
        if (VersionEndpoints.Asked(body) is { } version) return new(id, null, null, version, places, faults);
        if (fields.Has("scaleBy")) return new(id, null, Factor(fields), null, places, faults);
        var wish = Wish(fields, id, places);
        return new(id, wish, null, null, places, faults);
    }

    private static double? Factor(JsonFields fields)
    {
        foreach (var other in (string[])["apps", "groups", "dependencies", "version", "enforceRole"])
            if (fields.Has(other)) fields.Violations.Rule("/scaleBy", $"stands alone: scale the group first, then change its {other}");
        if (fields.Number("scaleBy") is not { } factor) return null;
        if (factor >= 0) return factor;
        fields.Violations.Rule("/scaleBy", FormattableString.Invariant($"must be at least 0; it was {factor}"));
        return null;
    }

    private static GroupWish Wish(JsonFields fields, GroupId id, Dictionary<AppId, string> places)
    {
        if (!fields.IsEmpty("pods")) fields.Violations.Rule(fields.At("pods"), "pods are not run here; make each container an app");
        var enforce = fields.Boolean("enforceRole");
        if (enforce == true && (id.IsRoot || !id.Parent.IsRoot)) fields.Violations.Rule(fields.At("enforceRole"), "is for top-level groups alone, such as /shop");
        return new GroupWish(id) { Apps = Apps(fields, id, places), Groups = Groups(fields, id, places), Dependencies = Dependencies(fields, id), EnforceRole = enforce };
    }

    private static ImmutableArray<AppSpec>? Apps(JsonFields fields, GroupId group, Dictionary<AppId, string> places)
    {
        if (fields.Objects("apps") is not { } items) return null;
        var specs = ImmutableArray.CreateBuilder<AppSpec>(items.Count);
        foreach (var item in items)
        {
            var reading = AppJson.Read(item.Element, null, null, group);
            Nested.Add(fields.Violations, item.Path, reading.Faults, reading.TypesAreWrong);
            if (reading.Spec is not { } spec) continue;
            if (!places.TryAdd(spec.Id, item.Path)) fields.Violations.Rule(item.At("id"), $"app '{spec.Id}' is named twice; name it once");
            specs.Add(spec);
        }
        return specs.ToImmutable();
    }

    private static ImmutableArray<GroupWish>? Groups(JsonFields fields, GroupId group, Dictionary<AppId, string> places)
    {
        if (fields.Objects("groups") is not { } items) return null;
        var wishes = ImmutableArray.CreateBuilder<GroupWish>(items.Count);
        var seen = new HashSet<GroupId>();
        foreach (var item in items)
        {
            if (!item.Has("id")) item.Violations.WrongType(item.At("id"), "error.path.missing", "must be given, such as \"id\": \"db\"");
            else if (Id(item, group) is { } id)
            {
                if (id.IsRoot || id.Parent != group) item.Violations.Rule(item.At("id"), GroupIds.NotChild(group));
                else if (!seen.Add(id)) item.Violations.Rule(item.At("id"), $"group '{id}' is named twice; name it once");
                else wishes.Add(Wish(item, id, places));
            }
        }
        return wishes.ToImmutable();
    }

    private static GroupId? Id(JsonFields fields, GroupId within)
    {
        if (fields.String("id") is not { } text) return null;
        var (id, fault) = GroupIds.Parse(GroupIds.Whole(text, within));
        if (fault is not null) fields.Violations.Rule(fields.At("id"), fault);
        return id;
    }

    private static EquatableList<AppId>? Dependencies(JsonFields fields, GroupId group)
    {
        if (fields.Array("dependencies") is not { } items) return null;
        var paths = new List<AppId>(items.Count);
        foreach (var (value, at) in items)
        {
            if (JsonFields.StringOf(value, at, fields.Violations) is not { } text) continue;
            var (id, fault) = AppIds.Parse(GroupIds.Whole(text, group));
            if (id is { } path) paths.Add(path);
            else fields.Violations.Rule(at, fault!);
        }
        return paths.ToEquatableList();
    }
}
