using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Opens the folders of one tree from its root, name by name and through no link; keeps the last one open, because entries come folder by folder.</summary>
internal sealed class TreeFolders(string root) : IDisposable
{
    private readonly SafeFileHandle _root = TreeCalls.OpenRoot(root);
    private SafeFileHandle? _last;
    private byte[][] _lastNames = [];

    /// <summary>The folder an entry is in; null when there is none of that name. Its owner closes it, not the caller.</summary>
    public SafeFileHandle? ParentOf(TreePath path)
    {
        if (path.Parents.IsEmpty) return _root;
        if (_last is not null && Same(path.Parents)) return _last;
        Forget();
        var at = _root;
        foreach (var name in path.Parents)
        {
            var next = TreeCalls.OpenFolder(at, name);
            if (at != _root) at.Dispose();
            if (next is null) return null;
            at = next;
        }
        (_last, _lastNames) = (at, path.Parents.ToArray());
        return at;
    }

    /// <summary>A folder may have been removed: the next is looked up anew.</summary>
    public void Forget()
    {
        _last?.Dispose();
        _last = null;
    }

    /// <summary>The same tree, looked up on its own.</summary>
    public TreeFolders Another() => new(root);

    private bool Same(ReadOnlySpan<byte[]> names)
    {
        if (names.Length != _lastNames.Length) return false;
        for (var i = 0; i < names.Length; i++) if (!names[i].AsSpan().SequenceEqual(_lastNames[i])) return false;
        return true;
    }

    public void Dispose()
    {
        Forget();
        _root.Dispose();
    }
}
