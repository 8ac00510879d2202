using System.Text.Json;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>Bodies of requests about groups and their apps, and what is read from answers.</summary>
internal static class GroupBodies
{
    /// <param name="more">Further fields, each after a comma: `,"instances":2`.</param>
    public static string App(string id, string more = "") => $$"""{"id":"{{id}}","cpus":0.1,"mem":32,"container":{"type":"DOCKER","docker":{"image":"busybox"} }{{more}} }""";

    public static string Group(string id, string more) => $$"""{"id":"{{id}}",{{more}} }""";

    public static string AppList(params string[] apps) => $"\"apps\":[{string.Join(',', apps)}]";

    public static IEnumerable<string> Ids(this JsonElement list) => list.EnumerateArray().Select(i => i.GetProperty("id").GetString()!);

    public static IEnumerable<string> Strings(this JsonElement list) => list.EnumerateArray().Select(i => i.GetString()!);

    /// <summary>`StartApplication /a /b | ScaleApplication /a`</summary>
    public static string Steps(this JsonElement steps) => string.Join(" | ", steps.EnumerateArray().Select(s => string.Join(", ",
        s.GetProperty("actions").EnumerateArray().GroupBy(a => a.GetProperty("action").GetString()).Select(g => $"{g.Key} {string.Join(' ', g.Select(a => a.GetProperty("app").GetString()))}"))));

    /// <summary>Accepted, and its deployment named in the body and in the header alike.</summary>
    public static string Began(this Reply reply, int status = 200)
    {
        Assert.True(reply.Status == status, $"{reply.Status}: {reply.Text}");
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", reply["version"].GetString());
        Assert.Equal(reply["deploymentId"].GetString(), reply.Header("Marathon-Deployment-Id"));
        return reply["deploymentId"].GetString()!;
    }
}
