using Drover.ControlPlane;
using Drover.ControlPlane.Store.InMemory;
using Drover.Core.State;
using Microsoft.Extensions.Time.Testing;

namespace Drover.Testing;

/// <summary>A real cluster on the store in memory, with a clock that stands still until moved and chance from a seed.</summary>
public sealed class TestCluster : ICluster, IAsyncDisposable
{
    /// <summary>How long a test waits for what must happen before it fails. Real time; never a measure.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private Cluster _cluster;

    private TestCluster(FakeTimeProvider time, InMemoryStore store, SeededChance chance, Cluster cluster) =>
        (Time, Store, Chance, _cluster) = (time, store, chance, cluster);

    public FakeTimeProvider Time { get; }
    public InMemoryStore Store { get; }
    public SeededChance Chance { get; }
    public ClusterState Current => _cluster.Current;
    public Action<Committed>? Observed { get => _cluster.Observed; set => _cluster.Observed = value; }

    public static async Task<TestCluster> Start(params ClusterChange[] given)
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 5, 12, 0, 0, TimeSpan.Zero));
        var store = new InMemoryStore(time);
        var cluster = new TestCluster(time, store, new SeededChance(20150922), await Cluster.Open(store, time, CancellationToken.None));
        await cluster.Given(given);
        return cluster;
    }

    public Task<T> Decide<T>(Func<ClusterState, Decision<T>> decide, CancellationToken cancel) => _cluster.Decide(decide, cancel);

    public Task<T> Decide<T>(Func<ClusterState, Decision<T>> decide) => _cluster.Decide(decide, CancellationToken.None);

    public IAsyncEnumerable<Committed> Watch(CancellationToken cancel) => _cluster.Watch(cancel);

    /// <summary>Commits these changes as they stand.</summary>
    public Task Given(params ClusterChange[] changes) => _cluster.Decide(_ => Decision.Of(true, changes), CancellationToken.None);

    /// <summary>As after kill -9 of the control plane: only what was stored is left, nobody is connected.</summary>
    public async Task Restart()
    {
        _cluster.Dispose();
        _cluster = await Cluster.Open(Store, Time, CancellationToken.None);
    }

    /// <summary>The first state in which <paramref name="condition"/> holds, now or after a commit to come.</summary>
    public async Task<ClusterState> Until(Func<ClusterState, bool> condition, string what)
    {
        using var limit = new CancellationTokenSource(Patience);
        var commits = _cluster.Watch(limit.Token);
        if (condition(Current)) return Current;
        try
        {
            await foreach (var commit in commits) if (condition(commit.After)) return commit.After;
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"never came: {what}");
        }
        throw new TimeoutException($"the watch ended before: {what}");
    }

    public ValueTask DisposeAsync()
    {
        _cluster.Dispose();
        return Store.DisposeAsync();
    }
}
