using Drover.Core;
using Xunit;
using static Drover.ControlPlane.Tests.Marathon.Contract.GroupBodies;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>Bodies nobody means to send, to the endpoints of groups, versions and lists of apps: told, never a fault of the server.</summary>
public sealed class OddBodiesContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    public static readonly TheoryData<string> Bodies =
    [
        "", "null", "7", "\"x\"", "[null]", "[[]]", "{\"id\":null}", "{\"\\ud800\":1}", "{\"id\":\"\\ud800\"}", "{\"id\":\"a\\u0000b\"}", "{\"version\":\"\\ud800\"}", "{\"version\":{}}", "{\"version\":[]}",
        "{\"version\":\"0001-01-01T00:00:00Z\"}", "{\"version\":\"9999-12-31T23:59:59.999Z\"}", "{\"scaleBy\":1e400}", "{\"scaleBy\":1e308}", "{\"scaleBy\":\"NaN\"}", "{\"scaleBy\":null}", "{\"apps\":null,\"groups\":null}",
        "{\"apps\":[null]}", "{\"groups\":[null]}", "{\"groups\":[{\"id\":\"..\"}]}", "{\"groups\":[{\"id\":\"/\"}]}", "{\"groups\":[{\"id\":\"\"}]}", "{\"id\":\"..\"}", "{\"id\":\"../../..\",\"apps\":[]}", "{\"dependencies\":[\"..\",\"\",\"/\"]}",
        "{\"enforceRole\":null}", "{\"apps\":[{\"id\":\"\"}]}", "{\"apps\":[{\"id\":\"..\"}]}", "{\"apps\":[{\"\\udfff\":{}}]}", "[{\"id\":\"\\ud800\"}]", "[{\"id\":\"..\"}]", "[{\"id\":\"/a\",\"version\":\"x\"}]", "{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}",
    ];

    [Theory, MemberData(nameof(Bodies))]
    public async Task An_odd_body_is_told_and_no_fault_of_the_server(string body)
    {
        var g = server.NewId("odd");
        await server.Deployed(server.Post("/v2/groups", Group(g, AppList(App("a")))));
        foreach (var (method, path) in new[]
        {
            ("PUT", $"/v2/groups{g}?dryRun=true"), ("PUT", $"/v2/groups{g}x?dryRun=true"), ("POST", $"/v2/groups{g}"), ("PATCH", $"/v2/groups{g}"), ("PUT", $"/v2/apps{g}/a"), ("PATCH", $"/v2/apps{g}/a"), ("PUT", "/v2/apps"), ("PATCH", "/v2/apps"),
        })
        {
            var reply = await server.Send(method, path, body);
            Assert.True(reply.Status is 200 or (>= 400 and < 500), $"{method} {path} {body}: {reply.Status} {reply.Text}");
            if (reply.Status != 200) Assert.NotEmpty(reply.Message!);
        }
        Assert.True(server.State.Apps.ContainsKey(new AppId($"{g}/a")));
    }

    [Theory]
    [InlineData("/v2/groups/%00/versions/x")]
    [InlineData("/v2/groups/../x")]
    [InlineData("/v2/groups/versions/versions/versions")]
    [InlineData("/v2/apps/x/versions/%00")]
    [InlineData("/v2/apps/x/versions/9999-99-99T")]
    [InlineData("/v2/groups?embed=group.apps.&embed=.&embed=")]
    [InlineData("/v2/groups/apps?embed=apps.tasks")]
    public async Task An_odd_path_is_told_and_no_fault_of_the_server(string path)
    {
        var reply = await server.Get(path);
        Assert.True(reply.Status is 200 or (>= 400 and < 500), $"{path}: {reply.Status} {reply.Text}");
    }

    [Fact]
    public async Task Groups_nested_as_deep_as_json_may_be_are_made_and_deeper_is_no_json()
    {
        static string Deep(int depth) => depth == 0 ? "{\"id\":\"x\"}" : $$"""{"id":"x","groups":[{{Deep(depth - 1)}}]}""";
        Assert.Equal(201, (await server.Post("/v2/groups/deep", Deep(25))).Status);
        Assert.Equal((400, "Invalid JSON"), (await server.Post("/v2/groups/deeper", Deep(500))) is var reply ? (reply.Status, reply.Message) : default);
        await server.Deployed(server.Delete("/v2/groups/deep"));
    }
}
