using Drover.ControlPlane.Tests.Marathon.Contract;
using Drover.Contracts.Tracing;
using Drover.Core;
using Drover.Testing.Tracing;
using Xunit;

namespace Drover.ControlPlane.Tests.Observability;

/// <summary>Who listens to spans hears all of the process: nothing else runs meanwhile.</summary>
[CollectionDefinition("traces", DisableParallelization = true)]
public sealed class TracesAlone;

[Collection("traces")]
public sealed class DeploymentTraceTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    [Fact]
    public async Task A_deployment_is_one_trace_and_agents_are_told_of_it_with_what_they_start()
    {
        await using var collector = await TestCollector.Start();
        string trace;
        await using (new OtlpExporter(collector.Settings("drover-control"), [], TimeProvider.System, _ => { }))
        {
            var id = server.NewId();
            var reply = await server.Put($"/v2/apps{id}", $$"""{"id":"{{id}}","instances":2,"container":{"type":"DOCKER","docker":{"image":"i"} } }""");
            Assert.Equal(201, reply.Status);
            var deployment = new DeploymentId(reply.Header("Marathon-Deployment-Id")!);
            await server.Until(s => !s.Deployments.ContainsKey(deployment), "the end");
            var told = server.Agents.SelectMany(a => a.Ordered).Where(i => i.AppId == id).Select(i => i.TraceParent).ToList();
            Assert.Equal(2, told.Count);
            trace = told[0].Split('-')[1];
            Assert.All(told, parent => Assert.Equal(trace, parent.Split('-')[1]));
        }
        var spans = await collector.Until(all => all.Any(s => s.Name == "deployment"), "the whole deployment");
        Assert.All(spans, s => Assert.Equal((trace, "drover-control"), (s.TraceId, s.Service)));
        var root = Assert.Single(spans, s => s.Parent is null);
        Assert.Equal("deployment requested", root.Name);
        Assert.All(spans.Where(s => s != root), s => Assert.Equal(root.SpanId, s.Parent));
        Assert.Equal(2, spans.Count(s => s.Name == "wait for a place"));
        Assert.Equal("done", Assert.Single(spans, s => s.Name == "deployment").Tags["drover.outcome"]);
    }
}
