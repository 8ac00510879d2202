using System.Collections.Concurrent;
using Drover.Core;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>
/// Sizes of subvolumes, measured once for every generation of their contents. Quota groups would keep such a count by
/// themselves, but slow every commit down.
/// </summary>
internal sealed class SubvolumeSizes
{
    private const int MostKept = 4096;
    private readonly ConcurrentDictionary<Guid, (ulong Generation, ByteCount Size)> _known = new();

    /// <summary>The last measured size, zero when there was none: costs nothing.</summary>
    public ByteCount Known(string path, SubvolumeInfo info) => _known.TryGetValue(info.Uuid, out var known) ? known.Size : ByteCount.Zero;

    public ByteCount Measured(string path, SubvolumeInfo info)
    {
        if (_known.TryGetValue(info.Uuid, out var known) && known.Generation == info.Generation) return known.Size;
        var size = new ByteCount(Subvolume.ReferencedBytes(path));
        // Only a cache: subvolumes long gone leave with all the others when it is full.
        if (_known.Count >= MostKept) _known.Clear();
        _known[info.Uuid] = (info.Generation, size);
        return size;
    }
}
