using System.Globalization;
using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>/v2/apps/{id}/versions: also of an app that is gone, for as long as its versions are kept.</summary>
internal sealed class VersionEndpoints(ICluster cluster)
{
    public Task<Answer> List(AppId id)
    {
        var state = cluster.Current;
        var former = state.Versions.GetValueOrDefault(id)?.Keys.Reverse() ?? [];
        var versions = (state.Apps.TryGetValue(id, out var app) ? former.Prepend(app.Version) : former).ToList();
        return Task.FromResult(versions.Count == 0 ? Answer.NoApp(id) : Answer.Json(200, json => Write(json, versions)));
    }

    public Task<Answer> Show(AppId id, string text)
    {
        var state = cluster.Current;
        if (!state.Apps.ContainsKey(id) && !state.Versions.ContainsKey(id)) return Task.FromResult(Answer.NoApp(id));
        if (Moment(text) is not { } version) return Task.FromResult(Answer.NoMoment(text));
        return Task.FromResult(AppChanges.VersionOf(state, id, version) is { } app ? Answer.Json(200, json => AppJsonOut.Fields(json, app.Spec, app)) : Answer.NoVersion(id, version));
    }

    public static void Write(Utf8JsonWriter json, IEnumerable<DateTimeOffset> versions)
    {
        json.WriteStartArray("versions");
        foreach (var version in versions) json.WriteStringValue(AppJsonOut.Timestamp(version));
        json.WriteEndArray();
    }

    public static DateTimeOffset? Moment(string text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var moment) && text.Contains('T', StringComparison.OrdinalIgnoreCase)
            ? moment : null;

    /// <summary>The version a body asks to go back to: `{"version": …}`, with no more than an id beside it. Beside other fields it only says what was read before, and is passed over.</summary>
    public static string? Asked(JsonElement body) =>
        body.TryGetProperty("version", out var version) && version.ValueKind != JsonValueKind.Null && body.EnumerateObject().All(f => JsonFields.TextOf(f) is "version" or "id")
            ? version.ValueKind == JsonValueKind.String ? JsonFields.TextOf(version) ?? "" : version.GetRawText() : null;
}
