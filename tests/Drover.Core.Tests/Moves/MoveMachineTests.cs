using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Volumes;
using Xunit;

namespace Drover.Core.Tests.Moves;

public sealed class MoveMachineTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);
    private static readonly VolumeName Data = new("data");

    internal static Move In(MoveState state, bool idle = false, bool volumes = true) => new(
        new("m8f3a1c2d"), idle ? MoveTrigger.Redeploy : MoveTrigger.Move, new("/db"), new InstanceId("db.1"),
        volumes ? [new MovedVolume(Data, new(1), null, null) { Used = ByteCount.MiB(100) }] : [], new("a"), new("b"), new AppSpec { Id = new("/db") }, [], MovePolicy.Default, state, Now)
    {
        History = [new(state, Now)], SourceIdle = idle,
    };

    private static Round RoundOf(int number, bool final, double mebibytes = 0.1) => new(number, final, ByteCount.MiB(mebibytes), TimeSpan.FromSeconds(1), TimeSpan.FromMilliseconds(10),
        TimeSpan.FromMilliseconds(900), TimeSpan.FromMilliseconds(10), Now.AddSeconds(number), null);

    private static readonly MoveEvent[] Events =
    [
        new MoveEvent.Begun(), new MoveEvent.Prepared([new(Data, ByteCount.MiB(100), [])], [], ByteCount.GiB(10)), new MoveEvent.RoundSent(RoundOf(1, false)), new MoveEvent.RoundSent(RoundOf(1, true)),
        new MoveEvent.Stopped(TimeSpan.FromMilliseconds(50)), new MoveEvent.CommitRefused("it changed"), new MoveEvent.TargetStarts(), new MoveEvent.Serves(null), new MoveEvent.NotWanted(),
        new MoveEvent.Retired(), new MoveEvent.Unwound(null), new MoveEvent.NodeAway(new("b")), new MoveEvent.Abandoned("it was deleted"),
    ];

    public static TheoryData<MoveState, int, MoveState> Ways => new()
    {
        { MoveState.Planned, 0, MoveState.Preparing }, { MoveState.Preparing, 1, MoveState.Seeding }, { MoveState.Quiescing, 4, MoveState.FinalDelta },
        { MoveState.FinalDelta, 3, MoveState.Verified }, { MoveState.Verified, 5, MoveState.Unwinding }, { MoveState.CutOver, 6, MoveState.Starting },
        { MoveState.CutOver, 7, MoveState.Healthy }, { MoveState.Starting, 7, MoveState.Healthy }, { MoveState.CutOver, 8, MoveState.Done }, { MoveState.Starting, 8, MoveState.Done },
        { MoveState.Healthy, 0, MoveState.Retiring }, { MoveState.Retiring, 9, MoveState.Done }, { MoveState.Unwinding, 10, MoveState.Undone },
    };

    [Theory]
    [MemberData(nameof(Ways))]
    public void Each_state_has_its_way_on(MoveState from, int happened, MoveState to)
    {
        var next = MoveMachine.Next(In(from), Events[happened], Now.AddSeconds(1)).Next;
        Assert.Equal(to, next.State);
        Assert.Equal(new MoveTransition(to, Now.AddSeconds(1)), next.History[^1]);
    }

    [Fact]
    public void Any_other_event_changes_nothing()
    {
        var ways = Ways.Select(row => (row.Data.Item1, row.Data.Item2)).ToHashSet();
        var changed = new List<string>();
        foreach (var state in Enum.GetValues<MoveState>())
            for (var i = 0; i < Events.Length; i++)
            {
                var undo = i >= 11 && state < MoveState.CutOver;
                var round = state == MoveState.Seeding && i == 2;
                var move = In(state);
                var decision = MoveMachine.Next(move, Events[i], Now);
                if (ways.Contains((state, i)) || undo || round) continue;
                if (!ReferenceEquals(decision.Next, move) || decision.Steps.Count > 0) changed.Add($"{state} {Events[i].GetType().Name}");
            }
        Assert.Empty(changed);
    }

    [Fact]
    public void Before_the_commit_point_an_absent_node_or_a_deleted_app_undoes_it_and_after_it_nothing_does()
    {
        foreach (var state in Enum.GetValues<MoveState>().Where(s => s is not (MoveState.Unwinding or MoveState.Undone)))
            foreach (var happened in Events[11..])
                Assert.Equal(state < MoveState.CutOver ? MoveState.Unwinding : state, MoveMachine.Next(In(state), happened, Now).Next.State);
    }

    [Theory]
    [InlineData(StepFailure.Retry, MoveState.Seeding, 1)]
    [InlineData(StepFailure.Refused, MoveState.Unwinding, 0)]
    [InlineData(StepFailure.Operator, MoveState.Unwinding, 0)]
    public void A_failed_step_is_tried_again_only_if_that_can_help(StepFailure kind, MoveState to, int attempts)
    {
        var next = MoveMachine.Next(In(MoveState.Seeding), new MoveEvent.StepFailed(MoveState.Seeding, 0, 0, kind, "the disk is full"), Now).Next;
        Assert.Equal((to, attempts), (next.State, next.Attempts));
        Assert.Contains("the disk is full", next.Failure ?? next.WaitsFor, StringComparison.Ordinal);
    }

    [Fact]
    public void Attempts_are_bounded_before_the_commit_and_without_end_after_it()
    {
        foreach (var state in (MoveState[])[MoveState.Preparing, MoveState.Seeding, MoveState.Quiescing, MoveState.FinalDelta, MoveState.Retiring, MoveState.Unwinding])
        {
            var move = In(state);
            for (var i = 0; i < 50 && move.State == state; i++)
                move = MoveMachine.Next(move, new MoveEvent.StepFailed(state, 0, move.Attempts, StepFailure.Retry, "cut"), Now).Next;
            var expected = state is MoveState.Retiring or MoveState.Unwinding ? state : MoveState.Unwinding;
            Assert.Equal(expected, move.State);
            Assert.True(MoveMachine.Delay(move) <= TimeSpan.FromSeconds(30));
        }
    }

    [Fact]
    public void A_failure_that_comes_twice_counts_once()
    {
        var failed = new MoveEvent.StepFailed(MoveState.Seeding, 0, 0, StepFailure.Retry, "cut");
        var once = MoveMachine.Next(In(MoveState.Seeding), failed, Now).Next;
        Assert.Same(once, MoveMachine.Next(once, failed, Now).Next);
    }

    [Fact]
    public void A_redeploy_sends_once_and_stops_nothing()
    {
        var move = MoveMachine.Next(In(MoveState.Preparing, idle: true), Events[1], Now.AddSeconds(3)).Next;
        Assert.Equal(MoveState.FinalDelta, move.State);
        Assert.Equal(Now, move.Timings.StopRequestedAt);
        Assert.True(Assert.IsType<MoveStep.SendRound>(Assert.Single(MoveMachine.Steps(move))).Final);
    }

    [Theory]
    [InlineData(null, 0)]
    [InlineData(80, 920)]
    [InlineData(5_000, 0)]
    public void The_stop_counts_from_the_request_to_the_engine_and_where_that_is_not_known_from_its_decision(int? since, int expected)
    {
        var decided = In(MoveState.Quiescing) with { Timings = CutoverTimings.None with { StopRequestedAt = Now } };
        var stopped = MoveMachine.Next(decided, new MoveEvent.Stopped(TimeSpan.FromMilliseconds(50)) { SinceRequest = since is { } ms ? TimeSpan.FromMilliseconds(ms) : null }, Now.AddSeconds(1)).Next;
        Assert.Equal(Now.AddMilliseconds(expected), stopped.Timings.StopRequestedAt);
        Assert.Equal(Now.AddSeconds(1), stopped.Timings.StoppedAt);
    }

    [Fact]
    public void An_app_without_volumes_is_stopped_and_goes_without_data()
    {
        var stopping = MoveMachine.Next(In(MoveState.Preparing, volumes: false), new MoveEvent.Prepared([], [], ByteCount.Zero), Now).Next;
        Assert.Equal(MoveState.Quiescing, stopping.State);
        Assert.Equal(MoveState.Verified, MoveMachine.Next(stopping, Events[4], Now).Next.State);
    }

    [Fact]
    public void Space_is_counted_by_what_the_target_does_not_have_yet()
    {
        ReplicaSeen Here(double changed) => new(Data, ByteCount.GiB(100), [new(new("m0-f"), "i", default) { Changed = ByteCount.MiB(changed) }]);
        var there = new ReplicaSeen(Data, default, [new(new("m0-f"), "i", default)]);
        Move After(MoveEvent.Prepared prepared) => MoveMachine.Next(In(MoveState.Preparing), prepared, Now).Next;
        // 100 GiB of data, of which the target has all but 300 MiB.
        Assert.Equal(MoveState.Seeding, After(new([Here(300)], [there], ByteCount.MiB(400))).State);
        var refused = After(new([Here(300)], [there], ByteCount.MiB(350)));
        Assert.Equal(MoveState.Unwinding, refused.State);
        Assert.Contains("350 MiB free and the data needs 364 MiB: 300 MiB that it does not have yet, and 64 MiB that stay free", refused.Failure, StringComparison.Ordinal);
        // The reserve that the receive would stop at counts, but not for next to nothing.
        Assert.Equal(MoveState.Unwinding, After(new([Here(300)], [there], ByteCount.MiB(1200)) { TargetReserve = ByteCount.GiB(1) }).State);
        Assert.Equal(MoveState.Seeding, After(new([Here(1)], [there], ByteCount.MiB(100)) { TargetReserve = ByteCount.GiB(1) }).State);
        // Where a promotion copies, the app's own copy must fit too.
        Assert.Equal(MoveState.Unwinding, After(new([Here(300)], [there], ByteCount.GiB(100)) { LiveIsCopied = true }).State);
        Assert.Equal(MoveState.Seeding, After(new([Here(300)], [there], ByteCount.GiB(101)) { LiveIsCopied = true }).State);
    }

    [Fact]
    public void Too_little_room_at_the_target_undoes_it_with_both_numbers()
    {
        var next = MoveMachine.Next(In(MoveState.Preparing), new MoveEvent.Prepared([new(Data, ByteCount.GiB(2), [])], [], ByteCount.GiB(1)), Now).Next;
        Assert.Equal(MoveState.Unwinding, next.State);
        Assert.Contains("1 GiB free", next.Failure, StringComparison.Ordinal);
        Assert.Contains("2.1 GiB", next.Failure, StringComparison.Ordinal);
    }

    [Fact]
    public void A_source_that_lost_its_data_sends_nothing_and_the_target_s_copy_is_named()
    {
        var kept = new ReplicaSeen(Data, ByteCount.Zero, [new(new("m0-f"), "x", ByteCount.Zero)]);
        var move = In(MoveState.Preparing) with { Volumes = [new MovedVolume(Data, new(1), null, null) { Initialized = true }] };
        var next = MoveMachine.Next(move, new MoveEvent.Prepared([], [kept], ByteCount.GiB(10)), Now).Next;
        Assert.Equal(MoveState.Unwinding, next.State);
        Assert.Contains("'a' has no data of volume 'data'", next.Failure, StringComparison.Ordinal);
        Assert.Contains("m0-f", next.Failure, StringComparison.Ordinal);
        Assert.Equal(MoveState.Seeding, MoveMachine.Next(In(MoveState.Preparing), new MoveEvent.Prepared([], [kept], ByteCount.GiB(10)), Now).Next.State);
    }

    [Fact]
    public void The_base_is_the_newest_snapshot_that_both_hold_with_the_same_contents()
    {
        SnapshotView Of(string name, string identity) => new(new(name), identity, ByteCount.Zero);
        var source = new ReplicaSeen(Data, ByteCount.MiB(1), [Of("m0-f", "x"), Of("m1-f", "y"), Of("m2-f", "z")]);
        var target = new ReplicaSeen(Data, ByteCount.Zero, [Of("m0-f", "x"), Of("m1-f", "y"), Of("m2-f", "another")]);
        var next = MoveMachine.Next(In(MoveState.Preparing), new MoveEvent.Prepared([source], [target], ByteCount.GiB(10)), Now).Next;
        Assert.Equal(new SnapshotName("m1-f"), next.Volumes[0].Base);
        Assert.Equal([new("m0-f"), new("m2-f")], next.Volumes[0].Leftovers.Items);
    }

    [Fact]
    public void Rounds_and_the_end_have_names_of_their_own_and_each_builds_on_the_last_complete_one()
    {
        var move = MoveMachine.Next(In(MoveState.Seeding), new MoveEvent.RoundSent(RoundOf(1, false, 100)), Now).Next;
        var pass = Assert.IsType<MoveStep.SendRound>(Assert.Single(MoveMachine.Steps(move))).Volumes[0];
        Assert.Equal((new SnapshotName("m8f3a1c2d-r2"), new SnapshotName("m8f3a1c2d-r1")), (pass.Snapshot, pass.Base!.Value));
        Assert.Equal(new SnapshotName("m8f3a1c2d-f"), MoveSnapshots.Final(move.Id));
    }

    [Fact]
    public void Retiring_never_drops_what_is_kept_and_only_the_source_loses_its_live_data()
    {
        var move = In(MoveState.Retiring) with { Volumes = [new(Data, new(1), new("m0-f"), MoveSnapshots.Final(new("m8f3a1c2d")))] };
        var steps = MoveMachine.Steps(move).Items.Cast<MoveStep.Retire>().ToList();
        Assert.Equal([(new NodeId("a"), true), (new NodeId("b"), false)], steps.Select(s => (s.Node, s.DropLive)));
        Assert.All(steps, s => Assert.DoesNotContain(s.Volumes[0].Keep!.Value, s.Volumes[0].Drop.Items));
    }
}
