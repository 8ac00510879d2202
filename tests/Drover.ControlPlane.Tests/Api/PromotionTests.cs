using System.Text.Json;
using Drover.Contracts.Api;
using Drover.ControlPlane.Agents;
using Drover.Core;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Api;

public sealed class PromotionTests
{
    private const string Path = "/api/v1/volumes/mongodata/promote", Order = "{\"to\": \"node2\", \"acceptLoss\": true}";

    private static async Task<Doors> Lost()
    {
        var doors = await Doors.Open(Doors.RunningMongo());
        var volume = doors.Cluster.Current.Volumes[new("mongodata")];
        await doors.Cluster.Given(
            new ClusterChange.PutVolume(volume with { Standbys = [new(new("node2"), new("m1-f"), new(1), Samples.Moment)] }),
            new ClusterChange.PutPresence(new NodePresence(new("node1"), false, Samples.Moment, default, default, default)));
        return doors;
    }

    [Fact]
    public async Task It_waits_for_the_lost_nodes_lease_and_says_how_long_and_then_promotes()
    {
        await using var doors = await Lost();
        var (status, body, whole) = await doors.Send("POST", Path, Order);
        Assert.Equal((409, TimeSpan.FromSeconds(65)), (status, whole.Headers.RetryAfter!.Delta));
        Assert.Contains("'node1' may write for 65 s more", body.Deserialize(ApiJson.Default.ErrorView)!.Message, StringComparison.Ordinal);
        doors.Cluster.Time.Advance(TimeSpan.FromSeconds(64));
        Assert.Equal(409, (await doors.Send("POST", Path, Order)).Status);
        doors.Cluster.Time.Advance(TimeSpan.FromSeconds(1));
        (status, body, _) = await doors.Send("POST", Path, Order);
        Assert.Equal(200, status);
        var view = body.Deserialize(ApiJson.Default.PromotionView)!;
        Assert.Equal(("mongodata", "node1", "node2", 2L, "m1-f"), (view.Volume, view.From, view.To, view.Epoch, view.Snapshot));
        Assert.Contains("is not there", view.Loss, StringComparison.Ordinal);
        var fork = Assert.Single((await doors.Send("GET", "/api/v1/volumes/mongodata")).Body.Deserialize(ApiJson.Default.VolumeView)!.Forks);
        Assert.Equal(("node1", "fork-e1", 1L, false), (fork.Node, fork.Snapshot, fork.Epoch, fork.Kept));
        // The one that comes back is told to keep it.
        var told = Assert.Single(DesiredState.For(doors.Cluster.Current, new("node1")).Volumes);
        Assert.Equal((Contracts.Agent.VolumeRole.Standby, 2L, 1L), (told.Role, told.Epoch, told.ForkEpoch));
        Assert.Equal(409, (await doors.Send("POST", Path, Order)).Status);
    }

    [Theory]
    [InlineData(Path, "{\"to\": \"node2\"}", 422, "acceptLoss")]
    [InlineData(Path, "{\"acceptLoss\": true}", 400, "to")]
    [InlineData(Path, "{\"to\": 5}", 400, "to")]
    [InlineData(Path, "{\"to\": \"node9\", \"acceptLoss\": true}", 404, "to")]
    [InlineData("/api/v1/volumes/none/promote", Order, 404, "volume")]
    [InlineData(Path, "no json", 400, null)]
    public async Task Wrong_orders_name_the_field_and_change_nothing(string path, string body, int status, string? field)
    {
        await using var doors = await Lost();
        doors.Cluster.Time.Advance(TimeSpan.FromHours(1));
        var before = doors.Cluster.Current;
        var answer = await doors.Send("POST", path, body);
        Assert.Equal((status, field), (answer.Status, answer.Body.Deserialize(ApiJson.Default.ErrorView)!.Field));
        Assert.Same(before, doors.Cluster.Current);
        Assert.Equal(405, (await doors.Send("GET", path)).Status);
    }
}
