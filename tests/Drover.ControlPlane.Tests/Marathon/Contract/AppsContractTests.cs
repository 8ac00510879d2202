using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>/v2/apps and /v2/apps/{id} as clients of Marathon meet them.</summary>
public sealed class AppsContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private static string Minimal(string id, string more = "") => $$"""{"id":"{{id}}","cpus":0.1,"mem":32,"container":{"type":"DOCKER","docker":{"image":"busybox"} }{{more}} }""";

    [Fact]
    public async Task A_created_app_is_answered_whole_with_its_place_and_its_deployment()
    {
        var id = server.NewId();
        var reply = await server.Post("/v2/apps", Minimal(id));
        Assert.Equal((201, $"/v2/apps{id}"), (reply.Status, reply.Header("Location")));
        Assert.Equal((id, 1, 0.1, 32d), (reply["id"].GetString(), reply["instances"].GetInt32(), reply["cpus"].GetDouble(), reply["mem"].GetDouble()));
        Assert.Equal(reply.Header("Marathon-Deployment-Id"), Assert.Single(reply["deployments"].EnumerateArray()).GetProperty("id").GetString());
        await server.Until($"/v2/apps{id}", r => r["app"].GetProperty("tasksRunning").GetInt32() == 1, "its copy runs");
    }

    [Fact]
    public async Task A_deployment_ends_and_the_app_names_no_deployment_any_more()
    {
        var id = server.NewId();
        await server.Deployed(server.Post("/v2/apps", Minimal(id)));
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.Empty(app.GetProperty("deployments").EnumerateArray());
        Assert.Equal("TASK_RUNNING", Assert.Single(app.GetProperty("tasks").EnumerateArray()).GetProperty("state").GetString());
    }
}
