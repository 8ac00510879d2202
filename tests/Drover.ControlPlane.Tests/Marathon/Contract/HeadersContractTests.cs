using System.Net;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>Takes one request at a time.</summary>
public sealed class NarrowServer : MarathonServer
{
    protected override IReadOnlyList<(string Name, string Disk, string Rack)> Nodes => [];
    protected override ControlPlaneOptions With(ControlPlaneOptions options) => options with { MaxRequests = 1 };
}

/// <summary>Headers of all answers, and the limit of requests at once.</summary>
public sealed class HeadersContractTests(NarrowServer server) : IClassFixture<NarrowServer>
{
    [Theory]
    [InlineData("GET", "/v2/apps", 200)]
    [InlineData("GET", "/v2/apps/none", 404)]
    [InlineData("GET", "/api/v1/status", 200)]
    [InlineData("GET", "/ping", 200)]
    [InlineData("GET", "/nothing", 404)]
    [InlineData("PATCH", "/v2/info", 405)]
    [InlineData("GET", "/v2/events", 405)]
    public async Task Every_answer_says_who_leads_and_is_not_kept_or_framed(string method, string path, int status)
    {
        var reply = await server.Send(method, path);
        Assert.Equal(status, reply.Status);
        Assert.Equal($"http://{server.Http.BaseAddress!.Authority}", reply.Header("X-Marathon-Leader"));
        Assert.Equal(("DENY", "1; mode=block", "nosniff"), (reply.Header("X-Frame-Options"), reply.Header("X-XSS-Protection"), reply.Header("X-Content-Type-Options")));
        foreach (var word in new[] { "no-cache", "no-store", "must-revalidate" }) Assert.Contains(word, reply.Header("Cache-Control"), StringComparison.Ordinal);
        Assert.Equal(("no-cache", "0"), (reply.Header("Pragma"), reply.Header("Expires")));
        Assert.Null(reply.Header("Server"));
    }

    [Fact]
    public async Task Requests_beyond_the_limit_are_turned_away_and_streams_do_not_count()
    {
        using var stream = await Api.EventClient.Open(server.Http, "/v2/events");
        await stream.Until("event_stream_attached");
        Assert.Equal(200, (await server.Get("/ping")).Status);
        var rest = new TaskCompletionSource();
        using var slow = new HttpRequestMessage(HttpMethod.Post, "/v2/apps") { Content = new Slow("{", rest.Task) };
        var answer = server.Http.SendAsync(slow);
        Reply turned;
        do turned = await server.Get("/v2/apps"); while (turned.Status == 200 && !answer.IsCompleted);
        Assert.Equal(503, turned.Status);
        Assert.Contains("--max-requests", turned.Message, StringComparison.Ordinal);
        rest.SetResult();
        Assert.Equal(HttpStatusCode.BadRequest, (await answer.WaitAsync(TestCluster.Patience)).StatusCode);
        Assert.Equal(200, (await server.Get("/v2/apps")).Status);
    }

    /// <summary>A body whose end lets itself be waited for.</summary>
    private sealed class Slow(string begin, Task rest) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(begin));
            await stream.FlushAsync();
            await rest;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
