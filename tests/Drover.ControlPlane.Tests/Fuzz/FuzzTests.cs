using System.Globalization;
using System.Text.RegularExpressions;
using Drover.ControlPlane.Observability;
using Drover.ControlPlane.OpenApi;
using Drover.ControlPlane.Tests.Api;
using Drover.ControlPlane.Tests.Marathon.Contract;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Fuzz;

/// <summary>Every operation of both APIs, from its own description, with what is wrong in all ways that came to mind. The same each time, from a seed.</summary>
public sealed partial class FuzzTests
{
    private const int Rounds = 60;
    // Streams do not end, files are no JSON, and a change of authority makes keys.
    private static readonly string[] LeftOut = ["/v2/events", "/api/v1/events", "/api/v1/volumes/{name}/export", "/api/v1/volumes/{name}/import", "/api/v1/ca/rotate", "/api/v1/ca/finish"];

    public static TheoryData<string> Groups => ["/v2/apps", "/v2/groups", "/v2/", "/api/v1/volumes", "/api/v1/", "/"];

    private static IEnumerable<ApiOperation> Of(string group) => MarathonApi.Operations.Concat(OwnApi.Operations).Where(o => !LeftOut.Contains(o.Path)
        && Groups.Select(g => g.Data).First(g => o.Path.StartsWith(g, StringComparison.Ordinal)) == group);

    [Theory, MemberData(nameof(Groups))]
    public async Task No_request_is_answered_with_a_fault_of_ours_and_what_is_refused_changes_nothing(string group)
    {
        await using var doors = await Doors.Open(Doors.RunningMongo());
        // A log that is asked for has an end.
        doors.Agents.Output.Writer.Complete();
        var chance = new Random(20150922);
        var maker = new BodyMaker(chance);
        var (refused, accepted) = (0, 0);
        foreach (var operation in Of(group))
        {
            var schema = operation.Body is { } body ? OpenApiDocuments.Schema(body) : null;
            for (var round = 0; round < Rounds; round++)
            {
                var before = doors.Cluster.Current;
                using var request = new HttpRequestMessage(new HttpMethod(operation.Method), new Uri(doors.Http.BaseAddress!.ToString().TrimEnd('/') + Target(operation, chance, maker), new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
                if (operation.Body is not null || operation.Method is "POST" or "PUT" or "PATCH" && chance.Next(2) == 0) request.Content = new ByteArrayContent(maker.Bytes(schema));
                using var response = await doors.Http.SendAsync(request);
                var said = await response.Content.ReadAsStringAsync();
                var status = (int)response.StatusCode;
                Assert.True(status < 500, $"{operation.Method} {request.RequestUri} round {round}: {status} {said}");
                if (status < 300) accepted++;
                else
                {
                    refused++;
                    Assert.Same(before, doors.Cluster.Current);
                }
            }
        }
        Assert.True(refused > 0 || group == "/", $"{accepted} accepted, none refused");
        Assert.Equal(0, doors.Ring.Listeners);
    }

    [Fact]
    public async Task A_body_over_the_limit_is_413_wherever_one_is_read()
    {
        await using var doors = await Doors.Open(Doors.Machines);
        var before = doors.Cluster.Current;
        foreach (var operation in MarathonApi.Operations.Where(o => o.Body is not null))
        {
            using var request = new HttpRequestMessage(new HttpMethod(operation.Method), Placeholder().Replace(operation.Path, "none")) { Content = new ByteArrayContent(new byte[ControlPlane.Marathon.RequestBody.MaxBytes + 1]) };
            request.Headers.ExpectContinue = true;
            using var response = await doors.Http.SendAsync(request);
            Assert.True((int)response.StatusCode is 413 or 404, $"{operation.Method} {operation.Path}: {response.StatusCode}");
        }
        Assert.Same(before, doors.Cluster.Current);
    }

    [Fact]
    public void Whatever_is_asked_for_counts_under_few_names()
    {
        var maker = new BodyMaker(new Random(7));
        var names = Enumerable.Range(0, 20_000).Select(i => RouteNames.Of($"/{(i % 3 == 0 ? "v2/" : i % 3 == 1 ? "api/v1/" : "")}{maker.Text()}/{maker.Text()}/{maker.Text()}")).ToHashSet();
        Assert.True(names.Count < 100, string.Join(' ', names));
        foreach (var operation in MarathonApi.Operations.Concat(OwnApi.Operations)) Assert.NotEqual(RouteNames.Other, RouteNames.Of(Placeholder().Replace(operation.Path, "x")));
    }

    private static string Target(ApiOperation operation, Random chance, BodyMaker maker)
    {
        string[] known = ["mongo", "node1", "mongodata", "/mongo", "none"];
        var path = Placeholder().Replace(operation.Path, _ => chance.Next(2) == 0 ? known[chance.Next(known.Length)] : Uri.EscapeDataString(Cut(maker.Text())));
        var query = (operation.Query ?? []).Where(_ => chance.Next(2) == 0).Select(q => $"{q.Split(':')[0]}={(chance.Next(3) == 0 ? "true" : Uri.EscapeDataString(Cut(maker.Text())))}").ToList();
        // A follower of a log would wait for its end.
        query.RemoveAll(q => q.StartsWith("follow", StringComparison.Ordinal));
        return query.Count == 0 ? path : string.Create(CultureInfo.InvariantCulture, $"{path}?{string.Join('&', query)}");

        static string Cut(string text) => text.Length > 60 ? text[..60] : text;
    }

    [GeneratedRegex(@"\{[a-z]+\}")]
    private static partial Regex Placeholder();
}

/// <summary>Those who take their time.</summary>
public sealed class SlowSenderTests(NarrowServer server) : IClassFixture<NarrowServer>
{
    [Fact]
    public async Task A_body_that_comes_drop_by_drop_is_not_waited_for()
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
#pragma warning disable RS0030 // A client that keeps to no rules is what is wanted here.
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(server.Http.BaseAddress!.Host, server.Http.BaseAddress.Port, limit.Token);
        await using var stream = client.GetStream();
        await stream.WriteAsync("POST /v2/apps HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"u8.ToArray(), limit.Token);
#pragma warning restore RS0030
        using var reader = new StreamReader(stream);
        Assert.StartsWith("HTTP/1.1 4", await reader.ReadLineAsync(limit.Token), StringComparison.Ordinal);
        Assert.Empty(server.State.Apps);
        Assert.Equal(200, (await server.Get("/ping")).Status);
    }
}
