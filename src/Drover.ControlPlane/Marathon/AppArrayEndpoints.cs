using System.Text.Json;
using Drover.ControlPlane.Apps;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>PUT and PATCH of /v2/apps: several apps in one deployment, all or none.</summary>
internal sealed class AppArrayEndpoints(ICluster cluster, IAppCommands commands, TimeProvider time)
{
    public Task<Answer> Put(HttpContext context) => Change(context, mayCreate: true, AppEndpoints.Flag(context, "partialUpdate", otherwise: true));

    public Task<Answer> Patch(HttpContext context) => Change(context, mayCreate: false, partial: true);

    private async Task<Answer> Change(HttpContext context, bool mayCreate, bool partial)
    {
        using var body = await RequestBody.Read(context, JsonValueKind.Array);
        if (AppEndpoints.Refusal(body) is { } refused) return refused;
        var state = cluster.Current;
        var faults = new Violations();
        var places = new Dictionary<AppId, string>();
        var specs = new List<AppSpec>();
        AppId? missing = null;
        var index = 0;
        foreach (var item in body.Json!.RootElement.EnumerateArray())
        {
            var at = $"/({index++})";
            if (item.ValueKind != JsonValueKind.Object)
            {
                faults.WrongType(at, "error.expected.jsobject", $"must be an app's definition; it was {JsonFields.Described(item)}");
                continue;
            }
            var id = IdOf(item);
            var known = id is { } named ? state.Apps.GetValueOrDefault(named) : null;
            if (known is null && !mayCreate && id is not null) missing ??= id;
            var reading = AppJson.Read(item, null, partial ? known?.Spec : null);
            Nested.Add(faults, at, reading.Faults, reading.TypesAreWrong);
            if (reading.Spec is not { } spec) continue;
            if (!places.TryAdd(spec.Id, at)) faults.Rule($"{at}/id", $"app '{spec.Id}' is named twice; name it once");
            specs.Add(spec);
        }
        if (missing is { } none) return Answer.NoApp(none);
        if (faults.Any) return Answer.Faults(faults.TypesAreWrong, faults.Told);
        var change = new GroupChange.Apps(new ChangeSet { Put = [.. specs] });
        return Answer.Changed(200, await commands.Change(change, AppEndpoints.Flag(context, "force", otherwise: false), dryRun: false, time.GetUtcNow(), context.RequestAborted), places);
    }

    private static AppId? IdOf(JsonElement item) =>
        item.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.String && JsonFields.TextOf(id) is { } text ? AppIds.Parse(text).Id : null;
}

/// <summary>Faults of a part, told under its place in the whole.</summary>
internal static class Nested
{
    public static void Add(Violations whole, string at, IEnumerable<Violation> part, bool types)
    {
        foreach (var fault in part)
        {
            var path = fault.Path == "/" ? at : at + fault.Path;
            if (types) whole.WrongType(path, fault.Errors[0], fault.Errors[^1]);
            else foreach (var error in fault.Errors) whole.Rule(path, error);
        }
    }
}
