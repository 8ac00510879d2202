using Drover.Core;

namespace Drover.Agent.Leases;

/// <summary>Whether this node may write volumes. Asked at the last moment before each step that could lead to a write.</summary>
public interface IWriteRight
{
    /// <summary>Puts what is about to become writable, or to write, on the guard's list, and then looks at the clock.</summary>
    /// <param name="container">Engine's id of the container to be started; empty: none yet.</param>
    /// <returns>Null: go on. Otherwise why not, for people.</returns>
    Task<string?> Claim(IReadOnlyCollection<(VolumeName Name, Epoch Epoch)> volumes, string container, CancellationToken cancel);

    /// <summary>Writers may be started (again).</summary>
    event Action? Gained;
}
