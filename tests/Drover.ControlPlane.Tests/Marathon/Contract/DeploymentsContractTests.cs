using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;
using Xunit;
using static Drover.ControlPlane.Tests.Marathon.Contract.GroupBodies;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>/v2/deployments: what is shown, the way back, the end by force, and what complaints about them were about.</summary>
public sealed class DeploymentsContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private async Task<string> Running(string name, string more = "")
    {
        var id = server.NewId(name);
        await server.Deployed(server.Post("/v2/apps", App(id, more)));
        return id;
    }

    private Task Ended(string deployment) => server.Until(s => !s.Deployments.ContainsKey(new DeploymentId(deployment)), $"the end of {deployment}");

    private int Instances(string app) => server.State.Apps[new AppId(app)].Spec.Instances;

    [Fact]
    public async Task A_deployment_is_shown_whole_while_it_runs_and_is_gone_when_it_is_over()
    {
        var id = server.NewId("shown");
        await server.Plays(id, Play.Staging);
        var deployment = (await server.Post("/v2/apps", App(id, ",\"instances\":2"))).Header("Marathon-Deployment-Id")!;
        var listed = await server.Until("/v2/deployments", r => r.Json.EnumerateArray().Any(d => d.GetProperty("id").GetString() == deployment && d.GetProperty("currentStep").GetInt32() == 2), "its second step");
        var shown = listed.Json.EnumerateArray().Single(d => d.GetProperty("id").GetString() == deployment);
        Assert.Equal((await server.Get($"/v2/apps{id}"))["app"].GetProperty("version").GetString(), shown.GetProperty("version").GetString());
        Assert.Equal([id], shown.GetProperty("affectedApps").Strings());
        Assert.Empty(shown.GetProperty("affectedPods").EnumerateArray());
        Assert.Equal($"StartApplication {id} | ScaleApplication {id}", shown.GetProperty("steps").Steps());
        Assert.Equal((2, 2), (shown.GetProperty("currentStep").GetInt32(), shown.GetProperty("totalSteps").GetInt32()));
        var action = Assert.Single(shown.GetProperty("currentActions").EnumerateArray());
        Assert.Equal(("ScaleApplication", id), (action.GetProperty("action").GetString(), action.GetProperty("app").GetString()));
        Assert.Empty(action.GetProperty("readinessCheckResults").EnumerateArray());
        await server.Plays(id, Play.Healthy);
        await Ended(deployment);
        Assert.DoesNotContain(deployment, (await server.Get("/v2/deployments")).Json.Ids());
        Assert.Equal((404, $"DeploymentPlan {deployment} does not exist"), (await server.Get($"/v2/deployments/{deployment}")) is var gone ? (gone.Status, gone.Message) : default);
    }

    [Theory]
    [InlineData("""{"instances":3}""", "ScaleApplication")]
    [InlineData("""{"mem":64}""", "RestartApplication")]
    [InlineData("""{"mem":64,"instances":3}""", "RestartApplication")]
    [InlineData("""{"labels":{"a":"b"}}""", "RestartApplication")]
    [InlineData("""{"instances":0}""", "ScaleApplication")]
    [InlineData("""{"mem":64,"instances":0}""", "ScaleApplication")]
    public async Task A_change_of_one_app_is_one_step(string change, string action)
    {
        var id = await Running("one");
        await server.Plays(id, Play.Clinging);
        var deployment = (await server.Put($"/v2/apps{id}", change)).Began();
        if (await server.Get($"/v2/deployments/{deployment}") is { Status: 200 } shown) Assert.Equal($"{action} {id}", shown["steps"].Steps());
        else Assert.Equal("ScaleApplication", action);
        await server.Plays(id, Play.Healthy);
        await Ended(deployment);
    }

    [Theory]
    [InlineData("")]
    [InlineData("?force=true")]
    public async Task A_deployment_that_is_not_there_is_a_404(string query)
    {
        var reply = await server.Delete($"/v2/deployments/none{query}");
        Assert.Equal((404, "DeploymentPlan none does not exist"), (reply.Status, reply.Message));
    }

    [Fact]
    public async Task Without_force_a_new_deployment_leads_back_and_is_named()
    {
        var id = await Running("back", ",\"instances\":2");
        await server.Plays(id, Play.Staging);
        var change = (await server.Put($"/v2/apps{id}", """{"mem":64,"instances":4}""")).Began();
        var back = await server.Delete($"/v2/deployments/{change}");
        Assert.NotEqual(change, back.Began());
        Assert.Equal((2, 32), (Instances(id), server.State.Apps[new AppId(id)].Spec.MemoryMiB));
        await server.Plays(id, Play.Healthy);
        await Ended(back["deploymentId"].GetString()!);
        Assert.Equal(2, server.State.InstancesOf(new AppId(id)).Count(i => i.Serves));
    }

    [Fact]
    public async Task The_way_back_from_a_creation_deletes_and_from_a_deletion_creates()
    {
        var made = server.NewId("made");
        await server.Plays(made, Play.Staging);
        var creation = (await server.Post("/v2/apps", App(made))).Header("Marathon-Deployment-Id")!;
        await Ended((await server.Delete($"/v2/deployments/{creation}")).Began());
        Assert.Equal(404, (await server.Get($"/v2/apps{made}")).Status);

        var gone = await Running("gone");
        await server.Plays(gone, Play.Clinging);
        var deletion = (await server.Delete($"/v2/apps{gone}")).Began();
        var back = (await server.Delete($"/v2/deployments/{deletion}")).Began();
        Assert.Equal(200, (await server.Get($"/v2/apps{gone}")).Status);
        await server.Plays(gone, Play.Healthy);
        await Ended(back);
        Assert.Single(server.State.InstancesOf(new AppId(gone)), i => i.Serves);
    }

    [Fact]
    public async Task By_force_a_deployment_stops_where_it_stands_and_says_nothing_else()
    {
        var id = await Running("stopped");
        await server.Plays(id, Play.Staging);
        var change = (await server.Put($"/v2/apps{id}", """{"mem":64}""")).Began();
        var reply = await server.Delete($"/v2/deployments/{change}?force=true");
        Assert.Equal((202, ""), (reply.Status, reply.Text));
        Assert.Equal(404, (await server.Get($"/v2/deployments/{change}")).Status);
        Assert.Equal(64, server.State.Apps[new AppId(id)].Spec.MemoryMiB);
        await server.Plays(id, Play.Healthy);
        (await server.Deployed(server.Put($"/v2/apps{id}", """{"mem":32}"""))).Began();
    }

    // Marathon's revert put all apps back to what they were when the deployment began, weeks of others' work with them.
    [Fact]
    public async Task A_way_back_is_of_what_the_deployment_changed_alone()
    {
        var (mine, bystander) = (await Running("mine"), await Running("bystander"));
        await server.Plays(mine, Play.Staging);
        var old = (await server.Put($"/v2/apps{mine}", """{"mem":64}""")).Began();
        await server.Deployed(server.Put($"/v2/apps{bystander}", """{"instances":3}"""));
        var late = await Running("late");
        var back = (await server.Delete($"/v2/deployments/{old}")).Began();
        Assert.Equal([mine], (await server.Get($"/v2/deployments/{back}")) is { Status: 200 } shown ? shown["affectedApps"].Strings() : [mine]);
        await server.Plays(mine, Play.Healthy);
        await Ended(back);
        Assert.Equal((32, 3, 1), (server.State.Apps[new AppId(mine)].Spec.MemoryMiB, Instances(bystander), Instances(late)));
    }

    // In Marathon an app that asked for what no node has could not be destroyed while it was being deployed.
    [Fact]
    public async Task An_app_that_fits_nowhere_is_deleted_at_once_while_it_is_being_deployed()
    {
        var id = server.NewId("impossible");
        var made = (await server.Post("/v2/apps", App(id).Replace("\"cpus\":0.1", "\"cpus\":9999", StringComparison.Ordinal))).Header("Marathon-Deployment-Id")!;
        await server.Until(s => s.Deployments.GetValueOrDefault(new DeploymentId(made))?.WaitsFor is not null, "it waits");
        (await server.Deployed(server.Delete($"/v2/apps{id}"))).Began();
        Assert.Equal(404, (await server.Get($"/v2/apps{id}")).Status);
        Assert.Equal(404, (await server.Get($"/v2/deployments/{made}")).Status);
        Assert.Empty(server.State.InstancesOf(new AppId(id)));
    }

    // In Marathon a rollback of what failed was rolled back again, and so on.
    [Fact]
    public async Task A_rollback_does_not_begin_another_and_ends()
    {
        var id = await Running("loop");
        await server.Plays(id, Play.Failing);
        var bad = (await server.Put($"/v2/apps{id}", """{"env":{"BAD":"1"}}""")).Began();
        var back = (await server.Delete($"/v2/deployments/{bad}")).Began();
        await server.Plays(id, Play.Healthy);
        await server.Advance(TimeSpan.FromSeconds(10));
        await Ended(back);
        Assert.DoesNotContain(server.State.Deployments.Values, d => d.AffectedApps.Items.Contains(new AppId(id)));
        Assert.Empty(server.State.Apps[new AppId(id)].Spec.Env);
        Assert.Equal(404, (await server.Delete($"/v2/deployments/{bad}")).Status);
    }

    [Fact]
    public async Task A_rollback_can_be_rolled_back_by_who_asks_for_it()
    {
        var id = await Running("redo");
        await server.Plays(id, Play.Staging);
        var change = (await server.Put($"/v2/apps{id}", """{"mem":64}""")).Began();
        var back = (await server.Delete($"/v2/deployments/{change}")).Began();
        var again = (await server.Delete($"/v2/deployments/{back}")).Began();
        Assert.Equal(64, server.State.Apps[new AppId(id)].Spec.MemoryMiB);
        await server.Plays(id, Play.Healthy);
        await Ended(again);
    }

    [Fact]
    public async Task The_way_back_of_a_group_takes_back_the_group_too()
    {
        var g = server.NewId("group");
        await server.Plays($"{g}/a", Play.Staging);
        var made = (await server.Post("/v2/groups", Group(g, $$"""{{AppList(App("a"))}},"groups":[{"id":"empty"}]"""))).Began(201);
        await Ended((await server.Delete($"/v2/deployments/{made}")).Began());
        Assert.Equal(404, (await server.Get($"/v2/groups{g}")).Status);
    }

    [Theory]
    [InlineData("PUT", "", """{"mem":64}""")]
    [InlineData("PATCH", "", """{"mem":64}""")]
    [InlineData("POST", "/restart", null)]
    [InlineData("DELETE", "?force=false", null)]
    public async Task An_app_under_change_is_locked_with_the_deployment_named_until_force(string method, string rest, string? body)
    {
        var id = await Running("locked");
        await server.Plays(id, Play.Staging);
        var first = (await server.Put($"/v2/apps{id}", """{"env":{"A":"1"}}""")).Began();
        var locked = await server.Send(method, $"/v2/apps{id}{rest}", body);
        Assert.Equal(409, locked.Status);
        Assert.Equal("App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.", locked.Message);
        Assert.Equal([first], locked["deployments"].Ids());
        await server.Plays(id, Play.Healthy);
        var forced = await server.Send(method, $"/v2/apps{id}{rest.Split('?')[0]}?force=true", body);
        forced.Began();
        await server.Deployed(Task.FromResult(forced));
        Assert.Equal(404, (await server.Get($"/v2/deployments/{first}")).Status);
    }

    [Fact]
    public async Task An_app_is_deleted_by_force_unless_told_otherwise()
    {
        var id = await Running("delete");
        await server.Plays(id, Play.Staging);
        (await server.Put($"/v2/apps{id}", """{"mem":64}""")).Began();
        Assert.Equal(409, (await server.Delete($"/v2/apps{id}?force=false")).Status);
        (await server.Deployed(server.Delete($"/v2/apps{id}"))).Began();
    }

    [Fact]
    public async Task What_a_forced_change_replaces_is_brought_to_its_end_by_it()
    {
        var (a, b) = (await Running("a"), await Running("b"));
        await server.Plays(b, Play.Staging);
        await server.Plays(a, Play.Staging);
        var both = (await server.Put("/v2/apps", $$"""[{"id":"{{a}}","env":{"V":"2"} },{"id":"{{b}}","env":{"V":"2"} }]""")).Began();
        var forced = (await server.Put($"/v2/apps{a}?force=true", """{"env":{"V":"3"}}""")).Began();
        Assert.Equal(new[] { a, b }.Order(StringComparer.Ordinal), (await server.Get($"/v2/deployments/{forced}"))["affectedApps"].Strings());
        await server.Plays(a, Play.Healthy);
        await server.Plays(b, Play.Healthy);
        await Ended(forced);
        Assert.Equal(404, (await server.Get($"/v2/deployments/{both}")).Status);
        Assert.All(server.State.InstancesOf(new AppId(b)), i => Assert.Equal("2", i.Spec.Env[0].Value));
        Assert.All(server.State.InstancesOf(new AppId(a)), i => Assert.Equal("3", i.Spec.Env[0].Value));
    }

    [Fact]
    public async Task An_app_waits_until_what_it_depends_on_serves_also_where_that_is_no_part_of_its_deployment()
    {
        var db = server.NewId("db");
        await server.Plays(db, Play.Silent);
        await server.Post("/v2/apps", App(db, ",\"healthChecks\":[{\"protocol\":\"TCP\"}]"));
        var web = server.NewId("web");
        var made = (await server.Post("/v2/apps", App(web, $",\"dependencies\":[\"{db}\"]"))).Header("Marathon-Deployment-Id")!;
        var shown = await server.Until($"/v2/deployments/{made}", r => r.Json.TryGetProperty("waitsFor", out _), "it waits");
        Assert.Equal($"app '{db}', on which it depends, to serve", shown["waitsFor"].GetString());
        Assert.Empty(server.State.InstancesOf(new AppId(web)));
        await server.Plays(db, Play.Healthy);
        await Ended(made);
        Assert.Single(server.State.InstancesOf(new AppId(web)), i => i.Serves);
    }

    [Theory]
    [InlineData("PUT", "/v2/apps/ID")]
    [InlineData("POST", "/v2/apps")]
    public async Task A_circle_of_dependencies_is_refused_by_name(string method, string path)
    {
        var (a, b) = (server.NewId("a"), server.NewId("b"));
        await server.Deployed(server.Post("/v2/apps", App(b, $",\"dependencies\":[\"{a}\"]")));
        var reply = await server.Send(method, path.Replace("/ID", a, StringComparison.Ordinal), App(a, $",\"dependencies\":[\"{b}\"]"));
        Assert.Contains($"{a} → {b} → {a}", reply.Refused("/dependencies"), StringComparison.Ordinal);
        Assert.Equal(404, (await server.Get($"/v2/apps{a}")).Status);
    }

    [Fact]
    public async Task An_app_that_depends_on_what_serves_already_starts_at_once()
    {
        var db = await Running("base");
        (await server.Deployed(server.Post("/v2/apps", App(server.NewId("web"), $",\"dependencies\":[\"{db}\",\"/nowhere\"]")))).Header("Location");
    }
}
