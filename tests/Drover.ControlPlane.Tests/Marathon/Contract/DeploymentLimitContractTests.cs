using Drover.Core;
using Drover.Core.Apps;
using Xunit;
using static Drover.ControlPlane.Tests.Marathon.Contract.GroupBodies;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>As many deployments as may run at once: a server of its own, since all of them are busy.</summary>
public sealed class DeploymentLimitContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    [Fact]
    public async Task Over_a_hundred_running_deployments_are_forbidden_in_marathons_words()
    {
        var g = server.NewId("limit");
        var ids = new List<string>();
        for (var i = 0; i < AppChanges.MaxDeployments; i++)
        {
            var reply = await server.Post("/v2/apps", App($"{g}/a{i}").Replace("\"cpus\":0.1", "\"cpus\":9999", StringComparison.Ordinal));
            Assert.Equal(201, reply.Status);
            ids.Add(reply.Header("Marathon-Deployment-Id")!);
        }
        foreach (var (method, path, body) in new[] { ("POST", "/v2/apps", App($"{g}/more")), ("PUT", "/v2/apps", $"[{App($"{g}/more")}]"), ("PUT", "/v2/groups", Group($"{g}-more", AppList(App("a")))) })
        {
            var refused = await server.Send(method, path, body);
            Assert.Equal(403, refused.Status);
            Assert.StartsWith("Max number (100) of running deployments is achieved.", refused.Message, StringComparison.Ordinal);
        }
        Assert.False(server.State.Apps.ContainsKey(new AppId($"{g}/more")));
        // One that takes the place of another is not one more.
        Assert.Equal(200, (await server.Put($"/v2/apps{g}/a0?force=true", """{"cpus":9998}""")).Status);
        Assert.Equal(202, (await server.Delete($"/v2/deployments/{ids[1]}?force=true")).Status);
        await server.Deployed(server.Post("/v2/apps", App($"{g}/more")));
        // The whole group goes in one.
        (await server.Deployed(server.Delete($"/v2/groups{g}?force=true"))).Began();
        Assert.Empty(server.State.Deployments);
    }
}
