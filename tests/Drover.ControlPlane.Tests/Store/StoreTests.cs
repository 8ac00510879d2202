using Drover.Conformance;
using Drover.ControlPlane.Store;
using Drover.ControlPlane.Store.InMemory;
using Drover.ControlPlane.Store.Sqlite;
using Drover.Testing;
using Microsoft.Data.Sqlite;
using Xunit;

namespace Drover.ControlPlane.Tests.Store;

public sealed class InMemoryStoreTests : StateStoreSuite
{
    protected override Task<IStateStore> Make() => Task.FromResult<IStateStore>(new InMemoryStore(Time));
}

public sealed class SqliteStoreTests : StateStoreSuite, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    protected override Task<IStateStore> Make() => Task.FromResult<IStateStore>(SqliteStore.Open(_folder.File("drover.db"), Time));

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_whole_cluster_comes_back_from_the_file()
    {
        var path = _folder.File("cluster.db");
        await using (var store = SqliteStore.Open(path, Time))
        {
            using var cluster = await Cluster.Open(store, Time, default);
            await cluster.Decide(_ => Core.State.Decision.Of(true, Samples.Changes), default);
        }
        await using var again = SqliteStore.Open(path, Time);
        using var loaded = await Cluster.Open(again, Time, default);
        Assert.Equal(Samples.App, loaded.Current.Apps[Samples.App.Id]);
        Assert.Equal(Samples.Network, loaded.Current.Networks[Samples.Network.Name]);
    }

    [Fact]
    public async Task A_file_of_a_newer_version_is_refused()
    {
        var path = _folder.File("newer.db");
        await using (SqliteStore.Open(path, Time)) { }
        using (var connection = new SqliteConnection($"Data Source={path};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA user_version=99";
            command.ExecuteNonQuery();
        }
        Assert.Contains("newer version", Assert.Throws<InvalidDataException>(() => SqliteStore.Open(path, Time)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_no_database_is_refused_by_name()
    {
        var path = _folder.File("text.db");
        File.WriteAllText(path, string.Concat(Enumerable.Repeat("this is not a database\n", 100)));
        Assert.Contains(path, Assert.Throws<InvalidDataException>(() => SqliteStore.Open(path, Time)).Message, StringComparison.Ordinal);
    }
}
