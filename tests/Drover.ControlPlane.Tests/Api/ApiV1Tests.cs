using System.Globalization;
using System.Text.Json;
using Drover.Contracts.Agent;
using Drover.Contracts.Api;
using Drover.ControlPlane.Events;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Testing;
using Google.Protobuf;
using Xunit;

namespace Drover.ControlPlane.Tests.Api;

public sealed class ApiV1Tests
{
    [Fact]
    public async Task Status_nodes_volumes_and_moves_are_shown()
    {
        await using var doors = await Doors.Open([.. Doors.RunningMongo(), new ClusterChange.PutMove(Samples.Move)]);
        var status = (await doors.Send("GET", "/api/v1/status")).Body.Deserialize(ApiJson.Default.StatusView)!;
        Assert.Equal((2, 2, 1, 1, 1, 1, 1), (status.Nodes, status.NodesConnected, status.Apps, status.Instances, status.InstancesServing, status.Volumes, status.OpenMoves));
        Assert.Contains(status.Waiting, w => w is { What: "move", WaitsFor: "a round" });
        var node = (await doors.Send("GET", "/api/v1/nodes/node1")).Body.Deserialize(ApiJson.Default.NodeView)!;
        Assert.Equal(("spinning", "mongodata", "mongo.instance-1._app.1"), (node.Attributes["disk"], Assert.Single(node.Volumes), Assert.Single(node.Tasks)));
        Assert.Equal((0.1, 128.0), (node.Used.Cpus, node.Used.Mem));
        var volume = (await doors.Send("GET", "/api/v1/volumes/mongodata")).Body.Deserialize(ApiJson.Default.VolumeView)!;
        Assert.Equal(("node1", 1L, "/mongo", "m1"), (volume.Primary, volume.Epoch, volume.App, volume.Move));
        var move = (await doors.Send("GET", "/api/v1/moves/m1")).Body.Deserialize(ApiJson.Default.MoveView)!;
        Assert.Equal(("redeploy", "Seeding", "node1", "node2", 1000L, true), (move.Trigger, move.State, move.From, move.To, move.BytesSent, move.Incremental));
        Assert.Single((await doors.Send("GET", "/api/v1/moves")).Body.Deserialize(ApiJson.Default.MovesView)!.Moves);
        Assert.Equal(2, (await doors.Send("GET", "/api/v1/nodes")).Body.Deserialize(ApiJson.Default.NodesView)!.Nodes.Count);
        Assert.Empty((await doors.Send("GET", "/api/v1/offers")).Body.Deserialize(ApiJson.Default.OffersView)!.Offers);
    }

    [Fact]
    public async Task An_app_whose_container_ended_says_in_place_of_its_log_where_when_and_why()
    {
        var failure = new TaskFailure(new("mongo.instance-1._app.3"), new("node1"), "node1", "TASK_FAILED", "exec: no such file", Samples.Moment, Samples.Moment);
        await using var doors = await Doors.Open([.. Doors.RunningMongo()]);
        await doors.Cluster.Given(new ClusterChange.RemoveInstance(doors.Cluster.Current.Instances.Keys.Single()),
            new ClusterChange.PutApp(doors.Cluster.Current.Apps.Values.Single() with { LastTaskFailure = failure }));
        var (status, body, _) = await doors.Send("GET", "/api/v1/apps/mongo/logs");
        Assert.Equal(404, status);
        var message = body.Deserialize(ApiJson.Default.ErrorView)!.Message;
        Assert.All(["'mongo.instance-1._app.3'", "'node1'", "12:00:00 UTC", "exec: no such file"], part => Assert.Contains(part, message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("a node that takes it. node1: needs 999999 MiB of memory", "a node that takes it", 2)]
    [InlineData("its backoff until 12:00:01 UTC: it ended", "its backoff until 12:00:01 UTC: it ended", 0)]
    public async Task Status_names_each_node_once_and_only_where_a_node_is_waited_for(string waits, string shown, int nodes)
    {
        var spec = Marathon.Dialects.Spec("""{"id":"big","mem":999999,"container":{"docker":{"image":"i"}}}""");
        await using var doors = await Doors.Open([.. Doors.Machines, new ClusterChange.PutApp(new App(spec, Samples.Moment, Samples.Moment, Samples.Moment)),
            new ClusterChange.PutInstance(new(new("big.instance-1"), spec.Id, spec, Samples.Moment, 1, null, [], InstanceGoal.Running, InstanceState.Scheduled, Samples.Moment) { WaitsFor = waits })]);
        var waiting = Assert.Single((await doors.Send("GET", "/api/v1/status")).Body.Deserialize(ApiJson.Default.StatusView)!.Waiting);
        Assert.Equal((shown, nodes), (waiting.WaitsFor, waiting.Nodes.Count));
    }

    [Fact]
    public async Task An_instance_that_waits_says_why_per_node()
    {
        var spec = Marathon.Dialects.Spec("""{"id":"big","mem":999999,"container":{"docker":{"image":"i"}}}""");
        await using var doors = await Doors.Open([.. Doors.Machines, new ClusterChange.PutApp(new App(spec, Samples.Moment, Samples.Moment, Samples.Moment)),
            new ClusterChange.PutInstance(new(new("big.instance-1"), spec.Id, spec, Samples.Moment, 1, null, [], InstanceGoal.Running, InstanceState.Scheduled, Samples.Moment))]);
        var waiting = Assert.Single((await doors.Send("GET", "/api/v1/status")).Body.Deserialize(ApiJson.Default.StatusView)!.Waiting);
        Assert.Equal(["node1", "node2"], waiting.Nodes.Select(n => n.Node).Order());
        Assert.All(waiting.Nodes, n => Assert.Contains("999999", n.Reason, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("\"downtimeTargetMs\":0", "downtimeTargetMs")]
    [InlineData("\"downtimeTargetMs\":1e300", "downtimeTargetMs")]
    [InlineData("\"downtimeTargetMs\":\"fast\"", "downtimeTargetMs")]
    [InlineData("\"policy\":\"Cut\"", "policy")]
    [InlineData("\"quiesce\":\"pause\"", "quiesce")]
    [InlineData("\"limit\":-1", "limit")]
    public async Task A_wish_that_cannot_be_read_is_refused_by_its_field(string part, string field)
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var (status, body, _) = await doors.Send("POST", "/api/v1/moves", $$"""{"app":"mongo","to":"node2",{{part}}}""");
        Assert.Equal((400, field), (status, body.Deserialize(ApiJson.Default.ErrorView)!.Field));
        Assert.Empty(doors.Cluster.Current.Moves);
    }

    [Fact]
    public async Task A_move_is_cut_and_undone_over_the_api_and_neither_after_its_commit()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var move = (await doors.Send("POST", "/api/v1/moves", """{"app":"mongo","constraint":"disk=ssd","policy":"wait","quiesce":"freeze","downtimeTargetMs":90}""")).Body.Deserialize(ApiJson.Default.MoveView)!;
        Assert.Equal(new MovePolicyView(90, "wait", "freeze", null, 0), move.Policy);
        var cut = await doors.Send("POST", $"/api/v1/moves/{move.Id}/cut");
        Assert.Equal((202, true), (cut.Status, cut.Body.Deserialize(ApiJson.Default.MoveView)!.CutAsked));
        var undone = await doors.Send("POST", $"/api/v1/moves/{move.Id}/undo");
        Assert.Equal((202, "Unwinding"), (undone.Status, undone.Body.Deserialize(ApiJson.Default.MoveView)!.State));
        Assert.Equal(409, (await doors.Send("POST", $"/api/v1/moves/{move.Id}/cut")).Status);
        Assert.Equal(404, (await doors.Send("POST", "/api/v1/moves/nothing/undo")).Status);
        Assert.Equal(405, (await doors.Send("GET", $"/api/v1/moves/{move.Id}/undo")).Status);
        await doors.Cluster.Given(new ClusterChange.PutMove(Samples.Move with { Id = new("m2"), State = MoveState.Starting }));
        var late = await doors.Send("POST", "/api/v1/moves/m2/undo");
        Assert.Equal(409, late.Status);
        Assert.Contains("commit point", late.Body.Deserialize(ApiJson.Default.ErrorView)!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_label_that_no_move_can_honour_is_refused_with_its_name()
    {
        await using var doors = await Doors.Open(Doors.Machines);
        var (status, body, _) = await doors.Send("POST", "/v2/apps", """{"id":"x","labels":{"drover.movePolicy":"never"},"container":{"docker":{"image":"i"}}}""");
        Assert.Equal(422, status);
        Assert.Contains("drover.movePolicy", body.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_move_to_a_node_that_cannot_keep_the_volume_s_size_is_refused_unless_that_is_said()
    {
        ClusterChange[] setting = [.. Doors.RunningMongo()];
        var state = ClusterState.Empty.Apply(setting);
        await using var doors = await Doors.Open(
            [.. setting, new ClusterChange.PutNode(state.Nodes[new("node2")] with { VolumeDriver = "directory" }), new ClusterChange.PutVolume(state.Volumes[new("mongodata")] with { Size = ByteCount.GiB(1) })]);
        foreach (var dryRun in (string[])["true", "false"])
        {
            var refused = await doors.Send("POST", "/api/v1/moves", $$"""{"app":"/mongo","constraint":"disk=ssd","dryRun":{{dryRun}}}""");
            Assert.Equal((422, "to"), (refused.Status, refused.Body.GetProperty("field").GetString()));
            Assert.Contains("--without-sizes", refused.Body.GetProperty("remedy").GetString(), StringComparison.Ordinal);
        }
        Assert.Empty(doors.Cluster.Current.Moves);
        var plan = await doors.Send("POST", "/api/v1/moves", """{"app":"/mongo","constraint":"disk=ssd","dryRun":true,"withoutSizes":true}""");
        Assert.Contains(plan.Body.GetProperty("notes").EnumerateArray(), n => n.GetString()!.Contains("does not keep volume 'mongodata' to its size of 1 GiB", StringComparison.Ordinal));
        Assert.Equal(202, (await doors.Send("POST", "/api/v1/moves", """{"app":"/mongo","constraint":"disk=ssd","withoutSizes":true}""")).Status);
        Assert.Equal(ByteCount.GiB(1), doors.Cluster.Current.Volumes[new("mongodata")].Size);
    }

    [Fact]
    public async Task A_dry_run_answers_the_plan_and_changes_nothing()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var before = doors.Cluster.Current;
        var (status, body, _) = await doors.Send("POST", "/api/v1/moves", """{"app":"mongo","constraint":"disk=ssd","dryRun":true}""");
        var plan = body.Deserialize(ApiJson.Default.MovePlanView)!;
        Assert.Equal((200, "node1", "node2", ByteCount.MiB(64).Bytes, false), (status, plan.From, plan.To, plan.BytesToSend, plan.Incremental));
        Assert.Same(before, doors.Cluster.Current);
    }

    [Fact]
    public async Task A_move_begins_is_found_at_its_location_and_a_second_is_a_conflict()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var (status, body, whole) = await doors.Send("POST", "/api/v1/moves", """{"app":"/mongo","to":null,"constraint":"disk=ssd","dryRun":false,"limit":1000000}""");
        Assert.Equal(202, status);
        var move = body.Deserialize(ApiJson.Default.MoveView)!;
        Assert.Equal(("Planned", "node2", "move"), (move.State, move.To, move.Trigger));
        Assert.Equal(200, (await doors.Send("GET", whole.Headers.Location!.ToString())).Status);
        Assert.Equal(1_000_000, doors.Cluster.Current.Moves[new MoveId(move.Id)].Policy.BytesPerSecond);
        (status, body, _) = await doors.Send("POST", "/api/v1/moves", """{"app":"mongo","to":"node2"}""");
        Assert.Equal((409, "app"), (status, body.Deserialize(ApiJson.Default.ErrorView)!.Field));
    }

    [Theory]
    [InlineData("{", 400, null)]
    [InlineData("[]", 400, null)]
    [InlineData("{}", 400, "app")]
    [InlineData("{\"app\":1,\"to\":\"node2\"}", 400, "app")]
    [InlineData("{\"app\":\"mongo\"}", 400, "to")]
    [InlineData("{\"app\":\"mongo\",\"to\":\"node2\",\"constraint\":\"disk=ssd\"}", 400, "to")]
    [InlineData("{\"app\":\"mongo\",\"constraint\":\"ssd\"}", 400, "constraint")]
    [InlineData("{\"app\":\"mongo\",\"to\":\"node2\",\"limit\":-1}", 400, "limit")]
    [InlineData("{\"app\":\"none\",\"to\":\"node2\"}", 404, "app")]
    [InlineData("{\"app\":\"mongo\",\"to\":\"node9\"}", 404, "to")]
    [InlineData("{\"app\":\"mongo\",\"to\":\"node1\"}", 409, "to")]
    [InlineData("{\"app\":\"mongo\",\"to\":\"dead\"}", 422, "to")]
    [InlineData("{\"app\":\"mongo\",\"to\":\"full\"}", 422, "to")]
    [InlineData("{\"app\":\"mongo\",\"constraint\":\"disk=tape\"}", 422, "constraint")]
    public async Task A_move_that_cannot_be_is_refused_with_field_reason_and_remedy(string json, int expected, string? field)
    {
        var full = Doors.Machine("full", "172.16.255.254", "spinning");
        full[0] = new ClusterChange.PutNode(((ClusterChange.PutNode)full[0]).Node with { Resources = new(2, 64, 10_000, 0, [new(7000, 9000)]) });
        await using var doors = await Doors.Open([.. Doors.RunningMongo(), .. Doors.Machine("dead", "172.16.255.253", "spinning", connected: false), .. full]);
        var before = doors.Cluster.Current;
        var (status, body, _) = await doors.Send("POST", "/api/v1/moves", json);
        var error = body.Deserialize(ApiJson.Default.ErrorView)!;
        Assert.Equal((expected, field), (status, error.Field));
        Assert.NotEmpty(error.Message);
        Assert.NotEmpty(error.Remedy!);
        Assert.Same(before, doors.Cluster.Current);
    }

    [Theory]
    [InlineData("GET", "/api/v1/nodes/none", 404)]
    [InlineData("GET", "/api/v1/volumes/none", 404)]
    [InlineData("GET", "/api/v1/moves/none", 404)]
    [InlineData("GET", "/api/v1/apps/none/logs", 404)]
    [InlineData("GET", "/api/v1/apps/mongo/logs?task=none", 404)]
    [InlineData("GET", "/api/v1/apps/mongo/logs?tail=many", 400)]
    [InlineData("GET", "/api/v1/events?after=soon", 400)]
    [InlineData("GET", "/api/v1/nowhere", 404)]
    [InlineData("DELETE", "/api/v1/moves", 405)]
    public async Task What_is_unknown_is_said_with_a_remedy(string method, string path, int expected)
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        var (status, body, _) = await doors.Send(method, path);
        Assert.Equal(expected, status);
        Assert.NotEmpty(body.Deserialize(ApiJson.Default.ErrorView)!.Remedy!);
    }

    [Fact]
    public async Task Events_replay_after_the_last_seen_and_go_on()
    {
        await using var doors = await Doors.Open(Doors.Machines);
        using var first = await EventClient.Open(doors, "/api/v1/events?kind=app");
        await doors.Send("POST", "/v2/apps", Marathon.Dialects.Db);
        var created = (await first.Next())!.Value;
        Assert.Equal("app.created", created.Name);
        await doors.Send("POST", "/v2/apps", Marathon.Dialects.App);
        var second = (await first.Next())!.Value;
        using var again = await EventClient.Open(doors, "/api/v1/events?kind=app&follow=false", lastId: created.Id);
        var replayed = (await again.Next())!.Value;
        Assert.Equal((second.Id, "/app"), (replayed.Id, replayed.Data.Deserialize(ApiJson.Default.EventView)!.App));
        Assert.Null(await again.Next());
        using var whole = await EventClient.Open(doors, "/api/v1/events?after=0&kind=app.created");
        Assert.Equal(created.Id, (await whole.Next())!.Value.Id);
    }

    [Fact]
    public async Task Progress_of_a_move_is_told_at_most_four_times_a_second_and_not_kept()
    {
        await using var doors = await Doors.Open([.. Doors.RunningMongo(), new ClusterChange.PutMove(Samples.Move)]);
        using var client = await EventClient.Open(doors, "/api/v1/events?kind=move.changed");
        void Report(long bytes) => doors.Board.Report(Samples.Move.Id, new StepProgress { Round = 2, Volume = "mongodata", Bytes = bytes, BytesPerSecond = 10, Doing = "sending" });
        Report(1 << 20);
        Report(2 << 20);
        doors.Cluster.Time.Advance(TimeSpan.FromMilliseconds(250));
        Report(3 << 20);
        Assert.Contains("1 MiB of round 2", (await client.Next())!.Value.Data.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Contains("3 MiB of round 2", (await client.Next())!.Value.Data.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Equal(3 << 20, (await doors.Send("GET", "/api/v1/moves/m1")).Body.Deserialize(ApiJson.Default.MoveView)!.Progress!.Bytes);
        using var replay = await EventClient.Open(doors, "/api/v1/events?after=0&follow=false&kind=move");
        Assert.Null(await replay.Next());
    }

    [Fact]
    public async Task Logs_come_as_they_are_made_from_the_node_that_runs_the_task()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        await doors.Agents.Output.Writer.WriteAsync(new LogChunk { Data = ByteString.CopyFromUtf8("first\n") });
        using var response = await doors.Http.GetAsync("/api/v1/apps/mongo/logs?follow=true&tail=5", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/plain", response.Content.Headers.ContentType!.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Equal("first", await reader.ReadLineAsync());
        Assert.Equal((new NodeId("node1"), new TaskId("mongo.instance-1._app.1"), true, 5), Assert.Single(doors.Agents.Asked));
        await doors.Agents.Output.Writer.WriteAsync(new LogChunk { Data = ByteString.CopyFromUtf8("second\n"), End = true });
        Assert.Equal("second", await reader.ReadLineAsync());
        Assert.Null(await reader.ReadLineAsync());
        doors.Agents.Away.Add(new("node1"));
        Assert.Equal(503, (await doors.Send("GET", "/api/v1/apps/mongo/logs")).Status);
    }

    [Fact]
    public async Task A_log_that_cannot_be_had_is_an_error_with_the_agents_words()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        await doors.Agents.Output.Writer.WriteAsync(new LogChunk { Error = "no container of that task is on this node" });
        var (status, body, _) = await doors.Send("GET", "/api/v1/apps/mongo/logs");
        Assert.Equal((502, "no container of that task is on this node"), (status, body.Deserialize(ApiJson.Default.ErrorView)!.Message));
    }

    [Fact]
    public void The_ring_keeps_its_last_thousand_and_cuts_off_who_does_not_read()
    {
        var ring = new EventRing(TimeProvider.System);
        using var slow = ring.Subscribe(null)!;
        Happening One(long sequence) => new(new(sequence, Samples.Moment, "x", "", "", null, null, null, null, null, null, null), []);
        for (var i = 0; i < EventRing.Backlog; i++) ring.Put(One);
        Assert.False(slow.Cut.IsCancellationRequested);
        ring.Put(One);
        Assert.True(slow.Cut.IsCancellationRequested);
        using var late = ring.Subscribe(0)!;
        Assert.Equal(EventRing.Capacity, late.Replay.Length);
        Assert.Equal(late.Replay[0].View.Sequence + EventRing.Capacity - 1, late.Replay[^1].View.Sequence);
        Assert.Equal(late.Replay[^1].View.Sequence.ToString(CultureInfo.InvariantCulture), Assert.Single(ring.Subscribe(late.Replay[^2].View.Sequence)!.Replay).View.Sequence.ToString(CultureInfo.InvariantCulture));
    }
}
