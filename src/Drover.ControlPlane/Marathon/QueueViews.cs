using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;

namespace Drover.ControlPlane.Marathon;

/// <summary>What waits, and why (v2/types/queue.raml). In `queue` what Marathon has there: copies that have no place. In `waiting`, of our own, every copy and deployment that waits for anything.</summary>
/// <remarks>Judging every node for every app costs apps × nodes: up to <see cref="MostJudged"/> verdicts are made for one answer; what lies beyond is shown with the sentence the scheduler left.</remarks>
public sealed class QueueViews(ClusterState state, DateTimeOffset now)
{
    public const int MostJudged = 100_000;
    public const int MostWaiting = 1_000;
    private const int MostOffers = 100;
    private int _judged;

    public void Write(Utf8JsonWriter json, bool withOffers)
    {
        var waiting = state.Instances.Values.Where(i => i.Goal == InstanceGoal.Running && (i.Node is null || i.WaitsFor is not null)).OrderBy(i => i.CreatedAt).ThenBy(i => i.Id).ToList();
        var groups = waiting.Where(i => i.Node is null && state.Apps.ContainsKey(i.App)).GroupBy(i => i.App).OrderBy(g => g.Key).Select(g => (App: state.Apps[g.Key], Copies: g.ToList())).ToList();
        var verdicts = groups.ToDictionary(g => g.App.Id, g => Judged(g.Copies[0]));
        json.WriteStartObject();
        json.WriteStartArray("queue");
        foreach (var (app, copies) in groups) Item(json, app, copies, verdicts[app.Id], withOffers);
        json.WriteEndArray();
        json.WriteStartArray("waiting");
        foreach (var copy in waiting.Take(MostWaiting)) Copy(json, copy, copy.Node is null ? verdicts.GetValueOrDefault(copy.App) ?? [] : []);
        foreach (var deployment in state.Deployments.Values.Where(d => d.WaitsFor is not null).OrderBy(d => d.StartedAt).Take(MostWaiting)) Waiting(json, deployment);
        json.WriteEndArray();
        json.WriteNumber("waitingTotal", waiting.Count + state.Deployments.Values.Count(d => d.WaitsFor is not null));
        json.WriteEndObject();
    }

    private IReadOnlyList<NodeVerdict> Judged(Instance copy)
    {
        if (_judged + state.Nodes.Count > MostJudged) return [];
        _judged += state.Nodes.Count;
        return Placement.Rank(state, copy.Spec, copy);
    }

    private void Item(Utf8JsonWriter json, App app, List<Instance> copies, IReadOnlyList<NodeVerdict> verdicts, bool withOffers)
    {
        var unfit = verdicts.Where(v => !v.Fits).ToList();
        var left = LaunchBackoff.Holding(app, now) is { } delay ? delay.Until - now : TimeSpan.Zero;
        json.WriteStartObject();
        json.WriteStartObject("app");
        AppJsonOut.Fields(json, app.Spec, app);
        json.WriteEndObject();
        json.WriteNumber("count", copies.Count);
        json.WriteStartObject("delay");
        json.WriteNumber("timeLeftSeconds", (long)Math.Ceiling(left.TotalSeconds));
        json.WriteBoolean("overdue", left == TimeSpan.Zero);
        json.WriteEndObject();
        if (withOffers)
        {
            json.WriteStartArray("lastUnusedOffers");
            foreach (var verdict in unfit.Take(MostOffers)) Unused(json, verdict);
            json.WriteEndArray();
        }
        Summary(json, app, verdicts, unfit);
        json.WriteString("role", app.Spec.Role);
        json.WriteString("since", AppJsonOut.Timestamp(copies[0].CreatedAt));
        Reasons(json, app, copies, verdicts);
        json.WriteEndObject();
    }

    /// <summary>What the nodes would answer now. The attempt to launch goes on for as long as nothing changes, so that both summaries say the same.</summary>
    private void Summary(Utf8JsonWriter json, App app, IReadOnlyList<NodeVerdict> verdicts, List<NodeVerdict> unfit)
    {
        var funnel = Waits.Funnel(verdicts);
        json.WriteStartObject("processedOffersSummary");
        json.WriteNumber("processedOffersCount", funnel[0].Processed);
        json.WriteNumber("unusedOffersCount", funnel.Sum(s => s.Declined));
        if (unfit.Count > 0) json.WriteString("lastUnusedOfferAt", AppJsonOut.Timestamp(now));
        if (state.InstancesOf(app.Id).Max(i => i.StagedAt) is { } used) json.WriteString("lastUsedOfferAt", AppJsonOut.Timestamp(used));
        foreach (var name in new[] { "rejectSummaryLastOffers", "rejectSummaryLaunchAttempt" })
        {
            json.WriteStartArray(name);
            Stage(json, "UnfulfilledRole", funnel[0].Processed, 0);
            foreach (var (refusal, processed, declined) in funnel) Stage(json, MarathonName(refusal), processed, declined);
            Stage(json, "DeclinedScarceResources", funnel[^1].Processed - funnel[^1].Declined, 0);
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    private static void Stage(Utf8JsonWriter json, string reason, int processed, int declined)
    {
        json.WriteStartObject();
        json.WriteString("reason", reason);
        json.WriteNumber("declined", declined);
        json.WriteNumber("processed", processed);
        json.WriteEndObject();
    }

    /// <summary>Where a volume is, is to us what a reservation was to Marathon.</summary>
    private static string MarathonName(NodeRefusal refusal) => refusal switch
    {
        NodeRefusal.Constraint => "UnfulfilledConstraint",
        NodeRefusal.Data => "NoCorrespondingReservationFound",
        NodeRefusal.Absent or NodeRefusal.Cordoned => "AgentMaintenance",
        NodeRefusal.Cpus => "InsufficientCpus",
        NodeRefusal.Memory => "InsufficientMemory",
        NodeRefusal.Disk => "InsufficientDisk",
        NodeRefusal.Gpus => "InsufficientGpus",
        _ => "InsufficientPorts",
    };

    /// <summary>Beyond Marathon: why, in words.</summary>
    private void Reasons(Utf8JsonWriter json, App app, List<Instance> copies, IReadOnlyList<NodeVerdict> verdicts)
    {
        var wait = Waits.Of(state, copies[0], verdicts, now);
        json.WriteStartArray("reasons");
        if (wait is not null) Reason(json, wait, verdicts);
        foreach (var deployment in state.Deployments.Values.Where(d => d.AffectedApps.Items.Contains(app.Id)))
        {
            if (deployment.WaitsFor is not { } what) continue;
            Reason(json, new(WaitKind.Deployment, $"deployment {deployment.Id}, which waits for {what}; other changes of the app wait for it, or take ?force=true", null), []);
        }
        json.WriteEndArray();
        if (wait is not null) json.WriteString("waitsFor", wait.Text);
    }

    private void Reason(Utf8JsonWriter json, Wait wait, IReadOnlyList<NodeVerdict> verdicts)
    {
        json.WriteStartObject();
        Said(json, wait);
        Nodes(json, wait, verdicts);
        json.WriteEndObject();
    }

    private static void Said(Utf8JsonWriter json, Wait wait)
    {
        json.WriteString("kind", JsonNamingPolicy.CamelCase.ConvertName(wait.Kind.ToString()));
        json.WriteString("text", WaitReasons.Brief(wait.Text));
        if (wait.Left is { } left) json.WriteNumber("timeLeftSeconds", (long)Math.Ceiling(left.TotalSeconds));
    }

    private void Nodes(Utf8JsonWriter json, Wait wait, IReadOnlyList<NodeVerdict> verdicts)
    {
        // Only where it waits for a node: while a backoff or its data holds it, what nodes have left says nothing.
        if (!wait.Text.StartsWith(WaitReasons.Place, StringComparison.Ordinal)) return;
        json.WriteStartArray("nodes");
        foreach (var verdict in verdicts.Where(v => !v.Fits).OrderBy(v => v.Node).Take(MostOffers))
        {
            json.WriteStartObject();
            json.WriteString("node", verdict.Node.Value);
            json.WriteStartArray("reasons");
            foreach (var reason in verdict.Reasons) json.WriteStringValue(reason);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private void Copy(Utf8JsonWriter json, Instance copy, IReadOnlyList<NodeVerdict> verdicts)
    {
        if (Waits.Of(state, copy, verdicts, now) is not { } wait) return;
        json.WriteStartObject();
        json.WriteString("what", "instance");
        json.WriteString("id", copy.Id.Value);
        json.WriteString("app", copy.App.Value);
        if (copy.Node is { } node) json.WriteString("node", node.Value);
        json.WriteString("since", AppJsonOut.Timestamp(copy.StagedAt ?? copy.CreatedAt));
        Said(json, wait);
        json.WriteEndObject();
    }

    private static void Waiting(Utf8JsonWriter json, Deployment deployment)
    {
        json.WriteStartObject();
        json.WriteString("what", "deployment");
        json.WriteString("id", deployment.Id.Value);
        json.WriteString("app", string.Join(' ', deployment.AffectedApps.Items.Select(a => a.Value)));
        json.WriteString("since", AppJsonOut.Timestamp(deployment.StartedAt));
        Said(json, new(WaitKind.Deployment, deployment.WaitsFor!, null));
        json.WriteEndObject();
    }

    private void Unused(Utf8JsonWriter json, NodeVerdict verdict)
    {
        var node = state.Nodes[verdict.Node];
        json.WriteStartObject();
        json.WriteStartObject("offer");
        json.WriteString("id", $"free-{node.Id}");
        json.WriteString("agentId", node.Id.Value);
        json.WriteString("hostname", node.Hostname);
        json.WriteStartArray("resources");
        var free = Placement.Free(state, node.Id);
        foreach (var (name, amount) in new[] { ("cpus", free.Cpus), ("mem", free.MemoryMiB), ("disk", free.DiskMiB), ("gpus", free.Gpus) }) Scalar(json, name, amount);
        Ports(json, free.Ports);
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
        foreach (var kind in verdict.Reasons.Items.Select(Waits.KindOf).Distinct().Order()) json.WriteStringValue(MarathonName(kind));
        json.WriteEndArray();
        json.WriteStartArray("reasons");
        foreach (var reason in verdict.Reasons) json.WriteStringValue(reason);
        json.WriteEndArray();
        json.WriteString("timestamp", AppJsonOut.Timestamp(now));
        json.WriteEndObject();
    }

    private static void Scalar(Utf8JsonWriter json, string name, double amount)
    {
        json.WriteStartObject();
        json.WriteString("name", name);
        json.WriteString("role", "*");
        json.WriteNumber("scalar", Math.Round(amount, 6));
        json.WriteEndObject();
    }

    private static void Ports(Utf8JsonWriter json, EquatableList<PortRange> ranges)
    {
        json.WriteStartObject();
        json.WriteString("name", "ports");
        json.WriteString("role", "*");
        json.WriteStartArray("ranges");
        foreach (var range in ranges)
        {
            json.WriteStartObject();
            json.WriteNumber("begin", range.Begin);
            json.WriteNumber("end", range.End);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
