using System.Diagnostics.Metrics;
using Drover.ControlPlane.Events;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Observability;

/// <summary>What the cluster is like at the moment it is asked: counted from its state then, so that no change pays for it.</summary>
public sealed class ClusterMeter : IDisposable
{
    public const string Name = "Drover.ControlPlane.Cluster";

    public ClusterMeter(ICluster cluster, EventRing ring)
    {
        Meter = new(Name);
        Meter.CreateObservableGauge("drover.nodes", () => Counted("connected", cluster.Current.Nodes.Keys, node => cluster.Current.IsConnected(node) ? "true" : "false"), "{node}", "Nodes, by whether their agent is connected");
        Meter.CreateObservableGauge("drover.apps", () => cluster.Current.Apps.Count, "{app}", "Apps");
        Meter.CreateObservableGauge("drover.instances", () => Counted("state", cluster.Current.Instances.Values, i => i.State.ToString()), "{instance}", "Copies of apps, by state");
        Meter.CreateObservableGauge("drover.queue", () => Counted("reason", Queue(cluster.Current), i => Waits.Stored(i).ToString()), "{instance}", "Copies that wait for a place, by what for");
        Meter.CreateObservableGauge("drover.deployments", () => Counted("waiting", cluster.Current.Deployments.Values, d => d.WaitsFor is null ? "false" : "true"), "{deployment}", "Deployments under way, by whether they wait");
        Meter.CreateObservableGauge("drover.moves.open", () => Counted("state", cluster.Current.OpenMoves, m => m.State.ToString()), "{move}", "Moves under way, by state");
        Meter.CreateObservableGauge("drover.volumes", () => cluster.Current.Volumes.Count, "{volume}", "Volumes");
        Meter.CreateObservableGauge("drover.events.listeners", () => ring.Listeners, "{listener}", "Listeners to events, with those that are posted to");
        Meter.CreateObservableGauge("drover.process.memory", () => Environment.WorkingSet, "By", "Memory of the control plane");
    }

    public Meter Meter { get; }

    public void Dispose() => Meter.Dispose();

    private static IEnumerable<Instance> Queue(ClusterState state) => state.Instances.Values.Where(i => i is { Node: null, Goal: InstanceGoal.Running });

    private static IEnumerable<Measurement<long>> Counted<T>(string tag, IEnumerable<T> things, Func<T, string> value) =>
        things.GroupBy(value).Select(g => new Measurement<long>(g.LongCount(), new KeyValuePair<string, object?>(tag, g.Key)));
}
