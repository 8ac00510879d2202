using Xunit;
using Drover.ControlPlane.Apps;
using Drover.ControlPlane.Offers;
using Drover.Core;
using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Drover.ControlPlane.Tests.Apps;

/// <summary>The real loops on a test cluster, with agents of a few lines: what is staged runs (an image called `broken` fails), what is to go is gone, what is to move has moved.</summary>
internal sealed class AppsLab : IAsyncDisposable
{
    public static readonly NodeId Node1 = new("node1");
    public static readonly NodeId Node2 = new("node2");

    private readonly CancellationTokenSource _end = new();
    private readonly DeploymentLoop _deployments;
    private readonly SchedulerLoop _scheduler;
    private readonly Task _agents;

    private AppsLab(TestCluster cluster)
    {
        Cluster = cluster;
        Exchange = new OfferExchange(cluster, cluster.Time, cluster.Chance);
        Commands = new AppCommands(cluster, cluster.Chance);
        _deployments = new(cluster, cluster.Time, cluster.Chance, NullLogger<DeploymentLoop>.Instance);
        _scheduler = new(cluster, Exchange, cluster.Time, NullLogger<SchedulerLoop>.Instance);
        _agents = Agents(cluster.Watch(_end.Token));
    }

    public TestCluster Cluster { get; }
    public OfferExchange Exchange { get; }
    public IAppCommands Commands { get; }
    public DateTimeOffset Now => Cluster.Time.GetUtcNow();
    /// <summary>Copies ever seen running at the same time on the same volume: must stay at one.</summary>
    public int MostWriters { get; private set; }

    public static async Task<AppsLab> Start()
    {
        var cluster = await TestCluster.Start();
        var lab = new AppsLab(cluster);
        await cluster.Given([.. Machine("node1", "spinning"), .. Machine("node2", "ssd")]);
        await lab._deployments.StartAsync(CancellationToken.None);
        await lab._scheduler.StartAsync(CancellationToken.None);
        return lab;

        IEnumerable<ClusterChange> Machine(string name, string disk) =>
        [
            new ClusterChange.PutNode(new Node(new(name), name, "10.0.0.1", 4525, [new("disk", disk)], new(4, 4096, 10000, 0, [new(7000, 7099)]), "fake", "1", false, cluster.Time.GetUtcNow(), cluster.Time.GetUtcNow())),
            new ClusterChange.PutPresence(new NodePresence(new(name), true, cluster.Time.GetUtcNow(), ByteCount.GiB(10), ByteCount.GiB(10), default)),
        ];
    }

    public Task Presence(NodeId node, bool connected) =>
        Cluster.Given(new ClusterChange.PutPresence(new NodePresence(node, connected, Now, ByteCount.GiB(10), ByteCount.GiB(10), default)));

    public async Task<AppOutcome.Accepted> Create(AppSpec spec, bool force = false) =>
        Assert.IsType<AppOutcome.Accepted>(await Commands.Create(spec, force, Now, CancellationToken.None));

    public async Task<AppOutcome.Accepted> Update(AppSpec spec, bool force = false) =>
        Assert.IsType<AppOutcome.Accepted>(await Commands.Update(spec, force, Now, CancellationToken.None));

    /// <summary>The state when nothing is being deployed any more.</summary>
    public Task<ClusterState> Settled() => Cluster.Until(s => s.Deployments.IsEmpty && !s.OpenMoves.Any(), "the end of all deployments");

    public async ValueTask DisposeAsync()
    {
        await _scheduler.StopAsync(CancellationToken.None);
        await _deployments.StopAsync(CancellationToken.None);
        await _end.CancelAsync();
        await _agents;
        _scheduler.Dispose();
        _deployments.Dispose();
        _end.Dispose();
        await Cluster.DisposeAsync();
    }

    private async Task Agents(IAsyncEnumerable<Committed> commits)
    {
        try
        {
            await foreach (var commit in commits)
            {
                Count(commit.After);
                while (await Cluster.Decide(Act, _end.Token)) Count(Cluster.Current);
            }
        }
        catch (OperationCanceledException) when (_end.IsCancellationRequested)
        {
            return;
        }
    }

    private void Count(ClusterState state)
    {
        var writers = state.Instances.Values.Where(i => i.Runs).SelectMany(i => i.Spec.Volumes.Select(v => v.Name)).GroupBy(v => v).Select(g => g.Count());
        MostWriters = Math.Max(MostWriters, writers.DefaultIfEmpty().Max());
    }

    private Decision<bool> Act(ClusterState state)
    {
        if (state.OpenMoves.FirstOrDefault() is { } move) return Moved(state, move);
        foreach (var copy in state.Instances.Values.OrderBy(i => i.Id))
        {
            if (copy.Node is not { } node || !state.IsConnected(node)) continue;
            InstanceCondition? seen = copy switch
            {
                { Goal: InstanceGoal.Removed, InLine: true } => null,
                { Goal: InstanceGoal.Removed } => InstanceCondition.Gone,
                { Spec.Container.Image: "stuck" } => null,
                { Spec.Container.Image: "broken" } => InstanceCondition.Failed,
                { Runs: false } => InstanceCondition.Running,
                _ => null,
            };
            if (seen is not { } condition) continue;
            var message = condition == InstanceCondition.Failed ? "there is no image 'broken'" : null;
            var decision = InstanceLifecycle.Observed(state, node, new(copy.Id, copy.Task, copy.App, condition, "c", message, null, [], false, null, null, null), Now);
            var initialized = state.Volumes.Values.Where(v => v.Primary == node && !v.Initialized).Select(v => new ClusterChange.PutVolume(v with { Initialized = true }));
            return Decision.Of(true, [.. decision.Changes, .. initialized], decision.Events);
        }
        return false;
    }

    private Decision<bool> Moved(ClusterState state, Move move)
    {
        var sent = move with { Volumes = move.Volumes.Select(v => v with { Last = new SnapshotName("s1") }).ToEquatableList() };
        Assert.Null(MoveCommit.Refusal(state, sent));
        var (committed, changes) = MoveCommit.Pass(state, sent, Now);
        return Decision.Of(true, [.. changes, new ClusterChange.PutMove(committed with { State = MoveState.Done })]);
    }
}
