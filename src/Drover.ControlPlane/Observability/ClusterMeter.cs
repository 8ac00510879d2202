using System.Diagnostics.Metrics;
using Drover.Contracts.Metrics;
using Drover.ControlPlane.Events;
using Drover.Core.State;

namespace Drover.ControlPlane.Observability;

/// <summary>What the cluster is like at the moment it is asked: counted from its state then, so that no change pays for it.</summary>
public sealed class ClusterMeter
{
    public ClusterMeter(MetricBook book, ICluster cluster, EventRing ring, ControlPlaneOptions? options = null)
    {
        var slice = book.Slice("Drover.ControlPlane.Cluster");
        slice.Gauge("drover_nodes", "Nodes, by whether their agent is connected: `true`, `false`.", () => Counted("connected", cluster.Current.Nodes.Keys, node => cluster.Current.IsConnected(node) ? "true" : "false", "true", "false"), "connected");
        slice.Gauge("drover_nodes_cordoned", "Nodes that get nothing new.", () => cluster.Current.Nodes.Values.Count(n => n.Cordoned));
        slice.Gauge("drover_apps", "Apps.", () => cluster.Current.Apps.Count);
        slice.Gauge("drover_instances", "Copies of apps, by state.", () => cluster.Current.Instances.Values.CountBy(i => i.State).Select(c => MetricSlice.Of(c.Value, "state", Word(c.Key))), "state");
        slice.Gauge("drover_event_listeners", "Listeners to events, with those that are posted to.", () => ring.Listeners);
        slice.Gauge("drover_pool_fullest_ratio", "Used share, 0 to 1, of the fullest pool of a connected node.", () => Pools(cluster.Current).Select(p => 1 - (double)p.PoolFree.Bytes / p.PoolTotal.Bytes).DefaultIfEmpty().Max());
        slice.Gauge("drover_pools_bytes", "Size of the pools of connected nodes together.", () => Pools(cluster.Current).Sum(p => (double)p.PoolTotal.Bytes));
        slice.Gauge("drover_pools_free_bytes", "Free room of these pools together.", () => Pools(cluster.Current).Sum(p => (double)p.PoolFree.Bytes));
        slice.Gauge("drover_agent_memory_largest_bytes", "Memory of the largest agent that is connected, as agents say it.", () => cluster.Current.Presence.Values.Where(p => p.Connected).Select(p => (double)p.AgentMemory.Bytes).DefaultIfEmpty().Max());
        if (options is { Data.Length: > 0 }) slice.Gauge("drover_store_bytes", "Size of the store's files.", () => Sizes(options.Data));
    }

    /// <param name="always">Values that are said also where nothing has them.</param>
    internal static IEnumerable<Measurement<double>> Counted<T>(string label, IEnumerable<T> things, Func<T, string> value, params string[] always)
    {
        var counts = things.CountBy(value).ToDictionary();
        return always.Where(v => !counts.ContainsKey(v)).Select(v => MetricSlice.Of(0, label, v)).Concat(counts.Select(c => MetricSlice.Of(c.Value, label, c.Key)));
    }

    internal static string Word<T>(T state) where T : struct, Enum => state.ToString().ToLowerInvariant();

    private static IEnumerable<Core.Nodes.NodePresence> Pools(ClusterState state) => state.Presence.Values.Where(p => p.Connected && p.PoolTotal.Bytes > 0);

    private static double Sizes(string folder)
    {
        try { return new DirectoryInfo(folder).EnumerateFiles("drover.db*").Sum(f => f.Length); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return 0; }
    }
}
