using System.Text.Json;
using Drover.ControlPlane.Apps;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Groups;

namespace Drover.ControlPlane.Marathon;

/// <summary>/v2/apps</summary>
internal sealed class AppEndpoints(ICluster cluster, IAppCommands commands, TimeProvider time)
{
    public Task<Answer> List(HttpContext context)
    {
        var query = context.Request.Query;
        LabelSelector? label = null;
        if (query["label"].ToString() is { Length: > 0 } text && (label = LabelSelector.Parse(text)) is null)
            return Task.FromResult(Answer.Message(422, $"'{text}' is no label selector: write a, a==b, a!=b, a in (x,y) or a notin (x,y), joined by commas"));
        return Task.FromResult(Many("apps", Embeds.From(query["embed"], time.GetUtcNow()), AppViews.Filtered(cluster.Current, query["cmd"], query["id"], label)));
    }

    public Task<Answer> Group(HttpContext context, string[] group)
    {
        return Task.FromResult(Many("*", Embeds.From(context.Request.Query["embed"], time.GetUtcNow()), GroupTree.AppsUnder(cluster.Current, new GroupId("/" + string.Join('/', group)))));
    }

    public Task<Answer> Show(HttpContext context, AppId id)
    {
        var state = cluster.Current;
        if (!state.Apps.TryGetValue(id, out var app)) return Task.FromResult(Answer.NoApp(id));
        return Task.FromResult(Answer.Json(200, json =>
        {
            json.WritePropertyName("app");
            AppViews.Info(json, state, app, Embeds.From(context.Request.Query["embed"], time.GetUtcNow()) with { Tasks = true, LastTaskFailure = true });
        }));
    }

    public async Task<Answer> Create(HttpContext context)
    {
        using var body = await RequestBody.Read(context);
        return Refusal(body) ?? await Create(context, body.Json!.RootElement, null);
    }

    /// <summary>Changes the app, or creates it. With partialUpdate (the default) what the body does not name stays as it is.</summary>
    public async Task<Answer> Put(HttpContext context, AppId id)
    {
        using var body = await RequestBody.Read(context);
        if (Refusal(body) is { } refused) return refused;
        var root = body.Json!.RootElement;
        if (!cluster.Current.Apps.TryGetValue(id, out var known))
            return OnlyScales(root) ? Answer.NoApp(id) : await Create(context, root, id);
        return await Update(context, root, known, partial: Flag(context, "partialUpdate", otherwise: true));
    }

    /// <summary>Who sends a number of copies alone means an app that is there.</summary>
    private static bool OnlyScales(JsonElement body) => body.TryGetProperty("instances", out _) && body.EnumerateObject().All(f => JsonFields.TextOf(f) is "instances" or "id");

    public async Task<Answer> Patch(HttpContext context, AppId id)
    {
        using var body = await RequestBody.Read(context);
        if (Refusal(body) is { } refused) return refused;
        return cluster.Current.Apps.TryGetValue(id, out var known) ? await Update(context, body.Json!.RootElement, known, partial: true) : Answer.NoApp(id);
    }

    public async Task<Answer> Delete(HttpContext context, AppId id) =>
        Changed(await commands.Delete(id, Flag(context, "force", otherwise: true), time.GetUtcNow(), context.RequestAborted));

    public async Task<Answer> Restart(HttpContext context, AppId id) =>
        Changed(await commands.Restart(id, Flag(context, "force", otherwise: false), time.GetUtcNow(), context.RequestAborted));

    /// <summary>`?force` alone means true, as it does to Marathon's clients.</summary>
    public static bool Flag(HttpContext context, string name, bool otherwise) =>
        context.Request.Query.TryGetValue(name, out var given) ? given.ToString() is "" || (bool.TryParse(given, out var value) ? value : otherwise) : otherwise;

    public static Answer? Refusal(RequestBody.Reading body) => body.Fault switch
    {
        null => null,
        BodyFault.NotAnObject => Answer.NotAnObject(body.Details),
        BodyFault.TooLarge => Answer.Message(413, body.Details),
        _ => Answer.BrokenJson(body.Details),
    };

    private async Task<Answer> Create(HttpContext context, JsonElement body, AppId? id)
    {
        var reading = AppJson.Read(body, id, null);
        if (reading.Spec is not { } spec) return Answer.Faults(reading.TypesAreWrong, reading.Faults);
        var outcome = await commands.Create(spec, Flag(context, "force", otherwise: false), time.GetUtcNow(), context.RequestAborted);
        return outcome is AppOutcome.Accepted accepted ? Created(accepted) : Changed(outcome);
    }

    private async Task<Answer> Update(HttpContext context, JsonElement body, App known, bool partial)
    {
        if (VersionEndpoints.Asked(body) is { } text)
        {
            if (VersionEndpoints.Moment(text) is not { } version) return Answer.NoMoment(text);
            var back = await commands.Change(new GroupChange.AppRollback(known.Id, version), Flag(context, "force", otherwise: false), dryRun: false, time.GetUtcNow(), context.RequestAborted);
            return Answer.Changed(200, back, new Dictionary<AppId, string> { [known.Id] = "" });
        }
        var reading = AppJson.Read(body, known.Id, partial ? known.Spec : null);
        if (reading.Spec is not { } spec) return Answer.Faults(reading.TypesAreWrong, reading.Faults);
        return Changed(await commands.Update(spec, Flag(context, "force", otherwise: false), time.GetUtcNow(), context.RequestAborted));
    }

    private Answer Created(AppOutcome.Accepted accepted)
    {
        // The state after the commit may have gone on already: counts are those of the answer's moment.
        var state = cluster.Current;
        return new Answer(201, MarathonJson.Text(json => AppViews.Info(json, state, accepted.App, new Embeds(time.GetUtcNow()) { Tasks = true })))
        {
            Location = $"/v2/apps{accepted.App.Id}",
            Deployment = accepted.Deployment,
        };
    }

    private static Answer Changed(AppOutcome outcome) => outcome switch
    {
        AppOutcome.Accepted accepted => Answer.Began(200, accepted.Deployment, accepted.Version),
        AppOutcome.AlreadyExists exists => Answer.Message(409, $"An app with id [{exists.App}] already exists."),
        AppOutcome.NotFound missing => Answer.NoApp(missing.App),
        AppOutcome.Locked locked => Answer.Locked(locked.Deployments),
        AppOutcome.Invalid invalid => Answer.Invalid(invalid.Errors),
        AppOutcome.TooMany many => Answer.TooManyDeployments(many.Limit),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private Answer Many(string name, Embeds embeds, IEnumerable<App> apps)
    {
        // One snapshot, whatever happens while the client reads.
        var state = cluster.Current;
        return Answer.Array(name, apps, (json, app) => AppViews.Info(json, state, app, embeds));
    }
}
