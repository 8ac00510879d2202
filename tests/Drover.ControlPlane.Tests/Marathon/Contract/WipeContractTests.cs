using Drover.Core;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>What `wipe` does where a node is lost: it has a cluster of its own, since nodes are lost in it.</summary>
public sealed class WipeContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    [Fact]
    public async Task A_wipe_forgets_a_task_of_a_lost_node_and_its_data_is_still_where_it_was()
    {
        var app = new AppId(server.NewId("lost"));
        await server.Deployed(server.Post("/v2/apps", AppBodies.WithVolume(app.Value, "lost-data")));
        var copy = Assert.Single(server.State.InstancesOf(app));
        var home = copy.Node!.Value;
        var agent = server.Agents.Single(a => a.Node == home);
        server.Agents.Remove(agent);
        await agent.DisposeAsync();
        await server.Until(s => !s.IsConnected(home), "the node is lost");

        // Killed, but nobody says that it is gone.
        await server.Delete($"/v2/apps{app}/tasks/{copy.Task}");
        Assert.True(server.State.Instances.ContainsKey(copy.Id));

        var reply = await server.Delete($"/v2/apps{app}/tasks?wipe=true");
        Assert.Equal(copy.Task.Value, Assert.Single(reply["tasks"].EnumerateArray()).GetProperty("id").GetString());
        Assert.False(server.State.Instances.ContainsKey(copy.Id));
        var volume = server.State.Volumes[new("lost-data")];
        Assert.Equal((home, app, true), (volume.Primary, volume.Holder, volume.Initialized));

        // The next copy waits for the data; it is not started elsewhere on nothing.
        var next = (await server.Until(s => s.InstancesOf(app).Any(i => i.Id != copy.Id && i.WaitsFor is not null), "another copy")).InstancesOf(app).Single();
        Assert.Null(next.Node);
        Assert.Contains("lost-data", (await server.Until("/v2/queue", r => r.Text.Contains("lost-data", StringComparison.Ordinal), "what it waits for")).Text, StringComparison.Ordinal);
    }
}
