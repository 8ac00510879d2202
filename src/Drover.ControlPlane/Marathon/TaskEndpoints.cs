using Drover.ControlPlane.Apps;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.State;

namespace Drover.ControlPlane.Marathon;

/// <summary>/v2/tasks and /v2/apps/{id}/tasks</summary>
internal sealed class TaskEndpoints(ICluster cluster, IAppCommands commands, TimeProvider time)
{
    private const int MaxKills = 10_000;

    public Task<Answer> List(HttpContext context)
    {
        var state = cluster.Current;
        var asked = context.Request.Query["status"].Concat(context.Request.Query["status[]"]).Where(s => s is "running" or "staging").ToHashSet();
        return Task.FromResult(Tasks(context, state, state.Apps.Values, task => asked.Count == 0 || (StatusOf(task) is { } status && asked.Contains(status))));
    }

    private static string? StatusOf(Instance task) => task.State switch
    {
        InstanceState.Running => "running",
        InstanceState.Staging or InstanceState.Starting => "staging",
        _ => null,
    };

    public Task<Answer> OfApp(HttpContext context, AppId id)
    {
        var state = cluster.Current;
        return Task.FromResult(state.Apps.TryGetValue(id, out var app) ? Tasks(context, state, [app], _ => true) : Answer.NoApp(id));
    }

    public Task<Answer> OfGroup(HttpContext context, string[] group)
    {
        var state = cluster.Current;
        return Task.FromResult(Tasks(context, state, GroupTree.AppsUnder(state, new GroupId("/" + string.Join('/', group))), _ => true));
    }

    public async Task<Answer> KillOfApp(HttpContext context, AppId id)
    {
        if (BothGiven(context) is { } refused) return refused;
        var host = context.Request.Query["host"];
        var outcome = await commands.KillAll(id, host, Scale(context), Force(context), time.GetUtcNow(), context.RequestAborted);
        return Killed(await Wiped(context, outcome, state => KillDecisions.Copies(state, id, host)), single: false);
    }

    public async Task<Answer> Kill(HttpContext context, AppId id, string task)
    {
        if (BothGiven(context) is { } refused) return refused;
        var state = cluster.Current;
        if (!state.Apps.ContainsKey(id)) return Answer.NoApp(id);
        if (TaskIds.Find(state, task) is not { } copy || copy.App != id) return NoTask(task);
        return await Kill(context, [copy.Id], single: true);
    }

    /// <summary>Tasks that are not there any more are passed over: whoever kills from a list must not be kept from it by one that has just ended.</summary>
    public async Task<Answer> KillMany(HttpContext context)
    {
        if (BothGiven(context) is { } refused) return refused;
        using var body = await RequestBody.Read(context);
        if (AppEndpoints.Refusal(body) is { } broken) return broken;
        var faults = new Violations();
        var ids = new JsonFields(body.Json!.RootElement, "", faults).Strings("ids");
        if (ids is null && !faults.Any) faults.WrongType("/ids", "error.path.missing", "must be given: a list of task ids");
        if (ids is { Count: > MaxKills }) faults.Rule("/ids", $"holds {ids.Value.Count} ids; at most {MaxKills} are taken");
        if (faults.Any) return Answer.Faults(faults.TypesAreWrong, faults.Told);
        if (ids!.Value.Items.FirstOrDefault(id => !TaskIds.IsOne(id)) is { } wrong) return Answer.Message(400, $"Invalid task id '{wrong}'. [it is no app's path and a copy's id, such as shop_db.instance-5c0e…._app.1]");
        var state = cluster.Current;
        return await Kill(context, [.. ids.Value.Items.Select(id => TaskIds.Find(state, id)?.Id).OfType<InstanceId>().Distinct()], single: false);
    }

    private async Task<Answer> Kill(HttpContext context, List<InstanceId> copies, bool single)
    {
        var outcome = await commands.KillTasks([.. copies.Select(c => c.Value)], Scale(context), Force(context), time.GetUtcNow(), context.RequestAborted);
        return Killed(await Wiped(context, outcome, state => copies.Select(id => state.Instances.GetValueOrDefault(id)).OfType<Instance>()), single);
    }

    /// <summary>With `wipe`, killed copies on nodes that are away are forgotten at once, also those killed before. No data goes with it: volumes are deleted as volumes, never beside a task.</summary>
    private async Task<KillOutcome> Wiped(HttpContext context, KillOutcome outcome, Func<ClusterState, IEnumerable<Instance>> copies)
    {
        if (outcome is not KillOutcome.Killed killed || !AppEndpoints.Flag(context, "wipe", otherwise: false)) return outcome;
        var forgotten = await cluster.Decide(state => Wiping.Forget(state, copies(state).Select(c => c.Id)), context.RequestAborted);
        return new KillOutcome.Killed(killed.Instances.Concat(forgotten).DistinctBy(i => i.Id).ToEquatableList());
    }

    private static bool Scale(HttpContext context) => AppEndpoints.Flag(context, "scale", otherwise: false);
    private static bool Force(HttpContext context) => AppEndpoints.Flag(context, "force", otherwise: false);

    private static Answer? BothGiven(HttpContext context) =>
        Scale(context) && AppEndpoints.Flag(context, "wipe", otherwise: false) ? Answer.Message(400, "You cannot use scale and wipe at the same time.") : null;

    private static Answer NoTask(string task) => Answer.Message(404, $"Task '{task}' does not exist");

    private Answer Killed(KillOutcome outcome, bool single) => outcome switch
    {
        KillOutcome.Killed killed when single && killed.Instances.Count == 1 => Answer.Json(200, json =>
        {
            json.WritePropertyName("task");
            TaskViews.Task(json, cluster.Current, killed.Instances[0]);
        }),
        KillOutcome.Killed killed => Answer.Json(200, json =>
        {
            json.WriteStartArray("tasks");
            // A copy that has no place yet is no task.
            foreach (var task in killed.Instances.Where(i => i.Node is not null)) TaskViews.Task(json, cluster.Current, task);
            json.WriteEndArray();
        }),
        KillOutcome.Scaled scaled => Answer.Began(200, scaled.Deployment, scaled.Version),
        KillOutcome.NoSuchApp missing => Answer.NoApp(missing.App),
        KillOutcome.NoSuchTask missing => NoTask(missing.Task),
        KillOutcome.Locked locked => Answer.Locked(locked.Deployments),
        KillOutcome.TooMany many => Answer.TooManyDeployments(many.Limit),
        KillOutcome.Moving moving => Answer.Message(409, $"Instance '{moving.Instance}' is being moved (move {moving.Move}); wait until that has ended: drover move show {moving.Move}"),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static Answer Tasks(HttpContext context, ClusterState state, IEnumerable<App> apps, Func<Instance, bool> wanted)
    {
        // haproxy bridges of 2015 ask for text.
        if (context.Request.Headers.Accept.ToString().StartsWith("text/plain", StringComparison.OrdinalIgnoreCase))
            return new Answer(200, TaskViews.PlainText(state, apps), "text/plain; charset=utf-8");
        return Answer.Json(200, json =>
        {
            json.WriteStartArray("tasks");
            foreach (var app in apps)
            {
                foreach (var task in TaskViews.TasksOf(state, app.Id).Where(wanted)) TaskViews.Task(json, state, task);
            }
            json.WriteEndArray();
        });
    }
}
