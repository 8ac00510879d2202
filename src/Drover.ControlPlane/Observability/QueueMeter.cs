using System.Diagnostics.Metrics;
using Drover.Contracts.Metrics;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Observability;

/// <summary>Copies that wait for a place: how many, for what, since when; and those that got one.</summary>
public sealed class QueueMeter : ICommitMeter
{
    private readonly Lock _lock = new();
    private readonly Dictionary<InstanceId, DateTimeOffset> _since = [];
    private readonly ICluster _cluster;
    private readonly TimeProvider _time;
    private readonly Counter<long> _placements;

    public QueueMeter(MetricBook book, ICluster cluster, TimeProvider time)
    {
        (_cluster, _time) = (cluster, time);
        Begin(cluster.Current, time.GetUtcNow());
        var slice = book.Slice("Drover.ControlPlane.Queue");
        _placements = slice.Counter("drover_placements_total", "Copies that got a node, stored durably.");
        slice.Gauge("drover_queue", "Copies that wait for a node, by what they wait for.", () => Waiting().GroupBy(w => w.Reason).Select(g => MetricSlice.Of(g.Count(), "reason", g.Key)), "reason");
        slice.Gauge("drover_queue_oldest_seconds", "For how long the one that waits longest has been waiting, at most since the control plane's start, by what for.",
            () => Waiting().GroupBy(w => w.Reason).Select(g => MetricSlice.Of(g.Max(w => w.Seconds), "reason", g.Key)), "reason");
    }

    public void Seen(Committed commit)
    {
        lock (_lock)
        {
            // Read anew from the store: what changed is not said.
            if (commit.Missed)
            {
                var known = new Dictionary<InstanceId, DateTimeOffset>(_since);
                _since.Clear();
                Begin(commit.After, commit.At);
                foreach (var id in _since.Keys.ToList()) if (known.TryGetValue(id, out var since)) _since[id] = since;
                return;
            }
            var copies = new Followed<InstanceId, Instance>(commit.Before.Instances);
            foreach (var change in commit.Changes)
            {
                if (change is ClusterChange.PutInstance(var copy)) Put(copies.Becomes(copy.Id, copy), copy, commit.At);
                if (change is not ClusterChange.RemoveInstance(var gone)) continue;
                copies.Becomes(gone, null);
                _since.Remove(gone);
            }
        }
    }

    private void Put(Instance? before, Instance copy, DateTimeOffset at)
    {
        if (Waits(copy))
        {
            _since.TryAdd(copy.Id, at);
            return;
        }
        _since.Remove(copy.Id);
        if (copy.Node is not null && before?.Node is null) _placements.Add(1);
    }

    private void Begin(ClusterState state, DateTimeOffset now)
    {
        foreach (var copy in state.Instances.Values.Where(Waits)) _since[copy.Id] = now;
    }

    private static bool Waits(Instance copy) => copy is { Node: null, Goal: InstanceGoal.Running };

    private List<(string Reason, double Seconds)> Waiting()
    {
        var (state, now) = (_cluster.Current, _time.GetUtcNow());
        lock (_lock)
        {
            return [.. _since.Where(w => state.Instances.ContainsKey(w.Key))
                .Select(w => (ClusterMeter.Word(Core.Apps.Waits.Stored(state.Instances[w.Key])), Math.Max(0, (now - w.Value).TotalSeconds)))];
        }
    }
}
