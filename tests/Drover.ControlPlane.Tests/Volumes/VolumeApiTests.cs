using System.Text.Json;
using Drover.Contracts.Api;
using Drover.ControlPlane.Tests.Api;
using Drover.Core;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Volumes;

public sealed class VolumeApiTests
{
    private static ClusterChange Free(string name = "data") => new ClusterChange.PutVolume(new Volume(new(name), new("node1"), new(1), true, null, null, Samples.Moment)
    {
        Used = ByteCount.MiB(64), Snapshots = [new(new("good"), new("node1"), new(1), Samples.Moment, new(77), SnapshotOrigin.Asked)],
    });

    private static async Task<(int Status, OperationView Body)> Work(Doors doors, string method, string path, string? body = null)
    {
        var answer = await doors.Send(method, path, body);
        return (answer.Status, answer.Body.Deserialize(ApiJson.Default.OperationView)!);
    }

    [Fact]
    public async Task Work_is_accepted_with_its_place()
    {
        await using var doors = await Doors.Open([.. Doors.RunningMongo(), Free()]);
        var answer = await doors.Send("POST", "/api/v1/volumes", """{"name": "new", "node": "node2", "size": "10GiB"}""");
        var operation = answer.Body.Deserialize(ApiJson.Default.OperationView)!;
        Assert.Equal((202, "create", "new", "node2"), (answer.Status, operation.Verb, operation.Volume, operation.Node));
        Assert.Equal($"/api/v1/operations/{operation.Id}", answer.Whole.Headers.Location!.ToString());
        Assert.Equal(operation.Id, (await doors.Send("GET", $"/api/v1/operations/{operation.Id}")).Body.GetProperty("id").GetString());
        Assert.Equal((202, "snapshot"), (await Work(doors, "POST", "/api/v1/volumes/mongodata/snapshots", "{}")) is var (s, o) ? (s, o.Verb) : default);
        Assert.Equal(202, (await doors.Send("POST", "/api/v1/volumes/data/restore", """{"snapshot": "good"}""")).Status);
        var shown = (await doors.Send("GET", "/api/v1/volumes/data")).Body.Deserialize(ApiJson.Default.VolumeView)!;
        Assert.Equal(("restore", "good", "node1"), (shown.Operation!.Verb, Assert.Single(shown.Snapshots).Name, shown.Snapshots[0].Node));
    }

    [Fact]
    public async Task A_name_whose_copy_never_came_says_so_everywhere_and_may_be_given_again()
    {
        var lost = new ClusterChange.PutVolume(new Volume(new("copy"), null, Epoch.None, true, null, new("/second"), Samples.Moment) { Missing = "the clone of volume 'data' failed: no room" });
        await using var doors = await Doors.Open([.. Doors.RunningMongo(), Free(), lost]);
        const string why = "has no data: the clone of volume 'data' failed: no room";
        Assert.Equal(why, (await doors.Send("GET", "/api/v1/volumes/copy")).Body.GetProperty("warning").GetString());
        foreach (var (path, body) in new[] { ("promote", """{"to": "node2", "acceptLoss": true}"""), ("snapshots", "{}") })
        {
            var refused = await doors.Send("POST", $"/api/v1/volumes/copy/{path}", body);
            Assert.InRange(refused.Status, 409, 422);
            Assert.Equal($"volume 'copy' {why}", refused.Body.GetProperty("message").GetString());
            Assert.Contains("clone SOURCE copy", refused.Body.GetProperty("remedy").GetString(), StringComparison.Ordinal);
        }
        Assert.Equal((202, "clone"), (await Work(doors, "POST", "/api/v1/volumes/data/clone", """{"to": "copy"}""")) is var (s, o) ? (s, o.Verb) : default);
        var shown = (await doors.Send("GET", "/api/v1/volumes/copy")).Body.Deserialize(ApiJson.Default.VolumeView)!;
        Assert.Equal(("/second", "node1", null), (shown.App, shown.Primary, shown.Warning));
    }

    [Theory]
    [InlineData("POST", "volumes", """{"name": "../x"}""", 422, "name")]
    [InlineData("POST", "volumes", """{"name": "a b"}""", 422, "name")]
    [InlineData("POST", "volumes", """{"size": "1GiB"}""", 422, "name")]
    [InlineData("POST", "volumes", """{"name": "x", "size": "-5GiB"}""", 422, "size")]
    [InlineData("POST", "volumes", """{"name": "x", "size": "99999999999999999999999TiB"}""", 422, "size")]
    [InlineData("POST", "volumes", """{"name": "x", "size": "NaN"}""", 422, "size")]
    [InlineData("POST", "volumes", """{"name": "x", "size": 5}""", 400, "size")]
    [InlineData("POST", "volumes", """{"name": 5}""", 400, "name")]
    [InlineData("POST", "volumes", "[]", 400, null)]
    [InlineData("POST", "volumes", "nonsense", 400, null)]
    [InlineData("POST", "volumes", """{"name": "x", "node": "zz"}""", 404, "node")]
    [InlineData("POST", "volumes", """{"name": "data"}""", 409, "name")]
    [InlineData("POST", "volumes/nope/snapshots", "{}", 404, "name")]
    [InlineData("POST", "volumes/data/snapshots", """{"name": "a/b"}""", 422, "snapshot")]
    [InlineData("POST", "volumes/data/snapshots", """{"name": "good"}""", 409, "snapshot")]
    [InlineData("POST", "volumes/data/restore", "{}", 422, "snapshot")]
    [InlineData("POST", "volumes/data/restore", """{"snapshot": "zz"}""", 404, "snapshot")]
    [InlineData("POST", "volumes/data/clone", """{"to": "data"}""", 409, "to")]
    [InlineData("POST", "volumes/data/resize", """{"size": "1MiB"}""", 422, "size")]
    [InlineData("POST", "volumes/data/resize", "{}", 422, "size")]
    [InlineData("PUT", "volumes/data/schedule", """{"everySeconds": 1, "keep": 3}""", 422, "every")]
    [InlineData("PUT", "volumes/data/schedule", """{"everySeconds": 3600, "keep": 0}""", 422, "keep")]
    [InlineData("POST", "volumes/data/purge", """{"confirm": "dat"}""", 422, "confirm")]
    [InlineData("POST", "volumes/data/purge", """{"confirm": "data"}""", 409, "name")]
    [InlineData("DELETE", "volumes/data?keepSeconds=-4", null, 422, "keepSeconds")]
    [InlineData("DELETE", "volumes/mongodata", null, 409, "name")]
    [InlineData("POST", "volumes/data/undelete", null, 409, "name")]
    [InlineData("PUT", "volumes/data/restore", "{}", 405, null)]
    [InlineData("GET", "operations/zz", null, 404, "path")]
    public async Task What_cannot_be_is_refused_with_field_and_remedy_and_changes_nothing(string method, string path, string? body, int status, string? field)
    {
        await using var doors = await Doors.Open([.. Doors.RunningMongo(), Free()]);
        var before = doors.Cluster.Current;
        var answer = await doors.Send(method, $"/api/v1/{path}", body);
        var error = answer.Body.Deserialize(ApiJson.Default.ErrorView)!;
        Assert.Equal((status, field), (answer.Status, error.Field));
        Assert.False(string.IsNullOrEmpty(error.Remedy));
        Assert.Same(before, doors.Cluster.Current);
    }

    [Theory]
    [InlineData("POST", "snapshots", "{}"), InlineData("DELETE", "snapshots/good", null), InlineData("POST", "restore", """{"snapshot": "good"}""")]
    [InlineData("POST", "clone", """{"to": "copy"}"""), InlineData("POST", "resize", """{"size": "1GiB"}""")]
    public async Task What_a_node_that_is_away_must_do_is_refused_at_once(string method, string path, string? body)
    {
        await using var doors = await Doors.Open([.. Doors.RunningMongo(), Free(), new ClusterChange.PutPresence(new(new("node1"), false, Samples.Moment, default, default, default))]);
        var answer = await doors.Send(method, $"/api/v1/volumes/data/{path}", body);
        var error = answer.Body.Deserialize(ApiJson.Default.ErrorView)!;
        Assert.Equal((409, "name"), (answer.Status, error.Field));
        Assert.Contains("'node1'", error.Message, StringComparison.Ordinal);
        Assert.Contains("bring it back first", error.Remedy, StringComparison.Ordinal);
        Assert.Empty(doors.Cluster.Current.OpenOperations);
    }

    [Fact]
    public async Task A_deleted_volume_leaves_the_list_and_comes_back()
    {
        await using var doors = await Doors.Open([.. Doors.RunningMongo(), Free()]);
        Assert.Equal(200, (await doors.Send("DELETE", "/api/v1/volumes/data")).Status);
        async Task<IEnumerable<string>> Names(string query) => (await doors.Send("GET", $"/api/v1/volumes{query}")).Body.Deserialize(ApiJson.Default.VolumesView)!.Volumes.Select(v => v.Name);
        Assert.Equal(["mongodata"], await Names(""));
        Assert.Equal(["data", "mongodata"], await Names("?deleted=true"));
        Assert.Equal(409, (await doors.Send("POST", "/api/v1/volumes", """{"name": "data"}""")).Status);
        Assert.Equal(200, (await doors.Send("POST", "/api/v1/volumes/data/undelete")).Status);
        Assert.Equal(["data", "mongodata"], await Names(""));
        await doors.Send("DELETE", "/api/v1/volumes/data?keepSeconds=60");
        Assert.Equal((202, "purge"), await Work(doors, "POST", "/api/v1/volumes/data/purge", """{"confirm": "data"}""") is var (s, o) ? (s, o.Verb) : default);
    }
}
