using System.Runtime.CompilerServices;
using Drover.Contracts.Hosting;
using Microsoft.Data.Sqlite;

namespace Drover.ControlPlane.Store.Sqlite;

/// <summary>The store in one file beside the process. A commit is in the write-ahead log and on the disk (synchronous=FULL) when it returns: kill -9 and power loss lose none.</summary>
public sealed class SqliteStore : IStateStore
{
    private readonly SqliteConnection _connection;
    private readonly TimeProvider _time;
    private readonly StoreWatchers _watchers = new();
    // One connection for everything: SQLite writes one at a time anyway, and reads happen at start only.
    private readonly SemaphoreSlim _turn = new(1, 1);

    private readonly EntryWriter _entries;

    private SqliteStore(SqliteConnection connection, TimeProvider time)
    {
        _connection = connection;
        _time = time;
        _entries = new(connection);
    }

    /// <summary>Opens the file, making it and its tables when they are missing. Fails when the file is no database, is locked, or was written by a newer version.</summary>
    public static SqliteStore Open(string path, TimeProvider time)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = 5 }.ToString());
        try
        {
            connection.Open();
            // Checkpoints of 32 MiB: copies that come and go write the same pages many times. The lock on the data folder keeps other control planes out; a reader (backup, inspection) may wait for us and we for it.
            Execute(connection, null, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000; PRAGMA wal_autocheckpoint=8000; PRAGMA cache_size=-16384;");
            Migrations.Apply(connection);
            return new(connection, time);
        }
        catch (SqliteException e)
        {
            connection.Dispose();
            throw new InvalidDataException($"The state in '{path}' cannot be opened: {e.Message}. Check that the file is readable and not used by another program, or restore a backup of it.", e);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    public Task<StoredEntry?> Get(string key, CancellationToken cancel) => Alone(() =>
    {
        using var command = Command(null, "SELECT key, value, version FROM entries WHERE key = $key", ("$key", key));
        using var reader = command.ExecuteReader();
        return reader.Read() ? Entry(reader) : null;
    }, cancel);

    public Task<IReadOnlyList<StoredEntry>> List(string prefix, CancellationToken cancel) => Alone(() => Under(prefix), cancel);

    public Task<CommitOutcome> Commit(IReadOnlyList<StateWrite> writes, CancellationToken cancel) => Alone(() =>
    {
        Failpoints.Reach("store.commit");
        var events = _watchers.Any ? new List<StoreEvent>(writes.Count) : null;
        using var transaction = _connection.BeginTransaction(deferred: false);
        foreach (var write in writes)
        {
            // Who does not say a version means whatever is there.
            var version = write.ExpectedVersion ?? Version(transaction, write.Key);
            if (!_entries.Write(transaction, write.Key, write.Value, version))
            {
                transaction.Rollback();
                return new CommitOutcome(true, write.Key);
            }
            if (write.Value is { } value) events?.Add(new(write.Key, value.ToArray(), version + 1));
            else if (version > 0) events?.Add(new(write.Key, null, 0));
        }
        transaction.Commit();
        if (events is not null) _watchers.Publish(events);
        return new CommitOutcome(false, null);
    }, cancel);

    public async IAsyncEnumerable<StoreEvent> Watch(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        var events = await Alone(() => _watchers.Add(prefix, Under(prefix), cancel), cancel);
        await foreach (var happened in events) yield return happened;
    }

    public Task<bool> Lease(string name, string holder, TimeSpan duration, CancellationToken cancel) => Alone(() =>
    {
        var now = _time.GetUtcNow();
        using var command = Command(null,
            """
            INSERT INTO leases (name, holder, until_ms) VALUES ($name, $holder, $until)
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms WHERE holder = excluded.holder OR until_ms <= $now
            """,
            ("$name", name), ("$holder", holder), ("$until", (now + duration).ToUnixTimeMilliseconds()), ("$now", now.ToUnixTimeMilliseconds()));
        return command.ExecuteNonQuery() == 1;
    }, cancel);

    public async ValueTask DisposeAsync()
    {
        await _turn.WaitAsync();
        _entries.Dispose();
        await _connection.DisposeAsync();
        _turn.Dispose();
    }

    private async Task<T> Alone<T>(Func<T> work, CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try
        {
            return work();
        }
        finally
        {
            _turn.Release();
        }
    }

    private IReadOnlyList<StoredEntry> Under(string prefix)
    {
        using var command = Command(null, "SELECT key, value, version FROM entries WHERE key >= $from AND key < $to ORDER BY key", ("$from", prefix), ("$to", prefix + "\U0010FFFF"));
        using var reader = command.ExecuteReader();
        var entries = new List<StoredEntry>();
        while (reader.Read()) entries.Add(Entry(reader));
        return entries;
    }

    private static StoredEntry Entry(SqliteDataReader reader) => new(reader.GetString(0), reader.GetFieldValue<byte[]>(1), reader.GetInt64(2));

    private long Version(SqliteTransaction transaction, string key)
    {
        using var command = Command(transaction, "SELECT version FROM entries WHERE key = $key", ("$key", key));
        return command.ExecuteScalar() is long version ? version : 0;
    }

    // Every text is a constant of this file; what varies goes in as a parameter.
#pragma warning disable CA2100
    private SqliteCommand Command(SqliteTransaction? transaction, string text, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        var command = _connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = text;
        foreach (var (name, value) in parameters) command.Parameters.AddWithValue(name, value);
        return command;
    }

    internal static void Execute(SqliteConnection connection, SqliteTransaction? transaction, string text)
    {
        using var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = text;
        command.ExecuteNonQuery();
    }
#pragma warning restore CA2100
}
