using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

/// <summary>
/// Down into a tree and up again, however deep it is: an app can nest folders a hundred thousand deep, and neither the stack nor the open files of this process may be what ends first. Only the nearest
/// folders stay open; one further up is opened again from below, and must be the one that it was.
/// </summary>
/// <param name="start">Closed by its owner.</param>
internal sealed class FolderWalk(SafeFileHandle start) : IDisposable
{
    private const int KeptOpen = 32;
    private static readonly byte[] Up = RawName.Of(".."u8);
    /// <summary>Those that were entered, the last one where the walk is. A handle is null when it was closed meanwhile; then its folder is known by device and inode.</summary>
    private readonly List<(SafeFileHandle? Handle, (ulong, ulong) Key)> _entered = [];

    public SafeFileHandle Here => _entered.Count == 0 ? start : _entered[^1].Handle!;

    /// <summary>False when no folder of this name is there (any more).</summary>
    public bool Enter(byte[] name)
    {
        if (TreeCalls.OpenFolder(Here, name) is not { } folder) return false;
        _entered.Add((folder, default));
        var far = _entered.Count - 1 - KeptOpen;
        if (far >= 0 && _entered[far].Handle is { } open)
        {
            _entered[far] = (null, KeyOf(open));
            open.Dispose();
        }
        return true;
    }

    public void Leave()
    {
        var left = _entered[^1].Handle!;
        _entered.RemoveAt(_entered.Count - 1);
        if (_entered.Count > 0 && _entered[^1].Handle is null) _entered[^1] = (Reopened(left, _entered[^1].Key), default);
        left.Dispose();
    }

    private static SafeFileHandle Reopened(SafeFileHandle from, (ulong, ulong) key)
    {
        var folder = TreeCalls.OpenFolder(from, Up) ?? throw TreeCalls.Failed("go up in", Up);
        if (KeyOf(folder) == key) return folder;
        folder.Dispose();
        // What is worked on here is sealed or hidden, so nobody should; but whoever did must not make us go on in a folder of his choice.
        throw new IOException("a folder was moved while its tree was walked: stop what works in the volume, then repeat");
    }

    private static (ulong, ulong) KeyOf(SafeFileHandle folder) => TreeCalls.Find(folder, RawName.Here)?.Key() ?? throw TreeCalls.Failed("stat", RawName.Here);

    public void Dispose()
    {
        foreach (var (handle, _) in _entered) handle?.Dispose();
        _entered.Clear();
    }
}
