using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>What copies answered to the readiness checks of their app.</summary>
public static class Readiness
{
    /// <summary>For the length of a deployment of the app, one for each copy of the newest configuration and each of its checks; otherwise none.</summary>
    public static IEnumerable<(TaskId Task, ReadinessResult Result)> ResultsOf(ClusterState state, App app)
    {
        if (app.Spec.ReadinessChecks.Count == 0 || state.DeploymentOf(app.Id) is null) return [];
        return state.InstancesOf(app.Id).Where(i => i is { Goal: InstanceGoal.Running, Runs: true } && Rollout.IsCurrent(app, i))
            .SelectMany(i => i.Spec.ReadinessChecks.Items.Select(check => (i.Task, i.Readiness.Items.FirstOrDefault(r => r.Name == check.Name) ?? new(check.Name, false, null))));
    }

    /// <summary>What was ready once stays ready: an agent that starts anew asks again from the beginning.</summary>
    internal static EquatableList<ReadinessResult> After(Instance before, EquatableList<ReadinessResult> seen)
    {
        if (before.Spec.ReadinessChecks.Count == 0) return [];
        return before.Readiness.Count > 0 && before.Ready ? before.Readiness : seen;
    }

    internal static string Lack(Instance copy)
    {
        var check = copy.Spec.ReadinessChecks.Items.FirstOrDefault(c => !copy.Readiness.Items.Any(r => r.Name == c.Name && r.Ready));
        var answer = copy.Readiness.Items.FirstOrDefault(r => r.Name == check?.Name)?.Answer;
        return $"its readiness check '{check?.Name}' to answer {string.Join(" or ", check?.ReadyStatusCodes ?? [])}{(answer is null ? "" : $"; it answered {answer.Status} last")}";
    }
}
