#pragma warning disable RS0030 // starts a tool of Debian's, which is no part of the product
using System.Diagnostics;
using Drover.Agent.Metrics;
using Drover.Contracts.Agent;
using Drover.Contracts.Metrics;
using Drover.ControlPlane.Events;
using Drover.ControlPlane.Observability;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Testing;
using Drover.Testing.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Drover.Platform.Tests.Observability;

/// <summary>Prometheus's own tool on the alert rules.</summary>
[Trait("needs", "root")]
public sealed class PromtoolTests
{
    [Theory]
    [InlineData("check", "deploy/prometheus/drover.rules.yml")]
    [InlineData("test", "deploy/prometheus/drover.rules.test.yml")]
    public async Task The_rules_are_taken_and_fire_when_they_should(string verb, string file)
    {
        var (code, said) = await Promtool([verb, "rules", Path.Combine(MetricPage.Root, file)], []);
        Assert.True(code == 0, said);
        Assert.Contains("SUCCESS", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_an_agent_writes_is_taken()
    {
        using var book = new MetricBook(TimeProvider.System);
        book.AddProcess(typeof(AgentMeters).Assembly);
        var meters = AgentMeters.Add(book, TimeProvider.System);
        meters.Transfers.Received(5);
        meters.Leases.Granted(anew: true);
        await meters.Steps.Measure(new Step { Attend = new() }, () => Task.FromResult(new StepResult()), default);
        Assert.Equal((0, ""), await Promtool(["check", "metrics"], PrometheusText.Write(book.Read())));
    }

    [Fact]
    public async Task What_the_control_plane_writes_is_taken()
    {
        await using var cluster = await TestCluster.Start(Samples.Changes.ToArray());
        using var book = new MetricBook(TimeProvider.System, Meters.Shared);
        ICommitMeter[] meters = [new MoveMeter(book, cluster, cluster.Time), new DeploymentMeter(book, cluster, cluster.Time), new QueueMeter(book, cluster, cluster.Time), new VolumeMeter(book, cluster)];
        _ = (new AgentMeter(book, cluster), new ClusterMeter(book, cluster, new EventRing(cluster.Time)));
        cluster.Observed = new CommitMeters(meters, NullLogger<CommitMeters>.Instance).Seen;
        await cluster.Given(new ClusterChange.PutMove(Samples.Move with { State = MoveState.Done }));
        Meters.Api.Began(stream: false);
        Meters.Api.Answered("GET", "/v2/apps/{id}", 200, TimeSpan.FromMilliseconds(3), stream: false);
        Assert.Equal((0, ""), await Promtool(["check", "metrics"], PrometheusText.Write(book.Read())));
    }

    private static async Task<(int Code, string Said)> Promtool(string[] arguments, byte[] input)
    {
        using var promtool = Process.Start(new ProcessStartInfo("promtool", arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (said, failed) = (promtool.StandardOutput.ReadToEndAsync(), promtool.StandardError.ReadToEndAsync());
        await promtool.StandardInput.BaseStream.WriteAsync(input);
        promtool.StandardInput.Close();
        await promtool.WaitForExitAsync();
        return (promtool.ExitCode, await said + await failed);
    }
}
