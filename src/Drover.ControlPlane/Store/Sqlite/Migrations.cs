using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Drover.ControlPlane.Store.Sqlite;

/// <summary>The tables, step by step. The number of the last step done is the file's `user_version`, set in the step's own transaction; a step can be run again without harm.</summary>
internal static class Migrations
{
    // Add at the end; never change one that was released.
    private static readonly string[] Steps =
    [
        """
        CREATE TABLE IF NOT EXISTS entries (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS leases (name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID;
        """,
    ];

    public static int Newest => Steps.Length;

    public static void Apply(SqliteConnection connection)
    {
        var done = Done(connection);
        if (done > Steps.Length)
            throw new InvalidDataException($"'{connection.DataSource}' was written by a newer version (schema {done}, this one knows {Steps.Length}): start that version, or restore a backup from before the upgrade.");
        for (var step = done; step < Steps.Length; step++)
        {
            using var transaction = connection.BeginTransaction(deferred: false);
            SqliteStore.Execute(connection, transaction, Steps[step]);
            SqliteStore.Execute(connection, transaction, string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version={step + 1}"));
            transaction.Commit();
        }
    }

    private static int Done(SqliteConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA user_version";
        return Convert.ToInt32(command.ExecuteScalar(), CultureInfo.InvariantCulture);
    }
}
