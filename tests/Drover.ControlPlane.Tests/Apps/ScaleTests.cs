using System.Globalization;
using Drover.ControlPlane.Apps;
using Drover.ControlPlane.Offers;
using Drover.ControlPlane.Store;
using Drover.Core;
using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Drover.ControlPlane.Tests.Apps;

/// <summary>The real loops on 500 nodes and 100 apps of 20 copies. Counts of work, never time: what a change of one app costs does not grow with what else there is.</summary>
public sealed class ScaleTests : IAsyncLifetime
{
    private const int Nodes = 500;
    private const int Apps = 100;
    private const int Copies = 20;
    private const int All = Apps * Copies + 1;

    private TestCluster _cluster = null!;
    private DeploymentLoop _deployments = null!;
    private SchedulerLoop _scheduler = null!;
    private AppCommands _commands = null!;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TestCluster.Start();
        await _cluster.Given([.. Enumerable.Range(0, Nodes).SelectMany(Machine)]);
        _commands = new(_cluster, _cluster.Chance);
        _deployments = new(_cluster, _cluster.Time, _cluster.Chance, NullLogger<DeploymentLoop>.Instance);
        _scheduler = new(_cluster, new OfferExchange(_cluster, _cluster.Time, _cluster.Chance), _cluster.Time, NullLogger<SchedulerLoop>.Instance);
        await _deployments.StartAsync(CancellationToken.None);
        await _scheduler.StartAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await _scheduler.StopAsync(CancellationToken.None);
        await _deployments.StopAsync(CancellationToken.None);
        _scheduler.Dispose();
        _deployments.Dispose();
        await _cluster.DisposeAsync();
    }

    private IEnumerable<ClusterChange> Machine(int number)
    {
        var now = _cluster.Time.GetUtcNow();
        var node = new Node(new($"n{number:000}"), $"h{number:000}", "10.0.0.1", 4525, [new("rack", $"r{number % 20}")], new(4, 4096, 10000, 0, [new(7000, 7099)]), "fake", "1", false, now, now);
        return [new ClusterChange.PutNode(node), new ClusterChange.PutPresence(new NodePresence(node.Id, true, now, default, default, default))];
    }

    private static AppSpec Spec(int number, int instances) => new()
    {
        Id = new(string.Create(CultureInfo.InvariantCulture, $"/a{number:000}")), Instances = instances, Cpus = 0.1, MemoryMiB = 32, Command = "run",
        Constraints = (number % 4) switch { 1 => [new("rack", ConstraintOperator.GroupBy, "20")], 3 => [new("hostname", ConstraintOperator.Unique, null)], _ => [] },
    };

    /// <summary>What agents would say: all that is staged runs.</summary>
    private Task Run() => _cluster.Decide(state =>
    {
        var now = _cluster.Time.GetUtcNow();
        var decisions = state.Instances.Values.Where(i => i is { Node: not null, State: InstanceState.Staging })
            .Select(i => InstanceLifecycle.Observed(state, i.Node!.Value, new(i.Id, i.Task, i.App, InstanceCondition.Running, "c", null, null, [], false, null, null, null), now)).ToList();
        return Decision.Of(true, decisions.SelectMany(d => d.Changes), [.. decisions.SelectMany(d => d.Events)]);
    });

    private async Task<ClusterState> AllRun(int copies)
    {
        await _cluster.Until(s => s.Instances.Values.Count(i => i.Node is not null) == copies, $"{copies} copies that have a place");
        await Run();
        return await _cluster.Until(s => s.Deployments.IsEmpty && s.Instances.Values.All(i => i.Runs), "the end of all deployments");
    }

    private async Task Full()
    {
        await Task.WhenAll(Enumerable.Range(0, Apps).Select(a => _commands.Create(Spec(a, Copies), false, _cluster.Time.GetUtcNow(), CancellationToken.None)));
        await AllRun(Apps * Copies);
        // One more of another app: when it runs, all passes that came before it are over.
        await _commands.Update(Spec(99, Copies + 1), false, _cluster.Time.GetUtcNow(), CancellationToken.None);
        await AllRun(All);
    }

    [Fact]
    public async Task A_change_of_one_app_looks_at_that_app_and_at_as_many_nodes_as_it_has_new_copies()
    {
        await Full();
        var (apps, nodes) = (_deployments.Looked, _scheduler.Looked);
        await _commands.Update(Spec(0, Copies + 5), false, _cluster.Time.GetUtcNow(), CancellationToken.None);
        await AllRun(All + 5);
        // Its own, once for each of the few commits on the way; there are a hundred others.
        Assert.InRange(_deployments.Looked - apps, 1, 20);
        Assert.InRange(_scheduler.Looked - nodes, 5, 10);
    }

    [Fact]
    public async Task Heartbeats_make_nobody_look_at_anything()
    {
        await Full();
        var (apps, nodes) = (_deployments.Looked, _scheduler.Looked);
        for (var beat = 0; beat < 50; beat++)
            await _cluster.Given([.. Enumerable.Range(0, Nodes).Select(i => new ClusterChange.PutPresence(new NodePresence(new($"n{i:000}"), true, _cluster.Time.GetUtcNow(), default, default, new(beat))))]);
        // Something that is looked at, so that all that came before it has been.
        await _commands.Update(Spec(0, Copies + 1), false, _cluster.Time.GetUtcNow(), CancellationToken.None);
        await AllRun(All + 1);
        Assert.InRange(_deployments.Looked - apps, 1, 20);
        Assert.InRange(_scheduler.Looked - nodes, 1, 4);
    }

    [Fact]
    public async Task Spread_copies_lie_evenly_and_each_on_a_node_of_its_own()
    {
        await Full();
        var state = _cluster.Current;
        Assert.All(state.InstancesOf(Spec(1, 0).Id).GroupBy(i => state.Nodes[i.Node!.Value].Attribute("rack")), rack => Assert.Single(rack));
        Assert.Equal(Copies, state.InstancesOf(Spec(3, 0).Id).Select(i => i.Node).Distinct().Count());
    }

    [Fact]
    public async Task An_app_that_fits_nowhere_is_not_searched_for_again_with_each_change_of_others()
    {
        await Full();
        await _commands.Create(Spec(500, 3) with { Cpus = 64 }, false, _cluster.Time.GetUtcNow(), CancellationToken.None);
        await _cluster.Until(s => s.InstancesOf(Spec(500, 0).Id).Count(i => i.WaitsFor?.StartsWith(WaitReasons.Place, StringComparison.Ordinal) == true) == 3, "copies that say what they wait for");
        var nodes = _scheduler.Looked;
        for (var change = 1; change <= 20; change++)
        {
            await _commands.Update(Spec(change, Copies + 1), false, _cluster.Time.GetUtcNow(), CancellationToken.None);
            await _cluster.Until(s => s.InstancesOf(Spec(change, 0).Id).Count(i => i.Node is not null) == Copies + 1, "its new copy's place");
        }
        // Twenty copies were placed, each of an app that is spread over racks or hosts or not at all; 500 nodes for each search of the one that fits nowhere would be 10,000.
        Assert.True(_scheduler.Looked - nodes < 3_000, $"{_scheduler.Looked - nodes} nodes looked at");
        await _cluster.Given(new ClusterChange.PutNode(_cluster.Current.Nodes[new("n000")] with { Resources = new(200, 4096, 10000, 0, [new(7000, 7099)]) }));
        await _cluster.Until(s => s.InstancesOf(Spec(500, 0).Id).Count(i => i.Node == new NodeId("n000")) == 3, "its place, once a node grew");
    }
}
