using Drover.Core;

namespace Drover.Agent.Volumes;

/// <summary>Snapshots that are being read just now, so that none is removed under a send.</summary>
internal sealed class SnapshotUse
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(VolumeName, SnapshotName), int> _users = [];

    public IDisposable Begin(VolumeName volume, params IEnumerable<SnapshotName> snapshots)
    {
        var keys = snapshots.Select(s => (volume, s)).ToList();
        lock (_gate) foreach (var key in keys) _users[key] = _users.GetValueOrDefault(key) + 1;
        return new Reading(this, keys);
    }

    public bool IsUsed(VolumeName volume, SnapshotName snapshot)
    {
        lock (_gate) return _users.ContainsKey((volume, snapshot));
    }

    private sealed class Reading(SnapshotUse use, List<(VolumeName, SnapshotName)> keys) : IDisposable
    {
        public void Dispose()
        {
            lock (use._gate)
            {
                foreach (var key in keys) if (--use._users[key] == 0) use._users.Remove(key);
                keys.Clear();
            }
        }
    }
}
