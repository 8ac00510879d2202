using System.Diagnostics.Metrics;
using Drover.Contracts.Metrics;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Observability;

/// <summary>Deployments under way and how they ended.</summary>
public sealed class DeploymentMeter : ICommitMeter
{
    private readonly Counter<long> _started, _ended;
    private readonly Histogram<double> _seconds;

    public DeploymentMeter(MetricBook book, ICluster cluster, TimeProvider time)
    {
        var slice = book.Slice("Drover.ControlPlane.Deployments");
        _started = slice.Counter("drover_deployments_started_total", "Deployments that began.");
        _ended = slice.Counter("drover_deployments_ended_total", "Deployments that ended; outcome: `done`, `failed`, `cancelled` where another took its place or somebody stopped it.", "outcome");
        foreach (var outcome in new[] { "done", "failed", "cancelled" }) slice.Always("drover_deployments_ended_total", outcome);
        _seconds = slice.Histogram("drover_deployment_seconds", "From a deployment's beginning to its end.", MetricSlice.Waits, "outcome");
        slice.Gauge("drover_deployments", "Deployments under way, by whether they wait for something: `true`, `false`.", () => ClusterMeter.Counted("waiting", cluster.Current.Deployments.Values, d => d.WaitsFor is null ? "false" : "true", "true", "false"), "waiting");
        slice.Gauge("drover_deployment_oldest_seconds", "Age of the oldest deployment under way; 0: there is none.", () => cluster.Current.Deployments.Values.Select(d => (time.GetUtcNow() - d.StartedAt).TotalSeconds).DefaultIfEmpty().Max());
    }

    public void Seen(Committed commit)
    {
        var deployments = new Followed<DeploymentId, Deployment>(commit.Before.Deployments);
        foreach (var change in commit.Changes)
        {
            if (change is ClusterChange.PutDeployment(var begun) && deployments.Becomes(begun.Id, begun) is null) _started.Add(1);
            if (change is not ClusterChange.RemoveDeployment(var id) || deployments.Becomes(id, null) is not { } ended) continue;
            var outcome = new KeyValuePair<string, object?>("outcome", Outcome(commit.Events.FirstOrDefault(e => e.Deployment == id && e.Kind is "deployment.done" or "deployment.failed" or "deployment.cancelled")?.Kind));
            _ended.Add(1, outcome);
            _seconds.Record((commit.At - ended.StartedAt).TotalSeconds, outcome);
        }
    }

    private static string Outcome(string? kind) => kind is null ? "cancelled" : kind["deployment.".Length..];
}
