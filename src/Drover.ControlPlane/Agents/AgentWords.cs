using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.Volumes;
using Wire = Drover.Contracts.Agent;

namespace Drover.ControlPlane.Agents;

/// <summary>What agents say, in the domain's words. Absent on the wire (empty, zero) becomes null where the domain tells the difference.</summary>
public static class AgentWords
{
    public static Node Node(Hello hello, Node? known, TimeSpan lease, DateTimeOffset now) => new(
        new NodeId(hello.Node), hello.Hostname.Length == 0 ? hello.Node : hello.Hostname, hello.Address, hello.TransferPort,
        hello.Attributes.OrderBy(a => a.Key, StringComparer.Ordinal).Select(a => new NodeAttribute(a.Key, a.Value)).ToEquatableList(),
        new Resources(hello.Cpus, hello.MemoryMib, hello.DiskMib, 0, hello.Ports.Select(p => new Core.Nodes.PortRange(p.Begin, p.End)).ToEquatableList()),
        hello.VolumeDriver, hello.AgentVersion, known?.Cordoned ?? false, known?.RegisteredAt ?? now, now) { Seat = hello.Seat, Lease = lease, Drain = known?.Drain, TransferLimit = known?.TransferLimit };

    public static InstanceObservation Instance(InstanceObserved seen) => new(
        new InstanceId(seen.InstanceId), new TaskId(seen.TaskId), new AppId(seen.AppId), Condition(seen.Condition), Text(seen.ContainerId), Text(seen.Message),
        seen.Condition is Wire.InstanceCondition.Stopped or Wire.InstanceCondition.Failed ? seen.ExitCode : null,
        seen.Health.Select(Health).ToEquatableList(), seen.Health.Any(h => h.Kill), Moment(seen.StartedAtUnixMs), Moment(seen.FinishedAtUnixMs),
        seen.Start is { } start
            ? new Core.Apps.StartTimings(TimeSpan.FromMicroseconds(start.PromoteUs), TimeSpan.FromMicroseconds(start.MountUs), TimeSpan.FromMicroseconds(start.StartUs), TimeSpan.FromMicroseconds(start.FirstAnswerUs))
            : null) { Readiness = seen.Readiness.Select(Readiness).ToEquatableList() };

    public static ReplicaObservation Replica(VolumeObserved seen) => new(
        new VolumeName(seen.Name), seen.Role == VolumeRole.Primary, new Epoch(seen.Epoch), seen.Ready, new ByteCount(seen.UsedBytes),
        seen.Snapshots.Select(s => new SnapshotView(new SnapshotName(s.Name), s.Identity, new ByteCount(s.Bytes))).ToEquatableList());

    private static ReadinessResult Readiness(ReadinessObserved seen) => new(seen.Name, seen.Ready, seen.Status == 0 ? null : new ReadinessAnswer(seen.Status, seen.ContentType, seen.Body));

    private static HealthResult? Health(HealthObserved seen) => !seen.Known ? null : new HealthResult(
        seen.Alive, seen.ConsecutiveFailures, Moment(seen.FirstSuccessUnixMs), Moment(seen.LastSuccessUnixMs), Moment(seen.LastFailureUnixMs), Text(seen.LastFailureCause));

    private static Core.Agents.InstanceCondition Condition(Wire.InstanceCondition condition) => condition switch
    {
        Wire.InstanceCondition.Pulling => Core.Agents.InstanceCondition.Pulling,
        Wire.InstanceCondition.Creating => Core.Agents.InstanceCondition.Creating,
        Wire.InstanceCondition.Created => Core.Agents.InstanceCondition.Created,
        Wire.InstanceCondition.Starting => Core.Agents.InstanceCondition.Starting,
        Wire.InstanceCondition.Running => Core.Agents.InstanceCondition.Running,
        Wire.InstanceCondition.Stopping => Core.Agents.InstanceCondition.Stopping,
        Wire.InstanceCondition.Stopped => Core.Agents.InstanceCondition.Stopped,
        Wire.InstanceCondition.Failed => Core.Agents.InstanceCondition.Failed,
        Wire.InstanceCondition.Gone => Core.Agents.InstanceCondition.Gone,
        // A condition of a newer agent: it is known to exist, nothing more.
        _ => Core.Agents.InstanceCondition.Waiting,
    };

    private static DateTimeOffset? Moment(long unixMs) => unixMs == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(unixMs);

    private static string? Text(string text) => text.Length == 0 ? null : text;
}
