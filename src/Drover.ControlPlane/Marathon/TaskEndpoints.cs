using Drover.ControlPlane.Apps;
using Drover.Core;
using Drover.Core.Apps;
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
        return Task.FromResult(Tasks(context, state, state.Apps.Values, task => asked.Count == 0 || asked.Contains(task.Runs ? "running" : "staging")));
    }

    public Task<Answer> OfApp(HttpContext context, AppId id)
    {
        var state = cluster.Current;
        return Task.FromResult(state.Apps.TryGetValue(id, out var app) ? Tasks(context, state, [app], _ => true) : Answer.NoApp(id));
    }

    public async Task<Answer> KillOfApp(HttpContext context, AppId id)
    {
        if (WipeRefusal(context) is { } refused) return refused;
        var outcome = await commands.KillAll(id, context.Request.Query["host"], Scale(context), AppEndpoints.Flag(context, "force", otherwise: false), time.GetUtcNow(), context.RequestAborted);
        return Killed(outcome, single: false);
    }

    public async Task<Answer> Kill(HttpContext context, AppId id, string task)
    {
        if (WipeRefusal(context) is { } refused) return refused;
        var state = cluster.Current;
        if (!state.Apps.ContainsKey(id)) return Answer.NoApp(id);
        if (!state.InstancesOf(id).Any(i => i.Task.Value == task || i.Id.Value == task)) return NoTask(task);
        return Killed(await commands.KillTasks([task], Scale(context), AppEndpoints.Flag(context, "force", otherwise: false), time.GetUtcNow(), context.RequestAborted), single: true);
    }

    public async Task<Answer> KillMany(HttpContext context)
    {
        if (WipeRefusal(context) is { } refused) return refused;
        using var body = await RequestBody.Read(context);
        if (AppEndpoints.Refusal(body) is { } broken) return broken;
        var faults = new Violations();
        var ids = new JsonFields(body.Json!.RootElement, "", faults).Strings("ids");
        if (ids is null && !faults.Any) faults.WrongType("/ids", "error.path.missing", "must be given: a list of task ids");
        if (ids is { Count: > MaxKills }) faults.Rule("/ids", $"holds {ids.Value.Count} ids; at most {MaxKills} are taken");
        if (faults.Any) return Answer.Faults(faults.TypesAreWrong, faults.Told);
        return Killed(await commands.KillTasks(ids!.Value.Items, Scale(context), AppEndpoints.Flag(context, "force", otherwise: false), time.GetUtcNow(), context.RequestAborted), single: false);
    }

    private static bool Scale(HttpContext context) => AppEndpoints.Flag(context, "scale", otherwise: false);

    private static Answer? WipeRefusal(HttpContext context)
    {
        if (!AppEndpoints.Flag(context, "wipe", otherwise: false)) return null;
        return Scale(context)
            ? Answer.Message(400, "You cannot use scale and wipe at the same time.")
            : Answer.Message(422, "wipe would delete data; volumes outlive tasks here. Leave wipe out");
    }

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
            foreach (var task in killed.Instances) TaskViews.Task(json, cluster.Current, task);
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
