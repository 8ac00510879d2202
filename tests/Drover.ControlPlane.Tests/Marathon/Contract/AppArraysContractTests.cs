using Drover.Core;
using Xunit;
using static Drover.ControlPlane.Tests.Marathon.Contract.GroupBodies;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>PUT and PATCH of /v2/apps: several apps in one deployment.</summary>
public sealed class AppArraysContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private static string List(params string[] apps) => $"[{string.Join(',', apps)}]";

    private async Task<(string A, string B)> Two()
    {
        var (a, b) = (server.NewId("a"), server.NewId("b"));
        await server.Deployed(server.Put("/v2/apps", List(App(a), App(b))));
        return (a, b);
    }

    [Fact]
    public async Task A_put_of_many_creates_and_changes_in_one_deployment()
    {
        var (a, b) = await Two();
        var made = server.NewId("made");
        await server.Plays(made, Play.Staging);
        var reply = await server.Put("/v2/apps", List($$"""{"id":"{{a}}","instances":2}""", App(made)));
        var shown = (await server.Get($"/v2/deployments/{reply.Began()}")).Json;
        Assert.Equal($"StartApplication {made} | ScaleApplication {a} {made}", shown.GetProperty("steps").Steps());
        Assert.Equal([a, made], shown.GetProperty("affectedApps").Strings());
        await server.Plays(made, Play.Healthy);
        await server.Deployed(Task.FromResult(reply));
        Assert.Equal(1, (await server.Get($"/v2/apps{b}"))["app"].GetProperty("instances").GetInt32());
    }

    [Fact]
    public async Task Partial_updates_keep_what_they_do_not_name_and_whole_ones_do_not()
    {
        var (a, _) = await Two();
        await server.Deployed(server.Put("/v2/apps", List($$"""{"id":"{{a}}","env":{"A":"1"} }""")));
        Assert.Equal(0.1, (await server.Get($"/v2/apps{a}"))["app"].GetProperty("cpus").GetDouble());
        await server.Deployed(server.Put("/v2/apps?partialUpdate=false", List($$"""{"id":"{{a}}","container":{"docker":{"image":"busybox"} } }""")));
        var app = (await server.Get($"/v2/apps{a}"))["app"];
        Assert.Equal(1, app.GetProperty("cpus").GetDouble());
        Assert.False(app.TryGetProperty("env", out _));
    }

    [Fact]
    public async Task A_patch_needs_every_app_and_changes_none_where_one_is_missing()
    {
        var (a, b) = await Two();
        var missing = await server.Patch("/v2/apps", List($$"""{"id":"{{a}}","instances":3}""", """{"id":"/none","instances":3}"""));
        Assert.Equal((404, "App '/none' does not exist"), (missing.Status, missing.Message));
        Assert.Equal(1, server.State.Apps[new AppId(a)].Spec.Instances);
        (await server.Deployed(server.Patch("/v2/apps", List($$"""{"id":"{{a}}","instances":3}""", $$"""{"id":"{{b}}","mem":64}""")))).Began();
        Assert.Equal((3, 64), (server.State.Apps[new AppId(a)].Spec.Instances, server.State.Apps[new AppId(b)].Spec.MemoryMiB));
    }

    [Fact]
    public async Task A_fault_of_one_is_told_under_its_place_and_none_is_changed()
    {
        var (a, b) = await Two();
        var reply = await server.Put("/v2/apps", List($$"""{"id":"{{a}}","instances":5}""", $$"""{"id":"{{b}}","backoffFactor":0.5}"""));
        Assert.NotEmpty(reply.Refused("/(1)/backoffFactor"));
        Assert.Equal(1, server.State.Apps[new AppId(a)].Spec.Instances);
    }

    [Fact]
    public async Task What_two_apps_of_one_request_both_want_is_refused()
    {
        var (a, b) = (server.NewId("one"), server.NewId("two"));
        string Db(string id) => App(id, ",\"portDefinitions\":[{\"port\":15252}]");
        Assert.Contains(a, (await server.Put("/v2/apps", List(Db(a), Db(b)))).Refused("/(1)/portDefinitions(0)/port"), StringComparison.Ordinal);
        Assert.False(server.State.Apps.ContainsKey(new AppId(a)));
    }

    [Fact]
    public async Task Service_ports_of_one_request_are_all_different()
    {
        var ids = Enumerable.Range(0, 5).Select(_ => server.NewId("port")).ToArray();
        await server.Deployed(server.Put("/v2/apps", List([.. ids.Select(i => App(i))])));
        Assert.Equal(5, ids.Select(i => server.State.Apps[new AppId(i)].Spec.Ports.Items.Select(p => p.Port).First()).Distinct().Count());
    }

    [Theory]
    [InlineData("PUT")]
    [InlineData("PATCH")]
    public async Task A_locked_app_locks_all_and_force_goes_ahead(string method)
    {
        var (a, b) = await Two();
        await server.Plays(a, Play.Staging);
        var under = (await server.Put($"/v2/apps{a}", """{"mem":64}""")).Began();
        var body = List($$"""{"id":"{{b}}","instances":2}""", $$"""{"id":"{{a}}","instances":2}""");
        var locked = await server.Send(method, "/v2/apps", body);
        Assert.Equal((409, under), (locked.Status, locked["deployments"].Ids().Single()));
        Assert.Equal(1, server.State.Apps[new AppId(b)].Spec.Instances);
        await server.Plays(a, Play.Healthy);
        (await server.Deployed(server.Send(method, "/v2/apps?force=true", body))).Began();
        Assert.Equal(2, server.State.InstancesOf(new AppId(a)).Count(i => i.Serves));
    }

    [Fact]
    public async Task An_unchanged_app_is_no_part_of_the_deployment_and_nothing_changed_is_none()
    {
        var (a, b) = await Two();
        await server.Plays(b, Play.Staging);
        var reply = await server.Put("/v2/apps", List($$"""{"id":"{{a}}","instances":1}""", $$"""{"id":"{{b}}","instances":2}"""));
        Assert.Equal([b], (await server.Get($"/v2/deployments/{reply.Began()}"))["affectedApps"].Strings());
        await server.Plays(b, Play.Healthy);
        await server.Deployed(Task.FromResult(reply));
        var none = (await server.Put("/v2/apps", List($$"""{"id":"{{a}}","instances":1}"""))).Began();
        Assert.Equal(404, (await server.Get($"/v2/deployments/{none}")).Status);
        (await server.Put("/v2/apps", "[]")).Began();
    }

    [Theory]
    [InlineData("{}", 400, "Please specify data in JSON format")]
    [InlineData("[", 400, "Invalid JSON")]
    [InlineData("[7]", 422, "Invalid JSON")]
    [InlineData("[{}]", 422, "Invalid JSON")]
    public async Task What_is_no_list_of_apps_is_refused(string body, int status, string message)
    {
        foreach (var method in new[] { "PUT", "PATCH" })
        {
            var reply = await server.Send(method, "/v2/apps", body);
            Assert.Equal((status, message), (reply.Status, reply.Message));
        }
    }

    [Fact]
    public async Task An_app_named_twice_is_refused()
    {
        var (a, _) = await Two();
        Assert.Contains("twice", (await server.Put("/v2/apps", List($$"""{"id":"{{a}}","mem":64}""", $$"""{"id":"{{a}}","mem":32}"""))).Refused("/(1)/id"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_circle_among_them_is_refused()
    {
        var (a, b) = await Two();
        Assert.Contains("circle", (await server.Put("/v2/apps", List($$"""{"id":"{{a}}","dependencies":["{{b}}"]}""", $$"""{"id":"{{b}}","dependencies":["{{a}}"]}"""))).Refused("/dependencies"), StringComparison.Ordinal);
    }
}
