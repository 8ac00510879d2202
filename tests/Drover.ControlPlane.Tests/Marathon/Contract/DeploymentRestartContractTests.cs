using Drover.Core;
using Xunit;
using static Drover.ControlPlane.Tests.Marathon.Contract.GroupBodies;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>What is stored of deployments, groups and versions outlives the control plane.</summary>
public sealed class DeploymentRestartContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    [Fact]
    public async Task A_plan_goes_on_at_its_step_after_a_restart_and_can_still_be_led_back()
    {
        var g = server.NewId("restart");
        await server.Deployed(server.Post("/v2/groups", Group(g, AppList(App("db"), App("web", $",\"dependencies\":[\"{g}/db\"]")))));
        var first = (await server.Get($"/v2/groups{g}/versions")).Text;
        server.Time.Advance(TimeSpan.FromMilliseconds(5));
        await server.Plays($"{g}/db", Play.Staging);
        var id = (await server.Put($"/v2/groups{g}", Group(g, AppList(App("db", ",\"mem\":64"), App("web", $",\"mem\":64,\"dependencies\":[\"{g}/db\"]"), App("new", $",\"dependencies\":[\"{g}/web\"]"))))).Began();
        var before = await server.Until($"/v2/deployments/{id}", r => r["currentStep"].GetInt32() == 2, "the step of the database");
        var (apps, versions) = ((await server.Get($"/v2/groups{g}")).Text, (await server.Get($"/v2/groups{g}/versions")).Text);

        await server.Restart();
        var after = await server.Get($"/v2/deployments/{id}");
        foreach (var field in new[] { "id", "version", "affectedApps", "steps", "currentStep", "totalSteps" }) Assert.Equal(before[field].GetRawText(), after[field].GetRawText());
        Assert.Equal($"StartApplication {g}/new | RestartApplication {g}/db | RestartApplication {g}/web | ScaleApplication {g}/new", after["steps"].Steps());
        Assert.Equal((apps, versions), ((await server.Get($"/v2/groups{g}")).Text, (await server.Get($"/v2/groups{g}/versions")).Text));
        Assert.NotEqual(first, versions);

        await server.Plays($"{g}/db", Play.Healthy);
        foreach (var node in new[] { "node1", "node2", "node3" }) await server.Join(node, ("disk", "ssd"));
        await server.Until(s => !s.Deployments.ContainsKey(new DeploymentId(id)), "its end");
        Assert.Equal(3, server.State.Apps.Keys.Count(a => a.Value.StartsWith(g, StringComparison.Ordinal) && server.State.InstancesOf(a).Any(i => i.Serves && i.Spec.MemoryMiB == (a.Value.EndsWith("new", StringComparison.Ordinal) ? 32 : 64))));
    }

    [Fact]
    public async Task The_way_back_is_known_after_a_restart()
    {
        var id = server.NewId("back");
        await server.Deployed(server.Post("/v2/apps", App(id, ",\"instances\":2")));
        await server.Plays(id, Play.Staging);
        var change = (await server.Put($"/v2/apps{id}", """{"mem":64,"instances":3}""")).Began();
        await server.Restart();
        var back = (await server.Delete($"/v2/deployments/{change}")).Began();
        await server.Plays(id, Play.Healthy);
        foreach (var node in new[] { "node1", "node2", "node3" }) await server.Join(node, ("disk", "ssd"));
        await server.Until(s => !s.Deployments.ContainsKey(new DeploymentId(back)), "its end");
        Assert.Equal((2, 32), (server.State.InstancesOf(new AppId(id)).Count(i => i.Serves), server.State.Apps[new AppId(id)].Spec.MemoryMiB));
        Assert.Equal(3, (await server.Get($"/v2/apps{id}/versions"))["versions"].GetArrayLength());
    }
}
