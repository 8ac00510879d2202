using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>What Marathon never had, in a field of our own that its clients pass over: `"drover": {"preferences": […], "apart": […]}`.</summary>
public static class NeighbourJson
{
    private const int UsualWeight = 10;
    private const int MostOfEach = 100;

    public static AppSpec Read(JsonFields fields, AppSpec spec)
    {
        if (fields.Object("drover") is not { } own) return spec;
        return spec with { Preferences = Preferences(own) ?? spec.Preferences, Apart = Apart(own, spec) ?? spec.Apart };
    }

    private static EquatableList<Preference>? Preferences(JsonFields own)
    {
        if (Items(own, "preferences") is not { } items) return null;
        var wishes = new List<Preference>();
        foreach (var item in items)
        {
            if (!item.Has("constraint")) item.Violations.Rule(item.At("constraint"), "must be given, such as [\"disk\", \"CLUSTER\", \"ssd\"]");
            else if (ConstraintJson.One(item.Element.GetProperty("constraint"), item.At("constraint"), item.Violations) is { } constraint)
            {
                var wish = new Preference(constraint, item.Integer("weight") ?? UsualWeight);
                if (Neighbours.Problem(wish) is { } problem) item.Violations.Rule(item.Path, problem);
                wishes.Add(wish);
            }
        }
        return wishes.ToEquatableList();
    }

    private static EquatableList<Apart>? Apart(JsonFields own, AppSpec spec)
    {
        if (Items(own, "apart") is not { } items) return null;
        var distances = new List<Apart>();
        foreach (var item in items)
        {
            AppId? app = null;
            if (item.String("app") is { } text)
            {
                (app, var fault) = AppIds.Parse(text);
                if (fault is not null) item.Violations.Rule(item.At("app"), fault);
                if (app is null) continue;
            }
            var apart = new Apart(app, item.Map("labels", "must be a string")?.Select(l => new Label(l.Key, l.Value)).ToEquatableList() ?? [], item.Integer("weight"));
            if (Neighbours.Problem(spec, apart) is { } problem) item.Violations.Rule(item.Path, problem);
            distances.Add(apart);
        }
        return distances.ToEquatableList();
    }

    private static List<JsonFields>? Items(JsonFields own, string name)
    {
        var items = own.Objects(name);
        if (items is { Count: > MostOfEach }) own.Violations.Rule(own.At(name), $"holds {items.Count} entries; at most {MostOfEach} are taken");
        return items is { Count: > MostOfEach } ? null : items;
    }

    /// <summary>Nothing where nothing was asked for: clients of Marathon see what they know.</summary>
    public static void Write(Utf8JsonWriter json, AppSpec spec)
    {
        if (spec.Preferences.Count + spec.Apart.Count == 0) return;
        json.WriteStartObject("drover");
        if (spec.Preferences.Count > 0)
        {
            json.WriteStartArray("preferences");
            foreach (var wish in spec.Preferences)
            {
                json.WriteStartObject();
                json.WritePropertyName("constraint");
                AppJsonOut.Constraint(json, wish.Constraint);
                json.WriteNumber("weight", wish.Weight);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        if (spec.Apart.Count > 0)
        {
            json.WriteStartArray("apart");
            foreach (var apart in spec.Apart)
            {
                json.WriteStartObject();
                if (apart.App is { } app) json.WriteString("app", app.Value);
                if (apart.Labels.Count > 0) AppJsonOut.Map(json, "labels", apart.Labels.Select(l => (l.Name, l.Value)));
                if (apart.Weight is { } weight) json.WriteNumber("weight", weight);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }
}
