using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Drover.ControlPlane.Marathon;
using Drover.ControlPlane.OpenApi;
using Drover.ControlPlane.Tests.Marathon.Contract;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.OpenApi;

/// <summary>The descriptions of both APIs, as committed, are those of this program; and what they describe is there.</summary>
public sealed partial class OpenApiTests(NarrowServer server) : IClassFixture<NarrowServer>
{
    private static readonly string Folder = Path.Combine(Root(AppContext.BaseDirectory), "docs", "openapi");

    private static string Root(string from) => File.Exists(Path.Combine(from, "Drover.slnx")) ? from : Root(Path.GetDirectoryName(from) ?? throw new InvalidOperationException("Drover.slnx is in no folder above the tests"));

    public static TheoryData<string> Files => [.. OpenApiDocuments.Files.Select(f => f.File)];

    public static TheoryData<string, string> Operations => [.. OwnApi.Operations.Concat(MarathonApi.Operations).Select(o => (o.Method, o.Path))];

    [Theory, MemberData(nameof(Files))]
    public void The_committed_description_is_the_programs(string file)
    {
        var path = Path.Combine(Folder, file);
        var committed = File.Exists(path) ? File.ReadAllText(path) : "";
        Assert.True(committed == OpenApiDocuments.Files.Single(f => f.File == file).Text(),
            $"docs/openapi/{file} is not what this program describes. Write it anew and commit it: dotnet run --project src/Drover.ControlPlane -- openapi docs/openapi");
    }

    [Theory, MemberData(nameof(Files))]
    public void Every_reference_leads_somewhere(string file)
    {
        var document = JsonNode.Parse(OpenApiDocuments.Files.Single(f => f.File == file).Text())!;
        Assert.Equal("3.1.0", document["openapi"]!.GetValue<string>());
        foreach (var reference in References(document))
        {
            var at = document;
            foreach (var part in reference[2..].Split('/')) at = at is JsonArray items ? items[int.Parse(part)] : at?[part.Replace("~1", "/", StringComparison.Ordinal)];
            Assert.True(at is not null, $"{reference} leads nowhere");
        }
    }

    /// <summary>An operation that nobody answers would be told as one that is not done here, or as nothing.</summary>
    [Theory, MemberData(nameof(Operations))]
    public async Task Every_operation_described_is_answered(string method, string path)
    {
        if (path is "/v2/events" or "/api/v1/events") return;
        var reply = await server.Send(method, Placeholder().Replace(path, "none"), method is "POST" or "PUT" or "PATCH" ? "[" : null);
        Assert.NotEqual(405, reply.Status);
        Assert.True(reply.Status < 500, $"{reply.Status} {reply.Text}");
        Assert.DoesNotContain("There is nothing at", reply.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_descriptions_are_served()
    {
        var own = await server.Get("/api/v1/openapi.json");
        Assert.Equal((200, OpenApiDocuments.Own), (own.Status, own.Text));
        Assert.Equal(OpenApiDocuments.Marathon, (await server.Get("/api/v1/openapi.json?api=v2")).Text);
    }

    [Fact]
    public void What_is_written_of_an_app_is_described()
    {
        var described = OpenApiDocuments.Schema(ShapeJson.Default.AppShape)["properties"]!.AsObject().Select(p => p.Key).ToHashSet();
        using var written = JsonDocument.Parse(MarathonJson.Object(json => AppJsonOut.Fields(json, Samples.Spec, Samples.App)));
        Assert.All(written.RootElement.EnumerateObject().Select(p => p.Name), name => Assert.Contains(name, described));
    }

    private static IEnumerable<string> References(JsonNode? node) => node switch
    {
        JsonObject fields => fields.SelectMany(f => f is { Key: "$ref", Value: JsonValue text } ? [text.GetValue<string>()] : References(f.Value)),
        JsonArray items => items.SelectMany(References),
        _ => [],
    };

    [GeneratedRegex(@"\{[a-z]+\}")]
    private static partial Regex Placeholder();
}
