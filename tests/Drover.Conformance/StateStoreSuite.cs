using System.Text;
using Drover.ControlPlane.Store;
using Drover.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Conformance;

/// <summary>What every store must do. A store's tests derive from this and say how to make one.</summary>
public abstract class StateStoreSuite : IAsyncLifetime
{
    protected FakeTimeProvider Time { get; } = new(Samples.Moment);
    private IStateStore _store = null!;

    protected abstract Task<IStateStore> Make();

    public async ValueTask InitializeAsync() => _store = await Make();

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task What_was_put_can_be_read_and_listed_in_key_order()
    {
        await Commit(Put("b/2", "two"), Put("b/1", "one"), Put("c/1", "other"));
        Assert.Equal(["b/1=one@1", "b/2=two@1"], (await _store.List("b/", default)).Select(Text));
        Assert.Equal("b/2=two@1", Text(await _store.Get("b/2", default)));
        Assert.Null(await _store.Get("b/3", default));
        Assert.Equal(3, (await _store.List("", default)).Count);
        Assert.Empty(await _store.List("d/", default));
    }

    [Fact]
    public async Task A_version_grows_by_one_with_each_put_and_starts_anew_after_a_delete()
    {
        for (var version = 1; version <= 3; version++)
        {
            Assert.False((await Commit(Put("a", "x", version - 1))).Conflict);
            Assert.Equal(version, (await _store.Get("a", default))!.Version);
        }
        Assert.False((await Commit(Delete("a", 3))).Conflict);
        Assert.Null(await _store.Get("a", default));
        Assert.False((await Commit(Put("a", "y", 0))).Conflict);
        Assert.Equal("a=y@1", Text(await _store.Get("a", default)));
    }

    [Fact]
    public async Task A_version_that_does_not_hold_undoes_the_whole_commit_and_names_the_key()
    {
        await Commit(Put("a", "old"));
        Assert.Equal(new CommitOutcome(true, "a"), await Commit(Put("b", "new", 0), Put("a", "new", 0), Delete("a")));
        Assert.Equal(new CommitOutcome(true, "a"), await Commit(Put("b", "new", 0), Delete("a", 2)));
        Assert.Equal(new CommitOutcome(true, "none"), await Commit(Put("b", "new"), Put("none", "new", 1)));
        Assert.Equal(["a=old@1"], (await _store.List("", default)).Select(Text));
    }

    [Fact]
    public async Task Without_an_expected_version_any_holds()
    {
        await Commit(Put("a", "1"));
        Assert.False((await Commit(Put("a", "2"), Delete("never there"))).Conflict);
        Assert.Equal("a=2@2", Text(await _store.Get("a", default)));
    }

    [Fact]
    public async Task Of_those_who_expect_the_same_version_exactly_one_wins()
    {
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => Commit(Put("a", $"{i}", 0), Put($"mine/{i}", "x", 0)))));
        Assert.Single(outcomes, outcome => !outcome.Conflict);
        Assert.Single(await _store.List("mine/", default));
    }

    [Fact]
    public async Task The_store_keeps_its_own_copy_of_a_value()
    {
        var bytes = "mine"u8.ToArray();
        await _store.Commit([new("a", bytes, null)], default);
        bytes[0] = (byte)'f';
        Assert.Equal("a=mine@1", Text(await _store.Get("a", default)));
    }

    [Fact]
    public async Task Any_bytes_and_any_key_come_back()
    {
        var bytes = Enumerable.Range(0, 256).Select(i => (byte)i).ToArray();
        await _store.Commit([new("a/%2F'\"ü", bytes, null), new("empty", Array.Empty<byte>(), null)], default);
        Assert.Equal(bytes, (await _store.Get("a/%2F'\"ü", default))!.Value.ToArray());
        Assert.Equal(0, (await _store.Get("empty", default))!.Value.Length);
    }

    [Fact]
    public async Task A_watch_gives_what_is_there_and_then_each_commit_of_its_prefix_in_order()
    {
        using var stop = new CancellationTokenSource(TestCluster.Patience);
        await Commit(Put("a/1", "x"), Put("b/1", "not mine"));
        await using var watch = _store.Watch("a/", stop.Token).GetAsyncEnumerator(stop.Token);
        Assert.True(await watch.MoveNextAsync());
        Assert.Equal("a/1=x@1", Text(watch.Current));
        await Commit(Put("a/2", "y"), Put("b/2", "not mine"));
        await Commit(Delete("a/1"), Put("a/2", "z"));
        await Commit(Put("a/3", "refused", 7));
        await Commit(Put("a/4", "last"));
        foreach (var expected in new[] { "a/2=y@1", "a/1=-@0", "a/2=z@2", "a/4=last@1" })
        {
            Assert.True(await watch.MoveNextAsync());
            Assert.Equal(expected, Text(watch.Current));
        }
    }

    [Fact]
    public async Task A_watch_begun_among_commits_misses_none_and_sees_none_twice()
    {
        using var stop = new CancellationTokenSource(TestCluster.Patience);
        var writing = Task.Run(async () => { for (var i = 0; i < 300; i++) await Commit(Put("a", $"{i}")); });
        var watching = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            var versions = new List<long>();
            await foreach (var happened in _store.Watch("a", stop.Token))
            {
                versions.Add(happened.Version);
                if (happened.Version == 300) break;
            }
            return versions;
        })).ToArray();
        await writing;
        foreach (var versions in await Task.WhenAll(watching))
            Assert.Equal(Enumerable.Range((int)versions[0], 301 - (int)versions[0]).Select(v => (long)v), versions);
    }

    [Fact]
    public async Task A_lease_is_held_by_one_until_it_runs_out()
    {
        Assert.True(await _store.Lease("leader", "a", TimeSpan.FromSeconds(10), default));
        Assert.False(await _store.Lease("leader", "b", TimeSpan.FromSeconds(10), default));
        Assert.True(await _store.Lease("other", "b", TimeSpan.FromSeconds(10), default));
        Time.Advance(TimeSpan.FromSeconds(9));
        Assert.True(await _store.Lease("leader", "a", TimeSpan.FromSeconds(10), default));
        Time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(await _store.Lease("leader", "b", TimeSpan.FromSeconds(10), default));
        Time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(await _store.Lease("leader", "b", TimeSpan.FromSeconds(10), default));
        Assert.False(await _store.Lease("leader", "a", TimeSpan.FromSeconds(10), default));
    }

    private Task<CommitOutcome> Commit(params StateWrite[] writes) => _store.Commit(writes, default);

    private static StateWrite Put(string key, string text, long? expected = null) => new(key, Encoding.UTF8.GetBytes(text), expected);

    private static StateWrite Delete(string key, long? expected = null) => new(key, null, expected);

    private static string Text(StoredEntry? entry) => entry is null ? "none" : $"{entry.Key}={Encoding.UTF8.GetString(entry.Value.Span)}@{entry.Version}";

    private static string Text(StoreEvent happened) => $"{happened.Key}={(happened.Value is { } value ? Encoding.UTF8.GetString(value.Span) : "-")}@{happened.Version}";
}
