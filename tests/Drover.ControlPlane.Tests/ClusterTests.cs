using Drover.ControlPlane.Store;
using Drover.ControlPlane.Store.InMemory;
using Drover.Core;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests;

public sealed class ClusterTests
{
    [Fact]
    public async Task What_was_decided_is_there_after_a_restart()
    {
        await using var cluster = await TestCluster.Start([.. Samples.Changes]);
        var before = cluster.Current;
        await cluster.Restart();
        Assert.Equal(before.Nodes[Samples.Node.Id], cluster.Current.Nodes[Samples.Node.Id]);
        Assert.Equal(before.Moves[Samples.Move.Id], cluster.Current.Moves[Samples.Move.Id]);
        Assert.Equal(Samples.Move, cluster.Current.OpenMoveOf(Samples.Volume.Name));
        Assert.Equal(Samples.Instance, Assert.Single(cluster.Current.InstancesOn(Samples.Node.Id)));
    }

    [Fact]
    public async Task Decisions_are_taken_one_after_the_other()
    {
        await using var cluster = await TestCluster.Start();
        await cluster.Given(new ClusterChange.PutVolume(Samples.Volume with { Epoch = Epoch.None }));
        await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Task.Run(() => cluster.Decide(Raise))));
        Assert.Equal(new Epoch(200), cluster.Current.Volumes[Samples.Volume.Name].Epoch);

        static Decision<bool> Raise(ClusterState state)
        {
            var volume = state.Volumes[Samples.Volume.Name];
            return Decision.Of(true, [new ClusterChange.PutVolume(volume with { Epoch = volume.Epoch.Next })]);
        }
    }

    [Fact]
    public async Task A_decision_that_throws_changes_nothing()
    {
        await using var cluster = await TestCluster.Start();
        await Assert.ThrowsAsync<ArithmeticException>(() => cluster.Decide<bool>(_ => throw new ArithmeticException()));
        Assert.Same(ClusterState.Empty.Nodes, cluster.Current.Nodes);
        await cluster.Given(Samples.Changes[0]);
        Assert.Single(cluster.Current.Nodes);
    }

    [Fact]
    public async Task Presence_is_known_but_not_stored()
    {
        await using var cluster = await TestCluster.Start(Samples.Changes[0],
            new ClusterChange.PutPresence(new(Samples.Node.Id, true, Samples.Moment, new(1), new(2), new(3))));
        Assert.True(cluster.Current.IsConnected(Samples.Node.Id));
        await cluster.Restart();
        Assert.False(cluster.Current.IsConnected(Samples.Node.Id));
    }

    [Fact]
    public async Task A_thing_put_and_removed_in_one_decision_is_not_stored()
    {
        await using var cluster = await TestCluster.Start();
        await cluster.Given(Samples.Changes[0], new ClusterChange.RemoveNode(Samples.Node.Id));
        await cluster.Given(Samples.Changes[0]);
        await cluster.Restart();
        Assert.Single(cluster.Current.Nodes);
    }

    [Fact]
    public async Task A_removed_thing_can_be_made_again()
    {
        await using var cluster = await TestCluster.Start([Samples.Changes[0]]);
        await cluster.Given(new ClusterChange.RemoveNode(Samples.Node.Id));
        Assert.Empty(await cluster.Store.List("", CancellationToken.None));
        await cluster.Given(Samples.Changes[0]);
        await cluster.Given(new ClusterChange.PutNode(Samples.Node with { Hostname = "other" }));
        await cluster.Restart();
        Assert.Equal("other", cluster.Current.Nodes[Samples.Node.Id].Hostname);
    }

    [Fact]
    public async Task A_second_writer_on_the_store_is_noticed_and_its_state_taken_over()
    {
        await using var cluster = await TestCluster.Start([Samples.Changes[0]]);
        using var other = await Cluster.Open(cluster.Store, cluster.Time, CancellationToken.None);
        await other.Decide(_ => Decision.Of(true, [new ClusterChange.PutNode(Samples.Node with { Hostname = "theirs" })]), CancellationToken.None);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => cluster.Given(new ClusterChange.PutNode(Samples.Node with { Hostname = "ours" })));
        Assert.Contains("nodes/node1", error.Message, StringComparison.Ordinal);
        Assert.Equal("theirs", await cluster.Decide<string>(state => state.Nodes[Samples.Node.Id].Hostname));
    }

    [Fact]
    public async Task A_store_that_cannot_write_changes_nothing()
    {
        var time = new FakeTimeProvider();
        var store = new FailingStore(new InMemoryStore(time));
        using var cluster = await Cluster.Open(store, time, CancellationToken.None);
        store.Fails = true;
        await Assert.ThrowsAsync<IOException>(() => cluster.Decide(_ => Decision.Of(true, [Samples.Changes[0]]), CancellationToken.None));
        Assert.Empty(cluster.Current.Nodes);
        store.Fails = false;
        await cluster.Decide(_ => Decision.Of(true, [Samples.Changes[0]]), CancellationToken.None);
        Assert.Single(cluster.Current.Nodes);
    }

    [Fact]
    public async Task A_watcher_sees_each_commit_since_it_asked()
    {
        await using var cluster = await TestCluster.Start([Samples.Changes[0]]);
        using var stop = new CancellationTokenSource(TestCluster.Patience);
        var commits = cluster.Watch(stop.Token);
        await cluster.Given(Samples.Changes[1]);
        await cluster.Given(Samples.Changes[2]);
        await using var reader = commits.GetAsyncEnumerator(stop.Token);
        Assert.True(await reader.MoveNextAsync());
        Assert.Equal(Samples.Changes[1], Assert.Single(reader.Current.Changes));
        Assert.False(reader.Current.Missed);
        Assert.True(await reader.MoveNextAsync());
        Assert.Same(cluster.Current, reader.Current.After);
    }

    [Fact]
    public async Task A_watcher_that_falls_behind_is_told_once_and_misses_no_state()
    {
        await using var cluster = await TestCluster.Start([Samples.Changes[4]]);
        using var stop = new CancellationTokenSource(TestCluster.Patience);
        var commits = cluster.Watch(stop.Token);
        var before = cluster.Current;
        for (var i = 0; i < 600; i++) await cluster.Given(new ClusterChange.PutVolume(Samples.Volume with { Used = new(i) }));
        var seen = new List<Committed>();
        await foreach (var commit in commits)
        {
            seen.Add(commit);
            if (ReferenceEquals(commit.After, cluster.Current)) break;
        }
        Assert.Same(before, seen[0].Before);
        Assert.True(seen[0].Missed);
        Assert.All(seen.Skip(1), commit => Assert.False(commit.Missed));
        Assert.All(seen.Zip(seen.Skip(1)), pair => Assert.Same(pair.First.After, pair.Second.Before));
        Assert.True(seen.Count <= 256);
    }

    [Fact]
    public async Task Only_the_newest_ended_moves_are_kept()
    {
        await using var cluster = await TestCluster.Start();
        await cluster.Given(new ClusterChange.PutMove(Samples.Move with { Id = new("open"), RequestedAt = Samples.Moment.AddYears(-1) }));
        for (var i = 0; i < Retention.EndedMoves + 5; i++)
            await cluster.Given(new ClusterChange.PutMove(Samples.Move with { Id = new($"m{i}"), State = MoveState.Done, RequestedAt = Samples.Moment.AddMinutes(i) }));
        await cluster.Restart();
        Assert.Equal(Retention.EndedMoves + 1, cluster.Current.Moves.Count);
        Assert.False(cluster.Current.Moves.ContainsKey(new("m4")));
        Assert.True(cluster.Current.Moves.ContainsKey(new("m5")));
        Assert.True(cluster.Current.Moves.ContainsKey(new("open")));
    }

    /// <summary>What comes while a commit is being written waits together and is one commit, each decided on what those before it left.</summary>
    [Fact]
    public async Task Decisions_that_wait_are_written_together()
    {
        var (time, gate) = (new FakeTimeProvider(), new TaskCompletionSource());
        var store = new FailingStore(new InMemoryStore(time)) { Gate = gate.Task };
        using var cluster = await Cluster.Open(store, time, CancellationToken.None);
        using var stop = new CancellationTokenSource(TestCluster.Patience);
        var commits = cluster.Watch(stop.Token);
        var first = cluster.Decide(_ => Decision.Of(true, [Samples.Changes[0]]), CancellationToken.None);
        await store.Reached.WaitAsync(TestCluster.Patience);
        using var leaves = new CancellationTokenSource();
        var gone = cluster.Decide(Named, leaves.Token);
        var rest = Enumerable.Range(0, 100).Select(_ => cluster.Decide(Named, CancellationToken.None)).ToList();
        var wrong = cluster.Decide<int>(_ => throw new ArithmeticException(), CancellationToken.None);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
        Assert.False(first.IsCompleted);
        Assert.Empty(cluster.Current.Nodes);
        gate.SetResult();
        Assert.Equal(Enumerable.Range(1, 100), await Task.WhenAll(rest));
        await Assert.ThrowsAsync<ArithmeticException>(() => wrong);
        Assert.Equal(2, store.Commits);
        await using var reader = commits.GetAsyncEnumerator(stop.Token);
        await reader.MoveNextAsync();
        await reader.MoveNextAsync();
        Assert.Equal(100, reader.Current.Decisions.Length);
        Assert.All(reader.Current.Decisions, (part, i) => Assert.Equal(i + 1, part.After.Volumes.Count));
        Assert.All(reader.Current.Decisions.Zip(reader.Current.Decisions.Skip(1)), pair => Assert.Same(pair.First.After, pair.Second.Before));

        static Decision<int> Named(ClusterState state)
        {
            var name = $"v{state.Volumes.Count}";
            return Decision.Of(state.Volumes.Count + 1, [new ClusterChange.PutVolume(Samples.Volume with { Name = new(name) })], new ClusterEvent("volume.made", name, name));
        }
    }

    [Fact]
    public async Task Of_a_commit_that_fails_everybody_is_told()
    {
        var (time, gate) = (new FakeTimeProvider(), new TaskCompletionSource());
        var store = new FailingStore(new InMemoryStore(time)) { Gate = gate.Task };
        using var cluster = await Cluster.Open(store, time, CancellationToken.None);
        var first = cluster.Decide(_ => Decision.Of(true, [Samples.Changes[0]]), CancellationToken.None);
        await store.Reached.WaitAsync(TestCluster.Patience);
        store.Fails = true;
        var change = cluster.Decide(_ => Decision.Of(true, [Samples.Changes[1]]), CancellationToken.None);
        // It changes nothing, and says what it saw: a state that never came to be.
        var look = cluster.Decide<int>(state => state.Apps.Count, CancellationToken.None);
        gate.SetResult();
        await first;
        await Assert.ThrowsAsync<IOException>(() => change);
        await Assert.ThrowsAsync<IOException>(() => look);
        Assert.Empty(cluster.Current.Apps);
    }

    private sealed class FailingStore(IStateStore inner) : IStateStore
    {
        private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public bool Fails { get; set; }
        public Task Gate { get; init; } = Task.CompletedTask;
        public Task Reached => _reached.Task;
        public int Commits { get; private set; }
        public Task<StoredEntry?> Get(string key, CancellationToken cancel) => inner.Get(key, cancel);
        public Task<IReadOnlyList<StoredEntry>> List(string prefix, CancellationToken cancel) => inner.List(prefix, cancel);

        public async Task<CommitOutcome> Commit(IReadOnlyList<StateWrite> writes, CancellationToken cancel)
        {
            if (Fails) throw new IOException("disk full");
            Commits++;
            _reached.TrySetResult();
            await Gate;
            return await inner.Commit(writes, cancel);
        }

        public IAsyncEnumerable<StoreEvent> Watch(string prefix, CancellationToken cancel) => inner.Watch(prefix, cancel);
        public Task<bool> Lease(string name, string holder, TimeSpan duration, CancellationToken cancel) => inner.Lease(name, holder, duration, cancel);
        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
