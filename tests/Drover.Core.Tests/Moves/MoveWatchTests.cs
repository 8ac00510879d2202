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
    [InlineData(false, 5, 3)]
    [InlineData(true, 15, 6)]
    public void The_last_round_is_given_up_early_only_where_an_app_stands_still_for_it(bool idle, int seconds, int attempts)
    {
        var move = MoveMachineTests.In(MoveState.FinalDelta, idle);
        Assert.Equal((TimeSpan.FromSeconds(seconds), attempts), (MoveMachine.AwayLimit(move), MoveMachine.AttemptLimit(move)));
    }
}
