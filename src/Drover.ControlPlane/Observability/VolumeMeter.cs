using System.Diagnostics.Metrics;
using Drover.Contracts.Metrics;
using Drover.Core;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Observability;

/// <summary>Volumes, their replicas, and the work on them.</summary>
public sealed class VolumeMeter : ICommitMeter
{
    private readonly Counter<long> _operations;

    public VolumeMeter(MetricBook book, ICluster cluster)
    {
        var slice = book.Slice("Drover.ControlPlane.Volumes");
        _operations = slice.Counter("drover_volume_operations_total", "Work on volumes that ended; verb: what it was; outcome: `done`, `failed`.", "verb", "outcome");
        slice.Gauge("drover_volume_operations_open", "Work on volumes under way.", () => cluster.Current.OpenOperations.Count());
        slice.Gauge("drover_volumes", "Volumes; state: `ready`, `new` before its first placement, `lost` where its data is on no node, `deleted` until it is purged.",
            () => ClusterMeter.Counted("state", cluster.Current.Volumes.Values, State, "ready", "lost"), "state");
        slice.Gauge("drover_volume_used_bytes", "Bytes that volumes' primaries refer to, together.", () => cluster.Current.Volumes.Values.Sum(v => (double)v.Used.Bytes));
        slice.Gauge("drover_replicas", "Presences of volumes on nodes; role: `primary`, `standby`, `fork` where a lost node wrote what nobody else has.", () => Replicas(cluster.Current), "role");
    }

    public void Seen(Committed commit)
    {
        var operations = new Followed<OperationId, VolumeOperation>(commit.Before.Operations);
        foreach (var change in commit.Changes)
        {
            if (change is not ClusterChange.PutOperation(var operation) || operations.Becomes(operation.Id, operation) is { Ended: true } || !operation.Ended) continue;
            _operations.Add(1, new("verb", ClusterMeter.Word(operation.Verb)), new("outcome", ClusterMeter.Word(operation.Stage)));
        }
    }

    private static string State(Volume volume) => volume.DeletedAt is not null ? "deleted" : volume.Primary is not null ? "ready" : volume.Initialized || volume.Missing is not null ? "lost" : "new";

    private static IEnumerable<Measurement<double>> Replicas(ClusterState state)
    {
        var (primaries, standbys, forks) = (0, 0, 0);
        foreach (var volume in state.Volumes.Values) (primaries, standbys, forks) = (primaries + (volume.Primary is null ? 0 : 1), standbys + volume.Standbys.Count, forks + volume.Forks.Count);
        return [MetricSlice.Of(primaries, "role", "primary"), MetricSlice.Of(standbys, "role", "standby"), MetricSlice.Of(forks, "role", "fork")];
    }
}
