using System.Text.Json;
using Drover.Core;
using Xunit;
using static Drover.ControlPlane.Tests.Marathon.Contract.GroupBodies;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>Versions of apps, and the way back to one.</summary>
public sealed class VersionsContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private const string Then = "2015-09-25T15:13:48.343Z";

    /// <summary>An app that had 1, 2 and 3 copies, and the versions of it, oldest first.</summary>
    private async Task<(string Id, List<string> Versions)> Three(string name)
    {
        var id = server.NewId(name);
        await server.Deployed(server.Post("/v2/apps", App(id)));
        for (var i = 2; i <= 3; i++) await server.Deployed(server.Put($"/v2/apps{id}", $$"""{"instances":{{i}}}"""));
        return (id, [.. (await server.Get($"/v2/apps{id}/versions"))["versions"].Strings().Reverse()]);
    }

    [Fact]
    public async Task Versions_are_listed_newest_first_and_each_change_adds_one()
    {
        var (id, versions) = await Three("list");
        Assert.Equal(3, versions.Count);
        Assert.Equal(versions.Order(StringComparer.Ordinal), versions);
        Assert.Equal((await server.Get($"/v2/apps{id}"))["app"].GetProperty("version").GetString(), versions[^1]);
        await server.Deployed(server.Post($"/v2/apps{id}/restart"));
        Assert.Equal(4, (await server.Get($"/v2/apps{id}/versions"))["versions"].GetArrayLength());
        await server.Put($"/v2/apps{id}", """{"instances":3}""");
        Assert.Equal(4, (await server.Get($"/v2/apps{id}/versions"))["versions"].GetArrayLength());
    }

    [Fact]
    public async Task A_version_is_shown_as_the_app_was_then_bare()
    {
        var (id, versions) = await Three("show");
        for (var i = 0; i < 3; i++)
        {
            var app = (await server.Get($"/v2/apps{id}/versions/{versions[i]}")).Json;
            Assert.Equal((id, i + 1, versions[i]), (app.GetProperty("id").GetString(), app.GetProperty("instances").GetInt32(), app.GetProperty("version").GetString()));
            Assert.False(app.TryGetProperty("tasksRunning", out _));
            Assert.Equal(versions[i], app.GetProperty("versionInfo").GetProperty("lastScalingAt").GetString());
            Assert.Equal(versions[0], app.GetProperty("versionInfo").GetProperty("lastConfigChangeAt").GetString());
        }
    }

    [Theory]
    [InlineData("/v2/apps//ID/versions")]
    [InlineData("/v2/apps/ID/versions/")]
    [InlineData("/v2/apps/%2FID/versions")]
    public async Task Doubled_encoded_and_trailing_slashes_lead_to_the_versions_too(string path)
    {
        var id = server.NewId("slashes");
        await server.Deployed(server.Post("/v2/apps", App(id)));
        Assert.Single((await server.Get(path.Replace("ID", id[1..], StringComparison.Ordinal)))["versions"].EnumerateArray());
    }

    [Fact]
    public async Task What_is_not_there_is_a_404_in_marathons_words()
    {
        var (id, _) = await Three("missing");
        Assert.Equal((404, "App '/none' does not exist"), (await server.Get("/v2/apps/none/versions")) is var a ? (a.Status, a.Message) : default);
        Assert.Equal((404, "App '/none' does not exist"), (await server.Get($"/v2/apps/none/versions/{Then}")) is var b ? (b.Status, b.Message) : default);
        Assert.Equal((404, $"App '{id}' does not exist in version {Then}"), (await server.Get($"/v2/apps{id}/versions/{Then}")) is var c ? (c.Status, c.Message) : default);
        Assert.Equal((404, $"App '{id}' does not exist in version {Then}"), (await server.Put($"/v2/apps{id}", $$"""{"version":"{{Then}}"}""")) is var d ? (d.Status, d.Message) : default);
        Assert.Equal(404, (await server.Patch("/v2/apps/none", $$"""{"version":"{{Then}}"}""")).Status);
    }

    [Theory]
    [InlineData("yesterday")]
    [InlineData("2015")]
    [InlineData("2015-13-45T99:00:00Z")]
    public async Task What_is_no_time_is_a_422(string text)
    {
        var id = server.NewId("time");
        await server.Deployed(server.Post("/v2/apps", App(id)));
        Assert.Equal(422, (await server.Get($"/v2/apps{id}/versions/{text}")).Status);
        Assert.Contains(text, (await server.Put($"/v2/apps{id}", $$"""{"version":"{{text}}"}""")).Message, StringComparison.Ordinal);
        Assert.Equal(422, (await server.Put($"/v2/apps{id}", """{"version":7}""")).Status);
    }

    [Theory]
    [InlineData("PUT", false)]
    [InlineData("PATCH", false)]
    [InlineData("PUT", true)]
    public async Task A_body_of_a_version_alone_leads_back_to_it(string method, bool withId)
    {
        var (id, versions) = await Three("back");
        var body = withId ? $$"""{"id":"{{id}}","version":"{{versions[0]}}"}""" : $$"""{"version":"{{versions[0]}}"}""";
        (await server.Deployed(server.Send(method, $"/v2/apps{id}", body))).Began();
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.Equal(1, app.GetProperty("instances").GetInt32());
        Assert.DoesNotContain(app.GetProperty("version").GetString(), versions);
        Assert.Equal(4, (await server.Get($"/v2/apps{id}/versions"))["versions"].GetArrayLength());
    }

    [Fact]
    public async Task A_way_back_to_another_configuration_restarts_and_one_of_scale_alone_does_not()
    {
        var (id, versions) = await Three("kind");
        await server.Deployed(server.Put($"/v2/apps{id}", """{"env":{"A":"1"}}"""));
        var tasks = (await server.Get($"/v2/apps{id}/tasks"))["tasks"].Ids().Order().ToList();
        await server.Plays(id, Play.Staging);
        var back = (await server.Put($"/v2/apps{id}", $$"""{"version":"{{versions[2]}}"}""")).Began();
        Assert.Equal($"RestartApplication {id}", (await server.Get($"/v2/deployments/{back}"))["steps"].Steps());
        await server.Plays(id, Play.Healthy);
        await server.Until(s => !s.Deployments.ContainsKey(new DeploymentId(back)), "the way back ends");
        var renewed = (await server.Get($"/v2/apps{id}/tasks"))["tasks"].Ids().Order().ToList();
        Assert.Empty(renewed.Intersect(tasks));
        await server.Deployed(server.Put($"/v2/apps{id}", $$"""{"version":"{{versions[1]}}"}"""));
        Assert.Subset(renewed.ToHashSet(), (await server.Get($"/v2/apps{id}/tasks"))["tasks"].Ids().ToHashSet());
    }

    [Fact]
    public async Task The_way_to_the_version_that_is_changes_nothing()
    {
        var (id, versions) = await Three("same");
        var reply = await server.Put($"/v2/apps{id}", $$"""{"version":"{{versions[^1]}}"}""");
        reply.Began();
        Assert.Equal(versions[^1], reply["version"].GetString());
        Assert.Equal(3, (await server.Get($"/v2/apps{id}/versions"))["versions"].GetArrayLength());
    }

    [Fact]
    public async Task An_app_under_change_is_not_led_back_without_force()
    {
        var (id, versions) = await Three("locked");
        await server.Plays(id, Play.Staging);
        var under = (await server.Put($"/v2/apps{id}", """{"env":{"A":"1"}}""")).Began();
        var locked = await server.Put($"/v2/apps{id}", $$"""{"version":"{{versions[0]}}"}""");
        Assert.Equal((409, under), (locked.Status, locked["deployments"].Ids().Single()));
        await server.Plays(id, Play.Healthy);
        (await server.Deployed(server.Put($"/v2/apps{id}?force=true", $$"""{"version":"{{versions[0]}}"}"""))).Began();
        Assert.Equal(1, (await server.Get($"/v2/apps{id}"))["app"].GetProperty("tasksRunning").GetInt32());
    }

    [Fact]
    public async Task A_version_beside_other_fields_is_what_was_read_and_is_passed_over()
    {
        var (id, versions) = await Three("read");
        var read = (await server.Get($"/v2/apps{id}/versions/{versions[0]}")).Text.Replace("\"instances\":1", "\"instances\":4", StringComparison.Ordinal);
        await server.Deployed(server.Put($"/v2/apps{id}", read));
        Assert.Equal(4, (await server.Get($"/v2/apps{id}"))["app"].GetProperty("instances").GetInt32());
    }

    [Fact]
    public async Task The_versions_of_a_deleted_app_are_kept_and_it_can_be_made_again_from_them()
    {
        var (id, versions) = await Three("deleted");
        await server.Deployed(server.Delete($"/v2/apps{id}"));
        Assert.Equal(404, (await server.Get($"/v2/apps{id}")).Status);
        Assert.Equal(versions, (await server.Get($"/v2/apps{id}/versions"))["versions"].Strings().Reverse());
        var definition = (await server.Get($"/v2/apps{id}/versions/{versions[1]}")).Text;
        await server.Deployed(server.Post("/v2/apps", definition));
        Assert.Equal(2, (await server.Get($"/v2/apps{id}"))["app"].GetProperty("instances").GetInt32());
        Assert.Equal(4, (await server.Get($"/v2/apps{id}/versions"))["versions"].GetArrayLength());
    }

    [Fact]
    public async Task Only_fifty_versions_are_kept_the_newest_and_none_of_another_app_goes()
    {
        var (other, versions) = await Three("other");
        var id = server.NewId("many");
        await server.Deployed(server.Post("/v2/apps", App(id, ",\"instances\":0")));
        for (var i = 0; i < 55; i++) await server.Deployed(server.Put($"/v2/apps{id}", $$"""{"labels":{"n":"{{i}}"} }"""));
        var kept = (await server.Get($"/v2/apps{id}/versions"))["versions"].Strings().ToList();
        Assert.Equal(50, kept.Count);
        Assert.Equal("5", (await server.Get($"/v2/apps{id}/versions/{kept[^1]}"))["labels"].GetProperty("n").GetString());
        Assert.Equal(versions, (await server.Get($"/v2/apps{other}/versions"))["versions"].Strings().Reverse());
    }

    [Fact]
    public async Task Only_reading_is_done_at_versions()
    {
        foreach (var path in new[] { "/v2/apps/x/versions", $"/v2/apps/x/versions/{Then}" })
        {
            var reply = await server.Post(path, "{}");
            Assert.Equal((405, "GET"), (reply.Status, reply.Header("Allow")));
        }
    }
}
