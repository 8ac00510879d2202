using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.Tests.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Xunit;

namespace Drover.Core.Tests.Volumes;

public sealed class VolumeRequestsTests
{
    private static readonly DateTimeOffset Now = Given.Noon;
    private static readonly VolumeName Data = new("data");
    private static readonly NodeId A = new("a"), B = new("b");
    private static readonly OperationId Id = new("o1");

    private static ClusterState State(Volume? volume = null) => ClusterState.Empty.Apply(
        [.. Machine(A, 5), .. Machine(B, 9), .. volume is null ? (ClusterChange[])[] : [new ClusterChange.PutVolume(volume)]]);

    private static ClusterChange[] Machine(NodeId id, double freeGiB) =>
    [
        new ClusterChange.PutNode(new Node(id, id.Value, "10.0.0.1", 4525, [], new(4, 4096, 10000, 0, []), "btrfs", "1", false, Now, Now)),
        new ClusterChange.PutPresence(new(id, true, Now, ByteCount.GiB(10), ByteCount.GiB(freeGiB), default)),
    ];

    private static Volume Volume => new(Data, A, new(1), true, null, null, Now) { Used = ByteCount.MiB(100) };

    private static VolumeAnswer.Refused Refused(Decision<VolumeAnswer> decision)
    {
        Assert.True(decision.Changes.IsDefaultOrEmpty);
        return Assert.IsType<VolumeAnswer.Refused>(decision.Outcome);
    }

    [Fact]
    public void A_volume_is_made_where_there_is_most_room_or_where_it_is_said()
    {
        Assert.Equal(B, Assert.IsType<VolumeAnswer.Begun>(VolumeRequests.Create(State(), "new", null, null, Id, Now).Outcome).Operation.Node);
        Assert.Equal(A, Assert.IsType<VolumeAnswer.Begun>(VolumeRequests.Create(State(), "new", "a", null, Id, Now).Outcome).Operation.Node);
        Assert.Equal((VolumeFault.Unknown, "node"), (Refused(VolumeRequests.Create(State(), "new", "z", null, Id, Now)).Fault, Refused(VolumeRequests.Create(State(), "new", "z", null, Id, Now)).Field));
    }

    [Theory, InlineData("../etc"), InlineData("a/b"), InlineData(".."), InlineData("."), InlineData("a b"), InlineData(""), InlineData("-x"), InlineData("a\n")]
    public void Names_that_are_none_are_refused(string name)
    {
        Assert.Equal((VolumeFault.Impossible, "name"), (Refused(VolumeRequests.Create(State(), name, null, null, Id, Now)).Fault, Refused(VolumeRequests.Create(State(), name, null, null, Id, Now)).Field));
        Assert.Equal("to", Refused(VolumeRequests.Clone(State(Volume), Data, name, null, Id, Now)).Field);
        Assert.Equal("snapshot", Refused(VolumeRequests.Snapshot(State(Volume), Data, name, SnapshotOrigin.Asked, Id, Now)).Field);
    }

    [Fact]
    public void A_name_of_300_characters_is_refused() => Assert.Equal("name", Refused(VolumeRequests.Create(State(), new('x', 300), null, null, Id, Now)).Field);

    [Theory, InlineData("10GiB", 10L << 30), InlineData("500MB", 500_000_000L), InlineData("1.5 GiB", 3L << 29), InlineData("1048576", 1L << 20), InlineData("1EiB", 1L << 60)]
    public void Sizes_are_read(string text, long bytes)
    {
        Assert.True(ByteSizes.TryParse(text, out var size));
        Assert.Equal(bytes, size.Bytes);
    }

    [Theory, InlineData("-5GiB"), InlineData("0"), InlineData("NaN"), InlineData("1e9"), InlineData("99999999999999999TiB"), InlineData("10XB"), InlineData(""), InlineData("2EiB"), InlineData("1.2.3GiB"), InlineData("Infinity")]
    public void What_is_no_size_is_refused(string text) => Assert.False(ByteSizes.TryParse(text, out _));

    [Fact]
    public void A_volume_in_use_is_not_deleted_and_its_app_is_named()
    {
        var refused = Refused(VolumeRequests.Delete(State(Volume with { Holder = new("/db") }), Data, VolumeRequests.Kept, Now));
        Assert.Equal(VolumeFault.NotNow, refused.Fault);
        Assert.Contains("'/db'", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_deleted_volume_is_not_made_again_and_comes_back()
    {
        var deleted = State().Apply(VolumeRequests.Delete(State(Volume), Data, VolumeRequests.Kept, Now).Changes);
        Assert.Equal(Now.AddDays(7), deleted.Volumes[Data].PurgeAt);
        Assert.Contains("undelete", Refused(VolumeRequests.Create(deleted, "data", null, null, Id, Now)).Remedy, StringComparison.Ordinal);
        var spec = new AppSpec { Id = new("/db"), Container = new ContainerSpec { Image = "db", Volumes = [new VolumeMount(Data, "/data", false, VolumeNaming.HostPath)] } };
        Assert.Contains("undelete", Assert.Single(VolumeClaims.Refusals(deleted, spec)).Message, StringComparison.Ordinal);
        Assert.Equal(VolumeFault.NotNow, Refused(VolumeRequests.Snapshot(deleted, Data, null, SnapshotOrigin.Asked, Id, Now)).Fault);
        Assert.Equal(Volume, deleted.Apply(VolumeRequests.Undelete(deleted, Data).Changes).Volumes[Data]);
    }

    [Fact]
    public void A_purge_wants_the_name_again_and_a_deleted_volume()
    {
        Assert.Equal("confirm", Refused(VolumeRequests.Purge(State(Volume), Data, "dat", Id, Now)).Field);
        Assert.Contains("not deleted", Refused(VolumeRequests.Purge(State(Volume), Data, "data", Id, Now)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_purge_removes_last_is_the_primary()
    {
        var volume = Volume with { DeletedAt = Now, PurgeAt = Now, Standbys = [new(B, new("m1-f"), new(1), Now)], Primary = A };
        var operation = Assert.IsType<VolumeAnswer.Begun>(VolumeRequests.Purge(State(volume), Data, "data", Id, Now).Outcome).Operation;
        Assert.Equal((B, A), (operation.Node, operation.Further[0]));
    }

    [Fact]
    public void A_snapshot_on_another_node_is_no_restore_but_a_clone()
    {
        var state = State(Volume with { Snapshots = [new(new("old"), B, new(1), Now, default, SnapshotOrigin.Asked)] });
        Assert.Contains("'b'", Refused(VolumeRequests.Restore(state, Data, new("old"), Id, Now)).Message, StringComparison.Ordinal);
        Assert.Equal(B, Assert.IsType<VolumeAnswer.Begun>(VolumeRequests.Clone(state, Data, "copy", new("old"), Id, Now).Outcome).Operation.Node);
    }

    [Fact]
    public void A_limit_below_what_it_holds_is_refused() => Assert.Equal("size", Refused(VolumeRequests.Resize(State(Volume), Data, ByteCount.MiB(50), Id, Now)).Field);

    [Fact]
    public void What_needs_a_node_that_is_away_is_refused_and_names_it()
    {
        var state = State(Volume with { Snapshots = [new(new("good"), A, new(1), Now, default, SnapshotOrigin.Asked)] })
            .Apply(new ClusterChange.PutPresence(new(A, false, Now, default, default, default)));
        Assert.All(
        [
            VolumeRequests.Snapshot(state, Data, null, SnapshotOrigin.Asked, Id, Now), VolumeRequests.Drop(state, Data, new("good"), Id, Now), VolumeRequests.Restore(state, Data, new("good"), Id, Now),
            VolumeRequests.Clone(state, Data, "copy", null, Id, Now), VolumeRequests.Clone(state, Data, "copy", new("good"), Id, Now), VolumeRequests.Resize(state, Data, ByteCount.GiB(1), Id, Now),
        ], (Decision<VolumeAnswer> decision) =>
        {
            var refused = Refused(decision);
            Assert.Equal(VolumeFault.NotNow, refused.Fault);
            Assert.Contains("'a'", refused.Message, StringComparison.Ordinal);
            Assert.Contains("bring it back first", refused.Remedy, StringComparison.Ordinal);
        });
    }

    // ---- Upkeep ----

    private static VolumeOperation? Due(ClusterState state, DateTimeOffset now) => VolumeUpkeep.Due(state, StandbyPolicy.Default, Id, now).Outcome;

    [Fact]
    public void A_schedule_takes_a_snapshot_when_due_and_sets_its_next_moment()
    {
        var state = State(Volume with { Schedule = new(TimeSpan.FromHours(1), 2, Now) });
        Assert.Null(Due(State(Volume with { Schedule = new(TimeSpan.FromHours(1), 2, Now.AddSeconds(1)) }), Now));
        var decision = VolumeUpkeep.Due(state, StandbyPolicy.Default, Id, Now);
        Assert.Equal(SnapshotOrigin.Schedule, decision.Outcome!.Origin);
        var after = state.Apply(decision.Changes);
        Assert.Equal(Now.AddHours(1), after.Volumes[Data].Schedule!.NextAt);
        Assert.Null(Due(after, Now.AddHours(3)));
    }

    [Fact]
    public void The_schedule_prunes_its_own_oldest_and_nobody_elses()
    {
        EquatableList<VolumeSnapshot> all = [Taken("asked", 0, SnapshotOrigin.Asked), Taken("a", 1), Taken("b", 2), Taken("c", 3), Taken("before", 4, SnapshotOrigin.BeforeRestore)];
        var due = Due(State(Volume with { Schedule = new(TimeSpan.FromHours(1), 2, Now.AddHours(1)), Snapshots = all }), Now);
        Assert.Equal((VolumeVerb.Drop, "a"), (due!.Verb, Assert.Single(due.Drops).Value));
        // What the present data was made of stays.
        Assert.Null(Due(State(Volume with { Schedule = new(TimeSpan.FromHours(1), 2, Now.AddHours(1)), Snapshots = all, Base = new("s-a") }), Now));
    }

    private static VolumeSnapshot Taken(string name, int minute, SnapshotOrigin origin = SnapshotOrigin.Schedule) => new(new(name), A, new(1), Now.AddMinutes(minute), default, origin);

    [Fact]
    public void A_standby_goes_for_its_age_but_not_beside_somebodys_snapshot_nor_without_its_primary()
    {
        var old = Volume with { Standbys = [new(B, new("m1-f"), new(1), Now.AddDays(-8))] };
        Assert.Equal((VolumeVerb.Prune, B, VolumeStage.Checking), (Due(State(old), Now)!.Verb, Due(State(old), Now)!.Node, Due(State(old), Now)!.Stage));
        Assert.Null(Due(State(old with { Standbys = [new(B, new("m1-f"), new(1), Now.AddDays(-6))] }), Now));
        Assert.Null(Due(State(old with { Snapshots = [new(new("mine"), B, new(1), Now, default, SnapshotOrigin.Asked)] }), Now));
        Assert.Null(Due(State(old).Apply(new ClusterChange.PutPresence(new(A, false, Now, default, default, default))), Now));
    }

    [Fact]
    public void A_standby_goes_where_the_pool_is_full()
    {
        var state = State(Volume with { Standbys = [new(B, new("m1-f"), new(1), Now)] });
        Assert.Null(Due(state, Now));
        Assert.Equal(VolumeVerb.Prune, Due(state.Apply(new ClusterChange.PutPresence(new(B, true, Now, ByteCount.GiB(10), ByteCount.GiB(0.1), default))), Now)!.Verb);
    }

    [Fact]
    public void Deleted_data_is_purged_when_its_time_is_over_and_not_before()
    {
        var volume = Volume with { DeletedAt = Now, PurgeAt = Now.AddDays(7) };
        Assert.Null(Due(State(volume), Now.AddDays(6)));
        Assert.Equal(Now.AddDays(7), VolumeUpkeep.Next(State(volume), StandbyPolicy.Default, Now));
        Assert.Equal(VolumeVerb.Purge, Due(State(volume), Now.AddDays(7))!.Verb);
    }

    [Fact]
    public void After_a_failure_the_same_work_rests()
    {
        var state = State(Volume with { Schedule = new(TimeSpan.FromHours(1), 2, Now) });
        var failed = new ClusterChange.PutOperation(new(new("o0"), VolumeVerb.Snapshot, Data, A, VolumeStage.Failed, Now) { EndedAt = Now, Failure = "full" });
        Assert.Null(Due(state.Apply(failed), Now.AddMinutes(9)));
        Assert.NotNull(Due(state.Apply(failed), Now.AddMinutes(11)));
    }
}
