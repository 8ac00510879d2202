namespace Drover.ControlPlane.Store;

/// <summary>Durable state of the control plane: a versioned map from key to bytes.</summary>
/// <remarks>
/// <para>Keys are paths (`volumes/mongodata`). A key that does not exist has version 0; the put that makes it gives version 1 and each later put one more. After a delete it counts from 1 again.</para>
/// <para>A commit is atomic and durable: all writes or none, on disk (or at a quorum) when it returns. A write whose expected version does not hold makes the whole
/// commit a <see cref="CommitOutcome.Conflict"/>, which is a value. A store that cannot be reached or written is an exception.</para>
/// </remarks>
public interface IStateStore : IAsyncDisposable
{
    Task<StoredEntry?> Get(string key, CancellationToken cancel);

    /// <summary>Entries whose key begins with <paramref name="prefix"/>, in key order.</summary>
    Task<IReadOnlyList<StoredEntry>> List(string prefix, CancellationToken cancel);

    Task<CommitOutcome> Commit(IReadOnlyList<StateWrite> writes, CancellationToken cancel);

    /// <summary>First every entry there is, then each commit as it happens; a commit is never missed or seen twice.
    /// A watch that falls more than a few thousand events behind ends with an exception: watch again.</summary>
    IAsyncEnumerable<StoreEvent> Watch(string prefix, CancellationToken cancel);

    /// <summary>Takes or renews the right to be the active control plane. False: another holder's lease has not run out.</summary>
    Task<bool> Lease(string name, string holder, TimeSpan duration, CancellationToken cancel);
}

public sealed record StoredEntry(string Key, ReadOnlyMemory<byte> Value, long Version);

/// <param name="Value">null: delete.</param>
/// <param name="ExpectedVersion">Version the key must have; 0: must not exist; null: any.</param>
public sealed record StateWrite(string Key, ReadOnlyMemory<byte>? Value, long? ExpectedVersion);

/// <param name="Key">null and <paramref name="Conflict"/> false: everything written. Else the first key whose version did not hold.</param>
public readonly record struct CommitOutcome(bool Conflict, string? Key);

/// <param name="Value">null: deleted.</param>
/// <param name="Version">0 when deleted.</param>
public sealed record StoreEvent(string Key, ReadOnlyMemory<byte>? Value, long Version);
