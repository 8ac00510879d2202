using System.Text.RegularExpressions;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Events;

/// <summary>What a commit's changes say that no decision has put into words: what copies and deployments wait for now, and health checks that failed. Pure.</summary>
public static partial class DerivedEvents
{
    public static IEnumerable<ClusterEvent> Of(Committed commit)
    {
        foreach (var id in commit.Changes.OfType<ClusterChange.PutInstance>().Select(p => p.Instance.Id).Distinct())
        {
            if (!commit.After.Instances.TryGetValue(id, out var after) || !commit.Before.Instances.TryGetValue(id, out var before)) continue;
            if (Waits(before.WaitsFor, after.WaitsFor)) yield return Event("instance.waits", after, $"{after.Task} waits for {after.WaitsFor}");
            for (var i = 0; i < after.Health.Count; i++)
            {
                var check = after.Health[i];
                var failures = before.Task == after.Task && i < before.Health.Count ? before.Health[i].ConsecutiveFailures : 0;
                if (check.ConsecutiveFailures > failures)
                    yield return Event("instance.checkFailed", after, $"check {i} of {after.Task} failed {check.ConsecutiveFailures} times in a row: {check.LastFailureCause ?? "no cause given"}") with { State = i.ToString(System.Globalization.CultureInfo.InvariantCulture) };
            }
        }
        foreach (var id in commit.Changes.OfType<ClusterChange.PutDeployment>().Select(p => p.Deployment.Id).Distinct())
        {
            if (!commit.After.Deployments.TryGetValue(id, out var after) || !Waits(commit.Before.Deployments.GetValueOrDefault(id)?.WaitsFor, after.WaitsFor)) continue;
            yield return new("deployment.waits", id.Value, $"deployment {id} waits for {after.WaitsFor}") { Deployment = id, App = after.AffectedApps.Items.Select(a => (Core.AppId?)a).FirstOrDefault() };
        }
    }

    /// <summary>Another reason, not only other figures: what is left of a node changes with everything that is placed.</summary>
    private static bool Waits(string? before, string? after) => after is not null && after != before && (before is null || Figures().Replace(after, "#") != Figures().Replace(before, "#"));

    private static ClusterEvent Event(string kind, Instance copy, string text) => new(kind, copy.Id.Value, text) { App = copy.App, Instance = copy.Id, Node = copy.Node };

    [GeneratedRegex(@"[0-9]+([.:][0-9]+)*")]
    private static partial Regex Figures();
}
