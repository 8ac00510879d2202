using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;

namespace Drover.ControlPlane.Store.Sqlite;

/// <summary>Writes of entries by statements that are prepared once. Each looks at the version by itself: no read before the write.</summary>
internal sealed class EntryWriter(SqliteConnection connection) : IDisposable
{
    private readonly Statement _make = new(connection, "INSERT INTO entries (key, value, version) VALUES ($key, $value, 1) ON CONFLICT (key) DO NOTHING");
    private readonly Statement _change = new(connection, "UPDATE entries SET value = $value, version = $version + 1 WHERE key = $key AND version = $version");
    private readonly Statement _remove = new(connection, "DELETE FROM entries WHERE key = $key AND version = $version");
    private readonly Statement _absent = new(connection, "SELECT 1 FROM entries WHERE key = $key");

    /// <param name="value">null: the entry goes.</param>
    /// <param name="version">That it must have; 0: must not be there.</param>
    /// <returns>False: it has another version, nothing was written.</returns>
    public bool Write(SqliteTransaction transaction, string key, ReadOnlyMemory<byte>? value, long version) => (value, version) switch
    {
        (null, 0) => !_absent.Finds(transaction, key),
        (null, _) => _remove.Run(transaction, key, null, version),
        ({ } bytes, 0) => _make.Run(transaction, key, bytes, null),
        ({ } bytes, _) => _change.Run(transaction, key, bytes, version),
    };

    public void Dispose()
    {
        foreach (var statement in (Statement[])[_make, _change, _remove, _absent]) statement.Dispose();
    }

    private sealed class Statement : IDisposable
    {
        private readonly SqliteCommand _command;
        private readonly SqliteParameter _key;
        private readonly SqliteParameter? _value;
        private readonly SqliteParameter? _version;

        // Every text is a constant of this file.
#pragma warning disable CA2100
        public Statement(SqliteConnection connection, string text)
        {
            _command = connection.CreateCommand();
            _command.CommandText = text;
#pragma warning restore CA2100
            _key = _command.Parameters.Add("$key", SqliteType.Text);
            if (text.Contains("$value", StringComparison.Ordinal)) _value = _command.Parameters.Add("$value", SqliteType.Blob);
            if (text.Contains("$version", StringComparison.Ordinal)) _version = _command.Parameters.Add("$version", SqliteType.Integer);
        }

        /// <summary>True: it did one entry.</summary>
        public bool Run(SqliteTransaction transaction, string key, ReadOnlyMemory<byte>? value, long? version)
        {
            Bind(transaction, key);
            if (value is { } bytes) _value!.Value = MemoryMarshal.TryGetArray(bytes, out var array) && array.Offset == 0 && array.Count == array.Array!.Length ? array.Array : bytes.ToArray();
            if (_version is not null) _version.Value = version!.Value;
            return _command.ExecuteNonQuery() == 1;
        }

        public bool Finds(SqliteTransaction transaction, string key)
        {
            Bind(transaction, key);
            return _command.ExecuteScalar() is not null;
        }

        public void Dispose() => _command.Dispose();

        private void Bind(SqliteTransaction transaction, string key)
        {
            _command.Transaction = transaction;
            _key.Value = key;
        }
    }
}
