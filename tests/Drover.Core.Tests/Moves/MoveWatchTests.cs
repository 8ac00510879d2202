using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Core.Tests.Apps;
using Xunit;

namespace Drover.Core.Tests.Moves;

public sealed class MoveWatchTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("b")]
    public void Cleaning_up_waits_for_a_node_only_as_long_as_a_blink_lasts(string lost)
    {
        var move = MoveMachineTests.In(MoveState.Retiring);
        var state = Given.Cluster(Given.Node("a"), Given.Node("b")).And(new ClusterChange.PutMove(move)).Disconnected(lost);
        var limit = MoveMachine.AwayLimit(move);
        Assert.Equal(new MoveEvent.Waits($"node '{lost}' to come back"), MoveWatch.Look(state, move, Given.Noon + limit / 2, Given.Noon));
        Assert.Equal(new MoveEvent.Retired(), MoveWatch.Look(state, move, Given.Noon + limit, Given.Noon));
        Assert.Equal(Given.Noon + limit, MoveWatch.Deadline(state, move, Given.Noon));
    }

    [Theory]
    [InlineData(false, 4, 3)]
    [InlineData(true, 15, 6)]
    public void The_last_round_is_given_up_early_only_where_an_app_stands_still_for_it(bool idle, int seconds, int attempts)
    {
        var move = MoveMachineTests.In(MoveState.FinalDelta, idle);
        Assert.Equal((TimeSpan.FromSeconds(seconds), attempts), (MoveMachine.AwayLimit(move), MoveMachine.AttemptLimit(move)));
    }

    [Theory]
    [InlineData(true, MoveState.CutOver, "b")]
    [InlineData(false, MoveState.Unwinding, "a")]
    public void The_commit_is_made_only_while_the_target_is_connected(bool connected, MoveState expected, string owner)
    {
        var data = new VolumeName("data");
        var move = MoveMachineTests.In(MoveState.FinalDelta) with { Instance = null };
        var state = Given.Cluster(Given.Node("a"), Given.Node("b")).And(Given.Volume("data", "a") with { Epoch = new(1) }).And(new ClusterChange.PutMove(move));
        if (!connected) state = state.Disconnected("b");
        var last = new Round(1, true, ByteCount.MiB(1), TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero, Given.Noon, null);
        var decision = MoveDecisions.Take(state, move, new MoveEvent.RoundSent(last), Given.Noon);
        Assert.Equal(expected, decision.Outcome!.State);
        Assert.Equal(new NodeId(owner), state.Apply(decision.Changes).Volumes[data].Primary);
    }
}
