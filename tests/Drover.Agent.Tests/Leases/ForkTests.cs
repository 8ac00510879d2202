using Drover.Agent.Leases;
using Drover.Agent.Tests.Reconcile;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static Drover.Agent.Tests.Reconcile.NodeRig;

namespace Drover.Agent.Tests.Leases;

public sealed class ForkTests
{
    private static readonly VolumeName Data = new("data");

    private static DesiredVolume Fork(long epoch, long of) => new() { Name = "data", Role = VolumeRole.Standby, Epoch = epoch, ForkEpoch = of };

    private static async Task<NodeRig> OldPrimary()
    {
        var rig = new NodeRig();
        await rig.Start();
        rig.Order(1, Instance(epoch: 1), Primary(1, empty: true));
        await rig.Told.Instance(Task(1), InstanceCondition.Running);
        return rig;
    }

    [Fact]
    public async Task A_node_that_lost_its_volume_keeps_what_it_wrote_as_a_snapshot_and_stops_its_container_first()
    {
        await using var rig = await OldPrimary();
        using var keeper = new ForkKeeper(rig.Orders, rig.Book, rig.Volumes, rig.Locks, rig.Told, NullLogger<ForkKeeper>.Instance);
        await keeper.StartAsync(default);
        rig.Order(2, null, Fork(2, of: 1));
        var told = await rig.Told.Until(m => m.Volume is { } v && v.Snapshots.Any(s => s.Name == "fork-e1"));
        Assert.Equal((VolumeRole.Standby, false), (told.Volume.Role, told.Volume.Ready));
        Assert.Empty(rig.Docker.Running);
        var replica = (await rig.Volumes.Inspect(Data, default))!;
        Assert.Equal((false, false, 2L), (replica.HasLive, replica.Mounted, replica.Known.Value));
        // The old epoch is over here.
        Assert.Equal(VolumeOutcomeKind.Stale, (await rig.Volumes.Mount(Data, new(1), default)).Kind);
        await keeper.StopAsync(default);
    }

    [Fact]
    public async Task Nothing_is_kept_while_a_container_still_writes_and_what_is_kept_already_is_only_told()
    {
        await using var rig = await OldPrimary();
        using var keeper = new ForkKeeper(rig.Orders, rig.Book, rig.Volumes, rig.Locks, rig.Told, NullLogger<ForkKeeper>.Instance);
        Assert.Contains("still runs", await keeper.Keep(Fork(2, of: 1), default), StringComparison.Ordinal);
        Assert.True((await rig.Volumes.Inspect(Data, default))!.HasLive);
        rig.Docker.End(new(Task(1)), 0);
        Assert.Null(await keeper.Keep(Fork(2, of: 1), default));
        Assert.Null(await keeper.Keep(Fork(2, of: 1), default));
        Assert.Equal("fork-e1", Assert.Single((await rig.Volumes.Inspect(Data, default))!.Snapshots).Name.Value);
    }

    [Fact]
    public async Task Live_data_of_another_epoch_than_the_one_meant_is_left_alone()
    {
        await using var rig = await OldPrimary();
        rig.Docker.End(new(Task(1)), 0);
        using var keeper = new ForkKeeper(rig.Orders, rig.Book, rig.Volumes, rig.Locks, rig.Told, NullLogger<ForkKeeper>.Instance);
        Assert.Null(await keeper.Keep(Fork(9, of: 8), default));
        Assert.True(await rig.Volumes.Inspect(Data, default) is { HasLive: true, Epoch.Value: 1, Snapshots.Count: 0 });
    }
}
