using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Core.Tests.Apps;
using Xunit;

namespace Drover.Core.Tests.Moves;

/// <summary>What becomes of a move that does not converge, of the app's command before its stop, and of an operator's word.</summary>
public sealed class MovePolicyTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);
    private static readonly PreStop Checkpoint = new("checkpoint", TimeSpan.FromSeconds(5), Required: false);

    private static Move Seeding(MovePolicy policy) => MoveMachineTests.In(MoveState.Seeding) with { Policy = policy };

    /// <summary>Rounds of this size at 100 MiB/s, one after the other, from where the move stands.</summary>
    private static Move Send(Move move, double mebibytes)
    {
        var at = move.Rounds.Count == 0 ? Now : move.Rounds[^1].SnapshotAt + move.Rounds[^1].Elapsed;
        var send = TimeSpan.FromSeconds(mebibytes / 100);
        var round = new Round(move.Rounds.Count + 1, false, ByteCount.MiB(mebibytes), send + TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(10), send, TimeSpan.FromMilliseconds(10), at, null);
        return MoveMachine.Next(move, new MoveEvent.RoundSent(round), Now).Next;
    }

    private static Move Stuck(NonConvergence policy) => Send(Send(Seeding(MovePolicy.Default with { NonConvergence = policy }), 1000), 950);

    [Fact]
    public void Each_round_keeps_what_it_foretold()
    {
        var round = Send(Send(Seeding(MovePolicy.Default), 1000), 600).Rounds[^1];
        Assert.InRange(round.DirtyRate!.Value / (1 << 20), 59, 61);
        Assert.InRange(round.PipeRate!.Value / (1 << 20), 99, 101);
        Assert.InRange(round.PredictedDelta!.Value, ByteCount.MiB(350).Bytes, ByteCount.MiB(365).Bytes);
        Assert.InRange(round.PredictedStop!.Value.TotalSeconds, 3.5, 3.8);
    }

    [Fact]
    public void A_throttled_app_is_slowed_down_step_by_step_and_then_cut()
    {
        var move = Stuck(NonConvergence.Throttle);
        for (var level = 1; level <= MoveMachine.MostThrottle; level++)
        {
            Assert.Equal(level, Assert.IsType<MoveStep.ThrottleInstance>(Assert.Single(MoveMachine.Steps(move))).Level);
            move = MoveMachine.Next(move, new MoveEvent.Throttled(level), Now).Next;
            Assert.IsType<MoveStep.SendRound>(Assert.Single(MoveMachine.Steps(move)));
            move = Send(move, move.Rounds[^1].Bytes.Bytes / (double)(1 << 20) * 0.95);
        }
        Assert.Equal(MoveState.Quiescing, move.State);
    }

    [Fact]
    public void A_throttled_app_that_then_converges_is_cut_without_another_step()
    {
        var move = MoveMachine.Next(Stuck(NonConvergence.Throttle), new MoveEvent.Throttled(1), Now).Next;
        move = Send(Send(move, 300), 30);
        Assert.Equal((MoveState.Quiescing, 1), (move.State, move.Throttle));
    }

    [Fact]
    public void One_that_waits_pauses_longer_each_time_and_goes_on_when_the_pause_is_over()
    {
        var move = Stuck(NonConvergence.Wait);
        Assert.Equal(Now.AddSeconds(1), move.NextRoundAt);
        Assert.Empty(MoveMachine.Steps(move));
        Assert.Contains("drover move cut", move.WaitsFor, StringComparison.Ordinal);
        move = MoveMachine.Next(move, new MoveEvent.PauseOver(), Now).Next;
        Assert.IsType<MoveStep.SendRound>(Assert.Single(MoveMachine.Steps(move)));
        Assert.Equal(Now.AddSeconds(2), Send(move, 950).NextRoundAt);
    }

    [Fact]
    public void One_that_waits_sends_a_bounded_number_of_rounds_and_then_waits_for_the_operator_alone()
    {
        var move = Stuck(NonConvergence.Wait);
        for (var i = 0; i < 200 && move.NextRoundAt != MoveMachine.UntilAsked; i++) move = Send(MoveMachine.Next(move, new MoveEvent.PauseOver(), Now).Next, 950);
        Assert.Equal((MoveMachine.MostRounds, MoveMachine.UntilAsked), (move.Rounds.Count, move.NextRoundAt!.Value));
        var state = Given.Cluster(Given.Node("a"), Given.Node("b"));
        Assert.Null(MoveWatch.Deadline(state, move, Now));
        var asked = MoveMachine.Next(move, new MoveEvent.CutAsked(), Now).Next;
        Assert.IsType<MoveStep.SendRound>(Assert.Single(MoveMachine.Steps(asked)));
        Assert.Equal(MoveState.Quiescing, Send(asked, 950).State);
    }

    [Fact]
    public void The_end_of_a_pause_is_a_deadline_that_the_watch_names_and_sees()
    {
        var copy = Given.Spec("/db").Copy("db.1", "a");
        var state = Given.Cluster(Given.Node("a"), Given.Node("b")).And(copy);
        var move = Stuck(NonConvergence.Wait);
        Assert.Null(MoveWatch.Look(state, move, Now, Now));
        Assert.Equal(Now.AddSeconds(1), MoveWatch.Deadline(state, move, Now));
        Assert.Equal(new MoveEvent.PauseOver(), MoveWatch.Look(state, move, Now.AddSeconds(1), Now));
    }

    [Fact]
    public void The_app_s_command_runs_before_the_cut_and_one_more_round_follows()
    {
        var move = Send(Send(Seeding(MovePolicy.Default with { PreStop = Checkpoint }), 1000), 5);
        Assert.Equal((MoveState.Seeding, PreStopState.Due), (move.State, move.PreStop));
        Assert.Equal(Checkpoint, Assert.IsType<MoveStep.RunPreStop>(Assert.Single(MoveMachine.Steps(move))).What);
        move = MoveMachine.Next(move, new MoveEvent.PreStopped(true, null), Now).Next;
        Assert.IsType<MoveStep.SendRound>(Assert.Single(MoveMachine.Steps(move)));
        // What the command wrote is much: a further round, while the app serves, makes the stop short.
        move = Send(move, 200);
        Assert.Equal(MoveState.Seeding, move.State);
        move = Send(move, 4);
        Assert.Equal((MoveState.Quiescing, PreStopState.Done), (move.State, move.PreStop));
    }

    [Fact]
    public void Rounds_after_the_command_are_few_however_much_the_app_writes()
    {
        var move = MoveMachine.Next(Send(Send(Seeding(MovePolicy.Default with { PreStop = Checkpoint }), 1000), 5), new MoveEvent.PreStopped(true, null), Now).Next;
        for (var i = 0; i < MoveMachine.RoundsAfterPreStop; i++)
        {
            Assert.Equal(MoveState.Seeding, move.State);
            move = Send(move, 500);
        }
        Assert.Equal(MoveState.Quiescing, move.State);
    }

    [Theory]
    [InlineData(false, MoveState.Seeding)]
    [InlineData(true, MoveState.Unwinding)]
    public void A_command_that_fails_is_told_and_undoes_the_move_only_where_the_app_says_so(bool required, MoveState to)
    {
        var move = Send(Send(Seeding(MovePolicy.Default with { PreStop = Checkpoint with { Required = required } }), 1000), 5);
        var next = MoveMachine.Next(move, new MoveEvent.PreStopped(false, "exit code 1: no such database"), Now).Next;
        Assert.Equal(to, next.State);
        Assert.Contains("no such database", required ? next.Failure : next.PreStopSaid, StringComparison.Ordinal);
        // Late or twice it changes nothing.
        Assert.Same(next, MoveMachine.Next(next, new MoveEvent.PreStopped(true, null), Now).Next);
    }

    [Fact]
    public void A_freeze_is_ordered_only_where_data_travels_and_something_runs()
    {
        var freeze = MovePolicy.Default with { Quiesce = Quiesce.Freeze };
        bool Ordered(Move move) => Assert.IsType<MoveStep.StopInstance>(Assert.Single(MoveMachine.Steps(move with { Policy = freeze }))).Freeze;
        Assert.True(Ordered(MoveMachineTests.In(MoveState.Quiescing)));
        Assert.False(Ordered(MoveMachineTests.In(MoveState.Quiescing, volumes: false)));
    }

    [Fact]
    public void An_operator_takes_a_move_back_at_any_state_before_the_commit_and_never_after_it()
    {
        foreach (var at in Enum.GetValues<MoveState>())
        {
            var move = MoveMachineTests.In(at);
            var state = ClusterState.Empty.Apply([new ClusterChange.PutMove(move)]);
            var undo = MoveActs.Undo(state, move.Id, Now);
            var cut = MoveActs.Cut(state, move.Id, Now);
            if (at < MoveState.CutOver)
            {
                Assert.Equal(MoveState.Unwinding, Assert.IsType<MoveActOutcome.Taken>(undo.Outcome).Move.State);
                Assert.Equal(at < MoveState.Quiescing, Assert.IsType<MoveActOutcome.Taken>(cut.Outcome).Move.CutNow);
            }
            else if (at is MoveState.Unwinding or MoveState.Undone)
            {
                Assert.Empty(undo.Changes);
                Assert.IsType<MoveActOutcome.Taken>(undo.Outcome);
                Assert.IsType<MoveActOutcome.Refused>(cut.Outcome);
            }
            else
            {
                Assert.Contains("commit point", Assert.IsType<MoveActOutcome.Refused>(undo.Outcome).Message, StringComparison.Ordinal);
                Assert.Contains("commit point", Assert.IsType<MoveActOutcome.Refused>(cut.Outcome).Message, StringComparison.Ordinal);
                Assert.Empty(undo.Changes);
            }
        }
        Assert.IsType<MoveActOutcome.Unknown>(MoveActs.Undo(ClusterState.Empty, new("m0"), Now).Outcome);
    }

    [Fact]
    public void A_round_under_way_when_the_cut_is_asked_is_the_last()
    {
        var move = MoveMachine.Next(Seeding(MovePolicy.Default), new MoveEvent.CutAsked(), Now).Next;
        Assert.True(MoveDecisions.SamePlace(move, Seeding(MovePolicy.Default)));
        Assert.Equal(MoveState.Quiescing, Send(move, 1000).State);
    }

    public static TheoryData<string, string, string> BadLabels => new()
    {
        { MoveSettings.DowntimeTargetLabel, "fast", "milliseconds" }, { MoveSettings.DowntimeTargetLabel, "0", "milliseconds" }, { MoveSettings.DowntimeTargetLabel, "-5", "milliseconds" },
        { MoveSettings.DowntimeTargetLabel, "99999999999999999999", "milliseconds" }, { MoveSettings.PolicyLabel, "Cut", "cut, throttle, wait or abort" }, { MoveSettings.QuiesceLabel, "pause", "stop or freeze" },
        { MoveSettings.PreStopLabel, " ", "command" }, { MoveSettings.PreStopSecondsLabel, "5", "drover.preStop" }, { MoveSettings.PreStopFailureLabel, "ignore", "goOn or abort" },
    };

    [Theory]
    [MemberData(nameof(BadLabels))]
    public void A_label_that_cannot_be_honoured_is_named_with_what_it_may_be(string label, string value, string part)
    {
        var spec = Given.Spec() with { Labels = [new(label, value)] };
        Assert.Contains(MoveSettings.Faults(spec), f => f.Label == label && f.Message.Contains(part, StringComparison.Ordinal));
        Assert.Equal(MovePolicy.Default, MoveSettings.Of(spec));
    }

    [Fact]
    public void Labels_say_how_an_app_is_moved_and_a_move_may_say_otherwise()
    {
        var spec = Given.Spec() with
        {
            Labels =
            [
                new(MoveSettings.DowntimeTargetLabel, "400"), new(MoveSettings.PolicyLabel, "wait"), new(MoveSettings.QuiesceLabel, "freeze"), new(MoveSettings.PreStopLabel, "psql -c CHECKPOINT"),
                new(MoveSettings.PreStopSecondsLabel, "20"), new(MoveSettings.PreStopFailureLabel, "abort"),
            ],
        };
        Assert.Empty(MoveSettings.Faults(spec));
        var policy = MoveSettings.Of(spec);
        Assert.Equal((400, NonConvergence.Wait, Quiesce.Freeze), (policy.DowntimeTarget.TotalMilliseconds, policy.NonConvergence, policy.Quiesce));
        Assert.Equal(new PreStop("psql -c CHECKPOINT", TimeSpan.FromSeconds(20), true), policy.PreStop);
        var other = new MoveOverrides(TimeSpan.FromMilliseconds(90), NonConvergence.Abort, null, 1000).Over(policy);
        Assert.Equal((90, NonConvergence.Abort, Quiesce.Freeze, 1000L), (other.DowntimeTarget.TotalMilliseconds, other.NonConvergence, other.Quiesce, other.BytesPerSecond!.Value));
    }
}
