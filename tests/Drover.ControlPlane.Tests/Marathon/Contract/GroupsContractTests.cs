using System.Text.Json;
using Drover.Core;
using Drover.Core.Groups;
using Xunit;
using static Drover.ControlPlane.Tests.Marathon.Contract.GroupBodies;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>/v2/groups as clients of Marathon meet it.</summary>
public sealed class GroupsContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private Task<Reply> Made(string group, params string[] apps) => server.Deployed(server.Post("/v2/groups", Group(group, AppList(apps))));

    [Fact]
    public async Task A_group_with_apps_and_groups_in_one_body_is_one_deployment()
    {
        var g = server.NewId("shop");
        var reply = await server.Post("/v2/groups", Group(g, $$"""
            "dependencies":["{{g}}-base"],{{AppList(App("web", ",\"dependencies\":[\"../back/api\"]"))}},
            "groups":[{"id":"back",{{AppList(App("api"), App($"{g}/back/worker", $",\"dependencies\":[\"api\"]"))}} },{"id":"empty"}]
            """));
        reply.Began(201);
        Assert.Equal($"/v2/groups{g}", reply.Header("Location"));
        await server.Deployed(Task.FromResult(reply));
        var group = (await server.Get($"/v2/groups{g}")).Json;
        Assert.Equal(g, group.GetProperty("id").GetString());
        Assert.Equal([$"{g}-base"], group.GetProperty("dependencies").Strings());
        Assert.Equal([$"{g}/web"], group.GetProperty("apps").Ids());
        Assert.Equal([$"{g}/back", $"{g}/empty"], group.GetProperty("groups").Ids());
        Assert.Equal([$"{g}/back/api", $"{g}/back/worker"], group.GetProperty("groups")[0].GetProperty("apps").Ids());
        Assert.Equal(reply["version"].GetString(), group.GetProperty("version").GetString());
        Assert.Equal([$"{g}/back/api"], group.GetProperty("apps")[0].GetProperty("dependencies").Strings());
        Assert.Equal([$"{g}/back/api"], group.GetProperty("groups")[0].GetProperty("apps")[1].GetProperty("dependencies").Strings());
    }

    [Fact]
    public async Task The_root_is_there_without_being_made_and_holds_all()
    {
        var g = server.NewId("g");
        await Made(g, App("a"));
        foreach (var path in new[] { "/v2/groups", "/v2/groups/", "/v2/groups//" })
        {
            var root = (await server.Get(path)).Json;
            Assert.Equal("/", root.GetProperty("id").GetString());
            Assert.Contains(g, root.GetProperty("groups").Ids());
            Assert.False(root.TryGetProperty("enforceRole", out _));
        }
    }

    [Theory]
    [InlineData("/v2/groups/ID")]
    [InlineData("/v2/groups//ID")]
    [InlineData("/v2/groups/ID/")]
    [InlineData("/v2/groups/%2FID")]
    public async Task Doubled_encoded_and_trailing_slashes_name_the_same_group(string path)
    {
        var g = server.NewId("slashes");
        await Made(g, App("a"));
        Assert.Equal(g, (await server.Get(path.Replace("ID", g[1..], StringComparison.Ordinal)))["id"].GetString());
    }

    [Fact]
    public async Task The_path_of_an_app_is_a_group_while_the_app_is_there()
    {
        var g = server.NewId("implied");
        await server.Deployed(server.Post("/v2/apps", App($"{g}/deep/db")));
        Assert.Equal([$"{g}/deep"], (await server.Get($"/v2/groups{g}"))["groups"].Ids());
        await server.Deployed(server.Delete($"/v2/apps{g}/deep/db"));
        Assert.Equal((404, $"Group '{g}' does not exist"), ((await server.Get($"/v2/groups{g}")) is var gone ? (gone.Status, gone.Message) : default));
    }

    [Theory]
    [InlineData("GET", "/v2/groups/none", null)]
    [InlineData("GET", "/v2/groups/none/apps", null)]
    [InlineData("GET", "/v2/groups/none/versions", null)]
    [InlineData("DELETE", "/v2/groups/none", null)]
    [InlineData("PUT", "/v2/groups/none", """{"scaleBy":2}""")]
    [InlineData("PATCH", "/v2/groups/none", """{"enforceRole":true}""")]
    public async Task A_group_that_is_not_there_is_a_404_in_marathons_words(string method, string path, string? body)
    {
        var reply = await server.Send(method, path, body);
        Assert.Equal((404, "Group '/none' does not exist"), (reply.Status, reply.Message));
    }

    [Fact]
    public async Task Making_a_group_twice_or_over_an_app_is_a_conflict()
    {
        var g = server.NewId("twice");
        await Made(g, App("a"));
        var again = await server.Post("/v2/groups", Group(g, AppList()));
        Assert.Equal((409, $"Group {g} is already created. Use PUT to change this group."), (again.Status, again.Message));
        var over = await server.Post("/v2/groups", Group($"{g}/a", AppList()));
        Assert.Equal((409, $"An app with the path {g}/a already exists."), (over.Status, over.Message));
        Assert.Equal(409, (await server.Post("/v2/groups", """{"apps":[]}""")).Status);
    }

    [Fact]
    public async Task A_group_and_an_app_cannot_have_the_same_path()
    {
        var g = server.NewId("path");
        await Made(g, App("a"));
        Assert.Contains("is a group", (await server.Post("/v2/apps", App(g))).Refused("/id"), StringComparison.Ordinal);
        Assert.Contains("is an app", (await server.Post("/v2/apps", App($"{g}/a/b"))).Refused("/id"), StringComparison.Ordinal);
        Assert.Contains("is an app", (await server.Put($"/v2/groups{g}/a", """{"apps":[]}""")).Refused("/id"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"apps":[{"id":"/elsewhere/db"}]}""", "/apps(0)/id")]
    [InlineData("""{"apps":[{"id":"deep/db"}]}""", "/apps(0)/id")]
    [InlineData("""{"groups":[{"id":"/elsewhere"}]}""", "/groups(0)/id")]
    [InlineData("""{"groups":[{"id":"a"},{"id":"b/c"}]}""", "/groups(1)/id")]
    [InlineData("""{"groups":[{"id":"in","apps":[{"id":"/out"}]}]}""", "/groups(0)/apps(0)/id")]
    public async Task What_is_not_inside_is_refused_by_its_place(string body, string path)
    {
        var g = server.NewId("child");
        var image = body.Replace("db\"}", "db\",\"container\":{\"docker\":{\"image\":\"i\"}}}", StringComparison.Ordinal).Replace("/out\"}", "/out\",\"container\":{\"docker\":{\"image\":\"i\"}}}", StringComparison.Ordinal);
        var error = (await server.Put($"/v2/groups{g}", image)).Refused(path);
        Assert.StartsWith($"Identifier is not child of '{g}", error, StringComparison.Ordinal);
        Assert.Equal(404, (await server.Get($"/v2/groups{g}")).Status);
    }

    [Fact]
    public async Task A_fault_of_one_app_is_told_under_its_place_and_nothing_is_made()
    {
        var g = server.NewId("fault");
        var body = Group(g, $$"""{{AppList(App("good"), App("bad", ",\"constraints\":[[\"disk\",\"MAX_PER\",\"x\"]]"))}},"groups":[{"id":"in",{{AppList(App("bad", ",\"upgradeStrategy\":{\"minimumHealthCapacity\":2}"))}} }]""");
        var reply = await server.Post("/v2/groups", body);
        Assert.Equal(422, reply.Status);
        Assert.Contains("/groups(0)/apps(0)/upgradeStrategy/minimumHealthCapacity", reply.Details.Select(d => d.Path));
        Assert.Equal(404, (await server.Get($"/v2/groups{g}")).Status);
    }

    [Fact]
    public async Task What_only_the_cluster_can_judge_is_told_under_its_place_too()
    {
        var g = server.NewId("judged");
        var port = ",\"portDefinitions\":[{\"port\":15151}]";
        await server.Deployed(server.Post("/v2/apps", App($"{g}-holder", port)));
        Assert.Contains("15151", (await server.Post("/v2/groups", Group(g, AppList(App("a"), App("b", port))))).Refused("/apps(1)/portDefinitions(0)/port"), StringComparison.Ordinal);
        Assert.Equal(404, (await server.Get($"/v2/groups{g}")).Status);
    }

    [Theory]
    [InlineData("""{"apps":{}}""", "/apps")]
    [InlineData("""{"apps":[7]}""", "/apps(0)")]
    [InlineData("""{"groups":"x"}""", "/groups")]
    [InlineData("""{"groups":[{}]}""", "/groups(0)/id")]
    [InlineData("""{"dependencies":"/a"}""", "/dependencies")]
    [InlineData("""{"scaleBy":"many"}""", "/scaleBy")]
    [InlineData("""{"id":7}""", "/id")]
    public async Task Wrong_types_are_invalid_json_by_their_place(string body, string path)
    {
        var reply = await server.Put("/v2/groups/types", body);
        Assert.Equal((422, "Invalid JSON"), (reply.Status, reply.Message));
        Assert.Equal(path, Assert.Single(reply.Details).Path);
    }

    [Theory]
    [InlineData("""{"scaleBy":-1}""", "/scaleBy")]
    [InlineData("""{"scaleBy":2,"apps":[]}""", "/scaleBy")]
    [InlineData("""{"id":"Not An Id","apps":[]}""", "/id")]
    [InlineData("""{"dependencies":["a b"]}""", "/dependencies(0)")]
    [InlineData("""{"pods":[{"id":"p"}]}""", "/pods")]
    [InlineData("""{"groups":[{"id":"a"},{"id":"a"}]}""", "/groups(1)/id")]
    public async Task Values_that_cannot_be_are_refused_by_their_place(string body, string path) =>
        Assert.NotEmpty((await server.Put("/v2/groups/values", body)).Refused(path));

    [Theory]
    [InlineData("{", 400, "Invalid JSON")]
    [InlineData("[]", 400, "Please specify data in JSON format")]
    public async Task What_is_no_object_is_a_bad_request(string body, int status, string message)
    {
        foreach (var method in new[] { "POST", "PUT", "PATCH" })
        {
            var reply = await server.Send(method, "/v2/groups/x", body);
            Assert.Equal((status, message), (reply.Status, reply.Message));
        }
    }

    [Fact]
    public async Task An_app_named_twice_is_refused()
    {
        var g = server.NewId("same");
        Assert.Contains("twice", (await server.Post("/v2/groups", Group(g, AppList(App("a"), App($"{g}/a"))))).Refused("/apps(1)/id"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_circle_of_dependencies_is_refused_by_name()
    {
        var g = server.NewId("circle");
        var reply = await server.Post("/v2/groups", Group(g, AppList(App("a", $",\"dependencies\":[\"{g}/b\"]"), App("b", $",\"dependencies\":[\"{g}/a\"]"))));
        Assert.Contains($"{g}/a → {g}/b → {g}/a", reply.Refused("/dependencies"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dependencies_order_the_steps_and_each_waits_until_the_one_before_serves()
    {
        var g = server.NewId("order");
        await server.Plays($"{g}/db", Play.Staging);
        var body = Group(g, AppList(App("web", $",\"dependencies\":[\"{g}/db\"]"), App("db")));
        var id = (await server.Post("/v2/groups", body)).Began(201);
        var shown = await server.Until($"/v2/deployments/{id}", r => r["currentStep"].GetInt32() == 2 && r.Json.TryGetProperty("waitsFor", out _), "it waits for the database");
        Assert.Equal($"StartApplication {g}/db {g}/web | ScaleApplication {g}/db | ScaleApplication {g}/web", shown["steps"].Steps());
        Assert.Equal((2, 3), (shown["currentStep"].GetInt32(), shown["totalSteps"].GetInt32()));
        Assert.Empty(server.State.InstancesOf(new AppId($"{g}/web")));
        await server.Plays($"{g}/db", Play.Healthy);
        await server.Until(s => s.InstancesOf(new AppId($"{g}/web")).Any(i => i.Serves) && !s.Deployments.ContainsKey(new DeploymentId(id)), "both serve");
    }

    [Fact]
    public async Task A_deleted_group_stops_dependents_before_what_they_depend_on_and_is_gone()
    {
        var g = server.NewId("stop");
        await Made(g, App("web", $",\"dependencies\":[\"{g}/db\"]"), App("db"));
        await server.Plays($"{g}/web", Play.Clinging);
        var id = (await server.Delete($"/v2/groups{g}")).Began();
        Assert.Equal($"StopApplication {g}/web | StopApplication {g}/db", (await server.Get($"/v2/deployments/{id}"))["steps"].Steps());
        Assert.Equal(404, (await server.Get($"/v2/groups{g}")).Status);
        Assert.True(server.State.InstancesOf(new AppId($"{g}/db")).Single().Serves);
        await server.Plays($"{g}/web", Play.Healthy);
        await server.Until(s => !s.Deployments.ContainsKey(new DeploymentId(id)) && !s.InstancesOf(new AppId($"{g}/db")).Any(), "all are gone");
    }

    [Fact]
    public async Task A_put_leaves_what_it_does_not_name_and_a_list_it_gives_is_all_there_is()
    {
        var g = server.NewId("put");
        await server.Deployed(server.Post("/v2/groups", Group(g, $$"""{{AppList(App("a"), App("b"))}},"groups":[{"id":"x",{{AppList(App("c"))}} },{"id":"y",{{AppList(App("d"))}} }]""")));
        await server.Deployed(server.Put($"/v2/groups{g}", $$"""{"dependencies":["{{g}}-base"]}"""));
        Assert.Equal(4, (await server.Get($"/v2/groups{g}/apps")).Json.GetArrayLength());
        await server.Deployed(server.Put($"/v2/groups{g}", $$"""{ {{AppList(App("b"), App("new"))}} }"""));
        Assert.Equal([$"{g}/b", $"{g}/new"], (await server.Get($"/v2/groups{g}"))["apps"].Ids());
        Assert.Equal([$"{g}-base"], (await server.Get($"/v2/groups{g}"))["dependencies"].Strings());
        await server.Deployed(server.Put($"/v2/groups{g}", """{"groups":[{"id":"y"}]}"""));
        var after = (await server.Get($"/v2/groups{g}")).Json;
        Assert.Equal([$"{g}/y"], after.GetProperty("groups").Ids());
        Assert.Equal([$"{g}/y/d"], after.GetProperty("groups")[0].GetProperty("apps").Ids());
        Assert.Equal(2, after.GetProperty("apps").GetArrayLength());
    }

    [Fact]
    public async Task A_put_makes_a_group_that_is_not_there_and_the_same_again_changes_nothing()
    {
        var g = server.NewId("again");
        (await server.Deployed(server.Put("/v2/groups", Group(g, AppList(App("a")))))).Began();
        var tasks = (await server.Get($"/v2/apps{g}/a/tasks")).Text;
        var again = await server.Put($"/v2/groups{g}", Group(g, AppList(App("a"))));
        again.Began();
        Assert.Equal(404, (await server.Get($"/v2/deployments/{again["deploymentId"].GetString()}")).Status);
        Assert.Equal(tasks, (await server.Get($"/v2/apps{g}/a/tasks")).Text);
    }

    [Theory]
    [InlineData("1.5", 2, 5)]
    [InlineData("\"2\"", 2, 6)]
    [InlineData("0", 0, 0)]
    [InlineData("1.1", 2, 4)]
    public async Task Scaling_a_group_multiplies_the_copies_of_each_app_rounded_up(string factor, int first, int second)
    {
        var g = server.NewId("scale");
        await Made(g, App("one"), App("three", ",\"instances\":3"));
        await server.Deployed(server.Put($"/v2/groups{g}", $$"""{"scaleBy":{{factor}}}"""));
        Assert.Equal([first, second], (await server.Get($"/v2/groups{g}"))["apps"].EnumerateArray().Select(a => a.GetProperty("instances").GetInt32()));
    }

    [Fact]
    public async Task A_group_with_a_volume_is_not_scaled_over_one_copy_and_says_whose_it_is()
    {
        var g = server.NewId("volume");
        await Made(g, $$"""{"id":"db","cpus":0.1,"mem":32,"container":{"docker":{"image":"i"},"volumes":[{"containerPath":"/d","hostPath":"/flocker{{g}}","mode":"RW"}]} }""");
        Assert.Contains($"{g}/db", (await server.Put($"/v2/groups{g}", """{"scaleBy":2}""")).Refused("/"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dry_run_tells_the_steps_and_changes_nothing()
    {
        var g = server.NewId("dry");
        await Made(g, App("a"), App("gone"));
        var before = server.State;
        var reply = await server.Put($"/v2/groups{g}?dryRun=true", $$"""{ {{AppList(App("a", ",\"mem\":64"), App("new"))}} }""");
        Assert.Equal((200, null), (reply.Status, reply.Header("Marathon-Deployment-Id")));
        Assert.Equal(["steps"], reply.Json.EnumerateObject().Select(p => p.Name));
        Assert.Equal($"StopApplication {g}/gone | StartApplication {g}/new | RestartApplication {g}/a, ScaleApplication {g}/new", reply["steps"].Steps());
        Assert.Equal(before.Apps, server.State.Apps);
        Assert.Equal(422, (await server.Put($"/v2/groups{g}?dryRun=true", """{"scaleBy":-1}""")).Status);
    }

    [Fact]
    public async Task An_app_under_change_locks_its_group_and_force_goes_ahead()
    {
        var g = server.NewId("lock");
        await server.Plays($"{g}/a", Play.Staging);
        await server.Plays($"{g}/b", Play.Staging);
        var first = (await server.Post("/v2/apps", App($"{g}/a"))).Header("Marathon-Deployment-Id")!;
        var second = (await server.Post("/v2/apps", App($"{g}/b"))).Header("Marathon-Deployment-Id")!;
        var locked = await server.Delete($"/v2/groups{g}");
        Assert.Equal(409, locked.Status);
        Assert.StartsWith("App is locked by one or more deployments. Override with the option '?force=true'.", locked.Message, StringComparison.Ordinal);
        Assert.Equal(new[] { first, second }.Order(), locked["deployments"].Ids().Order());
        (await server.Deployed(server.Delete($"/v2/groups{g}?force=true"))).Began();
        Assert.DoesNotContain(first, (await server.Get("/v2/deployments")).Json.Ids());
    }

    [Fact]
    public async Task Embeds_choose_what_is_shown_and_unknown_ones_are_ignored()
    {
        var g = server.NewId("embed");
        await server.Deployed(server.Post("/v2/groups", Group(g, $$"""{{AppList(App("a"))}},"groups":[{"id":"in",{{AppList(App("b"))}} }]""")));
        var plain = (await server.Get($"/v2/groups{g}")).Json;
        Assert.False(plain.GetProperty("apps")[0].TryGetProperty("tasksRunning", out _));
        Assert.True(plain.TryGetProperty("pods", out _));
        var groups = (await server.Get($"/v2/groups{g}?embed=group.groups")).Json;
        Assert.True(groups.TryGetProperty("groups", out _));
        Assert.False(groups.TryGetProperty("apps", out _) || groups.TryGetProperty("pods", out _));
        var ui = (await server.Get($"/v2/groups{g}?embed=group.groups&embed=group.apps&embed=group.apps.deployments&embed=group.apps.counts&embed=group.apps.readiness")).Json;
        Assert.Equal(1, ui.GetProperty("apps")[0].GetProperty("tasksRunning").GetInt32());
        Assert.Equal(1, ui.GetProperty("groups")[0].GetProperty("apps")[0].GetProperty("tasksRunning").GetInt32());
        Assert.Equal(0, ui.GetProperty("apps")[0].GetProperty("deployments").GetArrayLength());
        Assert.False(ui.GetProperty("apps")[0].TryGetProperty("tasks", out _));
        var tasks = (await server.Get($"/v2/groups{g}?embed=group.apps.tasks")).Json;
        Assert.Equal($"{g}/a", tasks.GetProperty("apps")[0].GetProperty("tasks")[0].GetProperty("appId").GetString());
        var none = (await server.Get($"/v2/groups{g}?embed=nothing")).Json;
        Assert.Equal(["id", "dependencies", "enforceRole", "version"], none.EnumerateObject().Select(p => p.Name));
    }

    [Fact]
    public async Task The_apps_of_a_group_are_listed_at_any_depth()
    {
        var g = server.NewId("apps");
        await server.Deployed(server.Post("/v2/groups", Group(g, $$"""{{AppList(App("a"))}},"groups":[{"id":"in",{{AppList(App("b"))}} }]""")));
        var apps = (await server.Get($"/v2/groups{g}/apps")).Json;
        Assert.Equal([$"{g}/a", $"{g}/in/b"], apps.Ids());
        Assert.Equal(1, apps[0].GetProperty("tasksRunning").GetInt32());
        Assert.Contains($"{g}/a", (await server.Get("/v2/groups/apps")).Json.Ids());
    }

    [Fact]
    public async Task A_group_leads_back_to_any_of_its_versions_also_what_was_deleted()
    {
        var g = server.NewId("back");
        var first = (await Made(g, App("a"), App("b")))["version"].GetString()!;
        server.Time.Advance(TimeSpan.FromMilliseconds(5));
        var second = (await server.Deployed(server.Put($"/v2/groups{g}", $$"""{ {{AppList(App("a", ",\"instances\":2"), App("c"))}} }""")))["version"].GetString()!;
        server.Time.Advance(TimeSpan.FromMilliseconds(5));
        Assert.Equal([second, first], (await server.Get($"/v2/groups{g}/versions")).Json.Strings());
        var former = (await server.Get($"/v2/groups{g}/versions/{first}")).Json;
        Assert.Equal((g, first), (former.GetProperty("id").GetString(), former.GetProperty("version").GetString()));
        Assert.Equal([$"{g}/a", $"{g}/b"], former.GetProperty("apps").Ids());
        var back = await server.Deployed(server.Put($"/v2/groups{g}", $$"""{"version":"{{first}}"}"""));
        back.Began();
        Assert.Equal([($"{g}/a", 1), ($"{g}/b", 1)], (await server.Get($"/v2/groups{g}"))["apps"].EnumerateArray().Select(a => (a.GetProperty("id").GetString()!, a.GetProperty("instances").GetInt32())));
        Assert.Equal(3, (await server.Get($"/v2/groups{g}/versions")).Json.GetArrayLength());
    }

    [Fact]
    public async Task A_version_that_never_was_is_a_404_and_one_that_is_no_time_a_422()
    {
        var g = server.NewId("never");
        await Made(g, App("a"));
        const string Then = "2015-09-25T15:13:48.343Z";
        Assert.Equal((404, $"Group '{g}' does not exist in version {Then}"), ((await server.Get($"/v2/groups{g}/versions/{Then}")) is var got ? (got.Status, got.Message) : default));
        Assert.Equal((404, $"Group '{g}' does not exist in version {Then}"), ((await server.Put($"/v2/groups{g}", $$"""{"version":"{{Then}}"}""")) is var put ? (put.Status, put.Message) : default));
        Assert.Equal(422, (await server.Get($"/v2/groups{g}/versions/yesterday")).Status);
        Assert.Equal(422, (await server.Put($"/v2/groups{g}", """{"version":"yesterday"}""")).Status);
        Assert.Single(server.State.Apps.Keys, a => a.Value.StartsWith(g + "/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_was_read_can_be_sent_again_whole()
    {
        var g = server.NewId("round");
        await server.Deployed(server.Post("/v2/groups", Group(g, $$"""{{AppList(App("a"))}},"groups":[{"id":"in",{{AppList(App("b"))}} }]""")));
        var read = await server.Get($"/v2/groups{g}");
        Assert.Equal(0, (await server.Put($"/v2/groups{g}?dryRun=true", read.Text))["steps"].GetArrayLength());
    }

    [Fact]
    public async Task Only_the_role_of_a_top_level_group_can_be_patched()
    {
        var g = server.NewId("role");
        await server.Deployed(server.Post("/v2/groups", Group(g, $$"""{{AppList(App("a"))}},"groups":[{"id":"in",{{AppList(App("b"))}} }]""")));
        Assert.False((await server.Get($"/v2/groups{g}"))["enforceRole"].GetBoolean());
        Assert.Equal(200, (await server.Patch($"/v2/groups{g}", """{"enforceRole":true}""")).Status);
        var group = (await server.Get($"/v2/groups{g}")).Json;
        Assert.True(group.GetProperty("enforceRole").GetBoolean());
        Assert.False(group.GetProperty("groups")[0].TryGetProperty("enforceRole", out _));
        Assert.Contains("top-level", (await server.Patch($"/v2/groups{g}/in", """{"enforceRole":true}""")).Refused("/enforceRole"), StringComparison.Ordinal);
        Assert.Contains("top-level", (await server.Patch("/v2/groups", """{"enforceRole":true}""")).Refused("/enforceRole"), StringComparison.Ordinal);
        Assert.Contains("PUT", (await server.Patch($"/v2/groups{g}", """{"enforceRole":true,"apps":[]}""")).Refused("/apps"), StringComparison.Ordinal);
        Assert.Equal("Invalid JSON", (await server.Patch($"/v2/groups{g}", """{"enforceRole":"often"}""")).Message);
        Assert.Equal("Invalid JSON", (await server.Patch($"/v2/groups{g}", "{}")).Message);
    }

    [Fact]
    public async Task A_group_without_apps_stays_until_it_is_deleted()
    {
        var g = server.NewId("empty");
        (await server.Post("/v2/groups", Group(g, "\"dependencies\":[]"))).Began(201);
        Assert.Empty((await server.Get($"/v2/groups{g}"))["apps"].EnumerateArray());
        (await server.Delete($"/v2/groups{g}")).Began();
        Assert.Equal(404, (await server.Get($"/v2/groups{g}")).Status);
    }

    [Theory]
    [InlineData("""{"version":"2015-09-25T15:13:48.343Z"}""", "/version")]
    [InlineData("""{"scaleBy":2}""", "/scaleBy")]
    public async Task What_is_for_a_group_that_is_there_is_not_posted(string body, string path) =>
        Assert.Contains("PUT", (await server.Post("/v2/groups/posted", body)).Refused(path), StringComparison.Ordinal);

    [Fact]
    public async Task A_method_there_is_none_for_names_those_there_are()
    {
        var reply = await server.Post("/v2/groups/x/versions");
        Assert.Equal((405, "GET"), (reply.Status, reply.Header("Allow")));
        Assert.Null(GroupTree.Version(server.State, new GroupId("/x")));
    }
}
