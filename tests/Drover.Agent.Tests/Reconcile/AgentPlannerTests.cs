using System.Collections.Immutable;
using Drover.Agent.Containers;
using Drover.Agent.Reconcile;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Volumes;
using Xunit;

namespace Drover.Agent.Tests.Reconcile;

public sealed class AgentPlannerTests
{
    private const string Task1 = "db.instance-1._app.1";
    private const string Task2 = "db.instance-1._app.2";
    private static readonly VolumeName Data = new("data");

    private static DesiredInstance Wanted(InstanceWish wish = InstanceWish.Run, string task = Task1, long epoch = 3) => new()
    {
        InstanceId = "db.instance-1", TaskId = task, AppId = "/db", Incarnation = 1, Wish = wish, StopGraceMs = 3000, Container = new ContainerSpec { Image = "app" },
        Volumes = { new InstanceVolume { Name = "data", Epoch = epoch, ContainerPath = "/data" } },
    };

    private static ContainerView Container(ContainerState state, string task = Task1, string epochs = "data=3") => new(
        new(task), new("db.instance-1"), new("/db"), "c1", state, state == ContainerState.Exited ? 1 : null, null, null, null, null,
        new Dictionary<string, string> { [ContainerLabels.Epochs] = epochs, [ContainerLabels.Grace] = "7000" }, false);

    private static DesiredVolume Primary(long epoch = 3, string from = "", bool empty = false, bool isSealed = false) =>
        new() { Name = "data", Role = VolumeRole.Primary, Epoch = epoch, Base = from, CreateEmpty = empty, Sealed = isSealed };

    private static ReplicaView Replica(long epoch, bool live = true, bool isSealed = false, bool mounted = true, params string[] snapshots) => new(
        Data, new(epoch), live, isSealed, mounted, "/flocker/data", ByteCount.Zero, [.. snapshots.Select(s => new SnapshotView(new(s), s, ByteCount.Zero))], null);

    private static InstanceSight Sight(DesiredInstance? wanted, DesiredVolume? volume, ReplicaView? replica, params ContainerView[] containers) => new(
        wanted, [.. containers],
        volume is null ? ImmutableDictionary<VolumeName, DesiredVolume>.Empty : ImmutableDictionary<VolumeName, DesiredVolume>.Empty.Add(Data, volume),
        replica is null ? ImmutableDictionary<VolumeName, ReplicaView>.Empty : ImmutableDictionary<VolumeName, ReplicaView>.Empty.Add(Data, replica),
        ImmutableDictionary<VolumeName, TaskId>.Empty, false, false);

    private static string Plan(InstanceSight sight) => string.Join("; ", AgentPlanner.Plan(sight).Select(Word));

    private static string Word(AgentStep step) => step switch
    {
        AgentStep.Stop s => $"stop {s.Task.Value[^1]} {s.Grace.TotalSeconds}s",
        AgentStep.Remove s => $"remove {s.Task.Value[^1]}",
        AgentStep.Unmount s => $"unmount {s.Volume}",
        AgentStep.Pull => "pull",
        AgentStep.Create => "create",
        AgentStep.MakeEmpty s => $"empty {s.Volume}@{s.Epoch}",
        AgentStep.Promote s => $"promote {s.Volume}@{s.Epoch} from {s.From}",
        AgentStep.Limit s => $"limit {s.Volume}@{s.Epoch} to {s.Size?.Bytes.ToString() ?? "none"}",
        AgentStep.Unseal s => $"unseal {s.Volume}@{s.Epoch}",
        AgentStep.Mount s => $"mount {s.Volume}@{s.Epoch}",
        AgentStep.Start s => $"start {s.Task.Value[^1]}",
        AgentStep.Wait => "wait",
        _ => "?",
    };

    [Fact]
    public void A_first_placement_makes_the_container_before_the_volume_so_that_the_image_can_be_asked_for_its_owner() =>
        Assert.Equal("pull; create; empty data@3; mount data@3; start 1", Plan(Sight(Wanted(), Primary(empty: true), null)));

    [Fact]
    public void After_a_cutover_the_prepared_container_starts_on_the_promoted_base() =>
        Assert.Equal("promote data@3 from m1-final; mount data@3; start 1",
            Plan(Sight(Wanted(), Primary(from: "m1-final"), Replica(0, live: false, mounted: false, snapshots: "m1-final"), Container(ContainerState.Created))));

    private static DesiredVolume Sized(DesiredVolume order, long bytes)
    {
        order.SizeBytes = bytes;
        return order;
    }

    [Fact]
    public void New_live_data_is_limited_to_the_volume_s_size_before_it_is_mounted()
    {
        InstanceSight At(DesiredVolume order, ReplicaView? replica) => Sight(Wanted(), order, replica, Container(ContainerState.Created)) with { LimitsSizes = true };
        Assert.Equal("promote data@3 from f; limit data@3 to 77; mount data@3; start 1", Plan(At(Sized(Primary(from: "f"), 77), Replica(0, live: false, mounted: false, snapshots: "f"))));
        Assert.Equal("empty data@3; limit data@3 to 77; mount data@3; start 1", Plan(At(Sized(Primary(empty: true), 77), null)));
        // Cut short between the two: the data is there, its limit is not.
        Assert.Equal("limit data@3 to 77; mount data@3; start 1", Plan(At(Sized(Primary(), 77), Replica(3, mounted: false))));
        Assert.Equal("unseal data@3; limit data@3 to 77; mount data@3; start 1", Plan(At(Sized(Primary(), 77), Replica(3, isSealed: true, mounted: false))));
        Assert.Equal("limit data@3 to none; start 1", Plan(At(Sized(Primary(), 0), Replica(3) with { Limit = new(5) })));
        Assert.Equal("start 1", Plan(At(Sized(Primary(), 77), Replica(3) with { Limit = new(77) })));
    }

    [Fact]
    public void A_limit_is_left_alone_where_control_does_not_speak_of_sizes_or_the_driver_cannot()
    {
        var promotes = "promote data@3 from f; mount data@3; start 1";
        InstanceSight At(DesiredVolume order) => Sight(Wanted(), order, Replica(0, live: false, mounted: false, snapshots: "f"), Container(ContainerState.Created));
        Assert.Equal(promotes, Plan(At(Sized(Primary(from: "f"), 77))));
        Assert.Equal(promotes, Plan(At(Primary(from: "f")) with { LimitsSizes = true }));
        Assert.Equal("start 1", Plan(Sight(Wanted(), Primary(), Replica(3) with { Limit = new(5) }, Container(ContainerState.Created)) with { LimitsSizes = true }));
    }

    [Fact]
    public void A_restart_finds_its_data_mounted() => Assert.Equal("pull; create; start 1", Plan(Sight(Wanted(), Primary(empty: true), Replica(3))));

    [Fact]
    public void Sealed_data_of_an_undone_move_is_unsealed_and_mounted() =>
        Assert.Equal("unseal data@3; mount data@3; start 1", Plan(Sight(Wanted(), Primary(), Replica(3, isSealed: true, mounted: false), Container(ContainerState.Created))));

    public static TheoryData<string, DesiredVolume?, ReplicaView?> NotToBeStarted => new()
    {
        { "control has not said", null, Replica(3) },
        { "standby", new DesiredVolume { Name = "data", Role = VolumeRole.Standby, Epoch = 3 }, Replica(3) },
        { "cutting over", Primary(isSealed: true), Replica(3) },
        { "epoch 4", Primary(epoch: 4), Replica(3) },
        { "never made empty again", Primary(), null },
        { "never made empty again", Primary(from: "m1-final", empty: false), null },
        { "never made empty again", Primary(from: "m1-final"), Replica(0, live: false, mounted: false, snapshots: "m1-r1") },
        { "this node knows 5", Primary(), Replica(5) },
        { "never made empty again", Primary(), Replica(2) },
        { "strange", Primary(), Replica(3) with { ForeignTrace = "strange" } },
    };

    [Theory, MemberData(nameof(NotToBeStarted))]
    public void Data_that_is_not_as_ordered_is_waited_for_and_never_replaced(string word, DesiredVolume? order, ReplicaView? here)
    {
        var plan = AgentPlanner.Plan(Sight(Wanted(), order, here, Container(ContainerState.Created)));
        Assert.Contains(word, Assert.IsType<AgentStep.Wait>(Assert.Single(plan)).For, StringComparison.Ordinal);
    }

    [Fact]
    public void A_volume_that_another_container_runs_with_is_waited_for()
    {
        var sight = Sight(Wanted(), Primary(), Replica(3), Container(ContainerState.Created)) with { Users = ImmutableDictionary<VolumeName, TaskId>.Empty.Add(Data, new("other._app.1")) };
        Assert.Contains("other._app.1", Assert.IsType<AgentStep.Wait>(Assert.Single(AgentPlanner.Plan(sight))).For, StringComparison.Ordinal);
    }

    [Fact]
    public void A_running_container_is_left_alone() => Assert.Equal("", Plan(Sight(Wanted(), Primary(), Replica(3), Container(ContainerState.Running))));

    [Fact]
    public void One_that_ended_is_not_started_again() => Assert.Equal("", Plan(Sight(Wanted(), Primary(), Replica(3), Container(ContainerState.Exited))));

    [Fact]
    public void A_task_that_failed_here_is_not_tried_again() => Assert.Equal("", Plan(Sight(Wanted(), Primary(), Replica(3)) with { Spent = true }));

    [Fact]
    public void A_new_task_takes_the_place_of_the_old() =>
        Assert.Equal("stop 1 7s; remove 1; pull; create; start 2", Plan(Sight(Wanted(task: Task2), Primary(), Replica(3), Container(ContainerState.Running))));

    [Fact]
    public void A_running_container_of_another_epoch_is_stopped() =>
        Assert.Equal("stop 1 3s", Plan(Sight(Wanted(), Primary(), Replica(3), Container(ContainerState.Running, epochs: "data=2"))));

    [Fact]
    public void A_prepared_container_of_another_epoch_is_made_anew() =>
        Assert.Equal("remove 1; pull; create; start 1", Plan(Sight(Wanted(), Primary(), Replica(3), Container(ContainerState.Created, epochs: "data=2"))));

    [Fact]
    public void A_health_check_at_its_limit_stops_it() => Assert.Equal("stop 1 3s", Plan(Sight(Wanted(), Primary(), Replica(3), Container(ContainerState.Running)) with { Kill = true }));

    [Theory]
    [InlineData(ContainerState.Running)]
    [InlineData(ContainerState.Exited)]
    [InlineData(ContainerState.Created)]
    public void What_a_move_holds_is_not_touched(ContainerState state) => Assert.Equal("", Plan(Sight(Wanted(InstanceWish.Hold), Primary(isSealed: true), Replica(3, isSealed: true), Container(state))));

    [Fact]
    public void What_is_not_wanted_is_stopped_with_its_own_grace_removed_and_unmounted()
    {
        Assert.Equal("stop 1 7s; remove 1; unmount data", Plan(Sight(null, null, Replica(3), Container(ContainerState.Running))));
        Assert.Equal("remove 1; unmount data", Plan(Sight(Wanted(InstanceWish.Remove), Primary(), Replica(3), Container(ContainerState.Exited))));
        Assert.Equal("unmount data", Plan(Sight(Wanted(InstanceWish.Remove), Primary(), Replica(3))));
        Assert.Equal("", Plan(Sight(Wanted(InstanceWish.Remove), Primary(), Replica(3, mounted: false))));
    }

    [Fact]
    public void A_volume_that_somebody_else_runs_with_stays_mounted()
    {
        var sight = Sight(null, null, Replica(3), Container(ContainerState.Exited)) with { Users = ImmutableDictionary<VolumeName, TaskId>.Empty.Add(Data, new("other._app.1")) };
        Assert.Equal("remove 1", Plan(sight));
    }

    public static TheoryData<string, DesiredVolume?, ReplicaView?, string> Refusals => new()
    {
        { "may not write", null, Replica(3), "data=3" },
        { "may not write", Primary(isSealed: true), Replica(3), "data=3" },
        { "may not write", Primary(epoch: 4), Replica(3), "data=3" },
        { "no live data", Primary(), null, "data=3" },
        { "no live data", Primary(), Replica(3, live: false), "data=3" },
        { "is at epoch 2", Primary(), Replica(2), "data=3" },
        { "is sealed", Primary(), Replica(3, isSealed: true), "data=3" },
        { "is not mounted", Primary(), Replica(3, mounted: false), "data=3" },
        { "of epochs [data=2]", Primary(), Replica(3), "data=2" },
    };

    [Theory, MemberData(nameof(Refusals))]
    public void The_epoch_check_refuses_and_says_why(string word, DesiredVolume? order, ReplicaView? here, string label)
    {
        var orders = order is null ? [] : new Dictionary<VolumeName, DesiredVolume> { [Data] = order };
        var replicas = here is null ? [] : new Dictionary<VolumeName, ReplicaView> { [Data] = here };
        Assert.Contains(word, EpochCheck.Refusal(Wanted(), Container(ContainerState.Created, epochs: label), orders, replicas), StringComparison.Ordinal);
        Assert.Null(EpochCheck.Refusal(Wanted(), Container(ContainerState.Created), new Dictionary<VolumeName, DesiredVolume> { [Data] = Primary() }, new Dictionary<VolumeName, ReplicaView> { [Data] = Replica(3) }));
    }
}
