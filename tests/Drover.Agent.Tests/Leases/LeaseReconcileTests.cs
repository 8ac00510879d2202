using Drover.Agent.Guard;
using Drover.Agent.Leases;
using Drover.Agent.Tests.Reconcile;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Contracts.Metrics;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Metrics;
using Drover.Testing.Volumes;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static Drover.Agent.Tests.Reconcile.NodeRig;

namespace Drover.Agent.Tests.Leases;

public sealed class LeaseReconcileTests : IDisposable
{
    private static readonly VolumeName Data = new("data");
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Without_a_lease_a_container_with_a_volume_is_made_but_not_started_and_starts_as_soon_as_there_is_one()
    {
        await using var rig = new NodeRig();
        rig.Right.Refuse("no lease of this node");
        await rig.Start();
        rig.Order(1, Instance(epoch: 1), Primary(1, empty: true));
        var waits = await rig.Told.Until(m => m.Instance is { Message: not "" });
        Assert.Contains("no lease", waits.Instance.Message, StringComparison.Ordinal);
        Assert.Empty(rig.Docker.Running);
        Assert.False((await rig.Volumes.Inspect(Data, default))?.Mounted);
        rig.Right.Allow();
        await rig.Told.Instance(Task(1), InstanceCondition.Running);
        // The guard knew of the container before it ran.
        Assert.Contains(rig.Right.Claims, c => c.Volumes == "data=1" && c.Container.Length > 0);
    }

    [Fact]
    public async Task Without_a_lease_a_container_without_volumes_runs()
    {
        await using var rig = new NodeRig();
        rig.Right.Refuse("no lease of this node");
        await rig.Start();
        rig.Order(1, Instance());
        await rig.Told.Instance(Task(1), InstanceCondition.Running);
    }

    [Fact]
    public async Task A_disk_put_back_to_an_older_epoch_is_never_mounted()
    {
        await using var rig = new NodeRig();
        await rig.Volumes.CreateEmpty(Data, new(3), default);
        await rig.Start();
        rig.Order(1, Instance(epoch: 5), Primary(5, from: "m1-f"));
        var waits = await rig.Told.Until(m => m.Instance is { Message: not "" });
        Assert.Contains("snapshot m1-f) is not complete on this node", waits.Instance.Message, StringComparison.Ordinal);
        Assert.Empty(rig.Docker.Running);
        Assert.True(await rig.Volumes.Inspect(Data, default) is { Mounted: false, HasLive: true, Epoch.Value: 3 });
    }

    [Fact]
    public async Task When_the_lease_runs_out_writers_are_stopped_and_sealed_and_others_go_on_and_a_new_lease_unseals()
    {
        await using var rig = new NodeRig();
        await rig.Start();
        var other = Instance();
        (other.InstanceId, other.TaskId) = ("web.instance-1", new InstanceId("web.instance-1").Task(1).Value);
        var both = new Desired { Generation = 1 };
        both.Instances.Add([Instance(epoch: 1), other]);
        both.Volumes.Add(Primary(1, empty: true));
        rig.Orders.Replace(both);
        await rig.Told.Instance(Task(1), InstanceCondition.Running);
        await rig.Told.Instance(other.TaskId, InstanceCondition.Running);

        var clock = new LeaseClock();
        using var book = new MetricBook(TimeProvider.System);
        var meters = new LeaseMeters(book);
        var lease = new NodeLease(new GuardFile(_folder.Path), new LeaseGuard(), clock, rig.Volumes, new EagerTime(), meters);
        meters.Watch(lease);
        using var keeper = new LeaseKeeper(lease, rig.Book, rig.Reconciler, rig.Docker, rig.Volumes, rig.Locks, rig.Time, NullLogger<LeaseKeeper>.Instance, meters);
        await lease.Take(new LeaseGrant { AskedAtUs = lease.Ask().AskedAtUs, LengthMs = 60_000 }, default);
        clock.Seconds = 149;
        await keeper.Look(default);
        Assert.Equal((1, 0, 11), (book.Value("drover_agent_lease_grants_total", "granted"), book.Value("drover_agent_leases_lost_total"), book.Value("drover_agent_lease_remaining_seconds")));
        Assert.Equal(2, rig.Docker.Running.Count);

        rig.Right.Refuse("the lease ran out");
        clock.Seconds = 150;
        await keeper.Look(default);
        await keeper.Look(default);
        Assert.Equal(1, book.Value("drover_agent_leases_lost_total"));
        Assert.Equal([new TaskId(other.TaskId)], rig.Docker.Running);
        Assert.True(await rig.Volumes.Inspect(Data, default) is { Sealed: true });
        var ended = await rig.Told.Instance(Task(1), InstanceCondition.Stopped);
        Assert.Contains("time of its lease", ended.Message, StringComparison.Ordinal);

        rig.Right.Allow();
        rig.Order(2, Instance(2, epoch: 1), Primary(1));
        await rig.Told.Instance(Task(2), InstanceCondition.Running);
        Assert.True(await rig.Volumes.Inspect(Data, default) is { Sealed: false, Mounted: true });
    }

    [Fact]
    public async Task A_node_that_never_had_a_lease_has_lost_none()
    {
        await using var rig = new NodeRig();
        await rig.Start();
        using var book = new MetricBook(TimeProvider.System);
        var lease = new NodeLease(new GuardFile(_folder.Path), new LeaseGuard(), new LeaseClock(), rig.Volumes, new EagerTime());
        using var keeper = new LeaseKeeper(lease, rig.Book, rig.Reconciler, rig.Docker, rig.Volumes, rig.Locks, rig.Time, NullLogger<LeaseKeeper>.Instance, new LeaseMeters(book));
        await keeper.Look(default);
        Assert.Equal(0, book.Value("drover_agent_leases_lost_total"));
    }
}
