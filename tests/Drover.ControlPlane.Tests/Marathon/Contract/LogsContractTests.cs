using System.Text;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Tests.Api;
using Drover.Core;
using Drover.Testing;
using Google.Protobuf;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>Output of tasks, from wherever they run, through the control plane.</summary>
public sealed class LogsContractTests
{
    private static LogChunk Chunk(string text, bool end = false) => new() { Data = ByteString.CopyFromUtf8(text), End = end };

    /// <summary>Complaint 3129: logs could not be had where a browser does not reach the agents.</summary>
    [Fact]
    public async Task Complaint_3129_output_is_read_through_the_control_plane_alone()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        doors.Agents.Output.Writer.TryWrite(Chunk("one\ntwo\n", end: true));
        var reply = await doors.Http.GetAsync("/api/v1/apps/mongo/logs?tail=2");
        Assert.Equal((200, "text/plain", "one\ntwo\n"), ((int)reply.StatusCode, reply.Content.Headers.ContentType?.MediaType, await reply.Content.ReadAsStringAsync()));
        var asked = Assert.Single(doors.Agents.Asked);
        Assert.Equal((new NodeId("node1"), "mongo.instance-1._app.1", false, 2), (asked.Node, asked.Task.Value, asked.Follow, asked.Tail));
        // What clients of Marathon follow to logs is this same address.
        var info = (await doors.Send("GET", "/v2/info")).Body;
        Assert.Equal(doors.Http.BaseAddress!.ToString().TrimEnd('/'), info.GetProperty("marathon_config").GetProperty("mesos_leader_ui_url").GetString());
    }

    /// <summary>Complaint 1309: logs were to be downloaded, not looked at as they come.</summary>
    [Fact]
    public async Task Complaint_1309_output_is_tailed_and_followed_where_it_is_looked_at()
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        doors.Agents.Output.Writer.TryWrite(Chunk("before\n"));
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/apps/mongo/logs?follow=true&tail=1");
        using var response = await doors.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(limit.Token), Encoding.UTF8);
        Assert.Equal("before", await reader.ReadLineAsync(limit.Token));
        doors.Agents.Output.Writer.TryWrite(Chunk("as it comes\n"));
        Assert.Equal("as it comes", await reader.ReadLineAsync(limit.Token));
        Assert.True(Assert.Single(doors.Agents.Asked).Follow);
    }
}
