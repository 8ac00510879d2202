using System.Text.Json;
using Drover.ControlPlane.Apps;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Groups;

namespace Drover.ControlPlane.Marathon;

/// <summary>/v2/groups</summary>
internal sealed class GroupEndpoints(ICluster cluster, IAppCommands commands, TimeProvider time)
{
    private static readonly Dictionary<AppId, string> NoPlaces = [];

    public Task<Answer> Show(HttpContext context, GroupId group)
    {
        var state = cluster.Current;
        if (!GroupTree.Exists(state, group)) return Task.FromResult(Answer.NoGroup(group));
        var asked = context.Request.Query["embed"];
        var embeds = GroupEmbeds.From(asked!);
        var ofApps = Embeds.From(asked, time.GetUtcNow());
        return Task.FromResult(new Answer(200, MarathonJson.Text(json => GroupViews.Group(json, state, group, embeds, (writer, app) =>
        {
            if (embeds.Whole) GroupViews.Definition(writer, app);
            else AppViews.Info(writer, state, app, ofApps);
        }))));
    }

    public Task<Answer> Apps(HttpContext context, GroupId group)
    {
        var state = cluster.Current;
        if (!GroupTree.Exists(state, group)) return Task.FromResult(Answer.NoGroup(group));
        var embeds = Embeds.From(context.Request.Query["embed"], time.GetUtcNow());
        return Task.FromResult(new Answer(200, MarathonJson.Text(json =>
        {
            json.WriteStartArray();
            foreach (var app in GroupTree.AppsUnder(state, group)) AppViews.Info(json, state, app, embeds);
            json.WriteEndArray();
        })));
    }

    public Task<Answer> Versions(GroupId group)
    {
        var state = cluster.Current;
        var versions = GroupTree.Versions(state, group).ToList();
        if (versions.Count == 0 && !GroupTree.Exists(state, group)) return Task.FromResult(Answer.NoGroup(group));
        return Task.FromResult(new Answer(200, MarathonJson.Text(json =>
        {
            json.WriteStartArray();
            foreach (var version in versions) json.WriteStringValue(AppJsonOut.Timestamp(version));
            json.WriteEndArray();
        })));
    }

    public Task<Answer> Version(GroupId group, string text)
    {
        var state = cluster.Current;
        if (VersionEndpoints.Moment(text) is not { } version) return Task.FromResult(Answer.NoMoment(text));
        return Task.FromResult(GroupTree.At(state, group, version) switch
        {
            null => Answer.NoGroup(group, version),
            { Problem: { } problem } => Answer.Message(404, problem),
            { } stood => new Answer(200, MarathonJson.Text(json => GroupViews.Former(json, state, stood))),
        });
    }

    public async Task<Answer> Create(HttpContext context, GroupId url)
    {
        using var body = await RequestBody.Read(context);
        if (AppEndpoints.Refusal(body) is { } refused) return refused;
        var reading = GroupJson.Read(body.Json!.RootElement, url);
        if (reading.Wish is null && !reading.Faults.Any) reading.Faults.Rule(reading.Version is null ? "/scaleBy" : "/version", "is for a group that is there: send it with PUT");
        if (reading.Faults.Any) return Answer.Faults(reading.Faults.TypesAreWrong, reading.Faults.Told);
        var answer = Answer.Changed(201, await Change(context, new GroupChange.Create(reading.Wish!)), reading.Places);
        return answer.Status == 201 ? answer with { Location = $"/v2/groups{reading.Id}" } : answer;
    }

    public async Task<Answer> Put(HttpContext context, GroupId url)
    {
        using var body = await RequestBody.Read(context);
        if (AppEndpoints.Refusal(body) is { } refused) return refused;
        var reading = GroupJson.Read(body.Json!.RootElement, url);
        if (reading.Faults.Any) return Answer.Faults(reading.Faults.TypesAreWrong, reading.Faults.Told);
        GroupChange change;
        if (reading.Version is { } text)
        {
            if (VersionEndpoints.Moment(text) is not { } version) return Answer.NoMoment(text);
            change = new GroupChange.Rollback(reading.Id, version);
        }
        else change = reading.ScaleBy is { } factor ? new GroupChange.Scale(reading.Id, factor) : new GroupChange.Put(reading.Wish!);
        var dryRun = AppEndpoints.Flag(context, "dryRun", otherwise: false);
        var outcome = await Change(context, change, dryRun);
        return dryRun && outcome is ChangeOutcome.Accepted planned ? Answer.Json(200, json => DeploymentViews.Steps(json, planned.Steps)) : Answer.Changed(200, outcome, reading.Places);
    }

    /// <summary>`enforceRole` alone, of a top-level group alone.</summary>
    public async Task<Answer> Patch(HttpContext context, GroupId group)
    {
        using var body = await RequestBody.Read(context);
        if (AppEndpoints.Refusal(body) is { } refused) return refused;
        var faults = new Violations();
        var fields = new JsonFields(body.Json!.RootElement, "", faults);
        foreach (var other in body.Json.RootElement.EnumerateObject().Select(f => JsonFields.TextOf(f) ?? "").Where(n => n is not ("enforceRole" or "id")))
            faults.Rule($"/{other}", "cannot be changed by PATCH: only enforceRole can; send the group with PUT");
        if (!fields.Has("enforceRole")) faults.WrongType("/enforceRole", "error.path.missing", "must be given: true or false");
        var enforce = fields.Boolean("enforceRole");
        if (group.IsRoot || !group.Parent.IsRoot) faults.Rule("/enforceRole", $"is for top-level groups alone; '{group}' is none");
        if (faults.Any) return Answer.Faults(faults.TypesAreWrong, faults.Told);
        return Answer.Changed(200, await Change(context, new GroupChange.Enforce(group, enforce!.Value)), NoPlaces);
    }

    public async Task<Answer> Delete(HttpContext context, GroupId group) => Answer.Changed(200, await Change(context, new GroupChange.Delete(group)), NoPlaces);

    private Task<ChangeOutcome> Change(HttpContext context, GroupChange change, bool dryRun = false) =>
        commands.Change(change, AppEndpoints.Flag(context, "force", otherwise: false), dryRun, time.GetUtcNow(), context.RequestAborted);
}
