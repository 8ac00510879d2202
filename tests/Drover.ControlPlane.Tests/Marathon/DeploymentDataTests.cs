using Drover.Contracts.Agent;
using Drover.ControlPlane.Moves;
using Drover.ControlPlane.Tests.Api;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon;

/// <summary>A deployment that waits for data says how much there is, how far it is and how long it takes.</summary>
public sealed class DeploymentDataTests
{
    private static readonly MovePolicy Policy = new(TimeSpan.FromMilliseconds(200), 5, NonConvergence.Cut, null);

    private static Move Moving(MoveState state, params Round[] rounds)
    {
        var spec = Dialects.Spec(Dialects.Db);
        return new(new("m1"), MoveTrigger.Constraint, spec.Id, new("mongo.instance-1"), [new(new("mongodata"), new(1), null, null) { Used = ByteCount.MiB(64) }],
            new("node1"), new("node2"), spec, [], Policy, state, Samples.Moment) { Rounds = [.. rounds] };
    }

    private static Round Sent(int number, long bytes, double seconds, double at) =>
        new(number, false, new(bytes), TimeSpan.FromSeconds(seconds), TimeSpan.Zero, TimeSpan.FromSeconds(seconds), TimeSpan.Zero, Samples.Moment.AddSeconds(at), null);

    [Fact]
    public async Task The_action_that_waits_for_a_move_shows_bytes_and_seconds()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var change = await doors.Send("PUT", "/v2/apps/mongo", """{"constraints":[["disk","CLUSTER","ssd"]]}""");
        Assert.Equal(200, change.Status);
        var path = $"/v2/deployments/{change.Body.GetProperty("deploymentId").GetString()}";
        Assert.False((await doors.Send("GET", path)).Body.GetProperty("currentActions")[0].TryGetProperty("move", out _));
        await doors.Cluster.Given(new ClusterChange.PutMove(Moving(MoveState.Seeding)));
        var before = (await doors.Send("GET", path)).Body.GetProperty("currentActions")[0].GetProperty("move");
        Assert.Equal(("m1", "Seeding", "node1", "node2"), (before.GetProperty("id").GetString(), before.GetProperty("state").GetString(), before.GetProperty("source").GetString(), before.GetProperty("target").GetString()));
        Assert.Equal((64L << 20, 0L, System.Text.Json.JsonValueKind.Null),
            (before.GetProperty("bytesTotal").GetInt64(), before.GetProperty("bytesDone").GetInt64(), before.GetProperty("secondsLeft").ValueKind));
        doors.Board.Report(new("m1"), new StepProgress { MoveId = "m1", Round = 1, Volume = "mongodata", Bytes = 16 << 20, BytesPerSecond = 12 << 20, Doing = "sending" });
        foreach (var shown in new[] { (await doors.Send("GET", path)).Body, (await doors.Send("GET", "/v2/deployments")).Body[0] })
        {
            var move = shown.GetProperty("currentActions")[0].GetProperty("move");
            Assert.Equal((64L << 20, 16L << 20, 4.0), (move.GetProperty("bytesTotal").GetInt64(), move.GetProperty("bytesDone").GetInt64(), move.GetProperty("secondsLeft").GetDouble()));
        }
        await doors.Cluster.Given(new ClusterChange.PutMove(Moving(MoveState.Done)));
        Assert.False((await doors.Send("GET", path)).Body.GetProperty("currentActions")[0].TryGetProperty("move", out _));
    }

    [Fact]
    public void Later_rounds_add_what_the_app_has_written_meanwhile()
    {
        // 10 MB in the second of the second round, at 20 MB/s: another 5 MB is there when it ends.
        var move = Moving(MoveState.Seeding, Sent(1, 100_000_000, 4, 0), Sent(2, 10_000_000, 0.5, 1));
        Assert.Equal(new MoveBytes(115_000_000, 110_000_000, 0.2), MoveBytes.Of(move, null) with { SecondsLeft = Math.Round(MoveBytes.Of(move, null).SecondsLeft!.Value, 1) });
    }

    [Theory]
    [InlineData(MoveState.Verified)]
    [InlineData(MoveState.CutOver)]
    [InlineData(MoveState.Starting)]
    public void Data_that_is_there_is_all_done(MoveState state) =>
        Assert.Equal(new MoveBytes(100, 100, 0), MoveBytes.Of(Moving(state, Sent(1, 100, 1, 0)), null));

    [Fact]
    public void A_limit_says_how_long_it_takes_before_anything_was_sent() =>
        Assert.Equal(64, MoveBytes.Of(Moving(MoveState.Planned) with { Policy = Policy with { BytesPerSecond = 1 << 20 } }, null).SecondsLeft);
}
