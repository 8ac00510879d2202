using System.Text.Json;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Marathon;

/// <summary>What waits for a place, and why each node does not take it (v2/types/queue.raml).</summary>
public static class QueueViews
{
    public static void Queue(Utf8JsonWriter json, ClusterState state, DateTimeOffset now, bool withOffers)
    {
        json.WriteStartObject();
        json.WriteStartArray("queue");
        foreach (var app in state.Apps.Values)
        {
            var waiting = state.InstancesOf(app.Id).Where(i => i is { Node: null, Goal: InstanceGoal.Running }).ToList();
            if (waiting.Count > 0) Item(json, state, app, waiting, now, withOffers);
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Item(Utf8JsonWriter json, ClusterState state, App app, List<Instance> waiting, DateTimeOffset now, bool withOffers)
    {
        var verdicts = Placement.Rank(state, waiting[0].Spec, waiting[0]);
        var unfit = verdicts.Where(v => !v.Fits).ToList();
        var left = app.Delay is { } delay && delay.Until > now ? delay.Until - now : TimeSpan.Zero;
        json.WriteStartObject();
        json.WriteStartObject("app");
        AppJsonOut.Fields(json, app.Spec, app);
        json.WriteEndObject();
        json.WriteNumber("count", waiting.Count);
        json.WriteStartObject("delay");
        json.WriteNumber("timeLeftSeconds", (long)Math.Ceiling(left.TotalSeconds));
        json.WriteBoolean("overdue", left == TimeSpan.Zero);
        json.WriteEndObject();
        if (withOffers)
        {
            json.WriteStartArray("lastUnusedOffers");
            foreach (var verdict in unfit) Unused(json, state, verdict, now);
            json.WriteEndArray();
        }
        json.WriteStartObject("processedOffersSummary");
        json.WriteNumber("processedOffersCount", verdicts.Length);
        json.WriteNumber("unusedOffersCount", unfit.Count);
        foreach (var name in new[] { "rejectSummaryLastOffers", "rejectSummaryLaunchAttempt" })
        {
            json.WriteStartArray(name);
            foreach (var reason in unfit.GroupBy(v => v.Reasons[0]).OrderByDescending(g => g.Count()))
            {
                json.WriteStartObject();
                json.WriteString("reason", reason.Key);
                json.WriteNumber("declined", reason.Count());
                json.WriteNumber("processed", verdicts.Length);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
        json.WriteString("role", app.Spec.Role);
        json.WriteString("since", AppJsonOut.Timestamp(waiting[0].CreatedAt));
        // Beyond Marathon: the sentence that /api/v1/status shows.
        if (waiting[0].WaitsFor is { } what) json.WriteString("waitsFor", what);
        json.WriteEndObject();
    }

    private static void Unused(Utf8JsonWriter json, ClusterState state, NodeVerdict verdict, DateTimeOffset now)
    {
        var node = state.Nodes[verdict.Node];
        json.WriteStartObject();
        json.WriteStartObject("offer");
        json.WriteString("id", $"free-{node.Id}");
        json.WriteString("agentId", node.Id.Value);
        json.WriteString("hostname", node.Hostname);
        json.WriteStartArray("resources");
        var free = Placement.Free(state, node.Id);
        foreach (var (name, amount) in new[] { ("cpus", free.Cpus), ("mem", free.MemoryMiB), ("disk", free.DiskMiB) })
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteNumber("scalar", amount);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("attributes");
        foreach (var attribute in node.Attributes)
        {
            json.WriteStartObject();
            json.WriteString("name", attribute.Name);
            json.WriteString("text", attribute.Value);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteStartArray("reason");
        foreach (var reason in verdict.Reasons) json.WriteStringValue(reason);
        json.WriteEndArray();
        json.WriteString("timestamp", AppJsonOut.Timestamp(now));
        json.WriteEndObject();
    }
}
