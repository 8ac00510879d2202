using System.ComponentModel;
using Drover.Agent.Volumes.Trees;
using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>
/// Does what a short stream of btrfs says, to a writable copy of its base, as `btrfs receive` would: without starting a program, and knowing afterwards which
/// files and folders it touched, so that these alone need to be synced. Entries are reached name by name and through no link: the sender may be hostile.
/// </summary>
internal sealed class SendReplay : IDisposable
{
    private const int MostPaths = 256;
    /// <summary>Of more than that the filesystem's own commit is the shorter way; and no sender takes the agent's file handles away.</summary>
    private const int WorthSyncingAlone = 64, AtOnce = 8;
    private readonly TreeFolders _folders;
    /// <summary>By path; forgotten when names change.</summary>
    private readonly Dictionary<string, SafeFileHandle> _open = [];
    private readonly List<SafeFileHandle> _files = [], _changed = [];
    private bool _needsWholeSync;

    private SendReplay(string root) => _folders = new(root);

    /// <summary>Whether all of it can be done here. What few volumes need (attributes, device files, shared extents) is left to the real program.</summary>
    public static bool Knows(List<SendCommand> commands) => commands.Select(c => Key(c.Path.Names)).Distinct().Count() <= MostPaths && commands.Skip(1).All(c => c.Kind is SendKind.MakeFile or SendKind.MakeFolder or SendKind.Rename or SendKind.HardLink or SendKind.Unlink
        or SendKind.RemoveFolder or SendKind.Write or SendKind.Truncate or SendKind.Mode or SendKind.Owner or SendKind.Times or SendKind.End);

    /// <summary>Files and folders with changes stay open until disposed.</summary>
    /// <exception cref="InvalidDataException">It does not fit the tree. The caller drops the tree then.</exception>
    /// <exception cref="IOException">The pool is full.</exception>
    public static SendReplay Of(List<SendCommand> commands, string root)
    {
        var replay = new SendReplay(root);
        try
        {
            foreach (var command in commands) replay.Do(command);
            return replay;
        }
        catch (Exception e)
        {
            replay.Dispose();
            if (e is Win32Exception { NativeErrorCode: TreeCalls.NoSpace or TreeCalls.OverQuota } || e.HResult is TreeCalls.NoSpace or TreeCalls.OverQuota) throw new IOException($"the pool is full: make room, then repeat ({e.Message})", e);
            if (e is Win32Exception) throw new InvalidDataException($"the stream cannot be applied: {e.Message}", e);
            throw;
        }
    }

    /// <summary>All that was changed is on disk when it returns. Files before folders: a name must not lead to contents that a power cut could still take.</summary>
    public void Sync(string root)
    {
        if (_needsWholeSync || _files.Count + _changed.Count > WorthSyncingAlone) { Subvolume.SyncFilesystem(root); return; }
        // Side by side: the filesystem writes its log once for all that wait for it.
        Parallel.ForEach(_files, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, Native.SyncFile);
        Parallel.ForEach(_changed, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, Native.SyncFile);
    }

    private void Do(SendCommand c)
    {
        switch (c.Kind)
        {
            // The tree is there already, and the caller has compared what it is of.
            case SendKind.Snapshot or SendKind.End: return;
            case SendKind.MakeFile: Keep(c.Path, TreeCalls.OpenToWrite(Changing(c.Path), c.Path.Last, isNew: true)); return;
            case SendKind.MakeFolder: TreeCalls.MakeFolder(Changing(c.Path), c.Path.Last); return;
            case SendKind.Write: RandomAccess.Write(File(c.Path), c.Data.Span, c.Offset); return;
            case SendKind.Truncate: TreeCalls.Resize(File(c.Path), c.Size); return;
            case SendKind.Mode: TreeCalls.SetMode(Touched(c.Path), c.Path.Last, c.Mode); return;
            case SendKind.Owner: TreeCalls.SetOwner(Touched(c.Path), c.Path.Last, c.User, c.Group); return;
            case SendKind.Times: TreeCalls.SetTimes(Touched(c.Path), c.Path.Last, c.Accessed, c.Modified); return;
            default: Name(c); return;
        }
    }

    private void Name(SendCommand c)
    {
        switch (c.Kind)
        {
            case SendKind.Rename when c.To is { IsRoot: false } to:
            {
                // Each has its own way from the root: the cache holds one folder only, and this one must stay open.
                using var others = _folders.Another();
                Changing(c.Path);
                TreeCalls.Rename(others.ParentOf(c.Path) ?? throw Gone(c.Path), c.Path.Last, Changing(to), to.Last);
                break;
            }
            case SendKind.HardLink when c.To is { IsRoot: false } first:
            {
                using var others = _folders.Another();
                if (TreeCalls.HardLink(others.ParentOf(first) ?? throw Gone(first), first.Last, Changing(c.Path), c.Path.Last) is not 0 and var error) throw Native.Failed("make a further name", c.Path.ToString(), error);
                _needsWholeSync = true;
                break;
            }
            // Safe, both: the tree is this attempt's own copy; the base keeps what it has.
            case SendKind.Unlink: TreeCalls.RemoveEntry(Changing(c.Path), c.Path.Last, isFolder: false); break;
            case SendKind.RemoveFolder: TreeCalls.RemoveEntry(Changing(c.Path), c.Path.Last, isFolder: true); break;
            default: throw new InvalidDataException($"a command {c.Kind} of the stream has no place here");
        }
        // What lay at a path may lie at another one now.
        _folders.Forget();
        _open.Clear();
        if (_files.Count + _changed.Count <= WorthSyncingAlone) return;
        _needsWholeSync = true;
        CloseAll();
    }

    private SafeFileHandle Parent(TreePath path) => _folders.ParentOf(path) ?? throw Gone(path);

    /// <summary>The folder of an entry that comes, goes or is renamed: it is to be synced.</summary>
    private SafeFileHandle Changing(TreePath path)
    {
        if (path.IsRoot) throw new InvalidDataException("the stream replaces the root of its tree");
        var parent = Parent(path);
        KeepFolder(Key(path.Parents), parent);
        return parent;
    }

    /// <summary>The folder of an entry whose own properties change: the entry is to be synced.</summary>
    private SafeFileHandle Touched(TreePath path)
    {
        var parent = Parent(path);
        switch (TreeCalls.Find(parent, path.Last)?.Kind)
        {
            case EntryKind.File when !_open.ContainsKey(Key(path.Names)): _files.Add(TreeCalls.OpenToRead(parent, path.Last) ?? throw Gone(path)); break;
            case EntryKind.File: break;
            case EntryKind.Folder:
                using (var folder = TreeCalls.OpenFolder(parent, path.Last) ?? throw Gone(path)) KeepFolder(Key(path.Names), folder);
                break;
            case null: throw Gone(path);
            // These cannot be opened to be synced.
            default: _needsWholeSync = true; break;
        }
        return Parent(path);
    }

    private void KeepFolder(string key, SafeFileHandle folder)
    {
        if (_open.ContainsKey(key)) return;
        // By a handle of its own: also when the folder gets another name, or goes.
        var kept = TreeCalls.OpenFolder(folder, RawName.Here) ?? throw new InvalidDataException("a folder of the stream is gone");
        _changed.Add(kept);
        _open[key] = kept;
    }

    private SafeFileHandle File(TreePath path) => _open.TryGetValue(Key(path.Names), out var open) ? open
        : TreeCalls.Find(Parent(path), path.Last) is { Kind: EntryKind.File } ? Keep(path, TreeCalls.OpenToWrite(Parent(path), path.Last, isNew: false)) : throw Gone(path);

    private SafeFileHandle Keep(TreePath path, SafeFileHandle file)
    {
        _files.Add(file);
        return _open[Key(path.Names)] = file;
    }

    private static string Key(ReadOnlySpan<byte[]> names)
    {
        var key = new System.Text.StringBuilder();
        // One byte, one character: what is no UTF-8 stays apart.
        foreach (var name in names) key.Append(System.Text.Encoding.Latin1.GetString(RawName.Bytes(name))).Append('/');
        return key.ToString();
    }

    private static InvalidDataException Gone(TreePath path) => new($"the stream changes what is not there: '{path}'");

    private void CloseAll()
    {
        foreach (var handle in _files.Concat(_changed)) handle.Dispose();
        _files.Clear();
        _changed.Clear();
    }

    public void Dispose()
    {
        CloseAll();
        _folders.Dispose();
    }
}
