using System.Text.Json;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>`GET /v2/apps?label=`: the whole grammar, over the wire, where %, + and commas have meanings of their own.</summary>
public sealed class LabelSelectorContractTests(LabelSelectorContractTests.Shop server) : IClassFixture<LabelSelectorContractTests.Shop>
{
    /// <summary>Four apps with labels, one without.</summary>
    public sealed class Shop : MarathonServer
    {
        private static readonly (string Id, string Labels)[] Apps =
        [
            ("/web", """{"tier":"front","env":"prod"}"""), ("/api", """{"tier":"back","env":"prod"}"""), ("/db", """{"tier":"data","env":"test","inner":"1"}"""),
            ("/odd", """{"a b":"x,y","path":"/srv/(1)"}"""), ("/bare", "{}"),
        ];

        public override async ValueTask InitializeAsync()
        {
            await base.InitializeAsync();
            foreach (var (id, labels) in Apps) Assert.Equal(201, (await Post("/v2/apps", AppBodies.Minimal(id, $",\"instances\":0,\"labels\":{labels}"))).Status);
        }
    }

    private async Task<string> Found(string selector)
    {
        var reply = await server.Get($"/v2/apps?label={Uri.EscapeDataString(selector)}");
        Assert.True(reply.Status == 200, reply.Text);
        return string.Join(' ', reply["apps"].EnumerateArray().Select(a => a.GetProperty("id").GetString()).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("tier", "/api /db /web")]
    [InlineData("tier==front", "/web")]
    [InlineData("tier!=front", "/api /db")]
    [InlineData("tier in (front,data)", "/db /web")]
    [InlineData("tier notin (front,data)", "/api")]
    [InlineData("env==prod,tier!=front", "/api")]
    [InlineData("tier==nothing", "")]
    [InlineData("missing!=x", "")]
    [InlineData("missing notin (x)", "")]
    [InlineData("inner", "/db")]
    [InlineData(@"a\ b==x\,y", "/odd")]
    [InlineData(@"path in (\/srv\/\(1\))", "/odd")]
    [InlineData("  tier  ==  front  ,  env ", "/web")]
    public async Task A_selector_finds_what_it_says(string selector, string expected) => Assert.Equal(expected, await Found(selector));

    [Theory]
    [InlineData("tier=front")]
    [InlineData("tier==")]
    [InlineData("==front")]
    [InlineData("tier in front")]
    [InlineData("tier in ()")]
    [InlineData("tier in (front")]
    [InlineData("tier,")]
    [InlineData("tier front")]
    [InlineData("path==/srv")]
    [InlineData(@"tier==front\")]
    [InlineData(",")]
    public async Task What_is_no_selector_is_refused_and_says_how_one_looks(string selector)
    {
        var reply = await server.Get($"/v2/apps?label={Uri.EscapeDataString(selector)}");
        Assert.Equal(422, reply.Status);
        Assert.Contains("a notin (x,y)", reply.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_label_all_are_listed_and_filters_add_up()
    {
        Assert.Equal(5, (await server.Get("/v2/apps")).Json.GetProperty("apps").GetArrayLength());
        Assert.Equal(5, (await server.Get("/v2/apps?label=")).Json.GetProperty("apps").GetArrayLength());
        var both = Assert.Single((await server.Get("/v2/apps?label=env==prod&id=WE"))["apps"].EnumerateArray());
        Assert.Equal(("/web", JsonValueKind.Object), (both.GetProperty("id").GetString(), both.GetProperty("labels").ValueKind));
    }
}
